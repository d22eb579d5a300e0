import { utimes } from 'node:fs/promises'
import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import type { Digest } from '../oci/digest.ts'
import { codeOf } from './layout.ts'

/** When bytes were last used, as their file's access time has it, and which are being read in this process. */
export interface Uses {
  /** Counts a reader; what it returns counts it off. */
  begin(digest: Digest): () => void
  isRead(digest: Digest): boolean
  /** Notes that the bytes were used now, on disk at most once a minute. `writtenMs` is the time to keep as that of the last change. */
  note(digest: Digest, path: string, writtenMs: number): void
  /** The same, on disk at once. */
  touch(digest: Digest, path: string, writtenMs: number): Promise<void>
  /** When, as far as is known here; the file may know better. */
  lastUse(digest: Digest): number
}

const maxRemembered = 10_000
const intervalMs = 60_000

export function createUses(now: () => number): Uses {
  const readers = new Map<Digest, number>()
  const seen = new LRUCache<Digest, { usedAt: number; touchedAt: number }>(atMost(maxRemembered))

  async function touch(digest: Digest, path: string, writtenMs: number): Promise<void> {
    const at = now()
    seen.set(digest, { usedAt: at, touchedAt: at })
    try {
      // Seconds, as whole milliseconds: what is finer would not come out as it went in.
      await utimes(path, at / 1000, Math.round(writtenMs) / 1000)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }

  return {
    begin(digest) {
      readers.set(digest, (readers.get(digest) ?? 0) + 1)
      return () => {
        const left = (readers.get(digest) ?? 1) - 1
        if (left === 0) readers.delete(digest)
        else readers.set(digest, left)
      }
    },
    isRead: (digest) => readers.has(digest),
    note(digest, path, writtenMs) {
      const last = seen.get(digest)
      const at = now()
      if (last !== undefined && at - last.touchedAt < intervalMs) last.usedAt = at
      // A disk that takes no times (read-only, full) still gives bytes.
      else touch(digest, path, writtenMs).catch(() => undefined)
    },
    touch,
    lastUse: (digest) => seen.get(digest)?.usedAt ?? 0,
  }
}
