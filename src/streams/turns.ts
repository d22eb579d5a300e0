/** Runs work of the same key one after the other. */
export type InTurn = <T>(key: string, work: () => Promise<T>) => Promise<T>

/** Makes an empty queue of turns; a key that nobody waits for takes no memory. */
export function createTurns(): InTurn {
  const last = new Map<string, Promise<unknown>>()
  return async (key, work) => {
    const result = (last.get(key) ?? Promise.resolve()).then(work)
    const settled = result.catch(() => undefined)
    last.set(key, settled)
    try {
      return await result
    } finally {
      if (last.get(key) === settled) last.delete(key)
    }
  }
}
