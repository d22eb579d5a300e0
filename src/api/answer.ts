/** What a request is answered when nothing went wrong: an object, or a stream that is a `Response` already. */
export type Answer = { status: number; body: object; headers?: Readonly<Record<string, string>> } | Response
