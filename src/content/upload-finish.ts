import { type FileHandle, link, rename, rm } from 'node:fs/promises'
import type { Logger } from 'pino'
import { type Digest, digestAlgorithm, hashedDigest, hashFor } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Buffers } from './buffers.ts'
import { closingError } from './closing.ts'
import { readAt } from './disk-reader.ts'
import type { Layout } from './layout.ts'
import type { PartialFiles } from './partial-file.ts'
import type { Room } from './room.ts'
import { openUpload } from './upload-file.ts'
import type { UploadStates } from './upload-states.ts'
import { requireLease, type UploadWriting } from './upload-writers.ts'

export interface RemoveOptions {
  layout: Layout
  room: Room
  states: Pick<UploadStates, 'forget'>
}

export interface FinishOptions extends RemoveOptions {
  partials: Pick<PartialFiles, 'path' | 'adopt'>
  buffers: Buffers
  log: Logger | undefined
  /** Ends the reading. */
  signal: AbortSignal
}

/** Makes what came the held bytes of a digest, as `Uploads.finish`, in the one request that works on the upload. @returns their size */
export async function finishUpload(options: FinishOptions, writing: UploadWriting, digest: Digest): Promise<number> {
  const { layout, log } = options
  const { id, before } = writing
  const handle = await openUpload(layout, id)
  try {
    const found = await digestOf(options, writing, handle, digest)
    requireLease(writing)
    if (found !== digest) {
      await removeUpload(options, writing)
      const message = `what was uploaded has the digest ${found}`
      throw new RegistryError('DIGEST_INVALID', { message, detail: { digest } })
    }
    await keep(options, writing, handle, digest)
  } finally {
    await handle.close()
  }
  await removeUpload(options, writing).catch((error: unknown) =>
    log?.warn({ err: error, id }, 'a finished upload stays'),
  )
  return before.offset
}

/** Removes what came, in the one request that works on the upload. */
export async function removeUpload(
  { layout, room, states }: RemoveOptions,
  { id, before }: UploadWriting,
): Promise<void> {
  states.forget(id)
  await rm(layout.upload(id), { force: true })
  room.changed(`upload/${id}`, before.offset, 0)
}

/** The digest of what came, of the same algorithm as `like`: from the hash that ran over it, else read again. */
async function digestOf(
  { buffers, signal }: FinishOptions,
  { before: { hash: running } }: UploadWriting,
  handle: FileHandle,
  like: Digest,
): Promise<Digest> {
  if (running !== undefined && digestAlgorithm(like) === 'sha256') return hashedDigest(running.copy(), like)
  const hash = hashFor(like)
  const buffer = buffers.take()
  try {
    for (let at = 0; ; ) {
      if (signal.aborted) throw closingError()
      const bytesRead = await readAt(handle.fd, buffer, buffer.length, at)
      if (bytesRead === 0) return hashedDigest(hash, like)
      hash.update(buffer.subarray(0, bytesRead))
      at += bytesRead
    }
  } finally {
    buffers.give(buffer)
  }
}

/** The upload keeps its name until the record is written, where the file system can: whoever was not told may finish it again. */
async function keep(
  { layout, partials }: FinishOptions,
  { id, before: { offset: size } }: UploadWriting,
  handle: FileHandle,
  digest: Digest,
): Promise<void> {
  const from = layout.upload(id)
  const path = partials.path(digest, `put-${id}`)
  await rm(path, { force: true })
  await link(from, path).catch(() => rename(from, path))
  try {
    await partials.adopt(digest, { handle, path, size }, [])
  } catch (error) {
    await rename(path, from).catch(() => undefined)
    throw error
  } finally {
    // Two names of one file are not renamed one over the other.
    await rm(path, { force: true }).catch(() => undefined)
  }
}
