/** An upstream registry of large blobs that counts what it sends, and misbehaves in the middle of a body where it is told to. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { GeneratedBlob } from './generated-blob.ts'
import { type Piece, piece } from './images.ts'

/** A request for a blob, and what went out for it. */
export interface BlobRequest {
  method: string
  repository: string
  digest: Digest
  range: string | undefined
  ifRange: string | undefined
  status: number
  /** Of the body, as far as it was given to the socket. */
  sentBytes: number
  /** Whether the answer is still under way. */
  isOpen: boolean
}

/** How an answer goes wrong. Offsets are in the blob, not in the answer. */
export interface BlobFault {
  /** Answers so instead, with a short body. */
  status?: number
  headers?: Record<string, string>
  /** Destroys the socket before the byte at this offset. */
  cutAt?: number
  /** Ends the connection properly before the byte at this offset, though more was promised. */
  endAt?: number
  /** Sends the byte at this offset with one bit changed. */
  flipAt?: number
  /** Sends nothing more from this offset on, and keeps the connection. */
  stallAt?: number
  /** Sends on and on, with no Content-Length. */
  isEndless?: boolean
  /** Answers 200 and the whole to a Range. */
  ignoresRange?: boolean
  /** Says that the bytes are those from here on, whatever they are. */
  claimsOffset?: number
  /** Says that the blob has another size. */
  claimsSize?: number
  /** Sends bytes from here on, whatever was asked for and is said. */
  sendsFrom?: number
}

export interface BlobUpstream {
  /** `127.0.0.1:port`. */
  host: string
  port: number
  /** Puts an image of blobs at a tag and answers its manifest. */
  put(repository: string, tag: string, layers: readonly GeneratedBlob[], seed?: string): PutImage
  /** Forgets a tag and its manifest. */
  removeManifest(repository: string, tag: string): void
  /** Forgets a blob. */
  removeBlob(digest: Digest): void
  /** Blob requests in the order in which they came. */
  requests: BlobRequest[]
  /** All other requests, as `METHOD path`. */
  others: string[]
  /** GETs of a blob; of any when none is named. */
  gets(digest?: Digest): BlobRequest[]
  sentBytes(digest?: Digest): number
  /** What goes wrong with a GET of a blob: told the request and how many GETs of that blob came before. */
  fault: (request: BlobRequest, before: number) => BlobFault | undefined
  /** Each answer's rate; undefined: as fast as it goes. */
  bytesPerSecond: number | undefined
  /** How long a HEAD of a blob takes. */
  headDelayMs: number
  /** Every request is answered so. */
  status: number | undefined
  close(): Promise<void>
}

export interface PutImage {
  manifest: Piece
  config: Piece
  layers: readonly GeneratedBlob[]
}

const paceMs = 20

/** Starts an upstream on 127.0.0.1, at `port` when it is to come back where another was. */
export async function startBlobUpstream(port = 0): Promise<BlobUpstream> {
  const blobs = new Map<string, Pick<GeneratedBlob, 'size' | 'pieces'>>()
  const manifests = new Map<string, Piece>()
  const server = createServer((req, res) => void answer(req, res))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const bound = (server.address() as AddressInfo).port
  const upstream: BlobUpstream = {
    host: `127.0.0.1:${bound}`,
    port: bound,
    put(repository, tag, layers, seed = `${repository}:${tag}`) {
      const image = imageOf(layers, seed)
      const { config, manifest } = image
      blobs.set(config.digest, {
        size: config.bytes.length,
        pieces: (start, end) => [config.bytes.subarray(start, end)],
      })
      for (const layer of layers) blobs.set(layer.digest, layer)
      for (const reference of [tag, manifest.digest]) manifests.set(`${repository}/${reference}`, manifest)
      return image
    },
    removeManifest(repository, tag) {
      const found = manifests.get(`${repository}/${tag}`)
      for (const reference of [tag, found?.digest]) manifests.delete(`${repository}/${reference}`)
    },
    removeBlob: (digest) => void blobs.delete(digest),
    requests: [],
    others: [],
    gets: (digest) =>
      upstream.requests.filter(
        (request) => request.method === 'GET' && (digest === undefined || request.digest === digest),
      ),
    sentBytes: (digest) => upstream.gets(digest).reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    fault: () => undefined,
    bytesPerSecond: undefined,
    headDelayMs: 0,
    status: undefined,
    async close() {
      if (!server.listening) return
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }

  async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    req.resume()
    const { method = '', url = '' } = req
    const [, repository = '', kind, reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]+)/.exec(url) ?? []
    if (kind === 'blobs') return answerBlob(req, res, repository, reference as Digest)
    upstream.others.push(`${method} ${url}`)
    if (upstream.status !== undefined) return refuse(res, upstream.status)
    if (url === '/v2/') return void res.end('{}')
    const manifest = kind === undefined ? undefined : manifests.get(`${repository}/${reference}`)
    if (manifest === undefined) return refuse(res, 404)
    res.writeHead(200, {
      'content-type': manifest.mediaType,
      'content-length': manifest.bytes.length,
      'docker-content-digest': manifest.digest,
    })
    res.end(method === 'HEAD' ? undefined : manifest.bytes)
  }

  async function answerBlob(
    req: IncomingMessage,
    res: ServerResponse,
    repository: string,
    digest: Digest,
  ): Promise<void> {
    const { range, 'if-range': ifRange } = req.headers
    const request: BlobRequest = {
      method: req.method ?? '',
      repository,
      digest,
      range,
      ifRange: typeof ifRange === 'string' ? ifRange : undefined,
      status: 200,
      sentBytes: 0,
      isOpen: true,
    }
    const before = upstream.gets(digest).length
    upstream.requests.push(request)
    res.once('close', () => {
      request.isOpen = false
    })
    if (request.method === 'HEAD' && upstream.headDelayMs > 0) await delay(upstream.headDelayMs)
    const blob = blobs.get(digest)
    const fault = (request.method === 'GET' ? upstream.fault(request, before) : undefined) ?? {}
    const status = fault.status ?? upstream.status ?? (blob === undefined ? 404 : undefined)
    if (blob === undefined || status !== undefined) {
      request.status = status ?? 404
      return refuse(res, request.status, fault.headers)
    }
    await sendBlob(res, request, blob, fault)
  }

  async function sendBlob(
    res: ServerResponse,
    request: BlobRequest,
    { size, pieces }: Pick<GeneratedBlob, 'size' | 'pieces'>,
    fault: BlobFault,
  ): Promise<void> {
    const asked = fault.ignoresRange === true ? undefined : /^bytes=(\d+)-(\d*)$/.exec(request.range ?? '')
    const start = asked ? Number(asked[1]) : 0
    const end = asked?.[2] ? Math.min(Number(asked[2]) + 1, size) : size
    if (start >= end && size > 0) {
      request.status = 416
      return void res.writeHead(416, { 'content-range': `bytes */${size}`, 'content-length': 0 }).end()
    }
    request.status = asked ? 206 : 200
    const claimed = fault.claimsOffset ?? start
    const total = fault.claimsSize ?? size
    res.writeHead(request.status, {
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      etag: `"${request.digest}"`,
      ...(fault.isEndless === true ? {} : { 'content-length': end - start }),
      ...(asked ? { 'content-range': `bytes ${claimed}-${claimed + end - start - 1}/${total}` } : {}),
      ...fault.headers,
    })
    if (request.method === 'HEAD') return void res.end()
    res.flushHeaders()
    const from = fault.sendsFrom ?? start
    const began = performance.now()
    for (const piece of faulty(pieces(from, from + end - start), from, fault)) {
      if (piece === 'cut' || piece === 'end')
        return void res.write('', () => (piece === 'cut' ? res.destroy() : res.socket?.end()))
      if (piece === 'stall') return
      if (!(await write(res, piece))) return
      request.sentBytes += piece.length
      await pace(upstream.bytesPerSecond, request.sentBytes, began)
    }
    if (fault.isEndless !== true) return void res.end()
    while (await write(res, filler)) request.sentBytes += filler.length
  }

  return upstream
}

const filler = Buffer.alloc(64 * 1024, 'x')

/** The pieces as a fault leaves them. */
function* faulty(
  pieces: Iterable<Buffer>,
  from: number,
  { cutAt, endAt, flipAt, stallAt }: BlobFault,
): Generator<Buffer | 'cut' | 'end' | 'stall'> {
  const stops = [
    { at: cutAt, what: 'cut' as const },
    { at: endAt, what: 'end' as const },
    { at: stallAt, what: 'stall' as const },
  ]
  let at = from
  for (const whole of pieces) {
    const piece = flipAt !== undefined && flipAt >= at && flipAt < at + whole.length ? Buffer.from(whole) : whole
    if (piece !== whole && flipAt !== undefined) piece.writeUInt8(piece.readUInt8(flipAt - at) ^ 1, flipAt - at)
    const stop = stops.find((each) => each.at !== undefined && each.at < at + piece.length)
    if (stop?.at !== undefined) {
      if (stop.at > at) yield piece.subarray(0, stop.at - at)
      yield stop.what
      return
    }
    yield piece
    at += piece.length
  }
}

/** Whether more can be sent. */
function write(res: ServerResponse, bytes: Buffer): Promise<boolean> | boolean {
  if (res.destroyed) return false
  if (res.write(bytes)) return true
  return new Promise((resolve) => {
    const settle = (): void => {
      res.off('drain', settle)
      res.off('close', settle)
      resolve(!res.destroyed)
    }
    res.on('drain', settle)
    res.on('close', settle)
  })
}

async function pace(bytesPerSecond: number | undefined, sentBytes: number, began: number): Promise<void> {
  if (bytesPerSecond === undefined) return
  const aheadMs = (sentBytes / bytesPerSecond) * 1000 - (performance.now() - began)
  if (aheadMs > paceMs) await delay(aheadMs)
}

function refuse(res: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  const body = JSON.stringify({ errors: [{ code: 'UNKNOWN', message: `answered ${status}` }] })
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers }).end(body)
}

function imageOf(layers: readonly GeneratedBlob[], seed: string): PutImage {
  const config = piece(
    'application/vnd.oci.image.config.v1+json',
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { seed } },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    }),
  )
  const { ociManifest: mediaType } = mediaTypes
  const manifest = piece(
    mediaType,
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: { mediaType: config.mediaType, digest: digestOf(config.bytes), size: config.bytes.length },
      layers: layers.map(({ mediaType: type, digest, size }) => ({ mediaType: type, digest, size })),
    }),
  )
  return { manifest, config, layers }
}
