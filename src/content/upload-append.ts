import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { Layout } from './layout.ts'
import type { Room } from './room.ts'
import { receive } from './upload-body.ts'
import { createUploadFile, type UploadFile } from './upload-file.ts'
import type { UploadStates } from './upload-states.ts'
import { requireLease, type UploadWriting } from './upload-writers.ts'
import type { UploadBody, UploadRange } from './uploads.ts'

export interface AppendOptions {
  layout: Layout
  room: Room
  states: Pick<UploadStates, 'set' | 'forget'>
  log: Logger | undefined
  /** Ends the waiting for clients. */
  signal: AbortSignal
}

export interface AppendLimits {
  range?: UploadRange | undefined
  /** Most that the upload may have in all. */
  maxBytes: number
}

/** Up to where an upload is durable; `failure` when the body broke off there. */
export interface Appended {
  offset: number
  failure?: { error: unknown }
}

/** Appends what comes, as `Uploads.append`, in the one request that works on the upload. Whatever fails but the body leaves it as before. */
export async function appendBody(
  { layout, room, states, log, signal }: AppendOptions,
  writing: UploadWriting,
  body: UploadBody,
  { range, maxBytes }: AppendLimits,
): Promise<Appended> {
  const { id, before, lost } = writing
  requireStart(range, before.offset)
  requireSize(before.offset + (range?.length ?? 0), maxBytes)
  const file = createUploadFile({ id, size: before.offset, layout, room })
  const hash = before.hash?.copy()
  try {
    const { bytes, failure } = await receive(body, {
      signal,
      requireFit(received) {
        if (range !== undefined && received > range.length) throw wrongLength(range, 'more')
        requireSize(before.offset + received, maxBytes)
      },
      async write(pieces) {
        requireLease(writing)
        await file.append(pieces)
        for (const piece of pieces) hash?.update(piece)
      },
    })
    if (range !== undefined && failure === undefined && bytes < range.length) throw wrongLength(range, bytes)
    requireLease(writing)
    await file.sync()
    const offset = before.offset + bytes
    states.set(id, { offset, hash })
    return { offset, ...(failure && { failure }) }
  } catch (error) {
    // Who has the lease now may have written already.
    if (!lost.aborted) await restore(id, file)
    throw error
  } finally {
    await file.close()
  }

  async function restore(id: string, file: UploadFile): Promise<void> {
    await file.restore().catch((error: unknown) => {
      states.forget(id)
      log?.error({ err: error, id }, 'an upload can not be put back to what was acknowledged of it')
    })
  }
}

function requireStart(range: UploadRange | undefined, offset: number): void {
  if (range === undefined || range.start === offset) return
  throw new RegistryError('UPLOAD_OFFSET_INVALID', {
    message: `the upload goes on at byte ${offset}, and not at ${range.start}`,
    detail: { offset },
  })
}

function requireSize(bytes: number, maxBytes: number): void {
  if (bytes > maxBytes) throw new RegistryError('TOO_LARGE', { message: `a blob may have ${maxBytes} bytes at most` })
}

function wrongLength({ length }: UploadRange, came: number | 'more'): RegistryError {
  return new RegistryError('SIZE_INVALID', { message: `${length} bytes were announced, and ${came} came` })
}
