/** Records whose values are ciphertext in the store and in its change log, each bound to its own key. */

import { RegistryError } from '../oci/errors.ts'
import type { Entry } from './store.ts'

/** What seals the records of some resources. */
export interface Sealing {
  /** The plurals whose objects are sealed whole: `secrets`. */
  readonly resources: readonly string[]
  /** Seals the text of the record at `key`. */
  seal(key: string, text: string): string
  /** Opens what was sealed for `key`; undefined when that was another key, or it was changed. */
  open(key: string, sealed: string): string | undefined
}

/** Whether the record at `key` is to be sealed. */
export function isSealed(sealing: Sealing | undefined, key: string): boolean {
  return sealing?.resources.some((resource) => key.startsWith(`object/${resource}/`)) ?? false
}

/** The value to store for the text of a record. */
export function toValue(sealing: Sealing | undefined, key: string, text: string): string {
  return sealing !== undefined && isSealed(sealing, key) ? JSON.stringify({ sealed: sealing.seal(key, text) }) : text
}

/**
 * The text of a record.
 *
 * @throws UnreadableError when it is sealed and does not open
 */
export function toText(sealing: Sealing | undefined, { key, value }: Pick<Entry, 'key' | 'value'>): string {
  if (sealing === undefined || !isSealed(sealing, key)) return value
  const sealed = sealedPartOf(value)
  const text = sealed === undefined ? undefined : sealing.open(key, sealed)
  if (text === undefined) throw new UnreadableError(key)
  return text
}

/** The `sealed` field of a record that is, or has, a sealed part; undefined for every other value. */
export function sealedPartOf(value: string): string | undefined {
  try {
    const record: unknown = JSON.parse(value)
    const isObject = typeof record === 'object' && record !== null && Object.hasOwn(record, 'sealed')
    return isObject && 'sealed' in record && typeof record.sealed === 'string' ? record.sealed : undefined
  } catch {
    return undefined
  }
}

/** A sealed record that the present secret key does not open. */
export class UnreadableError extends RegistryError {
  constructor(key: string) {
    const [, resource, project, name] = key.split('/')
    super('UNAVAILABLE', {
      message: `${resource} ${project}/${name} can not be opened with the secret key of this server`,
    })
  }
}
