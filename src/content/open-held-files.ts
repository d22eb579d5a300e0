import { randomUUID } from 'node:crypto'
import { lstat, mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Buffers } from './buffers.ts'
import type { AcquireLease, HeldRecords, OpenBlob } from './content.ts'
import type { Counters } from './counters.ts'
import { createUploads } from './create-uploads.ts'
import type { HeldFiles, PartialFile } from './held-files.ts'
import {
  algorithms,
  blobEntries,
  codeOf,
  type Layout,
  layoutOf,
  syncDirectory,
  unlessAbsent,
  uploadEntries,
} from './layout.ts'
import { createPartialFiles, type UnroomedFile } from './partial-file.ts'
import { proofOf, proofOfLink } from './proof.ts'
import { createQuarantine } from './quarantine.ts'
import { createRoom, type RoomedFile } from './room.ts'
import { createSweep } from './sweep.ts'
import { takeOver } from './take-over.ts'
import { createTrust } from './trust.ts'
import { createTurns } from './turns.ts'
import { createUses } from './uses.ts'
import { createWholeFiles, isDigestOf } from './whole-files.ts'

export interface HeldFilesOptions {
  /** Made when absent. */
  directory: string
  records: HeldRecords
  acquireLease: AcquireLease
  buffers: Buffers
  counters: Counters
  maxBytes: number
  onPressure: (neededBytes: number) => void
  /** Told, often more than once, when bytes turned out not to be held any more though nobody removed them. */
  onLost?: () => void
  log: Logger | undefined
  now: () => number
  /** How long the lease of a digest is waited for before it counts as another's; default 2 s. */
  leaseWaitMs?: number
  /** Ends what goes on in the background. */
  signal: AbortSignal
}

/** Other processes on the directory keep and remove too. */
const recountMs = 5 * 60_000
/** The most that is read into memory at once. */
const maxWholeBytes = 32 * 1024 * 1024

/** Opens the directory; what an older Weir laid out in it otherwise is moved to its new place. */
export async function openHeldFiles(options: HeldFilesOptions): Promise<HeldFiles> {
  const { directory, records, acquireLease, buffers, counters, log, now, leaseWaitMs = 2000, signal } = options
  const { onLost = () => undefined } = options
  const layout = layoutOf(directory)
  await makeDirectories(layout)
  await takeOver({ layout, records, log })

  const inTurn = createTurns()
  const uses = createUses(now)
  const trust = createTrust()
  const room = createRoom(options)
  const quarantine = createQuarantine({ layout, records, room, inTurn, alone, onLost, counters, log })
  const partials = createPartialFiles({ layout, records, quarantine, room, trust, inTurn, now })
  const files = createWholeFiles({ layout, records, quarantine, trust, buffers, log })
  const uploads = createUploads({ layout, partials, room, acquireLease, buffers, leaseWaitMs, log, signal })
  const sweep = createSweep({ layout, records, quarantine, partials, room, alone, uses, onLost, now, signal, log })
  // A crash can not have left more than downloads that were under way; the rest waits for whoever collects.
  void count().then(() => sweep.unfinished().catch(tellUnlessClosed))
  countAgainAndAgain()

  async function alone<T>(digest: Digest, work: () => Promise<T>): Promise<T | undefined> {
    const soon = AbortSignal.any([signal, AbortSignal.timeout(leaseWaitMs)])
    const lease = await acquireLease(`content/${digest}`, soon).catch((error: unknown) => {
      if (soon.aborted) return undefined
      throw error
    })
    if (lease === undefined) return undefined
    try {
      return await inTurn(digest, work)
    } finally {
      await lease.release()
    }
  }

  async function* sizes(): AsyncGenerator<readonly [RoomedFile, number], void> {
    for await (const digest of blobEntries(layout)) {
      signal.throwIfAborted()
      const stats = await unlessAbsent(lstat(layout.blob(digest)))
      yield [digest, stats?.isFile() ? stats.size : 0]
    }
    for await (const id of uploadEntries(layout)) {
      signal.throwIfAborted()
      const stats = await unlessAbsent(lstat(layout.upload(id)))
      yield [`upload/${id}`, stats?.isFile() ? stats.size : 0]
    }
  }

  function count(): Promise<void> {
    return room.count(sizes()).catch(tellUnlessClosed)
  }

  function countAgainAndAgain(): void {
    let isCounting = false
    async function countOnce(): Promise<void> {
      if (isCounting) return
      isCounting = true
      await count()
      isCounting = false
    }
    const timer = setInterval(countOnce, recountMs).unref()
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  }

  function tellUnlessClosed(error: unknown): void {
    if (!signal.aborted) log?.error({ err: error, directory }, 'what is held can not be looked through')
  }

  /** Looked at while nobody removes or fetches it: what is just being evicted is not missing. */
  async function isMissing(digest: Digest): Promise<boolean> {
    const found = await alone(digest, async () => {
      const record = await records.get(digest)
      return record !== undefined && (await unlessAbsent(lstat(layout.blob(digest)))) === undefined
    })
    return found === true
  }

  /** A partial file that can take room, whose failures are those of keeping. */
  function roomed(file: UnroomedFile, size: number): PartialFile {
    let giveBack = (): void => undefined
    return {
      ...file,
      async takeRoom() {
        giveBack = await room.take(size)
      },
      async keep(proof) {
        try {
          await file.keep(proof)
        } catch (error) {
          throw error instanceof TypeError ? error : room.refuse(error)
        } finally {
          giveBack()
        }
      },
      async discard() {
        await file.discard()
        giveBack()
      },
    }
  }

  return {
    async open(link, range) {
      const end = uses.begin(link.digest)
      let opened: OpenBlob | undefined
      try {
        const file = await files.openFor(link)
        if (file === undefined) return undefined
        uses.note(link.digest, layout.blob(link.digest), file.stats.mtimeMs)
        opened = files.read(file, range, end)
        return opened
      } finally {
        if (opened === undefined) end()
      }
    },
    async manifest(link) {
      const end = uses.begin(link.digest)
      try {
        const file = await files.openFor(link, maxWholeBytes)
        if (file === undefined) return undefined
        uses.note(link.digest, layout.blob(link.digest), file.stats.mtimeMs)
        return await files.bytes(file)
      } catch (error) {
        log?.error({ err: error, digest: link.digest }, 'held bytes can not be read: they count as absent')
        return undefined
      } finally {
        end()
      }
    },
    async putManifest(digest, bytes, location) {
      if (!isDigestOf(bytes, digest)) throw new RegistryError('DIGEST_INVALID', { detail: { digest } })
      const proof = proofOf(location.kind === 'upstream' ? [location] : [])
      try {
        const file = await partials.begin(digest, `put-${randomUUID()}`, bytes.length)
        try {
          await file.handle.writeFile(bytes)
        } catch (error) {
          await file.discard()
          throw error
        }
        await file.keep(proof)
      } catch (error) {
        if (error instanceof TypeError) throw error
        const { problem } = room.refuse(error)
        throw new RegistryError('UNAVAILABLE', { message: `${digest} can not be kept: ${problem}`, cause: error })
      }
    },
    prove: (digest, location) =>
      inTurn(digest, async () => {
        const record = await records.get(digest)
        if (record !== undefined) await records.add(digest, record.size, proofOf([location]))
      }),
    async held(link) {
      const size = await records.find(link.digest, proofOfLink(link))
      if (size === undefined) return undefined
      const stats = await unlessAbsent(lstat(layout.blob(link.digest)))
      return stats?.isFile() && stats.size === size ? size : undefined
    },
    // In its turn: what is held afterwards was not about to be removed.
    touch: (digest) =>
      inTurn(digest, async () => {
        const path = layout.blob(digest)
        const stats = await unlessAbsent(lstat(path))
        if (stats === undefined) return
        await uses.touch(digest, path, stats.mtimeMs).catch((error: unknown) => {
          log?.warn({ err: error, digest }, 'the last use of held bytes is known in memory alone')
        })
      }),
    async *list({ after, withMissing = false } = {}) {
      for await (const { digest, size } of records.list(after === undefined ? {} : { after })) {
        const stats = await unlessAbsent(lstat(layout.blob(digest)))
        if (!stats?.isFile() && !withMissing) continue
        yield { digest, size, usedAt: Math.max(stats?.isFile() ? stats.atimeMs : 0, uses.lastUse(digest)) }
      }
    },
    async remove(digest, { unusedSince }) {
      const isUsed = () => uses.isRead(digest) || partials.isWritten(digest) || uses.lastUse(digest) > unusedSince
      if (isUsed()) return 0
      const freed = await alone(digest, async () => {
        const path = layout.blob(digest)
        const stats = await unlessAbsent(lstat(path))
        if (isUsed() || (stats !== undefined && stats.atimeMs > unusedSince)) return 0
        const record = await records.get(digest)
        await records.remove(digest)
        if (stats === undefined) return 0
        // Another process may have used them before it could see that they are not held any more.
        const usedAt = (await unlessAbsent(lstat(path)))?.atimeMs ?? 0
        if (record !== undefined && usedAt > unusedSince) {
          for (const proof of record.proofs) await records.add(digest, record.size, proof)
          return 0
        }
        await rm(path, { recursive: true, force: true })
        const size = stats.isFile() ? stats.size : 0
        room.changed(digest, size, 0)
        return size
      })
      return freed ?? 0
    },
    async verify(digest, left = signal) {
      try {
        const record = await records.get(digest)
        if (record === undefined) return 'absent'
        const file = await files.open(digest, record.size)
        return file === undefined ? 'corrupt' : await files.check(file, AbortSignal.any([signal, left]))
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error
        return (await isMissing(digest)) ? 'missing' : 'absent'
      }
    },
    async sweep() {
      const report = await sweep.all()
      await count()
      return report
    },
    counted: room.counted,
    uploads,
    partialPath: partials.path,
    async begin(digest, name, size) {
      room.requireFit(size)
      try {
        return roomed(await partials.begin(digest, name, size), size)
      } catch (error) {
        throw error instanceof TypeError ? error : room.refuse(error)
      }
    },
    use: uses.begin,
    refuse: room.refuse,
  }
}

async function makeDirectories(layout: Layout): Promise<void> {
  const blobs = algorithms.map(layout.blobs)
  const others = [layout.partial, layout.quarantine, layout.uploads]
  for (const path of [...blobs, ...others]) await mkdir(path, { recursive: true, mode: 0o700 })
  const parents = [...new Set(blobs.map(dirname)), layout.directory, dirname(layout.directory)]
  for (const path of parents) await syncDirectory(path)
}
