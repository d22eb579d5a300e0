import { setTimeout as delay } from 'node:timers/promises'
import { RegistryError } from '../oci/errors.ts'
import { type Change, CompactedError, type Entry, type Store } from './store.ts'

/**
 * Follows one prefix of the store for a cache. `ready` settles when everything that was there at the start has been
 * applied; `reached(revision)` when every change up to that revision has, so that whoever just committed can wait until
 * the caches of this process know.
 */
export interface Mirror {
  /** Rejects when the store could not be read at the start, or `signal` aborted before. */
  readonly ready: Promise<void>
  /** The revision up to which changes were applied. */
  readonly revision: number
  /** @throws RegistryError UNAVAILABLE when the mirror ends before. */
  reached(revision: number): Promise<void>
}

export interface MirrorOptions {
  prefix: string
  /**
   * Called in order, synchronously, with the changes of one revision. With `preload`, the existing entries come first
   * as changes without `previous`; after a compaction `reset` is called and they come again. What it throws ends the
   * process: a cache that is wrong and silent would be worse.
   */
  apply(changes: readonly Change[], revision: number): void
  /** Forget everything: what follows is told from the start. */
  reset(): void
  /** Whether existing entries are read first; default true. A cache that fills itself on misses sets false. */
  preload?: boolean
  signal: AbortSignal
}

export type CreateMirror = (store: Store, options: MirrorOptions) => Mirror

const chunkEntries = 1000
/** In characters: a thousand large objects would be read twice over into memory at the start. */
const chunkSize = 1024 * 1024
const retryMs = 1000

/** Starts to follow at once. A store that fails for a while leaves the mirror as it stands; it catches up afterwards. */
export const createMirror: CreateMirror = (store, { prefix, apply, reset, preload = true, signal }) => {
  const waiting = new Set<{ revision: number; answer: PromiseWithResolvers<void> }>()
  const ready = Promise.withResolvers<void>()
  let revision = 0
  let isReady = false
  let ended = false

  function reach(newRevision: number): void {
    revision = newRevision
    for (const waiter of waiting) {
      if (waiter.revision > revision) continue
      waiting.delete(waiter)
      waiter.answer.resolve()
    }
  }

  function applyEntries(entries: readonly Entry[], at: number): void {
    apply(
      entries.map(({ key, value }) => ({ key, value, previous: undefined })),
      at,
    )
  }

  /** Reads what is there; the first time in pieces, later whole, so that a cache in use is never half empty. */
  async function load(): Promise<void> {
    const snapshot = await store.range(preload ? { prefix } : { prefix, limit: 0 })
    let entries: Entry[] = []
    let size = 0
    for await (const entry of snapshot) {
      entries.push(entry)
      size += entry.value.length
      if (isReady || (entries.length < chunkEntries && size < chunkSize)) continue
      applyEntries(entries, snapshot.revision)
      entries = []
      size = 0
    }
    if (isReady) reset()
    if (entries.length > 0) applyEntries(entries, snapshot.revision)
    reach(snapshot.revision)
    isReady = true
    ready.resolve()
  }

  async function follow(): Promise<void> {
    for await (const { revision: told, changes } of store.watch(prefix, { since: revision, signal, prompt: true })) {
      if (changes.length > 0) apply(changes, told)
      reach(told)
    }
  }

  async function run(): Promise<void> {
    let mustLoad = true
    while (!signal.aborted) {
      try {
        if (mustLoad) await load()
        mustLoad = false
        // A watch ends without an error when the store closes.
        return await follow()
      } catch (error) {
        if (error instanceof CompactedError) {
          mustLoad = true
          continue
        }
        if (!isReady || !(error instanceof RegistryError)) throw error
        await delay(retryMs, undefined, { signal, ref: false }).catch(() => undefined)
      }
    }
  }

  async function start(): Promise<void> {
    try {
      await run()
    } catch (error) {
      if (isReady) throw error
      ready.reject(error)
    } finally {
      ended = true
      ready.reject(new RegistryError('UNAVAILABLE', { message: 'the store was closed' }))
      for (const { answer } of waiting) answer.reject(endedBefore())
      waiting.clear()
    }
  }

  // Whoever does not wait for `ready` is not asking to be told that it failed.
  ready.promise.catch(() => undefined)
  void start()
  return {
    ready: ready.promise,
    get revision() {
      return revision
    },
    async reached(wanted) {
      if (wanted <= revision && isReady) return
      if (ended) throw endedBefore()
      const answer = Promise.withResolvers<void>()
      waiting.add({ revision: wanted, answer })
      await answer.promise
    },
  }
}

function endedBefore(): RegistryError {
  return new RegistryError('UNAVAILABLE', { message: 'the store was closed before its caches knew the change' })
}
