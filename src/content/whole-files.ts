import { close, constants, fstat, open, type Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Logger } from 'pino'
import { type Digest, digestAlgorithm, digestOf, hashFor } from '../oci/digest.ts'
import type { Buffers } from './buffers.ts'
import type { HeldRecords, Link, OpenBlob, RangeRequest } from './content.ts'
import { createDiskReader, type DiskReaderOptions, readAt } from './disk-reader.ts'
import { codeOf, type Layout } from './layout.ts'
import { proofOfLink } from './proof.ts'
import type { Quarantine } from './quarantine.ts'
import { type Extent, extentOf } from './range.ts'
import type { Trust } from './trust.ts'

/** An open file of held bytes that is as long as it should be. */
export interface WholeFile {
  digest: Digest
  fd: number
  stats: Stats
}

/** Reads held bytes. What turns out wrong is put aside; what can not be read stays. */
export interface WholeFiles {
  /** @throws the system's error; ENOENT when there is no file */
  open(digest: Digest, size: number): Promise<WholeFile | undefined>
  /**
   * The file that may be given out through a link, if it has at most `maxBytes`. When records or disk fail there is none, which
   * the log tells.
   */
  openFor(link: Link, maxBytes?: number): Promise<WholeFile | undefined>
  /** Reads it piece by piece and then closes it, which `onClose` is told. @throws RegistryError RANGE_INVALID */
  read(file: WholeFile, range: RangeRequest | undefined, onClose: () => void): OpenBlob
  /** All of its bytes, which are right. Closes it. */
  bytes(file: WholeFile): Promise<Buffer | undefined>
  /** Hashes all of it and closes it. @throws UnreadableError */
  check(file: WholeFile, signal: AbortSignal): Promise<'whole' | 'corrupt'>
}

export interface WholeFilesOptions {
  layout: Layout
  records: HeldRecords
  quarantine: Quarantine
  trust: Trust
  buffers: Buffers
  log: Logger | undefined
}

// Neither a link nor a pipe that somebody put there: the one would lead elsewhere, the other never open.
const plainFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
// The access time tells the last use, and checking is none. Absent where the system has no such thing.
const quietFlags = plainFlags | (constants.O_NOATIME ?? 0)

const openFd = promisify(open)
const statFd = promisify(fstat) as (fd: number) => Promise<Stats>
const closeFd = promisify(close)

const problems = { short: 'ended early', corrupt: 'has another digest' }

export function createWholeFiles(options: WholeFilesOptions): WholeFiles {
  const { layout, records, quarantine, trust, buffers, log } = options

  async function openFile(digest: Digest, size: number): Promise<WholeFile | undefined> {
    const path = layout.blob(digest)
    const fd = await openFd(path, quietFlags).catch((error: unknown) => {
      // Only who owns a file may leave its access time alone.
      if (codeOf(error) === 'EPERM') return openFd(path, plainFlags)
      throw error
    })
    try {
      const stats = await statFd(fd)
      if (stats.isFile() && stats.size === size) return { digest, fd, stats }
      await quarantine.put(
        digest,
        stats.ino,
        stats.isFile() ? `is ${stats.size} bytes long and not ${size}` : 'is no file',
      )
    } catch (error) {
      await closeFd(fd)
      throw error
    }
    await closeFd(fd)
    return undefined
  }

  function judge(digest: Digest, stats: Stats, result: keyof typeof problems | 'whole'): Promise<void> | void {
    if (result !== 'whole') return quarantine.put(digest, stats.ino, problems[result])
    trust.add(digest, stats)
  }

  const files: WholeFiles = {
    async open(digest, size) {
      try {
        return await openFile(digest, size)
      } catch (error) {
        if (codeOf(error) !== 'ELOOP') throw error
        await quarantine.put(digest, (await lstat(layout.blob(digest))).ino, 'is no file')
        return undefined
      }
    },
    async openFor(link, maxBytes = Infinity) {
      try {
        // The proof comes first: without one nothing tells, not even by time, whether the bytes are held (I5).
        const size = await records.find(link.digest, proofOfLink(link))
        return size === undefined || size > maxBytes ? undefined : await files.open(link.digest, size)
      } catch (error) {
        log?.error({ err: error, digest: link.digest }, 'held bytes can not be read: they count as absent')
        return undefined
      }
    },
    read(file, range, onClose) {
      const { digest, fd, stats } = file
      const extent = extentOrClose(file, range)
      const isTrusted = extent.length < stats.size || stats.size === 0 || trust.has(digest, stats)
      const hash = isTrusted ? undefined : hashFor(digest)
      const onResult: DiskReaderOptions['onResult'] = (result) => judge(digest, stats, result)
      const reader = createDiskReader({ digest, fd, extent, buffers, hash, onResult, onClose })
      return { size: stats.size, ...extent, reader }
    },
    async bytes({ digest, fd, stats }) {
      const bytes = Buffer.allocUnsafe(stats.size)
      const bytesRead = await readAt(fd, bytes, bytes.length, 0).finally(() => closeFd(fd))
      if (bytesRead === bytes.length && isDigestOf(bytes, digest)) return bytes
      await quarantine.put(digest, stats.ino, bytesRead < bytes.length ? problems.short : problems.corrupt)
      return undefined
    },
    async check({ digest, fd, stats }, signal) {
      const { promise: closed, resolve: onClose } = Promise.withResolvers<void>()
      let isWrong = false
      const onResult: DiskReaderOptions['onResult'] = (result) => {
        isWrong = result !== 'whole'
        return judge(digest, stats, result)
      }
      const extent = { offset: 0, length: stats.size }
      const reader = createDiskReader({ digest, fd, extent, buffers, hash: hashFor(digest), onResult, onClose })
      try {
        while ((await reader.read()) !== undefined) signal.throwIfAborted()
        return 'whole'
      } catch (error) {
        if (isWrong) return 'corrupt'
        throw error
      } finally {
        reader.close()
        await closed
      }
    },
  }
  return files
}

function extentOrClose({ fd, stats }: WholeFile, range: RangeRequest | undefined): Extent {
  try {
    return extentOf(range, stats.size)
  } catch (error) {
    close(fd)
    throw error
  }
}

export function isDigestOf(bytes: Buffer, digest: Digest): boolean {
  return digestOf(bytes, digestAlgorithm(digest)) === digest
}
