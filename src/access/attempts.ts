import { isIP } from 'node:net'
import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import { RegistryError } from '../oci/errors.ts'

/**
 * Counts wrong passwords, so that guessing is slow and nobody is locked out by the guesses of others: for a user at an
 * address, and for an address; never for a user wherever he is.
 */
export interface Attempts {
  /**
   * Takes a place before a password is checked; it is lost when the password is wrong. The same guess from the same address
   * within some seconds is one attempt: containerd sends each password twice.
   *
   * @throws RegistryError TOOMANYREQUESTS with the time until there is a place again
   */
  begin(attempt: { user: string; address: string; guess: string }): Attempt
}

export interface Attempt {
  /** Gives the place back: the password was right, or was never checked. */
  release(): void
}

/** A count of places that come back one by one. */
export interface Limit {
  places: number
  /** Until one place is back. */
  refillMs: number
}

const userLimit: Limit = { places: 10, refillMs: 30_000 }
/** Many people may share an address. */
const addressLimit: Limit = { places: 60, refillMs: 6_000 }
const sameGuessMs = 10_000
const maxKept = 10_000

export function createAttempts({ now }: { now: () => number }): Attempts {
  const users = createBuckets(userLimit, now)
  const addresses = createBuckets(addressLimit, now)
  const guesses = new LRUCache<string, number>(atMost(maxKept))

  return {
    begin({ user, address, guess }) {
      const from = networkOf(address)
      const guessKey = `${from} ${guess}`
      if ((guesses.get(guessKey) ?? Number.NEGATIVE_INFINITY) + sameGuessMs > now()) return { release: () => {} }
      const userKey = `${from} ${user}`
      const waitMs = Math.max(users.waitMs(userKey), addresses.waitMs(from))
      if (waitMs > 0) {
        throw new RegistryError('TOOMANYREQUESTS', {
          message: 'too many wrong passwords came from your address: wait, or log in with a token',
          retryAfterSeconds: Math.ceil(waitMs / 1000),
        })
      }
      users.take(userKey)
      addresses.take(from)
      guesses.set(guessKey, now())
      let taken = true
      return {
        release() {
          if (!taken) return
          taken = false
          users.giveBack(userKey)
          addresses.giveBack(from)
          guesses.delete(guessKey)
        },
      }
    },
  }
}

/** Counts who took how many places of a limit; of very many the newest. */
export function createBuckets({ places, refillMs }: Limit, now: () => number) {
  /** Places left when they were last counted. Who is absent has them all. */
  const buckets = new LRUCache<string, { left: number; at: number }>(atMost(maxKept))
  const left = (key: string): number => {
    const bucket = buckets.get(key)
    return bucket === undefined ? places : Math.min(places, bucket.left + (now() - bucket.at) / refillMs)
  }
  const add = (key: string, change: number): void => {
    const after = left(key) + change
    if (after >= places) buckets.delete(key)
    else buckets.set(key, { left: after, at: now() })
  }
  return {
    /** Until there is a place; 0 when there is one. */
    waitMs: (key: string): number => Math.max(0, (1 - left(key)) * refillMs),
    take: (key: string): void => add(key, -1),
    giveBack: (key: string): void => add(key, 1),
  }
}

/** What stands for whoever is at an address: an IPv4 address, or the /64 that one IPv6 host can choose addresses from. */
export function networkOf(address: string): string {
  const [bare = ''] = address.split('%')
  if (isIP(bare) !== 6) return bare
  const canonical = new URL(`http://[${bare}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical) ?? []
  if (high !== undefined && low !== undefined) {
    const bits = Number.parseInt(high, 16) * 0x10000 + Number.parseInt(low, 16)
    return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.')
  }
  const [head = '', tail] = canonical.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(8 - front.length - back.length).fill('0')
  return `${[...front, ...zeros, ...back].slice(0, 4).join(':')}::/64`
}
