import { setImmediate as tick } from 'node:timers/promises'
import { createMirror } from '../store/mirror.ts'
import type { Change, Store } from '../store/store.ts'
import type { TagName } from '../streams/followed-across.ts'
import { acrossPrefix, lifePrefix, placesOfAcross, tagPrefix } from '../streams/keys.ts'
import type { TagRecord } from '../streams/records.ts'

/** A tag that follows one of another stream; its `key` is that of the index. */
export interface Follower {
  readonly key: string
  readonly source: TagName
  readonly follower: TagName
}

/** The tags that follow tags of other streams, by what they follow. */
export interface Followers {
  /** Settles when all that there were at the start are known, and no change of what they follow is missed from then on. */
  readonly ready: Promise<void>
  readonly size: number
  has(key: string): boolean
}

export interface FollowersOptions {
  /** Must log `index/across/`, `tag/` and `life/`. */
  store: Store
  /** A tag began to follow, or what it follows may stand elsewhere, be there again, or be gone. Every one at the start. */
  onDue(follower: Follower): void
  /** A tag that follows is held no longer; whoever let it go lets it follow at once. */
  onReleased(follower: Follower): void
  signal: AbortSignal
}

/** Tags that are told of in one turn of the event loop. */
const sliceSize = 1000

/** Mirrors the index, and watches what it names. */
export function createFollowers({ store, onDue, onReleased, signal }: FollowersOptions): Followers {
  const known = new Set<string>()
  /** Keys of followers, by the path of what they follow: `<project>/<stream>/<tag>`. */
  const bySource = new Map<string, Set<string>>()
  /** Paths of what is followed, by `<project>/<stream>`; and keys of the followers that are there. */
  const sourcesOf = new Map<string, Set<string>>()
  const followersOf = new Map<string, Set<string>>()
  /** The key of each follower, by its own path: it follows one. */
  const byFollower = new Map<string, string>()

  function apply(changes: readonly Change[]): void {
    for (const { key, value } of changes) {
      const follower = followerOf(key)
      if (follower === undefined) continue
      if (value === undefined) leave(follower)
      else {
        join(follower)
        onDue(follower)
      }
    }
  }

  function join({ key, source, follower }: Follower): void {
    known.add(key)
    add(bySource, tagPath(source), key)
    add(sourcesOf, streamPath(source), tagPath(source))
    add(followersOf, streamPath(follower), key)
    byFollower.set(tagPath(follower), key)
  }

  function leave({ key, source, follower }: Follower): void {
    known.delete(key)
    remove(bySource, tagPath(source), key)
    if (!bySource.has(tagPath(source))) remove(sourcesOf, streamPath(source), tagPath(source))
    remove(followersOf, streamPath(follower), key)
    if (byFollower.get(tagPath(follower)) === key) byFollower.delete(tagPath(follower))
  }

  function reset(): void {
    for (const each of [known, bySource, sourcesOf, followersOf, byFollower]) each.clear()
  }

  /** They may be very many: others have their turns between. */
  async function allDue(keys: Iterable<string> = []): Promise<void> {
    const all = [...keys]
    for (let start = 0; start < all.length && !signal.aborted; start += sliceSize) {
      if (start > 0) await tick()
      for (const key of all.slice(start, start + sliceSize)) {
        const follower = known.has(key) ? followerOf(key) : undefined
        if (follower !== undefined) onDue(follower)
      }
    }
  }

  function applyTags(changes: readonly Change[]): void {
    for (const { key, value, previous } of changes) {
      const path = key.slice(tagPrefix.length)
      const followers = bySource.get(path)
      if (followers !== undefined && standsOf(value) !== standsOf(previous?.value)) void allDue(followers)
      const follower = followerOf(byFollower.get(path) ?? '')
      if (follower !== undefined && isHeld(previous?.value) && !isHeld(value)) onReleased(follower)
      else if (follower !== undefined && isForbidden(value) && isAwaiting(previous?.value)) onDue(follower)
    }
  }

  /** A stream that comes or goes takes along what its tags stand at; of one that goes the followers are dropped. */
  function applyLives(changes: readonly Change[]): void {
    for (const { key } of changes) {
      const path = key.slice(lifePrefix.length)
      for (const source of sourcesOf.get(path) ?? []) void allDue(bySource.get(source))
      void allDue(followersOf.get(path))
    }
  }

  const watched = { preload: false, reset: () => void allDue(known), signal }
  const mirrors = [
    createMirror(store, { ...watched, prefix: tagPrefix, apply: applyTags }),
    createMirror(store, { ...watched, prefix: lifePrefix, apply: applyLives }),
    createMirror(store, { prefix: acrossPrefix, apply, reset, signal }),
  ]
  const ready = Promise.all(mirrors.map((mirror) => mirror.ready)).then(() => undefined)
  // Whoever does not wait is not asking to be told.
  ready.catch(() => undefined)
  return {
    ready,
    get size() {
      return known.size
    },
    has: (key) => known.has(key),
  }
}

function followerOf(key: string): Follower | undefined {
  const places = placesOfAcross(key)
  return places && { key, ...places }
}

/** The right to follow ended while it awaited its content. */
function isForbidden(value: string | undefined): boolean {
  return value !== undefined && (JSON.parse(value) as TagRecord).condition?.reason === 'Forbidden'
}

function isAwaiting(value: string | undefined): boolean {
  return value !== undefined && (JSON.parse(value) as TagRecord).awaits !== undefined
}

function isHeld(value: string | undefined): boolean {
  return value !== undefined && (JSON.parse(value) as TagRecord).hold !== undefined
}

/** Of a tag record, what those see that follow it. */
function standsOf(value: string | undefined): string {
  if (value === undefined) return ''
  const { uid, items } = JSON.parse(value) as TagRecord
  const [head] = items
  return head === undefined ? '' : [uid, head.image, head.dockerImageReference].join(' ')
}

function streamPath({ project, stream }: TagName): string {
  return `${project}/${stream}`
}

function tagPath(name: TagName): string {
  return `${streamPath(name)}/${name.tag}`
}

function add(sets: Map<string, Set<string>>, path: string, value: string): void {
  const set = sets.get(path)
  if (set === undefined) sets.set(path, new Set([value]))
  else set.add(value)
}

function remove(sets: Map<string, Set<string>>, path: string, value: string): void {
  const set = sets.get(path)
  set?.delete(value)
  if (set?.size === 0) sets.delete(path)
}
