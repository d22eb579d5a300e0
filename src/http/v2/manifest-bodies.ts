import { RegistryError } from '../../oci/errors.ts'
import { maxManifestBytes } from '../../oci/media-types.ts'
import type { Exchange } from '../exchange.ts'
import { requestBody, saidLength } from './request-body.ts'

/** Manifests that are being pushed, in so much memory. */
export interface ManifestBodies {
  /**
   * Reads a body when there is memory for it, and keeps that for the work.
   *
   * @throws RegistryError TOO_LARGE beyond 4 MiB; TOOMANYREQUESTS when too many wait; SIZE_INVALID when the client breaks off, or is slower
   * than anybody is who means it; and what the work throws
   */
  read<T>(exchange: Pick<Exchange, 'incoming' | 'outgoing'>, work: (bytes: Buffer) => Promise<T>): Promise<T>
}

export interface ManifestBodiesOptions {
  /** Most bytes at the same time; default 32 MiB. */
  maxBytes?: number
  /** Most that wait for others to be done; default 256. */
  maxWaiting?: number
  /** For a whole body, so that the slow do not keep the others waiting; default 60 s. */
  timeoutMs?: number
}

const retryAfterSeconds = 5
/** Of the memory that a manifest is read into at first. */
const leastBytes = 16 * 1024

export function createManifestBodies(options: ManifestBodiesOptions = {}): ManifestBodies {
  const { maxBytes = 32 * 1024 * 1024, maxWaiting = 256, timeoutMs = 60_000 } = options
  const waiting: { bytes: number; enter: () => void }[] = []
  let taken = 0

  /** In turn, so that a large one gets its own too. */
  function admit(): void {
    for (let next = waiting[0]; next !== undefined && taken + next.bytes <= maxBytes; next = waiting[0]) {
      waiting.shift()
      taken += next.bytes
      next.enter()
    }
  }

  function take(bytes: number): Promise<void> {
    if (waiting.length >= maxWaiting) {
      const message = 'too many manifests are being pushed at the same time, try again'
      throw new RegistryError('TOOMANYREQUESTS', { message, retryAfterSeconds })
    }
    const admitted = new Promise<void>((enter) => waiting.push({ bytes, enter }))
    admit()
    return admitted
  }

  return {
    async read(exchange, work) {
      const said = saidLength(exchange)
      if (said !== undefined && said > maxManifestBytes) throw tooLarge()
      const bytes = Math.min(said ?? maxManifestBytes, maxBytes)
      await take(bytes)
      try {
        return await work(await readWhole(exchange, timeoutMs))
      } finally {
        taken -= bytes
        admit()
      }
    },
  }
}

async function readWhole(exchange: Pick<Exchange, 'incoming' | 'outgoing'>, timeoutMs: number): Promise<Buffer> {
  const { incoming } = exchange
  // Its reader is told that it broke off.
  const slow = setTimeout(() => incoming.destroy(), timeoutMs)
  try {
    // Pieces are not kept: each takes some hundred bytes of memory besides its own.
    let whole: Buffer = Buffer.allocUnsafe(leastBytes)
    let length = 0
    for await (const piece of requestBody(exchange)) {
      if (length + piece.length > maxManifestBytes) throw tooLarge()
      if (length + piece.length > whole.length) whole = enlarged(whole.subarray(0, length), length + piece.length)
      length += piece.copy(whole, length)
    }
    return whole.subarray(0, length)
  } finally {
    clearTimeout(slow)
  }
}

function enlarged(bytes: Buffer, least: number): Buffer {
  const larger = Buffer.allocUnsafe(Math.max(least, Math.min(2 * bytes.length, maxManifestBytes)))
  bytes.copy(larger)
  return larger
}

function tooLarge(): RegistryError {
  return new RegistryError('TOO_LARGE', { message: `the manifest is larger than ${maxManifestBytes} bytes` })
}
