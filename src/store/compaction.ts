import { CompactedError, type Store } from './store.ts'

/**
 * Whether changes of `prefix` after `revision` are no longer all known: a list that was begun there can not be followed
 * from there. A revision still to come is not compacted. `prefix` is one whose changes are kept.
 */
export async function isCompacted(store: Store, revision: number, prefix: string): Promise<boolean> {
  // A watch from the future would be silent until then.
  if ((await store.range({ prefix, limit: 0 })).revision <= revision) return false
  const ended = new AbortController()
  try {
    for await (const _ of store.watch(prefix, { since: revision, signal: ended.signal, prompt: true })) break
    return false
  } catch (error) {
    if (error instanceof CompactedError) return true
    throw error
  } finally {
    ended.abort()
  }
}
