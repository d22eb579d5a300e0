import type { StoredObject } from '../store/objects.ts'

/** The type of the secrets that hold the keys by which registries send notifications to a project. */
export const notificationKeyType = 'weir.dev/notification-key'

/** The key of `data` that has it. */
export const tokenField = 'token'

/** It stands in URLs and headers as it is. */
const tokenPattern = /^[A-Za-z0-9._~-]{16,256}$/

/** For people who chose another: no message has what they chose. */
export const tokenRule =
  'must be 16 to 256 letters, digits, "-", "_", "." or "~" without a line break, as `openssl rand -hex 32` prints'

export interface NotificationKey {
  /** The name of the secret. */
  name: string
  token: string
}

/** Whether `token` may be a key. */
export function isNotificationToken(token: string): boolean {
  return tokenPattern.test(token)
}

/** The key in a secret; undefined where it holds none. */
export function keyOf({ type, data, metadata }: StoredObject): NotificationKey | undefined {
  if (type !== notificationKeyType || typeof data !== 'object' || data === null) return undefined
  const base64: unknown = Object.hasOwn(data, tokenField) ? (data as Record<string, unknown>)[tokenField] : undefined
  const token = typeof base64 === 'string' ? Buffer.from(base64, 'base64').toString('utf8') : ''
  return isNotificationToken(token) ? { name: metadata.name, token } : undefined
}
