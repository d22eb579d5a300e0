import { createHash, timingSafeEqual } from 'node:crypto'
import { createBuckets, type Limit, networkOf } from '../access/attempts.ts'
import { RegistryError } from '../oci/errors.ts'
import { isOwnName } from '../oci/reference.ts'
import type { NotificationKey } from './key-secret.ts'
import { type Proof, provenKey } from './proof.ts'

/** What came to a project, and what it may be proved with. */
export interface Attempt {
  /** Of whom it is not said that it is there. */
  project: string
  keys: readonly NotificationKey[]
  proof: Proof
  address: string
}

/** Slows down whoever guesses keys, and lets those through who have one, also from behind the same proxy as he is. */
export interface Guesses {
  /**
   * The key that is proved. What is wrong counts against its address, and against the key that begins as it does: who knows how a key
   * begins can keep it out for a while, and nobody else; but of a signature nothing says for which key it is, so that wrong ones count
   * against all that come from there.
   *
   * @throws RegistryError UNAUTHORIZED, or TOOMANYREQUESTS after many wrong ones, the same whatever of a guess is right
   */
  prove(attempt: Attempt): NotificationKey
}

/** For one thing that is guessed at from an address, and for all of a kind: many senders may share an address. */
const [ofOne, ofAll]: [Limit, Limit] = [
  { places: 10, refillMs: 30_000 },
  { places: 60, refillMs: 6_000 },
]
/** How much of a key says which one is meant. The rest, at least as long, is what is guessed. */
const beginningLength = 8

export function createGuesses({ now }: { now: () => number }): Guesses {
  const wrong = createPlaces(now)
  const kinds = { key: createPlaces(now), signature: createPlaces(now) }

  return {
    prove({ project, keys, proof, address }) {
      const from = networkOf(address)
      // What no project is called may be long.
      const place = `${from} ${isOwnName(project) ? project : ''}`
      const aimedAt = proof.kind === 'signature' ? '' : meantKey(keys, proof.shown)?.name
      const kind = aimedAt === undefined ? undefined : kinds[proof.kind]
      const aimedPlace = `${place} ${aimedAt}`
      if (kind === undefined || kind.waitMs(from, aimedPlace) === 0) {
        const key = provenKey(keys, proof)
        if (key !== undefined) return key
        kind?.take(from, aimedPlace)
      }
      const waitMs = wrong.waitMs(from, place)
      if (waitMs > 0) {
        const retryAfterSeconds = Math.ceil(waitMs / 1000)
        throw new RegistryError('TOOMANYREQUESTS', { message: tooMany, retryAfterSeconds })
      }
      wrong.take(from, place)
      throw new RegistryError('UNAUTHORIZED', { message: isWrong, detail: { error: 'invalid_token' } })
    },
  }
}

function createPlaces(now: () => number) {
  const [one, all] = [createBuckets(ofOne, now), createBuckets(ofAll, now)]
  return {
    waitMs: (from: string, place: string): number => Math.max(one.waitMs(place), all.waitMs(from)),
    take(from: string, place: string): void {
      one.take(place)
      all.take(from)
    },
  }
}

function meantKey(keys: readonly NotificationKey[], shown: string): NotificationKey | undefined {
  const beginning = beginningOf(shown)
  let meant: NotificationKey | undefined
  for (const key of keys) if (timingSafeEqual(beginningOf(key.token), beginning)) meant ??= key
  return meant
}

function beginningOf(token: string): Buffer {
  return createHash('sha256').update(token.slice(0, beginningLength)).digest()
}

const tooMany = 'too many wrong keys came from your address: wait'
const isWrong = 'the key is not one of this project, or there is no such project'
