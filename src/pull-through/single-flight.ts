/** Runs work once for everybody who asks for the same key while it is under way. */
export type SingleFlight<T> = (key: string, work: () => Promise<T>) => Promise<T>

export function createSingleFlight<T>(): SingleFlight<T> {
  const underWay = new Map<string, Promise<T>>()
  return (key, work) => {
    const joined = underWay.get(key)
    if (joined !== undefined) return joined
    const started = work().finally(() => underWay.delete(key))
    underWay.set(key, started)
    return started
  }
}
