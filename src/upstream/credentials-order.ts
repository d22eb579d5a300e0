import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import { fingerprint } from './credentials.ts'
import type { Credential } from './upstream.ts'

/** Which credentials a registry refused for a repository before it took another, or none. */
export interface CredentialOrder {
  /**
   * The order in which to try: those that were not refused, nobody (undefined) where that did, those that were refused, and
   * nobody at last. Each once; later ones are not asked for before earlier ones were tried.
   */
  of(key: string, credentials: AsyncIterable<Credential> | Iterable<Credential>): AsyncIterable<Credential | undefined>
  /** Remembers an outcome for an hour; nothing of what ended with all refused. */
  accepted(key: string, credential: Credential | undefined, refused: readonly Credential[]): void
}

interface Outcome {
  refused: ReadonlySet<string>
  anonymous: boolean
  expiresAt: number
}

const lifetimeMs = 3600 * 1000

/** A registry that counts wrong logins would lock out who is sent with one on each request for each layer. */
export function createCredentialOrder(now: () => number): CredentialOrder {
  const outcomes = new LRUCache<string, Outcome>(atMost(10_000))
  return {
    async *of(key, credentials) {
      const kept = outcomes.get(key)
      const known = kept !== undefined && kept.expiresAt > now() ? kept : undefined
      const later: Credential[] = []
      for await (const credential of credentials) {
        if (known?.refused.has(fingerprint(credential)) === true) later.push(credential)
        else yield credential
      }
      if (known?.anonymous === true) yield undefined
      yield* later
      if (known?.anonymous !== true) yield undefined
    },
    accepted(key, credential, refused) {
      if (refused.length === 0) return
      const anonymous = credential === undefined
      outcomes.set(key, { refused: new Set(refused.map(fingerprint)), anonymous, expiresAt: now() + lifetimeMs })
    },
  }
}
