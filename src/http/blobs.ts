import type { ServerResponse } from 'node:http'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import type { Logger } from 'pino'
import type { OpenBlob, RangeRequest } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { PullThrough } from '../pull-through.ts'
import { type BlobBodies, createBlobBodies } from './blob-bodies.ts'
import { parseRange, placeRanges, type RequestedRange } from './byte-range.ts'
import type { HttpContext } from './exchange.ts'
import { immutable, matchesEtag } from './manifest-answer.ts'
import { contentRange, layOutMultipart, type Multipart } from './multipart.ts'
import { sendBody } from './sending.ts'

export interface BlobRouteDeps {
  pullThrough: Pick<PullThrough, 'blob' | 'blobSize'>
  log: Logger
  /** Default: as many bodies as its own defaults say. */
  blobBodies?: BlobBodies
}

export type ServeBlob = (c: HttpContext, name: StreamName, digest: string) => Promise<Response>

const blobType = 'application/octet-stream'

/**
 * GET and HEAD of a blob whose puller was let through.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs
 */
export function createServeBlob({ pullThrough, log, blobBodies = createBlobBodies() }: BlobRouteDeps): ServeBlob {
  async function serveOne(c: HttpContext, name: StreamName, digest: string, range?: RangeRequest): Promise<Response> {
    const { outgoing } = c.env
    const blob = await whileWaiting(outgoing, (signal) => pullThrough.blob(name, digest, range, signal))
    if (blob === undefined) return RESPONSE_ALREADY_SENT
    const headers = { ...describe(blob.digest), 'Content-Length': String(blob.length) }
    if (range === undefined) outgoing.writeHead(200, headers)
    else outgoing.writeHead(206, { ...headers, 'Content-Range': contentRange(blob, blob.size) })
    tellOf(await sendBody(outgoing, ({ writeBlob }) => writeBlob(blob)), c)
    return RESPONSE_ALREADY_SENT
  }

  /** Opens each part when its turn comes; the first before the head is written, so that its failure is an answer. */
  async function serveParts(c: HttpContext, name: StreamName, digest: string, body: Multipart): Promise<Response> {
    const { outgoing } = c.env
    const open = ({ extent: { offset, length } }: Multipart['parts'][number]) => {
      const range = { start: offset, end: offset + length - 1 }
      return whileWaiting(outgoing, (signal) => pullThrough.blob(name, digest, range, signal))
    }
    const [first, ...others] = body.parts
    if (first === undefined) throw new TypeError('a multipart body has parts')
    const opened = await open(first)
    if (opened === undefined) return RESPONSE_ALREADY_SENT
    outgoing.writeHead(206, {
      ...describe(opened.digest),
      'Content-Type': body.contentType,
      'Content-Length': String(body.contentLength),
    })
    const failure = await sendBody(outgoing, async ({ write, writeBlob }) => {
      await writeBlob(asLaidOut(opened, first), first.head)
      for (const part of others) {
        const blob = await open(part)
        if (blob === undefined) return
        await writeBlob(asLaidOut(blob, part), part.head)
      }
      await write(body.end)
    })
    tellOf(failure, c)
    return RESPONSE_ALREADY_SENT
  }

  function tellOf(failure: unknown, { env: { requestId, incoming } }: HttpContext): void {
    if (failure !== undefined) log.warn({ err: failure, requestId, path: incoming.url }, 'blob cut off')
  }

  async function serveBody(c: HttpContext, name: StreamName, digest: string, asked: RequestedRange): Promise<Response> {
    if (asked.kind === 'whole') return serveOne(c, name, digest)
    if (asked.kind === 'range') return serveOne(c, name, digest, asked.range)
    const { size } = await pullThrough.blobSize(name, digest)
    const placed = asked.kind === 'ranges' ? placeRanges(asked.ranges, size) : asked
    if (placed.kind === 'unsatisfiable') throw new RegistryError('RANGE_INVALID', { detail: { size } })
    if (placed.kind === 'whole') return serveOne(c, name, digest)
    return serveParts(c, name, digest, layOutMultipart(placed.parts, size, blobType))
  }

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
    const asked = parseRange(c.req.header('range'), c.req.header('if-range'), `"${digest}"`)
    const leave = await blobBodies.enter(c.env)
    if (leave === undefined) return RESPONSE_ALREADY_SENT
    return serveBody(c, name, digest, asked).finally(leave)
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
  return { 'Docker-Content-Digest': digest, ETag: `"${digest}"`, 'Cache-Control': immutable }
}

function describe(digest: Digest): Record<string, string> {
  return { 'Content-Type': blobType, 'Accept-Ranges': 'bytes', ...identity(digest) }
}

/** A blob as it was opened: what the head of its part says of it is out, or goes out next. */
function asLaidOut<T extends OpenBlob>(blob: T, { extent: { offset, length } }: Multipart['parts'][number]): T {
  if (blob.offset === offset && blob.length === length) return blob
  blob.reader.close()
  throw new Error(`the blob gave ${blob.length} bytes from ${blob.offset} for ${length} from ${offset}`)
}
