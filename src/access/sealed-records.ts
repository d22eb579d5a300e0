/** The records of the store that are sealed, or have a sealed part: which open, and sealing them anew with another key. */

import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { sealedPartOf } from '../store/sealing.ts'
import type { Entry, Store } from '../store/store.ts'
import type { SecretKeys } from './key-ring.ts'

/** Where sealed records are. Each is JSON with the sealed text, bound to the record's key, as its field `sealed`. */
const secretPrefix = 'object/secrets/'
const signingKeyPrefix = 'key/'
const prefixes = [signingKeyPrefix, secretPrefix]

/** Sealed values take up to a commit each. */
const pageRecords = 8

export interface SealedSurvey {
  sealed: number
  unreadable: number
  /** Names one that does not open; empty when all do. */
  example: string
}

/** Tries to open every sealed record. */
export async function surveySealed(store: Store, keys: Pick<SecretKeys, 'open'>): Promise<SealedSurvey> {
  const survey: SealedSurvey = { sealed: 0, unreadable: 0, example: '' }
  for (const prefix of prefixes) {
    for await (const entry of await store.range({ prefix })) {
      if (!isSealedRecord(entry)) continue
      survey.sealed += 1
      if (opens(keys, entry)) continue
      survey.unreadable += 1
      survey.example ||= nameOf(entry.key)
    }
  }
  return survey
}

/**
 * Takes what does not open out of the store: secrets as a whole; of signing keys the private part, so that what they signed
 * stays good until it expires. Each is told of in the log.
 */
export async function discardUnreadable(store: Store, keys: Pick<SecretKeys, 'open'>, log: Logger): Promise<void> {
  for (const prefix of prefixes) {
    for await (const entry of await store.range({ prefix })) {
      if (!isSealedRecord(entry) || opens(keys, entry)) continue
      const { key, revision } = entry
      const rest = prefix === secretPrefix ? undefined : { ...(JSON.parse(entry.value) as object), sealed: undefined }
      const result = await store.commit({
        operations: [rest ? { type: 'put', key, value: JSON.stringify(rest) } : { type: 'delete', key }],
        preconditions: [{ key, revision }],
      })
      if (result.status !== 'committed') throw new Error(`${nameOf(key)} could not be removed from the store`)
      const message = rest
        ? 'a signing key does not open: what it signed stays good until it expires'
        : 'a secret does not open, and was removed'
      log.error({ record: nameOf(key) }, message)
    }
  }
}

export interface ResealOptions {
  store: Store
  keys: SecretKeys
  signal: AbortSignal
  log: Logger
  /** How long to wait after records that could not be written; default 5000. */
  retryMs?: number
}

/**
 * Seals with the first key whatever an older one sealed, and then removes the older ones from the file. Does nothing when
 * there is no older one. Ended at any point, by `signal` or with its process, it goes on at the next call. Never throws.
 */
export async function resealRecords({ store, keys, signal, log, retryMs = 5000 }: ResealOptions): Promise<void> {
  if (keys.older === 0) return
  let records = 0
  while (!signal.aborted) {
    try {
      const { resealed, unwritten, unreadable } = await resealOnce(store, keys, signal)
      records += resealed
      if (signal.aborted) return
      if (unreadable.length > 0) {
        return log.error({ records: unreadable.slice(0, 10) }, 'no secret key opens these: the older keys stay')
      }
      // A pass that finds nothing to do is the proof that nothing needs the older keys.
      if (resealed === 0 && unwritten === 0) {
        const dropped = keys.older
        await keys.dropOlder()
        return log.info({ records, dropped }, 'everything is sealed with the newest secret key; the older were removed')
      }
      if (unwritten === 0) continue
    } catch (error) {
      if (signal.aborted) return
      log.warn({ err: error }, 'secrets can not be sealed with the new secret key for now')
    }
    await delay(retryMs, undefined, { signal, ref: false }).catch(() => undefined)
  }
}

interface Pass {
  resealed: number
  /** Records that changed meanwhile, or of which the store did not say whether they were written. */
  unwritten: number
  unreadable: string[]
}

async function resealOnce(store: Store, keys: SecretKeys, signal: AbortSignal): Promise<Pass> {
  const pass: Pass = { resealed: 0, unwritten: 0, unreadable: [] }
  for (const prefix of prefixes) {
    for (let start = prefix; !signal.aborted; ) {
      const page: Entry[] = []
      for await (const entry of await store.range({ prefix, start, limit: pageRecords })) page.push(entry)
      const last = page.at(-1)
      if (last === undefined) break
      const stale = page.filter((entry) => isSealedRecord(entry) && !keys.isCurrent(sealedPartOf(entry.value) ?? ''))
      await Promise.all(stale.map((entry) => reseal(store, keys, entry, pass)))
      // No key lies between another and the same with U+0000 behind it.
      start = `${last.key}\0`
    }
  }
  return pass
}

async function reseal(store: Store, keys: SecretKeys, { key, value, revision }: Entry, pass: Pass): Promise<void> {
  const plain = keys.open(key, sealedPartOf(value) ?? '')
  if (plain === undefined) {
    pass.unreadable.push(nameOf(key))
    return
  }
  const record = { ...(JSON.parse(value) as object), sealed: keys.seal(key, plain) }
  const operation = { type: 'put', key, value: JSON.stringify(record) } as const
  const result = await store.commit({ operations: [operation], preconditions: [{ key, revision }] })
  if (result.status === 'committed') pass.resealed += 1
  else pass.unwritten += 1
}

/** A signing key without its private part only verifies; a secret is sealed, whatever stands there. */
function isSealedRecord({ key, value }: Entry): boolean {
  return key.startsWith(secretPrefix) || sealedPartOf(value) !== undefined
}

function opens(keys: Pick<SecretKeys, 'open'>, { key, value }: Entry): boolean {
  const sealed = sealedPartOf(value)
  return sealed !== undefined && keys.open(key, sealed) !== undefined
}

function nameOf(key: string): string {
  return key.startsWith(secretPrefix)
    ? `the secret ${key.slice(secretPrefix.length)}`
    : `the signing key ${key.slice(signingKeyPrefix.length)}`
}
