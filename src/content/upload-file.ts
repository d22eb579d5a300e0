import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { RegistryError } from '../oci/errors.ts'
import { writeWhole } from './growing-file.ts'
import { type Layout, syncDirectory } from './layout.ts'
import type { Room } from './room.ts'

/** The file of an upload while one request adds to it. It fails with the system's errors. */
export interface UploadFile {
  /** Appends, and takes the room for it. The file is made with the first bytes. @throws NoRoomError */
  append(pieces: readonly Buffer[]): Promise<void>
  /** Makes what was appended durable. */
  sync(): Promise<void>
  /** Takes everything away that was appended; durable when it returns. */
  restore(): Promise<void>
  close(): Promise<void>
}

/** The upload's first `size` bytes are there. */
export function createUploadFile(options: { id: string; size: number; layout: Layout; room: Room }): UploadFile {
  const { id, size: before, layout, room } = options
  let size = before
  let opened: FileHandle | undefined

  return {
    async append(pieces) {
      const bytes = pieces.reduce((sum, { length }) => sum + length, 0)
      const giveBack = await room.take(bytes)
      try {
        opened ??= await openToWrite(layout, id)
        await writeWhole(opened.fd, pieces, size)
        room.changed(`upload/${id}`, size, size + bytes)
        size += bytes
      } finally {
        giveBack()
      }
    },
    async sync() {
      await opened?.datasync()
      if (before === 0 && opened !== undefined) await syncDirectory(layout.uploads)
    },
    async restore() {
      if (opened === undefined) return
      await opened.truncate(before)
      room.changed(`upload/${id}`, size, before)
      size = before
      await opened.datasync()
    },
    async close() {
      await opened?.close()
    },
  }
}

/** Opens an upload's file, or makes it. */
export function openUpload(layout: Layout, id: string): Promise<FileHandle> {
  return open(layout.upload(id), constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600)
}

async function openToWrite(layout: Layout, id: string): Promise<FileHandle> {
  const handle = await openUpload(layout, id)
  try {
    // It may be held already, under the name of its digest.
    const { nlink } = await handle.stat()
    if (nlink === 1) return handle
    throw new RegistryError('BLOB_UPLOAD_INVALID', {
      message: 'this upload was being finished: finish it, or begin anew',
    })
  } catch (error) {
    await handle.close()
    throw error
  }
}
