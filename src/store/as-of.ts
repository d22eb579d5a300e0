import { CompactedError, type Entry, type ReadOptions, type Store } from './store.ts'

/** Reads the state of `revision` where the store can still tell it; otherwise, and by default, the newest. */
export async function asOf<T>(revision: number | undefined, read: (options: ReadOptions) => Promise<T>): Promise<T> {
  if (revision === undefined) return read({})
  try {
    return await read({ revision })
  } catch (error) {
    if (error instanceof CompactedError) return read({})
    throw error
  }
}

/**
 * The revision as which somebody with rights in a project may read it: undefined, for as it is now, where the project of the
 * name was another then. What that had concerns others, and positions in lists say their revision themselves.
 */
export async function revisionWithin(
  store: Pick<Store, 'range'>,
  project: string | undefined,
  revision: number | undefined,
): Promise<number | undefined> {
  if (!project || revision === undefined) return revision
  const read = async (state: ReadOptions) => uidOf(await first(store, `object/namespaces//${project}`, state))
  const [today, then] = [await read({}), await asOf(revision, read)]
  return today === then ? revision : undefined
}

async function first(store: Pick<Store, 'range'>, key: string, state: ReadOptions): Promise<Entry | undefined> {
  for await (const entry of await store.range({ prefix: key, limit: 1 }, state))
    return entry.key === key ? entry : undefined
  return undefined
}

function uidOf(entry: Entry | undefined): unknown {
  if (entry === undefined) return undefined
  return (JSON.parse(entry.value) as { metadata?: { uid?: unknown } }).metadata?.uid
}
