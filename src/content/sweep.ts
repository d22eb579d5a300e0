import type { Stats } from 'node:fs'
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import type { HeldRecord, HeldRecords, SweepReport } from './content.ts'
import { blobEntries, type Layout, parseFileName, unlessAbsent } from './layout.ts'
import type { PartialFiles } from './partial-file.ts'
import type { Quarantine } from './quarantine.ts'
import type { Room } from './room.ts'
import type { Alone } from './turns.ts'
import type { Uses } from './uses.ts'

/** Clears away what crashes left. */
export interface Sweep {
  all(): Promise<SweepReport>
  /** Pieces of downloads alone. */
  unfinished(): Promise<Pick<SweepReport, 'unfinished' | 'bytes'>>
}

export interface SweepOptions {
  layout: Layout
  records: HeldRecords
  quarantine: Quarantine
  partials: PartialFiles
  room: Room
  alone: Alone
  uses: Uses
  /** Called when something was found not to be held any more. */
  onLost: () => void
  now: () => number
  signal: AbortSignal
  log: Logger | undefined
}

/** What is younger may be on its way: a file waits for its records. */
const settledAfterMs = 600_000
const quarantinedForMs = 7 * 86_400_000

export function createSweep(options: SweepOptions): Sweep {
  const { layout, records, quarantine, partials, room, alone, uses, onLost, now, signal, log } = options
  const isSettled = ({ mtimeMs, ctimeMs }: Stats) => Math.max(mtimeMs, ctimeMs) < now() - settledAfterMs

  async function removePartial(file: string, digest: Digest, name: string): Promise<number | undefined> {
    return alone(digest, async () => {
      const stats = await unlessAbsent(lstat(file))
      if (stats === undefined || partials.isWritten(digest)) return undefined
      // Manifests are put without the lease, within moments.
      if (name.startsWith('put-') && !isSettled(stats)) return undefined
      await rm(file, { recursive: true, force: true })
      return stats.size
    })
  }

  async function unfinished() {
    const report = { unfinished: 0, bytes: 0 }
    for (const entry of await readdir(layout.partial)) {
      signal.throwIfAborted()
      const parsed = parseFileName(entry)
      if (parsed === undefined || partials.isWritten(parsed.digest)) continue
      const bytes = await removePartial(join(layout.partial, entry), parsed.digest, parsed.name)
      if (bytes === undefined) continue
      report.unfinished++
      report.bytes += bytes
    }
    return report
  }

  /** @returns its bytes; undefined when it stays */
  async function removeOrphanFile(digest: Digest): Promise<number | undefined> {
    const path = layout.blob(digest)
    const isOrphan = async (): Promise<Stats | undefined> => {
      const stats = await unlessAbsent(lstat(path))
      if (stats === undefined || !isSettled(stats) || partials.isWritten(digest) || uses.isRead(digest))
        return undefined
      return (await records.get(digest)) === undefined ? stats : undefined
    }
    if ((await isOrphan()) === undefined) return undefined
    return alone(digest, async () => {
      const stats = await isOrphan()
      if (stats === undefined) return undefined
      await rm(path, { recursive: true, force: true })
      const size = stats.isFile() ? stats.size : 0
      room.changed(digest, size, 0)
      return size
    })
  }

  async function removeOrphanRecord({ digest, size, proofs }: HeldRecord): Promise<boolean> {
    const isThere = async () => (await unlessAbsent(lstat(layout.blob(digest)))) !== undefined
    if (await isThere()) return false
    const isRemoved = await alone(digest, async () => {
      if (partials.isWritten(digest) || (await isThere())) return false
      await records.remove(digest)
      if (!(await isThere())) return true
      // A manifest was put meanwhile by another process, and its record went too.
      for (const proof of proofs) await records.add(digest, size, proof)
      return false
    })
    return isRemoved === true
  }

  return {
    unfinished,
    async all() {
      const report: SweepReport = { ...(await unfinished()), orphanFiles: 0, orphanRecords: 0 }
      for await (const digest of blobEntries(layout)) {
        signal.throwIfAborted()
        const bytes = await removeOrphanFile(digest)
        if (bytes === undefined) continue
        report.orphanFiles++
        report.bytes += bytes
      }
      for await (const record of records.list()) {
        signal.throwIfAborted()
        if (await removeOrphanRecord(record)) report.orphanRecords++
      }
      if (report.orphanRecords > 0) onLost()
      await quarantine.clear(now() - quarantinedForMs)
      const { orphanFiles, orphanRecords } = report
      if (report.unfinished + orphanFiles + orphanRecords > 0) log?.info(report, 'leftovers were cleared away')
      return report
    },
  }
}
