import { RegistryError } from '../../oci/errors.ts'
import { maxManifestBytes } from '../../oci/media-types.ts'
import type { Exchange } from '../exchange.ts'
import { requestBody, saidLength } from './request-body.ts'

/** Manifests that are being pushed, in so much memory. */
export interface ManifestBodies {
  /**
   * Reads a body when there is memory for it, and keeps that for the work. `by` is who sends it: of the memory, and of the places to
   * wait in, one user has half at most, so that nobody keeps all others from pushing.
   *
   * @throws RegistryError TOO_LARGE beyond 4 MiB; TOOMANYREQUESTS when too many wait; SIZE_INVALID when the client breaks off, or is slower
   * than anybody is who means it; and what the work throws
   */
  read<T>(
    exchange: Pick<Exchange, 'incoming' | 'outgoing'>,
    by: string,
    work: (bytes: Buffer) => Promise<T>,
  ): Promise<T>
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

interface Waiting {
  by: string
  bytes: number
  enter: () => void
}

export function createManifestBodies(options: ManifestBodiesOptions = {}): ManifestBodies {
  const { maxBytes = 32 * 1024 * 1024, maxWaiting = 256, timeoutMs = 60_000 } = options
  const waiting: Waiting[] = []
  const takenBy = new Map<string, number>()
  let taken = 0

  /** Of one user in turn, so that a large one gets its own too; whoever has his share waits for his own alone. */
  function admit(): void {
    const ahead = new Set<string>()
    for (let i = 0; i < waiting.length; ) {
      const next = waiting[i]
      if (next === undefined) return
      const { by, bytes, enter } = next
      const own = takenBy.get(by) ?? 0
      if (ahead.has(by) || (own > 0 && own + bytes > maxBytes / 2)) {
        ahead.add(by)
        i += 1
        continue
      }
      if (taken + bytes > maxBytes) return
      waiting.splice(i, 1)
      taken += bytes
      takenBy.set(by, own + bytes)
      enter()
    }
  }

  function take(by: string, bytes: number): Promise<void> {
    const own = waiting.filter((each) => each.by === by).length
    if (waiting.length >= maxWaiting || own >= maxWaiting / 2) {
      const message = 'too many manifests are being pushed at the same time, try again'
      throw new RegistryError('TOOMANYREQUESTS', { message, retryAfterSeconds })
    }
    const admitted = new Promise<void>((enter) => waiting.push({ by, bytes, enter }))
    admit()
    return admitted
  }

  function give(by: string, bytes: number): void {
    taken -= bytes
    const left = (takenBy.get(by) ?? 0) - bytes
    if (left > 0) takenBy.set(by, left)
    else takenBy.delete(by)
    admit()
  }

  return {
    async read(exchange, by, work) {
      const said = saidLength(exchange)
      if (said !== undefined && said > maxManifestBytes) throw tooLarge()
      const bytes = Math.min(said ?? maxManifestBytes, maxBytes)
      await take(by, bytes)
      try {
        return await work(await readWhole(exchange, timeoutMs))
      } finally {
        give(by, bytes)
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
