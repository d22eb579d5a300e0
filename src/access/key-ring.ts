import { createSecretKey, type KeyObject } from 'node:crypto'
import type { Sealing } from '../store/sealing.ts'
import { idOf, seal, sealedBy, unseal } from './sealed-text.ts'

/** The keys that seal what the store must not show: the first seals, all open. */
export interface SecretKeys {
  /** Seals bytes for the record at `key`. */
  seal(key: string, plain: Uint8Array): string
  /** Opens what was sealed for `key`; undefined when it was not sealed with one of these keys, for another key, or changed. */
  open(key: string, sealed: string): Buffer | undefined
  /** Whether it was sealed with the first key. */
  isCurrent(sealed: string): boolean
  /** How many keys of the file only open. */
  readonly older: number
  /**
   * Removes those keys from the file; what they sealed can still be opened until the process ends.
   *
   * @throws Error when the file can not be written
   */
  dropOlder(): Promise<void>
}

/**
 * The keys of these bytes, 32 each. Without any, nothing opens.
 *
 * @param keepFirst writes down that the first key is the only one
 */
export function createKeyRing(bytes: readonly Buffer[], keepFirst: (first: Buffer) => Promise<void>): SecretKeys {
  const keys = bytes.map((each) => createSecretKey(each))
  const byId = new Map(keys.map((key): [string, KeyObject] => [idOf(key), key]))
  const [first] = byId.keys()
  let older = Math.max(0, keys.length - 1)

  /** Those that may have sealed it: all, when it was sealed before keys had ids. */
  function candidatesFor(sealed: string): readonly KeyObject[] {
    const id = sealedBy(sealed)
    if (id === undefined) return keys
    const key = byId.get(id)
    return key === undefined ? [] : [key]
  }

  return {
    seal: (key, plain) => {
      const [current] = keys
      if (current === undefined) throw new TypeError('there is no key to seal with')
      return seal(current, plain, key)
    },
    open: (key, sealed) => {
      for (const candidate of candidatesFor(sealed)) {
        const plain = unseal(candidate, sealed, key)
        if (plain !== undefined) return plain
      }
      return undefined
    },
    isCurrent: (sealed) => first !== undefined && sealedBy(sealed) === first,
    get older() {
      return older
    },
    dropOlder: async () => {
      const [only] = bytes
      if (only !== undefined) await keepFirst(only)
      older = 0
    },
  }
}

/** How objects are sealed whose text no one may read on the disk: the secrets. */
export function sealingOf(keys: SecretKeys): Sealing {
  return {
    resources: ['secrets'],
    seal: (key, text) => keys.seal(key, Buffer.from(text)),
    open: (key, sealed) => keys.open(key, sealed)?.toString('utf8'),
  }
}
