import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import type { Digest } from '../oci/digest.ts'

/** What tells a file from another in its place, and from itself after a change. */
export interface FileIdentity {
  ino: number
  size: number
  mtimeMs: number
}

/** Which files were seen whole and right since the process started. */
export interface Trust {
  has(digest: Digest, file: FileIdentity): boolean
  add(digest: Digest, file: FileIdentity): void
}

const maxRemembered = 10_000

export function createTrust(): Trust {
  const trusted = new LRUCache<Digest, string>(atMost(maxRemembered))
  return {
    has: (digest, file) => trusted.get(digest) === identityOf(file),
    add: (digest, file) => void trusted.set(digest, identityOf(file)),
  }
}

// Setting a file's access time sets its other one too, to the millisecond.
function identityOf({ ino, size, mtimeMs }: FileIdentity): string {
  return `${ino} ${size} ${Math.round(mtimeMs)}`
}
