import type { Entry, Precondition } from '../store/store.ts'

/** The records that one attempt is made on: each is read once, so that all of it sees the same. */
export interface Reads {
  get(key: string): Promise<Entry | undefined>
  /** Reads, and lets the commit go through only while the record stays as it was read. */
  rely(key: string): Promise<Entry | undefined>
  /** What was relied on, in the order in which it first was. */
  preconditions(): Precondition[]
}

/** Reads through memory. What is `known` from elsewhere is not read again; so are keys under `complete` prefixes that are not in it. */
export function createMemory(
  read: (key: string) => Promise<Entry | undefined>,
  known: readonly Entry[] = [],
  complete: readonly string[] = [],
): (key: string) => Promise<Entry | undefined> {
  const memory = new Map<string, Promise<Entry | undefined>>(known.map((entry) => [entry.key, Promise.resolve(entry)]))
  return (key) => {
    const found = memory.get(key)
    if (found !== undefined) return found
    if (complete.some((prefix) => key.startsWith(prefix))) return Promise.resolve(undefined)
    const reading = read(key)
    memory.set(key, reading)
    return reading
  }
}

/** Reads for one commit. */
export function createReads(get: (key: string) => Promise<Entry | undefined>): Reads {
  const relied = new Map<string, Precondition>()
  return {
    get,
    async rely(key) {
      const entry = await get(key)
      relied.set(key, { key, revision: entry?.revision ?? 0 })
      return entry
    },
    preconditions: () => [...relied.values()],
  }
}
