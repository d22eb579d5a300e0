import type { UploadBody } from '../content/uploads.ts'
import { RegistryError } from '../oci/errors.ts'

/**
 * Reserves bytes in the quotas of a project, before they come; those that are there already at once, and whatever the quotas are.
 *
 * @returns what gives them back
 * @throws RegistryError DENIED
 */
export type ReserveBytes = (project: string, bytes: number, options?: { isThere?: boolean }) => Promise<() => void>

/** What is reserved for uploads in the quotas of their projects: as many bytes as came, and those that are coming. */
export interface Reservations {
  /** Whether so much, and one byte at least, has room now. @throws RegistryError DENIED */
  check(project: string, bytes: number): Promise<void>
  /** Reserves what an upload will have when `bytes` of it are there. @throws RegistryError DENIED */
  grow(upload: ReservedUpload, bytes: number): Promise<void>
  /** A body that is reserved while it comes, to follow the first `offset` bytes of an upload; it fails with DENIED. */
  whileItComes(upload: ReservedUpload, body: UploadBody, offset: number): UploadBody
  /** Gives back what is reserved beyond the bytes that came. */
  shrink(upload: ReservedUpload, bytes: number): Promise<void>
  /** Gives all back: the bytes are counted as used now, or do not come. */
  end(id: string): void
  /** Reserves what uploads have that were begun before the start, once. */
  restore(): Promise<void>
}

/** Bytes that came of uploads which are not finished. */
export type Unfinished = () => AsyncIterable<ReservedUpload & { bytes: number }>

export interface ReservedUpload {
  id: string
  project: string
}

/** Most that is reserved ahead, where there is room, of what says no length: as much as came, since who sends it may pause. */
const maxAheadBytes = 16 * 1024 * 1024
/** Of an upload that comes in small pieces, before they are made one. */
const maxParts = 32

interface Part {
  bytes: number
  giveBack: () => void
}

export function createReservations(reserve: ReserveBytes | undefined, unfinished: Unfinished): Reservations {
  const reserved = new Map<string, Part[]>()
  let restored: Promise<void> | undefined
  /** Uploads that ended while those of before the start are looked for. */
  let ended: Set<string> | undefined

  async function add({ id, project }: ReservedUpload, bytes: number, options?: { isThere: boolean }): Promise<void> {
    const giveBack = await reserve?.(project, bytes, options)
    if (giveBack === undefined) return
    const parts = reserved.get(id) ?? []
    reserved.set(id, parts)
    parts.push({ bytes, giveBack })
  }

  async function grow(upload: ReservedUpload, bytes: number): Promise<void> {
    const missing = bytes - sum(reserved.get(upload.id))
    if (missing > 0) await add(upload, missing)
  }

  async function step(upload: ReservedUpload, bytes: number): Promise<void> {
    if (bytes <= sum(reserved.get(upload.id))) return
    try {
      await grow(upload, bytes + Math.min(bytes, maxAheadBytes))
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'DENIED') throw error
      await grow(upload, bytes)
    }
  }

  async function lookForUnfinished(): Promise<void> {
    const gone = new Set<string>()
    ended = gone
    for await (const upload of unfinished()) {
      const isKnown = reserved.has(upload.id) || gone.has(upload.id)
      if (!isKnown && upload.bytes > 0) await add(upload, upload.bytes, { isThere: true })
      if (gone.has(upload.id)) end(upload.id)
    }
    ended = undefined
  }

  function end(id: string): void {
    ended?.add(id)
    for (const { giveBack } of reserved.get(id) ?? []) giveBack()
    reserved.delete(id)
  }

  return {
    grow,
    end,
    async restore() {
      restored ??= lookForUnfinished().catch((error: unknown) => {
        restored = undefined
        throw error
      })
      await restored
    },
    async check(project, bytes) {
      const giveBack = await reserve?.(project, Math.max(bytes, 1))
      giveBack?.()
    },
    whileItComes(upload, body, offset) {
      if (reserve === undefined) return body
      return {
        [Symbol.asyncIterator]() {
          const pieces = body[Symbol.asyncIterator]()
          let bytes = offset
          return {
            async next() {
              const result = await pieces.next()
              if (result.done !== true) {
                bytes += result.value.length
                await step(upload, bytes)
              }
              return result
            },
            return: async () => (await pieces.return?.()) ?? { done: true, value: undefined },
          }
        },
      }
    },
    async shrink(upload, bytes) {
      const parts = reserved.get(upload.id)
      if (parts === undefined || (sum(parts) === bytes && parts.length <= maxParts)) return
      const isMany = parts.length > maxParts
      while (parts.length > 0 && (isMany || sum(parts) > bytes)) parts.pop()?.giveBack()
      const missing = bytes - sum(parts)
      if (missing > 0) await add(upload, missing, { isThere: true })
      if (reserved.get(upload.id)?.length === 0) reserved.delete(upload.id)
    },
  }
}

function sum(parts: readonly Part[] = []): number {
  return parts.reduce((total, { bytes }) => total + bytes, 0)
}
