import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { NotificationKey } from './key-secret.ts'

/** What a sender shows to prove that it has a key. */
export interface Proof {
  kind: 'key' | 'signature'
  /** As it was sent. */
  shown: string
  /** What it would be of a key. */
  of(token: string): Buffer
  /** What it is. */
  is: Buffer
}

/** Where senders put it. */
export interface Shown {
  /** The value of a header by its name in lower case. */
  header(name: string): string | undefined
  /** Of the query. */
  token: string | undefined
  body: Uint8Array
}

/**
 * The first of: a signature of the body as GitHub and Gitea send it; an Authorization header with the key as a bearer, a password, or
 * as it stands, which is Harbor's way; the query. What is behind the first does not count; undefined when there is nothing.
 *
 * @see https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
 */
export function proofIn({ header, token, body }: Shown): Proof | undefined {
  const signature = header('x-hub-signature-256')
  if (signature !== undefined) {
    const [, hex = ''] = /^sha256=([0-9a-f]{64})$/i.exec(signature) ?? []
    const of = (key: string) => createHmac('sha256', key).update(body).digest()
    return { kind: 'signature', shown: signature, of, is: Buffer.from(hex, 'hex') }
  }
  const authorization = header('authorization')
  const shown = authorization === undefined ? token : tokenIn(authorization)
  return shown === undefined || shown === '' ? undefined : { kind: 'key', shown, of: hash, is: hash(shown) }
}

/** The key that is proved. All are compared, each in constant time, and one where there is none: how long it takes tells nothing. */
export function provenKey(keys: readonly NotificationKey[], { of, is }: Proof): NotificationKey | undefined {
  let proven: NotificationKey | undefined
  for (const key of keys.length === 0 ? [nobodys] : keys) {
    const expected = of(key.token)
    if (expected.length === is.length && timingSafeEqual(expected, is) && key !== nobodys) proven ??= key
  }
  return proven
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

const nobodys: NotificationKey = { name: '', token: '' }

function tokenIn(authorization: string): string {
  const [, scheme = '', rest = authorization] = /^(basic|bearer|token) +(.*)$/i.exec(authorization) ?? []
  if (scheme.toLowerCase() !== 'basic') return rest.trim()
  const decoded = Buffer.from(rest, 'base64').toString('utf8')
  return decoded.slice(decoded.indexOf(':') + 1)
}
