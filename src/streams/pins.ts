import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import type { StreamName } from '../oci/reference.ts'
import { createMirror } from '../store/mirror.ts'
import type { Change, Entry, Store } from '../store/store.ts'
import { decode, lifeKey, lifePrefix, tagKey, tagPrefix } from './keys.ts'
import type { LifeRecord, TagRecord } from './records.ts'
import type { Pin, Pins } from './streams.ts'

export interface PinsOptions {
  store: Store
  signal: AbortSignal
  /** Most tags kept in memory; default 200,000. */
  maxTags?: number
  /** Most streams kept in memory; default 50,000. */
  maxStreams?: number
}

/** One kind of record by its key, as far as memory has it; null for a record that says nothing. */
interface Memory<T> {
  peek(key: string): T | null | undefined
  read(key: string): Promise<T | null>
  reached(revision: number): Promise<void>
}

/**
 * Keeps pins and the uids of streams in memory. What changes is forgotten and read again when it is asked for, so memory
 * never holds anything that the store did not say after the newest change known here.
 */
export function createPins({ store, signal, maxTags = 200_000, maxStreams = 50_000 }: PinsOptions): Pins {
  const pins = remember(store, { prefix: tagPrefix, parse: parsePin, maxEntries: maxTags, signal })
  const uids = remember(store, { prefix: lifePrefix, parse: parseUid, maxEntries: maxStreams, signal })

  /** Two records in memory may be of different moments: a stream made anew is read whole from the store. */
  async function readThrough(name: StreamName, tag: string): Promise<Pin | undefined> {
    const life = await store.get(lifeKey(name))
    const entry = await store.get(tagKey(name, tag))
    const pin = entry && parsePin(entry)
    return life !== undefined && pin?.uid === parseUid(life) ? pin : undefined
  }

  return {
    peek(project, stream, tag) {
      const name = { project, stream }
      const uid = uids.peek(lifeKey(name))
      if (uid === undefined || uid === null) return uid
      const pin = pins.peek(tagKey(name, tag))
      return pin && pin.uid !== uid ? undefined : pin
    },
    async pin(name, tag) {
      const [uid, pin] = await Promise.all([uids.read(lifeKey(name)), pins.read(tagKey(name, tag))])
      if (uid === null || pin === null) return undefined
      return pin.uid === uid ? pin : readThrough(name, tag)
    },
    peekUid: (project, stream) => uids.peek(lifeKey({ project, stream })),
    uid: async (name) => (await uids.read(lifeKey(name))) ?? undefined,
    async reached(revision) {
      await Promise.all([pins.reached(revision), uids.reached(revision)])
    },
  }
}

function remember<T extends {}>(
  store: Store,
  options: { prefix: string; parse: (entry: Entry) => T | null; maxEntries: number; signal: AbortSignal },
): Memory<T> {
  const { prefix, parse, maxEntries, signal } = options
  const known = new LRUCache<string, { value: T | null }>(atMost(maxEntries))
  const filling = new Map<string, Promise<T | null>>()
  const mirror = createMirror(store, {
    prefix,
    preload: false,
    signal,
    apply(changes: readonly Change[]) {
      for (const { key } of changes) {
        known.delete(key)
        // A read under way may have been too early; whoever asks from now on starts another, and its result is not kept.
        filling.delete(key)
      }
    },
    reset() {
      known.clear()
      filling.clear()
    },
  })

  async function load(key: string): Promise<T | null> {
    // Before, changes are not followed yet, and what is read could go stale unseen.
    await mirror.ready
    const entry = await store.get(key)
    return entry === undefined ? null : parse(entry)
  }

  function fill(key: string): Promise<T | null> {
    const result = load(key).then((value) => {
      if (filling.get(key) === result) known.set(key, { value })
      return value
    })
    const settle = () => {
      if (filling.get(key) === result) filling.delete(key)
    }
    filling.set(key, result)
    result.then(settle, settle)
    return result
  }

  return {
    peek: (key) => known.get(key)?.value,
    async read(key) {
      const found = known.get(key)
      return found === undefined ? (filling.get(key) ?? fill(key)) : found.value
    },
    reached: (revision) => mirror.reached(revision),
  }
}

function parsePin(entry: Entry): Pin | null {
  const { uid, items, current, condition, hold, upstreamGone } = decode<TagRecord>(entry)
  const digest = items[0]?.image
  return digest ? { uid, digest, revision: current, condition, hold, upstreamGone } : null
}

function parseUid(entry: Entry): string {
  return decode<LifeRecord>(entry).uid
}
