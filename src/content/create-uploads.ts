import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { type Digest, digestAlgorithm, hashedDigest, hashFor } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Buffers } from './buffers.ts'
import { closingError } from './closing.ts'
import type { AcquireLease } from './content.ts'
import { readAt } from './disk-reader.ts'
import { NoRoomError } from './held-files.ts'
import { type Layout, unlessAbsent, uploadEntries } from './layout.ts'
import type { PartialFiles } from './partial-file.ts'
import type { Room } from './room.ts'
import { receive } from './upload-body.ts'
import { createUploadFile, openUpload } from './upload-file.ts'
import type { UploadRange, Uploads } from './uploads.ts'

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

/** What is durable of an upload, and the sha256 that ran over it, unless it has to be read again. */
interface State {
  offset: number
  hash: Hash | undefined
}

/** Of so many uploads the running hash is remembered; others are read again when they are finished. */
const maxRemembered = 1000

export function createUploads(options: UploadsOptions): Uploads {
  const { layout, partials, room, acquireLease, buffers, leaseWaitMs, log, signal } = options
  const states = new LRUCache<string, State>({ max: maxRemembered })
  /** Uploads that a request of this process works on, and how many bytes were durable before, once it is known. */
  const busy = new Map<string, number | undefined>()

  /** What is on the disk. What a crash left was perhaps not durable yet: it is when this returns. */
  async function look(id: string): Promise<State> {
    const path = layout.upload(id)
    const stats = await unlessAbsent(lstat(path))
    if (stats?.isFile() === false) throw new Error(`${path} is no file`)
    const offset = stats?.size ?? 0
    const known = states.get(id)
    if (known?.offset === offset) return known
    if (stats !== undefined) await sync(path)
    const state = { offset, hash: offset === 0 ? createHash('sha256') : undefined }
    states.set(id, state)
    return state
  }

  async function beingWritten(id: string): Promise<RegistryError> {
    const offset = busy.get(id) ?? (await look(id)).offset
    return new RegistryError('UPLOAD_OFFSET_INVALID', {
      message: 'another request is sending to this upload',
      detail: { offset },
    })
  }

  /** Works on an upload as the only request that does, whatever the process. */
  async function alone<T>(id: string, work: (state: State, lost: AbortSignal) => Promise<T>): Promise<T> {
    layout.upload(id)
    try {
      if (busy.has(id)) throw await beingWritten(id)
      busy.set(id, undefined)
      try {
        return await leased(id, async (lost) => {
          const state = await look(id)
          busy.set(id, state.offset)
          return work(state, lost)
        })
      } finally {
        busy.delete(id)
      }
    } catch (error) {
      throw failureOf(error)
    }
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

  function failureOf(error: unknown): unknown {
    if (error instanceof BodyError) return error.cause
    if (error instanceof RegistryError || error instanceof TypeError) return error
    const { problem } = error instanceof NoRoomError ? error : room.refuse(error)
    return new RegistryError('UNAVAILABLE', { message: `the upload can not be kept: ${problem}`, cause: error })
  }

  async function remove(id: string, size: number): Promise<void> {
    states.delete(id)
    await rm(layout.upload(id), { force: true })
    room.changed(`upload/${id}`, size, 0)
  }

  async function digestOfFile(handle: FileHandle, like: Digest): Promise<Digest> {
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
  async function keep(id: string, handle: FileHandle, digest: Digest, size: number): Promise<void> {
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

  return {
    async offset(id) {
      layout.upload(id)
      try {
        return busy.get(id) ?? (await look(id)).offset
      } catch (error) {
        throw failureOf(error)
      }
    },
    append: (id, body, { range, maxBytes = Infinity } = {}) =>
      alone(id, async (before, lost) => {
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
              requireLease(lost)
              await file.append(pieces)
              for (const piece of pieces) hash?.update(piece)
            },
          })
          if (range !== undefined && failure === undefined && bytes < range.length) throw wrongLength(range, bytes)
          requireLease(lost)
          await file.sync()
          const offset = before.offset + bytes
          states.set(id, { offset, hash })
          if (failure !== undefined) throw new BodyError(failure.error)
          return offset
        } catch (error) {
          // Who has the lease now may have written already.
          if (!(error instanceof BodyError || lost.aborted)) await restore(id, file)
          throw error
        } finally {
          await file.close()
        }
      }),
    finish: (id, digest) =>
      alone(id, async ({ offset: size, hash }, lost) => {
        const handle = await openUpload(layout, id)
        try {
          const isHashed = hash !== undefined && digestAlgorithm(digest) === 'sha256'
          const found = isHashed ? hashedDigest(hash.copy(), digest) : await digestOfFile(handle, digest)
          requireLease(lost)
          if (found !== digest) {
            await remove(id, size)
            throw new RegistryError('DIGEST_INVALID', {
              message: `what was uploaded has the digest ${found}`,
              detail: { digest },
            })
          }
          await keep(id, handle, digest, size)
        } finally {
          await handle.close()
        }
        await remove(id, size).catch((error: unknown) => log?.warn({ err: error, id }, 'a finished upload stays'))
        return size
      }),
    cancel: (id) => alone(id, ({ offset }) => remove(id, offset)),
    async *list() {
      for await (const id of uploadEntries(layout)) {
        const stats = await unlessAbsent(lstat(layout.upload(id)))
        if (stats?.isFile()) yield { id, offset: busy.get(id) ?? stats.size, usedAt: stats.mtimeMs }
      }
    },
  }

  async function restore(id: string, file: { restore(): Promise<void> }): Promise<void> {
    await file.restore().catch((error: unknown) => {
      states.delete(id)
      log?.error({ err: error, id }, 'an upload can not be put back to what was acknowledged of it')
    })
  }
}

/** A body that broke off. */
class BodyError extends Error {
  constructor(cause: unknown) {
    super('the body broke off', { cause })
  }
}

async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.datasync()
  } finally {
    await handle.close()
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

/** Whoever took the lease over may be writing. */
function requireLease(lost: AbortSignal): void {
  if (lost.aborted)
    throw new RegistryError('UNAVAILABLE', { message: 'the right to write to this upload was lost: try again' })
}

function wrongLength({ length }: UploadRange, came: number | 'more'): RegistryError {
  return new RegistryError('SIZE_INVALID', { message: `${length} bytes were announced, and ${came} came` })
}
