import { Readable } from 'node:stream'

/** Reads a body to its end; undefined, with the body destroyed, when it has more than `maxBytes`. */
export async function readWhole(body: Readable, maxBytes: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > maxBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

/**
 * Passes a body on, no more of it ahead of its reader than a stream's buffer, and fails with what `failure` makes of the
 * transport's error. A body that breaks off, or has another length than promised, always fails; it never just ends.
 */
export function guardedBody(body: Readable, length: number | undefined, failure: (cause: unknown) => Error): Readable {
  let passed = 0
  const guarded = new Readable({
    highWaterMark: 256 * 1024,
    read: () => void body.resume(),
    destroy(error, callback) {
      body.destroy()
      callback(error)
    },
  })
  // It can break before its reader listens; who reads it later is still told.
  guarded.on('error', () => undefined)
  body.on('data', (chunk: Buffer) => {
    passed += chunk.length
    if (length !== undefined && passed > length) return void guarded.destroy(failure(wrongLength(passed, length)))
    if (!guarded.push(chunk)) body.pause()
  })
  body.on('end', () => {
    if (length !== undefined && passed !== length) guarded.destroy(failure(wrongLength(passed, length)))
    else guarded.push(null)
  })
  body.on('error', (error) => guarded.destroy(failure(error)))
  return guarded
}

function wrongLength(passed: number, length: number): Error {
  return new Error(`the body has ${passed} bytes or more, and should have ${length}`)
}
