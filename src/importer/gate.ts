import { RegistryError } from '../oci/errors.ts'

/**
 * Lets so much work of one key run at the same time, the rest in the order in which it came.
 *
 * @throws RegistryError TOOMANYREQUESTS when too much waits already
 */
export type Gate = <T>(key: string, work: () => Promise<T>) => Promise<T>

interface Place {
  running: number
  waiting: (() => void)[]
}

const retryAfterSeconds = 10

/** Makes a gate for `most` at the same time and `mostWaiting` behind them; a key without work takes no memory. */
export function createGate({ most, mostWaiting }: { most: number; mostWaiting: number }): Gate {
  const places = new Map<string, Place>()

  async function enter(key: string): Promise<Place> {
    const place = places.get(key) ?? { running: 0, waiting: [] }
    places.set(key, place)
    if (place.running < most) {
      place.running += 1
      return place
    }
    if (place.waiting.length >= mostWaiting) {
      const message = `${key} has ${most} of these under way and ${mostWaiting} that wait: try again later`
      throw new RegistryError('TOOMANYREQUESTS', { message, retryAfterSeconds })
    }
    await new Promise<void>((begin) => place.waiting.push(begin))
    return place
  }

  function leave(key: string, place: Place): void {
    // Who waits takes the place of who leaves.
    const next = place.waiting.shift()
    if (next !== undefined) next()
    else place.running -= 1
    if (place.running === 0) places.delete(key)
  }

  return async (key, work) => {
    const place = await enter(key)
    try {
      return await work()
    } finally {
      leave(key, place)
    }
  }
}
