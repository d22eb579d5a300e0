import type { ServerResponse } from 'node:http'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Logger } from 'pino'
import type { OpenBlob } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { PullThrough } from '../pull-through.ts'
import { parseRange } from './byte-range.ts'
import type { HttpContext } from './exchange.ts'
import { matchesEtag } from './manifest-answer.ts'

export interface BlobRouteDeps {
  pullThrough: Pick<PullThrough, 'blob' | 'blobSize'>
  log: Logger
}

export type ServeBlob = (c: HttpContext, name: StreamName, digest: string) => Promise<Response>

/**
 * GET and HEAD of a blob whose puller was let through.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
 */
export function createServeBlob({ pullThrough, log }: BlobRouteDeps): ServeBlob {
  return async (c, name, digest) => {
    const ifNoneMatch = c.req.header('if-none-match')
    const unchanged = ifNoneMatch !== undefined && matchesEtag(ifNoneMatch, digest)
    // Hono sends HEAD to the GET handler; opening the blob for it would cost a download.
    if (c.req.method === 'HEAD' || unchanged) {
      const found = await pullThrough.blobSize(name, digest)
      return unchanged
        ? new Response(null, { status: 304, headers: identity(found.digest) })
        : new Response(null, { headers: { ...describe(found.digest), 'Content-Length': String(found.size) } })
    }
    const requested = parseRange(c.req.header('range'), c.req.header('if-range'), `"${digest}"`)
    if (requested.kind === 'unsatisfiable') {
      const { size } = await pullThrough.blobSize(name, digest)
      throw new RegistryError('RANGE_INVALID', { detail: { size } })
    }
    const range = requested.kind === 'range' ? requested.range : undefined
    const { incoming, outgoing, requestId } = c.env
    const blob = await whileWaiting(outgoing, (signal) => pullThrough.blob(name, digest, range, signal))
    if (blob === undefined) return RESPONSE_ALREADY_SENT
    const headers = { ...describe(blob.digest), 'Content-Length': String(blob.length) }
    if (range === undefined) outgoing.writeHead(200, headers)
    else outgoing.writeHead(206, { ...headers, 'Content-Range': contentRange(blob) })
    const failure = await send(blob, outgoing)
    if (failure !== undefined) log.warn({ err: failure, requestId, path: incoming.url }, 'blob cut off')
    return RESPONSE_ALREADY_SENT
  }
}

/** Work for a client: aborted when it leaves, and undefined then, since there is nobody to tell how it ended. */
async function whileWaiting<T>(
  outgoing: ServerResponse,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const left = new AbortController()
  const leave = (): void => left.abort()
  outgoing.once('close', leave)
  if (outgoing.destroyed) left.abort()
  try {
    return await work(left.signal)
  } catch (error) {
    if (left.signal.aborted) return undefined
    throw error
  } finally {
    outgoing.off('close', leave)
  }
}

function identity(digest: Digest): Record<string, string> {
  return { 'Docker-Content-Digest': digest, ETag: `"${digest}"` }
}

function describe(digest: Digest): Record<string, string> {
  return { 'Content-Type': 'application/octet-stream', 'Accept-Ranges': 'bytes', ...identity(digest) }
}

function contentRange({ offset, length, size }: OpenBlob): string {
  return `bytes ${offset}-${offset + length - 1}/${size}`
}

/**
 * Sends `blob.length` bytes. A reader that fails, or holds more or less than it said, destroys the socket, so that no client
 * takes what it got for the whole.
 *
 * @returns what went wrong; undefined also when the client left
 */
async function send({ reader, length }: OpenBlob, outgoing: ServerResponse): Promise<unknown> {
  const leave = (): void => reader.close()
  outgoing.once('close', leave)
  let sent = 0
  try {
    if (outgoing.destroyed) return undefined
    for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) {
      sent += piece.length
      if (sent > length) throw new Error(`the blob has more than the ${length} bytes it was said to have`)
      await written(outgoing, piece)
    }
    if (sent < length) throw new Error(`the blob ended after ${sent} of ${length} bytes`)
    outgoing.end()
    return undefined
  } catch (error) {
    if (outgoing.destroyed) return undefined
    outgoing.destroy()
    return error
  } finally {
    outgoing.off('close', leave)
    reader.close()
  }
}

/** Settles when the piece's memory may be used again. */
function written(outgoing: ServerResponse, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    outgoing.write(piece, (error) => (error ? reject(error) : resolve()))
  })
}
