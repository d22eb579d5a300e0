/** A range as it was: what is there now, with what happened since undone. Pure. */

import { compareKeys, type LogRow } from './encoding.ts'
import type { Entry, RangeQuery } from './store.ts'

/** What each key was before the first of `rows` that changed it; undefined where it was absent. */
export type Previous = ReadonlyMap<string, Entry | undefined>

/** `rows` in their order. A row more at the end changes nothing for keys that were changed before. */
export function previousEntries(rows: readonly LogRow[]): Previous {
  const previous = new Map<string, Entry | undefined>()
  for (const { changes } of rows) {
    for (const change of changes) if (!previous.has(change.key)) previous.set(change.key, change.previous)
  }
  return previous
}

/** The entries that `query` had before, made of those that it has now, all of them. */
export async function* entriesBefore(
  entries: AsyncIterable<Entry>,
  query: RangeQuery,
  previous: Previous,
): AsyncGenerator<Entry, void, void> {
  const { limit = Number.POSITIVE_INFINITY } = query
  let count = 0
  if (limit <= 0) return
  for await (const entry of undone(entries, query, previous)) {
    yield entry
    count += 1
    if (count >= limit) return
  }
}

async function* undone(entries: AsyncIterable<Entry>, query: RangeQuery, previous: Previous) {
  const direction = query.reverse ? -1 : 1
  const compare = (a: string, b: string) => direction * compareKeys(a, b)
  const changed = [...previous.keys()].filter((key) => isWithin(query, key)).sort(compare)
  let at = 0
  for await (const entry of entries) {
    for (; at < changed.length && compare(changed[at] ?? '', entry.key) < 0; at += 1) yield* before(changed[at])
    if (changed[at] !== entry.key) yield entry
  }
  for (; at < changed.length; at += 1) yield* before(changed[at])

  function before(key = ''): Entry[] {
    const entry = previous.get(key)
    return entry === undefined ? [] : [entry]
  }
}

function isWithin({ prefix, start, end }: RangeQuery, key: string): boolean {
  return (
    key.startsWith(prefix) &&
    (start === undefined || compareKeys(key, start) >= 0) &&
    (end === undefined || compareKeys(key, end) < 0)
  )
}
