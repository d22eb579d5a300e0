import { randomUUID } from 'node:crypto'
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import type { HeldRecords, Proof } from './content.ts'
import type { PartialFile } from './held-files.ts'
import { fileName, type Layout, renameOver, syncDirectory, unlessAbsent } from './layout.ts'
import type { Quarantine } from './quarantine.ts'
import type { Room } from './room.ts'
import type { Trust } from './trust.ts'
import type { InTurn } from './turns.ts'

/** A partial file, whose room is somebody else's matter. */
export type UnroomedFile = Omit<PartialFile, 'takeRoom'>

/** The files that are being written in this process. */
export interface PartialFiles {
  path(digest: Digest, name: string): string
  /** Begins a file, in the place of what a dead process left. It fails with the system's errors, or those of the records. */
  begin(digest: Digest, name: string, size: number): Promise<UnroomedFile>
  /**
   * Makes a file of `size` bytes, which have the digest, the one that is held, as a partial file's `keep` does. It is at `path`, in
   * this directory, under a name of its own. It fails with the system's errors, or those of the records.
   */
  adopt(digest: Digest, file: { handle: FileHandle; path: string; size: number }, proof: Proof): Promise<void>
  isWritten(digest: Digest): boolean
}

export interface PartialFilesOptions {
  layout: Layout
  records: HeldRecords
  quarantine: Quarantine
  room: Room
  trust: Trust
  inTurn: InTurn
  now: () => number
}

export function createPartialFiles(options: PartialFilesOptions): PartialFiles {
  const { layout, records, quarantine, room, trust, inTurn, now } = options
  const writing = new Map<Digest, number>()
  const path = (digest: Digest, name: string) => join(layout.partial, fileName(digest, name))

  function beginWriting(digest: Digest): () => void {
    writing.set(digest, (writing.get(digest) ?? 0) + 1)
    return () => {
      const left = (writing.get(digest) ?? 1) - 1
      if (left === 0) writing.delete(digest)
      else writing.set(digest, left)
    }
  }

  /** Puts a durable file in its place; also where there is one: the time that it takes must not tell (I5). */
  async function install(digest: Digest, partial: string, size: number, proof: Proof): Promise<void> {
    const held = layout.blob(digest)
    const before = await unlessAbsent(lstat(held))
    await renameOver(partial, held, quarantine.path(digest))
    room.changed(digest, before?.isFile() ? before.size : 0, size)
    await syncDirectory(dirname(held))
    await records.add(digest, size, proof)
  }

  /** `claim` gives the place that nobody else puts a file in. */
  async function keep(
    digest: Digest,
    { handle, size }: { handle: FileHandle; size: number },
    proof: Proof,
    claim: () => Promise<string>,
  ): Promise<void> {
    const stats = await written(handle, size, digest)
    // In whole milliseconds, so that it can be told again when the access time is set.
    await handle.utimes(now() / 1000, Math.round(stats.mtimeMs) / 1000)
    await handle.sync()
    await inTurn(digest, async () => install(digest, await claim(), size, proof))
    trust.add(digest, stats)
    room.kept()
  }

  async function beginFile(digest: Digest, name: string, size: number, end: () => void): Promise<UnroomedFile> {
    const file = path(digest, name)
    await rm(file, { force: true })
    const handle = await open(file, 'wx+', 0o600)
    let place = file
    let isOpen = true
    const { ino } = await handle.stat().catch(async (error: unknown) => {
      await close().catch(() => undefined)
      throw error
    })

    /** A process that was stopped for too long has lost its lease: what is at the path now may be another's. */
    async function isOurs(): Promise<boolean> {
      return (await unlessAbsent(lstat(place)))?.ino === ino
    }

    /** Takes it to where nobody else puts one: from then on it stays ours. */
    async function claim(): Promise<void> {
      // Another's is not even moved for a moment: that process may be looking for it just now.
      if (!(await isOurs())) throw new Error(`another process has begun ${digest} anew`)
      const own = path(digest, `${name}-${randomUUID()}`)
      await rename(file, own)
      place = own
      if (await isOurs()) return
      await rename(own, file)
      place = file
      throw new Error(`another process has begun ${digest} anew`)
    }

    async function close(): Promise<void> {
      if (!isOpen) return
      isOpen = false
      await handle.close()
    }

    async function remove(): Promise<void> {
      // While it is open no other file has its inode. What stays is swept away later.
      if (await isOurs().catch(() => false)) await rm(place, { force: true }).catch(() => undefined)
      await close().catch(() => undefined)
    }

    /** In turn: who begins it anew here puts another in its place. */
    async function drop(): Promise<void> {
      await inTurn(digest, remove)
    }

    return {
      path: file,
      handle,
      async keep(proof) {
        try {
          await keep(digest, { handle, size }, proof, async () => {
            await claim()
            await close()
            return place
          })
        } catch (error) {
          await drop()
          throw error
        } finally {
          end()
        }
      },
      async discard() {
        await drop()
        end()
      },
    }
  }

  return {
    path,
    async begin(digest, name, size) {
      const end = onlyOnce(beginWriting(digest))
      try {
        // In turn: what is left there may be swept away just now.
        return await inTurn(digest, () => beginFile(digest, name, size, end))
      } catch (error) {
        end()
        throw error
      }
    },
    async adopt(digest, file, proof) {
      const end = onlyOnce(beginWriting(digest))
      try {
        await keep(digest, file, proof, async () => file.path)
      } finally {
        end()
      }
    },
    isWritten: (digest) => writing.has(digest),
  }
}

async function written(handle: FileHandle, size: number, digest: Digest) {
  const stats = await handle.stat()
  if (stats.size !== size) throw new TypeError(`${stats.size} of ${size} bytes of ${digest} were written`)
  return stats
}

function onlyOnce(work: () => void): () => void {
  let isDone = false
  return () => {
    if (!isDone) work()
    isDone = true
  }
}
