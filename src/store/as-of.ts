import { CompactedError, type ReadOptions } from './store.ts'

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
