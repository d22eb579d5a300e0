import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import type { Location, UpstreamLocation } from './content.ts'
import type { ObjectFiles } from './object-files.ts'

/**
 * Through which locations held bytes were received whole and verified. Without a proof for one of a link's locations the
 * bytes on disk do not exist for that link (I5).
 */
export interface Proofs {
  /** Whether bytes held for `digest` may be given out through a link with these locations. */
  has(digest: Digest, locations: readonly Location[]): Promise<boolean>
  /** Notes durably that the bytes came whole through `location`. */
  add(digest: Digest, location: Location): Promise<void>
}

const maxCachedDigests = 10_000

/** Keeps the proofs beside the bytes, one hashed location a line, and the most recently asked in memory. */
export function createProofs(files: Pick<ObjectFiles, 'notes' | 'addNote' | 'rewriteNotes'>): Proofs {
  const cache = new LRUCache<Digest, Promise<ReadonlySet<string>>>({ max: maxCachedDigests })

  function proven(digest: Digest): Promise<ReadonlySet<string>> {
    return cache.get(digest) ?? load(digest)
  }

  function load(digest: Digest): Promise<ReadonlySet<string>> {
    const loaded = files.notes(digest).then((lines) => new Set(lines))
    cache.set(digest, loaded)
    loaded.catch(() => cache.delete(digest))
    return loaded
  }

  return {
    async has(digest, locations) {
      // A link is one stream's, and only who was entitled to put bytes into that stream writes `here` into it.
      if (locations.some(({ kind }) => kind === 'here')) return true
      const keys = await proven(digest)
      return locations.some((location) => location.kind === 'upstream' && keys.has(keyOf(location)))
    },
    async add(digest, location) {
      if (location.kind === 'here') return
      const key = keyOf(location)
      // The time that it takes must not tell that another stream got the bytes there before (I5).
      if ((await proven(digest)).has(key)) return files.rewriteNotes(digest)
      await files.addNote(digest, key)
      cache.delete(digest)
    },
  }
}

/** Another project's credential may fetch other things from the same repository: it is part of the location. */
function keyOf({ host, repository, project, projectUid }: UpstreamLocation): string {
  return createHash('sha256')
    .update(JSON.stringify([host, repository, project, ...(projectUid === undefined ? [] : [projectUid])]))
    .digest('hex')
}
