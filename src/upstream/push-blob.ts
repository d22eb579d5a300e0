import { Readable } from 'node:stream'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { fetchBlobSize } from './blobs.ts'
import type { Exchange, Want } from './exchange.ts'
import { upstreamFailure } from './failure.ts'
import { checkTaken, unlessUnsure } from './push-answers.ts'
import type { Answer, Ask, Transport } from './transport.ts'
import type { PushedBytes, UpstreamRepository } from './upstream.ts'

export interface BlobToPush {
  to: UpstreamRepository
  digest: Digest
  size: number
  open(): Promise<PushedBytes>
  signal: AbortSignal | undefined
}

/** Most of a piece that is handed to a connection at once: each that goes out shows that the push still moves. */
const maxSentBytes = 256 * 1024

/** Pushes a blob by one PUT, unless it is there. @throws RegistryError, and what reading its bytes throws */
export async function pushBlob(exchange: Exchange, blob: BlobToPush): Promise<void> {
  const { to, digest, size, signal } = blob
  const want: Want = { from: to, kind: 'blob', reference: digest, method: 'POST', isPush: true, signal }
  const there = await unlessUnsure(fetchBlobSize(exchange, { from: to, reference: digest, isPush: true, signal }))
  if (there === size) return
  const answer = await exchange.pushed(want, (ask, push) => upload(blob, ask, push))
  checkTaken(exchange, want, answer, digest)
}

/** Begins an upload and ends it with all bytes. Gives the answer of the request that was the last. */
async function upload(blob: BlobToPush, ask: Ask, push: Transport['push']): Promise<Answer> {
  const begun = await push({ ...ask, url: new URL('uploads/', ask.url) })
  if (begun.status >= 300) return begun
  const url = uploadUrl(blob, begun)
  const content = contentOf(blob)
  const headers = { 'content-type': 'application/octet-stream', 'content-length': String(blob.size) }
  try {
    return await push({ ...ask, method: 'PUT', url, headers, ...(content && { content: content.body }) })
  } catch (error) {
    throw content?.failure === undefined ? error : content.failure.error
  } finally {
    content?.body.destroy()
  }
}

/**
 * Where an upload goes on: at the registry itself, for the login goes there too. What a registry put into the query stays as it
 * wrote it.
 */
function uploadUrl({ to: { host }, digest }: BlobToPush, { status, headers, url: asked }: Answer): URL {
  const { location } = headers
  if (status !== 202 || typeof location !== 'string' || !URL.canParse(location, asked)) {
    throw upstreamFailure(host, 'Invalid', `${asked.host} answered ${status} and began no upload that goes on anywhere`)
  }
  const url = new URL(location, asked)
  if (url.origin !== asked.origin || url.username !== '' || url.password !== '') {
    const message = `${asked.host} wants an upload sent on to ${url.protocol}//${url.host}: not sent, since it is not the same`
    throw upstreamFailure(host, 'NotAllowed', message)
  }
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`
  url.hash = ''
  return url
}

/** A body that reads as it is sent, and keeps why its own bytes could not be read. */
interface Content {
  body: Readable
  readonly failure: { error: unknown } | undefined
}

function contentOf({ size, open, to, digest }: BlobToPush): Content | undefined {
  if (size === 0) return undefined
  let failure: Content['failure']

  /** An error of the connection comes to where a piece is handed over: that is none of the bytes' own. */
  async function own<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      failure = { error }
      throw error
    }
  }

  async function* pieces(): AsyncGenerator<Buffer> {
    const bytes = await own(open)
    let sent = 0
    const next = async (): Promise<Buffer | undefined> => {
      const piece = await bytes.read()
      sent += piece?.length ?? 0
      if (piece === undefined ? sent !== size : sent > size) throw wrongSize(to, digest, sent, size)
      return piece
    }
    try {
      for (let piece = await own(next); piece !== undefined; piece = await own(next)) {
        // What was handed over may lie in the connection when the piece's memory is used again.
        for (let i = 0; i < piece.length; i += maxSentBytes) yield Buffer.from(piece.subarray(i, i + maxSentBytes))
      }
    } finally {
      bytes.close()
    }
  }

  const body = Readable.from(pieces(), { objectMode: false, highWaterMark: maxSentBytes })
  // Whoever sends is told by other ways.
  body.on('error', () => undefined)
  return {
    body,
    get failure() {
      return failure
    },
  }
}

function wrongSize({ host }: UpstreamRepository, digest: Digest, sent: number, size: number): RegistryError {
  const message = `blob ${digest} was not pushed to ${host}: it has ${sent} bytes${sent > size ? ' or more' : ''}, and should have ${size}`
  return new RegistryError('UNAVAILABLE', { message })
}
