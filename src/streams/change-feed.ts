import { type Change, CompactedError, type Store, type WatchBatch } from '../store/store.ts'

/** What one revision did to records; without any, the news that time went on. */
export interface Step {
  revision: number
  /** By path: what belongs to one object. */
  touched: ReadonlyMap<string, readonly Change[]>
}

/** The change log of some records, which can be looked at ahead of where it is followed. */
export interface Feed {
  /** The next step; undefined when the log is not followed any more. */
  next(): Promise<Step | undefined>
  /** Looks ahead until everything up to `revision` is known; false when the log ends before. */
  readTo(revision: number): Promise<boolean>
  /** What is known to happen at a path from the current step on, in order. */
  changesOf(path: string): Change[]
  close(): Promise<void>
}

export interface FeedOptions {
  /** The prefixes of the records. */
  prefixes: readonly string[]
  /** The path of a record, by its key. */
  pathOf(key: string): string
  since: number
  signal: AbortSignal
  /** Most characters of changes that may be ahead. */
  maxAheadSize: number
}

/**
 * Follows records. `next` and `readTo` throw CompactedError when `since` is too old, or when more than `maxAheadSize`
 * characters would be ahead.
 */
export function createFeed(store: Store, { prefixes, pathOf, since, signal, maxAheadSize }: FeedOptions): Feed {
  // Prompt, because `readTo` waits for a revision that may have touched none of the records.
  const batches = store.watch(prefixes, { since, signal, prompt: true })[Symbol.asyncIterator]()
  const ahead: { step: Step; size: number }[] = []
  const future = new Map<string, (readonly Change[])[]>()
  let known = since
  let size = 0
  let current: Step | undefined

  /** Reads one batch; false at the end. */
  async function read(): Promise<boolean> {
    const { done, value: batch } = await batches.next()
    if (done) return false
    known = batch.revision
    const step = stepOf(batch, pathOf)
    const added = { step, size: sizeOf(batch) }
    size += added.size
    // A single step is not ahead of anything.
    if (size > maxAheadSize && ahead.length > 0) throw new CompactedError(known)
    if (ahead.at(-1)?.step.touched.size === 0) ahead.pop()
    ahead.push(added)
    for (const [path, changes] of step.touched) {
      const told = future.get(path)
      if (told === undefined) future.set(path, [changes])
      else told.push(changes)
    }
    return true
  }

  function leave(step: Step): void {
    for (const path of step.touched.keys()) {
      const told = future.get(path)
      told?.shift()
      if (told?.length === 0) future.delete(path)
    }
  }

  return {
    async next() {
      if (current !== undefined) leave(current)
      current = undefined
      if (ahead.length === 0 && !(await read())) return undefined
      const first = ahead.shift()
      size -= first?.size ?? 0
      current = first?.step
      return current
    },
    async readTo(revision) {
      while (known < revision) if (!(await read())) return false
      return true
    },
    changesOf: (path) => (future.get(path) ?? []).flat(),
    async close() {
      await batches.return?.()
    },
  }
}

function stepOf({ revision, changes }: WatchBatch, pathOf: FeedOptions['pathOf']): Step {
  const touched = new Map<string, Change[]>()
  for (const change of changes) {
    const path = pathOf(change.key)
    const found = touched.get(path)
    if (found === undefined) touched.set(path, [change])
    else found.push(change)
  }
  return { revision, touched }
}

function sizeOf({ changes }: WatchBatch): number {
  return changes.reduce((sum, { value, previous }) => sum + (value?.length ?? 0) + (previous?.value.length ?? 0), 0)
}
