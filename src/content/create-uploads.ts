import { lstat } from 'node:fs/promises'
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { Buffers } from './buffers.ts'
import type { AcquireLease } from './content.ts'
import { NoRoomError } from './held-files.ts'
import { type Layout, unlessAbsent, uploadEntries } from './layout.ts'
import type { PartialFiles } from './partial-file.ts'
import type { Room } from './room.ts'
import { appendBody } from './upload-append.ts'
import { finishUpload, removeUpload } from './upload-finish.ts'
import { createUploadStates } from './upload-states.ts'
import { createUploadWriters, type UploadWriting } from './upload-writers.ts'
import type { Uploads } from './uploads.ts'

export interface UploadsOptions {
  layout: Layout
  partials: PartialFiles
  room: Room
  acquireLease: AcquireLease
  buffers: Buffers
  /** How long another process that writes is waited for. */
  leaseWaitMs: number
  log: Logger | undefined
  /** Ends what waits for clients. */
  signal: AbortSignal
}

export function createUploads(options: UploadsOptions): Uploads {
  const { layout, room } = options
  const states = createUploadStates(layout)
  const writers = createUploadWriters({ ...options, states })
  const parts = { ...options, states }

  /** Works on an upload, or tells why nothing can be kept of it. */
  async function told<T>(id: string, work: () => Promise<T>): Promise<T> {
    layout.upload(id)
    try {
      return await work()
    } catch (error) {
      if (error instanceof RegistryError || error instanceof TypeError) throw error
      const { problem } = error instanceof NoRoomError ? error : room.refuse(error)
      throw new RegistryError('UNAVAILABLE', { message: `the upload can not be kept: ${problem}`, cause: error })
    }
  }

  function alone<T>(id: string, work: (writing: UploadWriting) => Promise<T>): Promise<T> {
    return told(id, () => writers.alone(id, work))
  }

  return {
    offset: (id) => told(id, () => writers.offset(id)),
    async append(id, body, { range, maxBytes = Infinity } = {}) {
      const appended = await alone(id, (writing) => appendBody(parts, writing, body, { range, maxBytes }))
      if (appended.failure !== undefined) throw appended.failure.error
      return appended.offset
    },
    finish: (id, digest) => alone(id, (writing) => finishUpload(parts, writing, digest)),
    cancel: (id) => alone(id, (writing) => removeUpload(parts, writing)),
    async *list() {
      for await (const id of uploadEntries(layout)) {
        const stats = await unlessAbsent(lstat(layout.upload(id)))
        if (stats?.isFile()) yield { id, offset: writers.offsetBefore(id) ?? stats.size, usedAt: stats.mtimeMs }
      }
    },
  }
}
