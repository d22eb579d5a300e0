import { constants, type Stats } from 'node:fs'
import { type FileHandle, lstat, open } from 'node:fs/promises'
import type { Logger } from 'pino'
import { type Digest, digestAlgorithm, digestOf, hashFor } from '../oci/digest.ts'
import type { Buffers } from './buffers.ts'
import type { HeldRecords, Link, OpenBlob, RangeRequest } from './content.ts'
import { createDiskReader, type DiskReaderOptions } from './disk-reader.ts'
import { codeOf, type Layout } from './layout.ts'
import { proofOfLink } from './proof.ts'
import type { Quarantine } from './quarantine.ts'
import { extentOf } from './range.ts'
import type { Trust } from './trust.ts'

/** An open file of held bytes that is as long as it should be; whoever opened it closes it. */
export interface WholeFile {
  digest: Digest
  handle: FileHandle
  stats: Stats
}

/** Reads held bytes. What turns out wrong is put aside; what can not be read stays. */
export interface WholeFiles {
  /** @throws the system's error; ENOENT when there is no file */
  open(digest: Digest, size: number, purpose?: 'serving' | 'checking'): Promise<WholeFile | undefined>
  /** The file that may be given out through a link. When records or disk fail there is none, which the log tells. */
  openFor(link: Link): Promise<WholeFile | undefined>
  /** Reads it piece by piece and closes it; `onClose` is told. @throws RegistryError RANGE_INVALID */
  read(file: WholeFile, range: RangeRequest | undefined, onClose: () => void): OpenBlob
  /** All of its bytes, which are right. */
  bytes(file: WholeFile): Promise<Buffer | undefined>
  /** Hashes all of it and closes it. @throws the system's error */
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
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const flagsFor = { serving: readFlags, checking: readFlags | (constants.O_NOATIME ?? 0) }

const problems = { short: 'ended early', corrupt: 'has another digest' }

export function createWholeFiles(options: WholeFilesOptions): WholeFiles {
  const { layout, records, quarantine, trust, buffers, log } = options

  async function openFile(digest: Digest, size: number, flags: number): Promise<WholeFile | undefined> {
    const handle = await open(layout.blob(digest), flags)
    try {
      const stats = await handle.stat()
      if (stats.isFile() && stats.size === size) return { digest, handle, stats }
      await quarantine.put(
        digest,
        stats.ino,
        stats.isFile() ? `is ${stats.size} bytes long and not ${size}` : 'is no file',
      )
    } catch (error) {
      await handle.close()
      throw error
    }
    await handle.close()
    return undefined
  }

  function judge(digest: Digest, stats: Stats, result: keyof typeof problems | 'whole'): Promise<void> | void {
    if (result !== 'whole') return quarantine.put(digest, stats.ino, problems[result])
    trust.add(digest, stats)
  }

  const files: WholeFiles = {
    async open(digest, size, purpose = 'serving') {
      try {
        return await openFile(digest, size, flagsFor[purpose])
      } catch (error) {
        // Who does not own a file may not leave its access time alone.
        if (codeOf(error) === 'EPERM' && purpose !== 'serving') return files.open(digest, size)
        if (codeOf(error) !== 'ELOOP') throw error
        await quarantine.put(digest, (await lstat(layout.blob(digest))).ino, 'is no file')
        return undefined
      }
    },
    async openFor(link) {
      try {
        // The proof comes first: without one nothing tells, not even by time, whether the bytes are held (I5).
        const size = await records.find(link.digest, proofOfLink(link))
        return size === undefined ? undefined : await files.open(link.digest, size)
      } catch (error) {
        log?.error({ err: error, digest: link.digest }, 'held bytes can not be read: they count as absent')
        return undefined
      }
    },
    read(file, range, onClose) {
      const { digest, handle, stats } = file
      const extent = extentOf(range, stats.size)
      const isTrusted = extent.length < stats.size || stats.size === 0 || trust.has(digest, stats)
      const hash = isTrusted ? undefined : hashFor(digest)
      const onResult: DiskReaderOptions['onResult'] = (result) => judge(digest, stats, result)
      const reader = createDiskReader({ digest, handle, extent, buffers, hash, onResult, onClose })
      return { size: stats.size, ...extent, reader }
    },
    async bytes({ digest, handle, stats }) {
      const bytes = Buffer.allocUnsafe(stats.size)
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0)
      if (bytesRead === bytes.length && isDigestOf(bytes, digest)) return bytes
      await quarantine.put(digest, stats.ino, problems.corrupt)
      return undefined
    },
    async check({ digest, handle, stats }, signal) {
      const { promise: closed, resolve: onClose } = Promise.withResolvers<void>()
      let isWrong = false
      const onResult: DiskReaderOptions['onResult'] = (result) => {
        isWrong = result !== 'whole'
        return judge(digest, stats, result)
      }
      const extent = { offset: 0, length: stats.size }
      const reader = createDiskReader({ digest, handle, extent, buffers, hash: hashFor(digest), onResult, onClose })
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

export function isDigestOf(bytes: Buffer, digest: Digest): boolean {
  return digestOf(bytes, digestAlgorithm(digest)) === digest
}
