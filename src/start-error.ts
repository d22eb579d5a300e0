/** Why Weir can not start, in one line for the person who starts it. */
export class StartError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause })
    this.name = 'StartError'
  }
}

/** What the system calls an error. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

/** The first line of what an error says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
}
