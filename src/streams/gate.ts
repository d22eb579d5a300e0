import { RegistryError } from '../oci/errors.ts'

/**
 * Lets so many of one key in at the same time, the rest in the order in which they came. Who is in calls what is answered
 * when he leaves; a second call does nothing.
 *
 * @throws RegistryError TOOMANYREQUESTS when too many wait already
 */
export type Gate = (key: string) => Promise<() => void>

interface Place {
  inside: number
  waiting: (() => void)[]
}

const retryAfterSeconds = 10

/** Makes a gate for `most` at the same time and `mostWaiting` before it; a key that nobody uses takes no memory. */
export function createGate({ most, mostWaiting }: { most: number; mostWaiting: number }): Gate {
  const places = new Map<string, Place>()

  function leave(key: string, place: Place): void {
    // Who waits takes the place of who leaves.
    const next = place.waiting.shift()
    if (next !== undefined) next()
    else place.inside -= 1
    if (place.inside === 0) places.delete(key)
  }

  return async (key) => {
    const place = places.get(key) ?? { inside: 0, waiting: [] }
    places.set(key, place)
    if (place.inside < most) {
      place.inside += 1
    } else {
      if (place.waiting.length >= mostWaiting) {
        const message = `${key} has ${most} of these under way and ${mostWaiting} that wait: try again later`
        throw new RegistryError('TOOMANYREQUESTS', { message, retryAfterSeconds })
      }
      await new Promise<void>((enter) => place.waiting.push(enter))
    }
    let isInside = true
    return () => {
      if (isInside) leave(key, place)
      isInside = false
    }
  }
}
