import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { calculateJwkThumbprint } from 'jose/jwk/thumbprint'
import type { Logger } from 'pino'
import { z } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import { createMirror } from '../store/mirror.ts'
import type { Change, Operation, Store } from '../store/store.ts'
import type { SecretKeys } from './key-ring.ts'

/** The one algorithm that Weir signs and verifies with. */
export const signingAlgorithm = 'ES256'

/** The signing keys, kept in the store under `key/` and in memory. */
export interface Keys {
  /** The key that signs now; makes the next one when it is due. */
  signing(): Promise<{ kid: string; privateKey: KeyObject }>
  /** The public key of `kid` while tokens signed with it may live; undefined for keys that are not ours. */
  find(kid: string): KeyObject | undefined
  /** As `find`, but looks into the store for a key that memory does not know: another instance may have made it just now. */
  confirm(kid: string): Promise<KeyObject | undefined>
  /** The public keys as RFC 7517 has them, the next one included before it signs. */
  published(): Record<string, unknown>[]
}

export interface KeysOptions {
  store: Store
  /** Seals the private parts in the store. */
  secretKeys: Pick<SecretKeys, 'seal' | 'open'>
  /** Age at which a key is followed by a new one. Default 90 days. */
  rotationMs?: number
  /** How long a new key is published before it signs, for verifiers that keep the key set. Default 1 hour. */
  publishAheadMs?: number
  /** The longest life a token may be given: so long a key verifies after it last signed. */
  longestTokenMs: number
  now: () => number
  signal: AbortSignal
  log: Logger
}

interface Key {
  kid: string
  publicKey: KeyObject
  publicJwk: Record<string, unknown>
  /** undefined when it was taken out of the store, because no secret key opened it. */
  privateKey: KeyObject | undefined
  /** Milliseconds since the epoch. */
  signsFrom: number
  /** The longest life of a token when the key was made. */
  longestTokenMs: number
  /** When the last token it may have signed has expired; milliseconds since the epoch. */
  verifiesUntil: number
}

const recordSchema = z.object({
  publicJwk: z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string() }),
  /** The private key, PKCS #8 DER, sealed for the record's key; without it the key verifies alone. */
  sealed: z.string().optional(),
  signsFrom: z.number(),
  longestTokenMs: z.number(),
})

const prefix = 'key/'
const hour = 60 * 60 * 1000
const day = 24 * hour
/** For clocks that differ: a token is taken a little after its end, and another replica may sign a little after its turn. */
const clockMarginMs = 5 * 60 * 1000
const generate = promisify(generateKeyPair)
/** RFC 7638, SHA-256. */
const thumbprint = /^[A-Za-z0-9_-]{43}$/

/** Opens the signing keys. The first one is made by the first call of `signing`. */
export async function createKeys(options: KeysOptions): Promise<Keys> {
  const { store, signal, now, log, rotationMs = 90 * day, publishAheadMs = hour, longestTokenMs } = options
  const ring = createRing(options)
  const mirror = createMirror(store, { prefix, apply: ring.apply, reset: ring.clear, signal })
  await mirror.ready

  const fits = (key: Key | undefined) => key !== undefined && key.longestTokenMs >= longestTokenMs
  const isDue = (at: number) => {
    const current = ring.signing(at)
    if (current === undefined || !fits(current)) return true
    return current.signsFrom + rotationMs <= at && !ring.isAnnounced(at, at + publishAheadMs)
  }
  const rotate = async (at: number) => {
    // A key that could not outlive the tokens now allowed is replaced at once.
    const ahead = fits(ring.signing(at)) ? publishAheadMs : 0
    const dead = ring.all().filter((key) => key.verifiesUntil <= at)
    const deletions = dead.slice(0, 50).map(({ kid }): Operation => ({ type: 'delete', key: `${prefix}${kid}` }))
    const made = await makeKey(options, at + ahead)
    const result = await store.commit({ operations: [made.operation, ...deletions] })
    if (result.status !== 'committed')
      throw new RegistryError('UNAVAILABLE', { message: 'a new signing key could not be stored' })
    await mirror.reached(result.revision)
    log.info({ kid: made.kid, removed: deletions.length }, 'made a signing key')
  }
  const find = (kid: string) => {
    const key = ring.get(kid)
    return key !== undefined && key.verifiesUntil > now() ? key.publicKey : undefined
  }
  let rotation: Promise<void> | undefined
  const rotateOnce = () => {
    rotation ??= rotate(now()).finally(() => {
      rotation = undefined
    })
    return rotation
  }

  return {
    signing: async () => {
      if (isDue(now())) {
        await rotateOnce().catch((error: unknown) => {
          if (!fits(ring.signing(now()))) throw error
          log.warn({ err: error }, 'the signing key is due for a change, which failed; it goes on signing')
        })
      }
      const key = ring.signing(now())
      if (key?.privateKey === undefined) throw new TypeError('no signing key after a rotation')
      return { kid: key.kid, privateKey: key.privateKey }
    },
    find,
    confirm: async (kid) => {
      const known = find(kid)
      if (known !== undefined || !thumbprint.test(kid)) return known
      const entry = await store.get(`${prefix}${kid}`)
      if (entry === undefined) return undefined
      await mirror.reached(entry.revision)
      return find(kid)
    },
    published: () =>
      ring
        .all()
        .filter((key) => key.verifiesUntil > now())
        .map(({ kid, publicJwk }) => ({ ...publicJwk, kid, alg: signingAlgorithm, use: 'sig' })),
  }
}

/** The keys in the order of their turns, from the records under `key/`. */
function createRing({ secretKeys, log }: KeysOptions) {
  const keys = new Map<string, Key>()
  let ordered: Key[] = []
  const sort = () => {
    ordered = [...keys.values()].sort(
      (a, b) => a.signsFrom - b.signsFrom || a.longestTokenMs - b.longestTokenMs || (a.kid < b.kid ? -1 : 1),
    )
    for (const [i, key] of ordered.entries()) {
      const next = ordered[i + 1]
      key.verifiesUntil = next ? next.signsFrom + key.longestTokenMs + clockMarginMs : Number.POSITIVE_INFINITY
    }
  }
  const usable = (key: Key) => key.privateKey !== undefined
  return {
    apply: (changes: readonly Change[]) => {
      for (const { key, value } of changes) {
        const kid = key.slice(prefix.length)
        const read = value === undefined ? undefined : readKey(kid, value, secretKeys)
        if (value !== undefined && read === undefined) log.error({ kid }, 'a signing key in the store can not be read')
        read === undefined ? keys.delete(kid) : keys.set(kid, read)
      }
      sort()
    },
    clear: () => {
      keys.clear()
      sort()
    },
    all: (): readonly Key[] => ordered,
    get: (kid: string) => keys.get(kid),
    /** Whether a key is to take its turn after `at` and not after `until`. */
    isAnnounced: (at: number, until: number) =>
      ordered.some((key) => usable(key) && key.signsFrom > at && key.signsFrom <= until),
    signing: (at: number) => ordered.findLast((key) => usable(key) && key.signsFrom <= at),
  }
}

function readKey(kid: string, value: string, secretKeys: Pick<SecretKeys, 'open'>): Key | undefined {
  try {
    const { publicJwk, sealed, signsFrom, longestTokenMs } = recordSchema.parse(JSON.parse(value))
    const der = sealed === undefined ? undefined : secretKeys.open(`${prefix}${kid}`, sealed)
    return {
      kid,
      publicJwk,
      publicKey: createPublicKey({ key: publicJwk, format: 'jwk' }),
      privateKey: der === undefined ? undefined : createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }),
      signsFrom,
      longestTokenMs,
      verifiesUntil: Number.POSITIVE_INFINITY,
    }
  } catch {
    return undefined
  }
}

async function makeKey(
  { secretKeys, longestTokenMs }: KeysOptions,
  signsFrom: number,
): Promise<{ kid: string; operation: Operation }> {
  const { publicKey, privateKey } = await generate('ec', { namedCurve: 'P-256' })
  const publicJwk = publicKey.export({ format: 'jwk' })
  const kid = await calculateJwkThumbprint(publicKey)
  const key = `${prefix}${kid}`
  const sealed = secretKeys.seal(key, privateKey.export({ type: 'pkcs8', format: 'der' }))
  const record: z.infer<typeof recordSchema> = recordSchema.parse({ publicJwk, sealed, signsFrom, longestTokenMs })
  return { kid, operation: { type: 'put', key, value: JSON.stringify(record) } }
}
