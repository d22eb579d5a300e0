import { RegistryError } from '../oci/errors.ts'
import { createTurns } from '../streams/turns.ts'

/** What one attempt came to; `version` is the resourceVersion that it was made on. */
export type Attempt<T> = { done: T } | { lost: RegistryError; version: string }

/** Makes attempts to change what `key` names until one is not lost to somebody else's change. */
export type Revise = <T>(key: string, attempt: () => Promise<Attempt<T>>) => Promise<T>

/** Changes go one after the other, so that only those from elsewhere can make one lose. */
const maxAttempts = 20

/** Each attempt holds the object in memory, which may be large: those of one object are made in turn. */
export function createRevise(): Revise {
  const inTurn = createTurns()
  return (key, attempt) =>
    inTurn(key, async () => {
      let last = await attempt()
      for (let attempts = 1; 'lost' in last && attempts < maxAttempts; attempts += 1) {
        const next = await attempt()
        // Nobody changed the object: what conflicts is the change itself, as one for a resourceVersion of its own does.
        if ('lost' in next && next.version === last.version) throw last.lost
        last = next
      }
      if ('lost' in last) throw last.lost
      return last.done
    })
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
