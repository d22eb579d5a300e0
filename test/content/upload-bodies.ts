/** Bodies of requests that upload. */
import { expect } from 'vitest'
import type { UploadBody } from '../../src/content/uploads.ts'

/** A request's body that comes in pieces; with an error it breaks off there. */
export async function* body(...pieces: (Buffer | string | Error)[]): UploadBody {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece
    yield Buffer.from(piece)
  }
}

/** A body that comes when it is sent. */
export function live() {
  const pieces = [Promise.withResolvers<Buffer | undefined>()]
  const last = () => pieces.at(-1) ?? expect.fail()
  let asks = 0
  async function* give(): UploadBody {
    for (;;) {
      asks++
      const piece = await pieces[asks - 1]?.promise
      if (piece === undefined) return
      yield piece
    }
  }
  return {
    body: give(),
    get isAsked() {
      return asks > 0
    },
    send(piece: Buffer | string): void {
      const next = last()
      pieces.push(Promise.withResolvers())
      next.resolve(Buffer.from(piece))
    },
    end: (): void => last().resolve(undefined),
    /** Until so many pieces were asked for. */
    awaited: (count: number) => expect.poll(() => asks, { timeout: 10_000 }).toBe(count),
  }
}
