import { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { hashedDigest, hashFor } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { BlobReader, BlobSource, Link, UpstreamLocation } from './content.ts'
import { mostTelling, upstreamsOf, wrongBytes } from './locations.ts'
import type { Extent } from './range.ts'

/** Most bytes of a whole body that wait for its digest. */
const heldBackBytes = 64 * 1024

/** A blob to stream, and how much of it. */
export interface BlobRequest extends Extent {
  link: Link
  size: number
}

export interface BlobStreamOptions {
  source: BlobSource
  /** Ends all streams when it aborts. */
  signal: AbortSignal
  log: Logger | undefined
}

/**
 * Streams a blob from the locations of its link, in order: the next is tried when one fails before any byte was passed on. A
 * whole body is verified (I4), a part of it is passed on as it comes. Destroying the stream ends the upstream's request.
 *
 * @throws RegistryError BLOB_UNKNOWN, or the failure of the upstream that may have it, before there is a stream
 */
export async function streamBlob(request: BlobRequest, options: BlobStreamOptions): Promise<Readable> {
  const gone = new AbortController()
  const signal = AbortSignal.any([gone.signal, options.signal])
  const chunks = readLocations(request, { ...options, signal })
  let next: Promise<IteratorResult<Buffer>> | undefined = Promise.resolve(await chunks.next())
  return new Readable({
    highWaterMark: heldBackBytes,
    read() {
      const chunk = next ?? chunks.next()
      next = undefined
      chunk.then(
        ({ done, value }) => this.push(done ? null : value),
        (error: Error) => this.destroy(error),
      )
    },
    destroy(error, callback) {
      gone.abort()
      callback(error)
    },
  })
}

async function* readLocations(request: BlobRequest, options: BlobStreamOptions): AsyncGenerator<Buffer, void> {
  const failures: unknown[] = []
  let passedOn = false
  for (const location of upstreamsOf(request.link)) {
    try {
      for await (const chunk of readLocation(request, location, options)) {
        passedOn = true
        yield chunk
      }
      return
    } catch (error) {
      if (options.signal.aborted) throw error
      options.log?.warn({ err: error, digest: request.link.digest, host: location.host, passedOn }, 'blob failed')
      if (passedOn) throw error
      failures.push(error)
    }
  }
  throw mostTelling(failures, 'BLOB_UNKNOWN', request.link)
}

async function* readLocation(
  request: BlobRequest,
  location: UpstreamLocation,
  { source, signal }: BlobStreamOptions,
): AsyncGenerator<Buffer, void> {
  const { link, size, offset, length } = request
  const whole = length === size
  const range = whole ? undefined : { start: offset, end: offset + length - 1 }
  const opened = await source.open(location, link.digest, range, signal).catch((error: unknown) => {
    // The range is one of the size that the link promises.
    throw error instanceof RegistryError && error.code === 'RANGE_INVALID'
      ? wrongBytes(location, `is shorter than ${size} bytes`)
      : error
  })
  const { body } = opened
  const leave = (): void => body.close()
  signal.addEventListener('abort', leave)
  try {
    signal.throwIfAborted()
    if (opened.size !== undefined && opened.size !== size) {
      throw wrongBytes(location, `is ${opened.size} bytes long and not ${size}`)
    }
    yield* whole ? verified(body, request, location) : cut(body, offset - opened.offset, length, location)
  } finally {
    signal.removeEventListener('abort', leave)
    body.close()
  }
}

async function* piecesOf(body: BlobReader): AsyncGenerator<Buffer, void> {
  for (let piece = await body.read(); piece !== undefined; piece = await body.read()) yield piece
}

/** Passes a whole body on and holds its end back until length and digest are known to be right. */
async function* verified(
  body: BlobReader,
  { link, size }: BlobRequest,
  location: UpstreamLocation,
): AsyncGenerator<Buffer, void> {
  const hash = hashFor(link.digest)
  const freeBytes = Math.max(0, size - heldBackBytes)
  const held: Buffer[] = []
  let received = 0
  for await (const chunk of piecesOf(body)) {
    hash.update(chunk)
    const free = Math.max(0, Math.min(chunk.length, freeBytes - received))
    received += chunk.length
    if (received > size) throw wrongBytes(location, `is longer than ${size} bytes`)
    if (free > 0) yield chunk.subarray(0, free)
    if (free < chunk.length) held.push(chunk.subarray(free))
  }
  const digest = hashedDigest(hash, link.digest)
  if (digest !== link.digest) {
    const problem =
      received < size ? `ended after ${received} of ${size} bytes` : `has the digest ${digest} and not ${link.digest}`
    throw wrongBytes(location, problem)
  }
  yield* held
}

/**
 * Passes `length` bytes on after `skip` others: an upstream that ignores Range answers whole. However many are to be skipped,
 * since else no client could go on with a layer from there; but only for as long as the client waits for them.
 */
async function* cut(
  body: BlobReader,
  skip: number,
  length: number,
  location: UpstreamLocation,
): AsyncGenerator<Buffer, void> {
  if (skip < 0) throw wrongBytes(location, 'came without the beginning of its range')
  const end = skip + length
  let received = 0
  for await (const chunk of piecesOf(body)) {
    const piece = chunk.subarray(Math.max(0, skip - received), Math.max(0, end - received))
    received += chunk.length
    if (piece.length > 0) yield piece
    if (received >= end) return
  }
  throw wrongBytes(location, `ended ${end - received} bytes before the end of its range`)
}
