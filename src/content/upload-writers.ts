import { RegistryError } from '../oci/errors.ts'
import { closingError } from './closing.ts'
import type { AcquireLease } from './content.ts'
import type { UploadState, UploadStates } from './upload-states.ts'

/** An upload as the one request that works on it found it. */
export interface UploadWriting {
  id: string
  before: UploadState
  /** Aborts when another process may have taken it over. */
  lost: AbortSignal
}

/** Lets one request at a time work on an upload, whatever the process. */
export interface UploadWriters {
  /** @throws RegistryError UPLOAD_OFFSET_INVALID (`detail.offset`) while another request works on it, UNAVAILABLE when closing */
  alone<T>(id: string, work: (writing: UploadWriting) => Promise<T>): Promise<T>
  /** How many bytes of it are durable; while a request of this process works on it, those that were before. */
  offset(id: string): Promise<number>
  /** As `offset`, but undefined when no request of this process works on it. */
  offsetBefore(id: string): number | undefined
}

export interface UploadWritersOptions {
  states: Pick<UploadStates, 'look'>
  acquireLease: AcquireLease
  /** How long another process that writes is waited for. */
  leaseWaitMs: number
  /** Ends the waiting. */
  signal: AbortSignal
}

export function createUploadWriters({
  states,
  acquireLease,
  leaseWaitMs,
  signal,
}: UploadWritersOptions): UploadWriters {
  /** Uploads that a request of this process works on, and how many bytes were durable before, once it is known. */
  const busy = new Map<string, number | undefined>()

  async function offset(id: string): Promise<number> {
    return busy.get(id) ?? (await states.look(id)).offset
  }

  async function beingWritten(id: string): Promise<RegistryError> {
    const message = 'another request is sending to this upload'
    return new RegistryError('UPLOAD_OFFSET_INVALID', { message, detail: { offset: await offset(id) } })
  }

  async function leased<T>(id: string, work: (lost: AbortSignal) => Promise<T>): Promise<T> {
    if (signal.aborted) throw closingError()
    const soon = AbortSignal.any([signal, AbortSignal.timeout(leaseWaitMs)])
    const lease = await acquireLease(`upload/${id}`, soon).catch(async (error: unknown) => {
      if (!soon.aborted) throw error
      throw signal.aborted ? closingError() : await beingWritten(id)
    })
    try {
      return await work(lease.lost)
    } finally {
      await lease.release()
    }
  }

  return {
    offset,
    offsetBefore: (id) => busy.get(id),
    async alone(id, work) {
      if (busy.has(id)) throw await beingWritten(id)
      busy.set(id, undefined)
      try {
        return await leased(id, async (lost) => {
          const before = await states.look(id)
          busy.set(id, before.offset)
          return work({ id, before, lost })
        })
      } finally {
        busy.delete(id)
      }
    },
  }
}

/** Whoever took the lease over may be writing. @throws RegistryError UNAVAILABLE */
export function requireLease({ lost }: Pick<UploadWriting, 'lost'>): void {
  if (lost.aborted)
    throw new RegistryError('UNAVAILABLE', { message: 'the right to write to this upload was lost: try again' })
}
