import { randomUUID } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from 'pino'
import { type Digest, digestAlgorithm, digestOf, hashFor } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Buffers } from './buffers.ts'
import type { AcquireLease, HeldRecords, Link, Location, OpenBlob, RangeRequest } from './content.ts'
import type { Counters } from './counters.ts'
import { createDiskReader } from './disk-reader.ts'
import type { HeldFiles, PartialFile } from './held-files.ts'
import { algorithms, blobEntries, codeOf, type Layout, layoutOf, syncDirectory, unlessAbsent } from './layout.ts'
import { createPartialFiles } from './partial-file.ts'
import { proofOf, proofOfLink } from './proof.ts'
import { createQuarantine } from './quarantine.ts'
import { extentOf } from './range.ts'
import { createRoom } from './room.ts'
import { createSweep } from './sweep.ts'
import { takeOver } from './take-over.ts'
import { createTrust } from './trust.ts'
import { createTurns } from './turns.ts'
import { createUses } from './uses.ts'

export interface HeldFilesOptions {
  /** Made when absent. */
  directory: string
  records: HeldRecords
  acquireLease: AcquireLease
  buffers: Buffers
  counters: Counters
  maxBytes: number
  onPressure: (neededBytes: number) => void
  log: Logger | undefined
  now: () => number
  /** Ends what goes on in the background. */
  signal: AbortSignal
}

/** A file of held bytes that is as long as it should be. */
interface WholeFile {
  handle: FileHandle
  stats: Stats
}

/** The most that is read into memory at once. */
const maxWholeBytes = 32 * 1024 * 1024

/** How long the lease of a digest is waited for before it counts as another's. */
const leaseWaitMs = 2000

// Neither a link nor a pipe that somebody put there: the one would lead elsewhere, the other never open.
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** Opens the directory; what an older Weir laid out in it otherwise is moved to its new place. */
export async function openHeldFiles(options: HeldFilesOptions): Promise<HeldFiles> {
  const { directory, records, acquireLease, buffers, counters, log, now, signal } = options
  const layout = layoutOf(directory)
  await makeDirectories(layout)
  await takeOver({ layout, records, log })

  const inTurn = createTurns()
  const uses = createUses(now)
  const trust = createTrust()
  const room = createRoom(options)
  const quarantine = createQuarantine({ layout, records, room, inTurn, counters, log })
  const partials = createPartialFiles({ layout, records, quarantine, room, trust, inTurn, now })

  /** Does something as the only process that writes or removes these bytes; undefined when another does. */
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

  /** Opens a file that is there and of the right length; what is wrong is put aside. */
  async function openWhole(digest: Digest, size: number, flags = readFlags): Promise<WholeFile | undefined> {
    const path = layout.blob(digest)
    const handle = await open(path, flags).catch(async (error: unknown) => {
      const found = codeOf(error) === 'ELOOP' ? await lstat(path) : undefined
      if (found !== undefined) await quarantine.put(digest, found.ino, 'is no file')
      else log?.error({ err: error, digest }, 'held bytes can not be read: they count as absent')
      return undefined
    })
    if (handle === undefined) return undefined
    try {
      const stats = await handle.stat()
      if (stats.isFile() && stats.size === size) return { handle, stats }
      await handle.close()
      const problem = stats.isFile() ? `is ${stats.size} bytes long and not ${size}` : 'is no file'
      await quarantine.put(digest, stats.ino, problem)
      return undefined
    } catch (error) {
      await handle.close().catch(() => undefined)
      throw error
    }
  }

  /** The file that may be given out through a link; undefined also when records or disk fail. */
  async function openFor(link: Link): Promise<WholeFile | undefined> {
    try {
      // The proof comes first: without one nothing tells, not even by time, whether the bytes are held (I5).
      const size = await records.find(link.digest, proofOfLink(link))
      return size === undefined ? undefined : await openWhole(link.digest, size)
    } catch (error) {
      log?.error({ err: error, digest: link.digest }, 'held bytes can not be read: they count as absent')
      return undefined
    }
  }

  function readerOf({ handle, stats }: WholeFile, digest: Digest, range: RangeRequest | undefined, end: () => void) {
    const extent = extentOf(range, stats.size)
    const isWhole = extent.length === stats.size
    const hash = isWhole && stats.size > 0 && !trust.has(digest, stats) ? hashFor(digest) : undefined
    const reader = createDiskReader({
      digest,
      handle,
      extent,
      buffers,
      hash,
      onResult(result) {
        if (result === 'whole') trust.add(digest, stats)
        else void quarantine.put(digest, stats.ino, result === 'short' ? 'ended early' : 'has another digest')
      },
      onClose: end,
    })
    return { size: stats.size, ...extent, reader }
  }

  async function openBlob(link: Link, range: RangeRequest | undefined, end: () => void): Promise<OpenBlob | undefined> {
    const file = await openFor(link)
    if (file === undefined) return undefined
    uses.note(link.digest, layout.blob(link.digest), file.stats.mtimeMs)
    try {
      return readerOf(file, link.digest, range, end)
    } catch (error) {
      await file.handle.close()
      throw error
    }
  }

  async function readWhole(digest: Digest, { handle, stats }: WholeFile): Promise<Buffer | undefined> {
    const bytes = Buffer.allocUnsafe(stats.size)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
    if (bytesRead === bytes.length && isDigestOf(bytes, digest)) return bytes
    await quarantine.put(digest, stats.ino, 'has another digest')
    return undefined
  }

  async function hashFile(digest: Digest, file: WholeFile, left: AbortSignal): Promise<'whole' | 'corrupt'> {
    const { handle, stats } = file
    let result: 'whole' | 'short' | 'corrupt' = 'whole'
    const { promise: closed, resolve: onClose } = Promise.withResolvers<void>()
    const extent = { offset: 0, length: stats.size }
    const onResult = (found: typeof result) => {
      result = found
    }
    const reader = createDiskReader({ digest, handle, extent, buffers, hash: hashFor(digest), onResult, onClose })
    try {
      while ((await reader.read()) !== undefined) left.throwIfAborted()
    } catch (error) {
      if (result === 'whole') throw error
    } finally {
      reader.close()
      await closed
    }
    if (result === 'whole') trust.add(digest, stats)
    else await quarantine.put(digest, stats.ino, result === 'short' ? 'ended early' : 'has another digest')
    return result === 'whole' ? 'whole' : 'corrupt'
  }

  async function* sizes(): AsyncGenerator<readonly [Digest, number], void> {
    for await (const digest of blobEntries(layout)) {
      signal.throwIfAborted()
      const stats = await unlessAbsent(lstat(layout.blob(digest)))
      yield [digest, stats?.isFile() ? stats.size : 0]
    }
  }

  const count = () =>
    room.count(sizes()).catch((error: unknown) => {
      if (!signal.aborted) log?.error({ err: error, directory }, 'what is held can not be counted')
    })
  const sweep = createSweep({ layout, records, quarantine, partials, room, alone, uses, now, signal, log })
  void count().then(() => sweep.unfinished().catch(() => undefined))

  return {
    async open(link, range) {
      const end = uses.begin(link.digest)
      let opened: OpenBlob | undefined
      try {
        opened = await openBlob(link, range, end)
        return opened
      } finally {
        if (opened === undefined) end()
      }
    },
    async manifest(link) {
      const end = uses.begin(link.digest)
      const file = await openFor(link)
      try {
        if (file === undefined || file.stats.size > maxWholeBytes) return undefined
        uses.note(link.digest, layout.blob(link.digest), file.stats.mtimeMs)
        return await readWhole(link.digest, file)
      } catch (error) {
        log?.error({ err: error, digest: link.digest }, 'held bytes can not be read: they count as absent')
        return undefined
      } finally {
        await file?.handle.close()
        end()
      }
    },
    async putManifest(digest, bytes, location) {
      if (!isDigestOf(bytes, digest)) throw new RegistryError('DIGEST_INVALID', { detail: { digest } })
      const file = await partials.begin(digest, `put-${randomUUID()}`, bytes.length)
      try {
        await file.handle.writeFile(bytes)
        await file.keep(proofOf(upstreamsIn(location)))
      } catch (error) {
        await file.discard()
        room.refuse(error)
        throw error
      }
    },
    async held(link) {
      const size = await records.find(link.digest, proofOfLink(link))
      if (size === undefined) return undefined
      const stats = await unlessAbsent(lstat(layout.blob(link.digest)))
      return stats?.isFile() && stats.size === size ? size : undefined
    },
    async touch(digest) {
      const path = layout.blob(digest)
      const stats = await unlessAbsent(stat(path))
      if (stats !== undefined) await uses.touch(digest, path, stats.mtimeMs)
    },
    async *list() {
      for await (const { digest, size } of records.list()) {
        const stats = await unlessAbsent(lstat(layout.blob(digest)))
        if (stats?.isFile()) yield { digest, size, usedAt: Math.max(stats.atimeMs, uses.lastUse(digest)) }
      }
    },
    async remove(digest, { unusedSince }) {
      const isUsed = () => uses.isRead(digest) || partials.isWritten(digest) || uses.lastUse(digest) > unusedSince
      if (isUsed()) return 0
      const freed = await alone(digest, async () => {
        const path = layout.blob(digest)
        const stats = await unlessAbsent(lstat(path))
        if (isUsed() || (stats !== undefined && stats.atimeMs > unusedSince)) return 0
        await records.remove(digest)
        if (stats === undefined) return 0
        await rm(path, { recursive: true, force: true })
        const size = stats.isFile() ? stats.size : 0
        room.changed(digest, size, 0)
        return size
      })
      return freed ?? 0
    },
    async verify(digest, left = signal) {
      const record = await records.get(digest)
      if (record === undefined) return 'absent'
      const before = await unlessAbsent(lstat(layout.blob(digest)))
      if (before === undefined) return 'absent'
      const file = await openWhole(digest, record.size)
      return file === undefined ? 'corrupt' : await hashFile(digest, file, AbortSignal.any([signal, left]))
    },
    async sweep() {
      const report = await sweep.all()
      await count()
      return report
    },
    partialPath: partials.path,
    async begin(digest, name, size) {
      const giveBack = await room.take(size)
      try {
        return roomed(await partials.begin(digest, name, size), giveBack)
      } catch (error) {
        giveBack()
        throw room.refuse(error)
      }
    },
    refuse: room.refuse,
  }

  /** A partial file for which room was taken, whose failures are those of keeping. */
  function roomed(file: PartialFile, giveBack: () => void): PartialFile {
    return {
      ...file,
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
}

async function makeDirectories(layout: Layout): Promise<void> {
  const blobs = algorithms.map(layout.blobs)
  for (const path of [...blobs, layout.partial, layout.quarantine]) await mkdir(path, { recursive: true, mode: 0o700 })
  const [anyBlobs = ''] = blobs
  const parents = [dirname(anyBlobs), layout.directory, dirname(layout.directory)]
  for (const path of parents) await syncDirectory(path)
}

function upstreamsIn(location: Location) {
  return location.kind === 'upstream' ? [location] : []
}

function isDigestOf(bytes: Buffer, digest: Digest): boolean {
  return digestOf(bytes, digestAlgorithm(digest)) === digest
}
