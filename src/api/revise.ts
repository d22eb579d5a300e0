import { RegistryError } from '../oci/errors.ts'
import { createTurns } from '../streams/turns.ts'

/** What one attempt came to; `version` is the resourceVersion that it was made on. */
export type Attempt<T> = { done: T } | { lost: RegistryError; version: string }

/** Makes attempts to change what `key` names until one is not lost to somebody else's change. */
export type Revise = <T>(key: string, attempt: () => Promise<Attempt<T>>) => Promise<T>

/** Losers go one after the other, so that only changes from elsewhere can make one lose again. */
const maxAttempts = 20

/** Most first attempts to change one object at the same time: each holds the object in memory, which may be large. */
const atOnce = 4

export function createRevise(): Revise {
  const inTurn = createTurns()
  let turn = 0
  return async (key, attempt) => {
    turn += 1
    const first = await inTurn(`${turn % atOnce} ${key}`, attempt)
    if ('done' in first) return first.done
    return inTurn(key, async () => {
      let last = first
      for (let attempts = 1; attempts < maxAttempts; attempts += 1) {
        const next = await attempt()
        if ('done' in next) return next.done
        // Nobody changed the object: what conflicts is the change itself, as one for a resourceVersion of its own does.
        if (next.version === last.version) break
        last = next
      }
      throw last.lost
    })
  }
}

/** Tries a write that was made on `version`; it is lost where somebody else's change came first. */
export async function attemptOn<T>(version: string, write: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { done: await write() }
  } catch (error) {
    const isRace = error instanceof RegistryError && (error.code === 'CONFLICT' || error.code === 'ALREADY_EXISTS')
    if (!isRace) throw error
    return { lost: error, version }
  }
}
