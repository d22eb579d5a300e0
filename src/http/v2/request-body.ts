/** Bodies as they come from the socket: no faster than they are used. */
import { createLeastRate } from '../../content/least-rate.ts'
import type { UploadBody } from '../../content/uploads.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { SaidRange } from '../../push.ts'
import { awaitsContinue, type Exchange } from '../exchange.ts'

/** Bytes that the client says will come; undefined when it says nothing. */
export function saidLength({ incoming }: Pick<Exchange, 'incoming'>): number | undefined {
  const { 'content-length': said, 'transfer-encoding': coding } = incoming.headers
  if (coding !== undefined) return undefined
  return said === undefined ? 0 : Number(said)
}

/** Of a client whose network is as bad as can be; on one that sends nothing at all for a minute the server hangs up. */
const leastOfClients = { stretchMs: 300_000, leastBytes: 1024 }

/**
 * The bytes of a request, once; whoever waits for `100 Continue` is told so when they are asked for. What is not asked for is left
 * unread, and the connection stays. A client that sends less than 1 KiB in five minutes is cut off. `now` gives milliseconds; default
 * a clock that nobody sets.
 *
 * @throws RegistryError SIZE_INVALID when the client breaks off, or is cut off
 */
export function requestBody(
  { incoming, outgoing }: Pick<Exchange, 'incoming' | 'outgoing'>,
  now: () => number = () => performance.now(),
): UploadBody {
  return {
    async *[Symbol.asyncIterator]() {
      if (awaitsContinue(incoming) && !outgoing.headersSent) {
        outgoing.writeContinue()
        outgoing.shouldKeepAlive = true
      }
      // Else nobody could skip what is left of it, and the connection would wait for that for ever.
      const pieces = incoming.iterator({ destroyOnReturn: false })
      const rate = createLeastRate(now, leastOfClients)
      const next = async (): Promise<Buffer | undefined> => (await pieces.next()).value
      try {
        for (;;) {
          const piece = await rate.timed(next).catch(brokenOff)
          if (piece === undefined) return
          yield piece
          // Its reader is told that it broke off.
          if (rate.endsSlow()) incoming.destroy()
        }
      } finally {
        await pieces.return?.()
      }
    },
  }
}

/** @throws RegistryError SIZE_INVALID */
function brokenOff(cause: unknown): never {
  throw new RegistryError('SIZE_INVALID', { message: 'the request ended before its body was whole', cause })
}

/**
 * Which bytes of its upload a request says it has; undefined when it has none, or does not say.
 *
 * @throws RegistryError BLOB_UPLOAD_INVALID, SIZE_INVALID when it says two lengths
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
 */
export function saidRange(exchange: Pick<Exchange, 'incoming'>): SaidRange | undefined {
  const said = saidLength(exchange)
  const written = exchange.incoming.headers['content-range']
  if (written === undefined) return said ? { length: said } : undefined
  const [, first, last] = /^([0-9]{1,15})-([0-9]{1,15})$/.exec(written) ?? []
  const start = Number(first)
  const length = Number(last) - start + 1
  if (first === undefined || length < 1) {
    const message = 'Content-Range: write the first and the last byte of this piece, such as 0-1023'
    throw new RegistryError('BLOB_UPLOAD_INVALID', { message, detail: { contentRange: written.slice(0, 100) } })
  }
  if (said !== undefined && said !== length) {
    const message = `Content-Range says ${length} bytes, and Content-Length ${said}`
    throw new RegistryError('SIZE_INVALID', { message })
  }
  return { start, length }
}
