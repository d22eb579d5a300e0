import { randomUUID } from 'node:crypto'
import { lstat, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import type { HeldRecords } from './content.ts'
import type { Counters } from './counters.ts'
import { fileName, type Layout, syncDirectory, unlessAbsent } from './layout.ts'
import type { Room } from './room.ts'
import type { Alone, InTurn } from './turns.ts'

/** Where files go whose bytes are not those of their digest: aside, for somebody to look at, and later away. */
export interface Quarantine {
  /**
   * Puts what is at the digest's path aside if it is still the file with this inode; a good one that comes in its place stays.
   * Waits for another process that writes it, but not for long. Never fails.
   */
  put(digest: Digest, inode: number, problem: string): Promise<void>
  /** A free path in it, for what stands in the way of a digest's file. */
  path(digest: Digest): string
  /** Removes what was put aside before `before` (milliseconds since the epoch). */
  clear(before: number): Promise<void>
}

export interface QuarantineOptions {
  layout: Layout
  records: HeldRecords
  room: Room
  inTurn: InTurn
  alone: Alone
  /** Called when bytes are not held any more. */
  onLost: () => void
  counters: Counters
  log: Logger | undefined
}

export function createQuarantine(options: QuarantineOptions): Quarantine {
  const { layout, records, room, inTurn, alone, onLost, counters, log } = options
  const path = (digest: Digest) => join(layout.quarantine, fileName(digest, randomUUID()))

  async function putAside(digest: Digest, inode: number, problem: string): Promise<void> {
    const from = layout.blob(digest)
    const found = await unlessAbsent(lstat(from))
    // Somebody has put another there already.
    if (found?.ino !== inode) return
    const record = await records.get(digest)
    await records.remove(digest)
    onLost()
    // Whoever puts a manifest has no lease, and we may have none.
    if ((await unlessAbsent(lstat(from)))?.ino !== inode) {
      for (const proof of record?.proofs ?? []) await records.add(digest, record?.size ?? 0, proof)
      return
    }
    const aside = path(digest)
    await rename(from, aside)
    log?.error({ digest, problem, aside }, 'held bytes are wrong: they are put aside and count as absent')
    counters.quarantined++
    room.changed(digest, found.isFile() ? found.size : 0, 0)
    await syncDirectory(layout.quarantine)
  }

  return {
    path,
    async put(digest, inode, problem) {
      const work = async (): Promise<'done'> => {
        await putAside(digest, inode, problem)
        return 'done'
      }
      try {
        // Another process may download them for long, and nobody is to be given the wrong ones until then.
        if ((await alone(digest, work)) !== 'done') await inTurn(digest, work)
      } catch (error) {
        log?.error({ err: error, digest }, 'wrong bytes can not be put aside')
      }
    },
    async clear(before) {
      for (const name of await readdir(layout.quarantine)) {
        const file = join(layout.quarantine, name)
        const found = await unlessAbsent(lstat(file))
        if (found !== undefined && found.ctimeMs < before) await rm(file, { recursive: true, force: true })
      }
    },
  }
}
