import { createCipheriv, createDecipheriv, createHash, type KeyObject, randomBytes } from 'node:crypto'

/** Bytes of a key of AES-256. */
export const keyBytes = 32

const ivBytes = 12
const tagBytes = 16
const idLength = 8
const idPattern = /^[A-Za-z0-9_-]{8}$/

/** Names a key in what it sealed, and tells nothing of it. */
export function idOf(key: KeyObject): string {
  const hash = createHash('sha256').update('weir secret key\n').update(key.export())
  return hash.digest('base64url').slice(0, idLength)
}

/** Encrypts with AES-256-GCM, bound to `context`: id of the key, `.`, and in base64 12 bytes IV, ciphertext, 16 bytes tag. */
export function seal(key: KeyObject, plain: Uint8Array, context: string): string {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
  const sealed = Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  return `${idOf(key)}.${sealed.toString('base64')}`
}

/** Decrypts what {@link seal} made; undefined when it was sealed with another key or context, or was changed. */
export function unseal(key: KeyObject, sealed: string, context: string): Buffer | undefined {
  const bytes = Buffer.from(sealed.slice(sealed.indexOf('.') + 1), 'base64')
  if (bytes.length < ivBytes + tagBytes) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, ivBytes), { authTagLength: tagBytes })
    .setAAD(Buffer.from(context))
    .setAuthTag(bytes.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(ivBytes, -tagBytes)), decipher.final()])
  } catch {
    return undefined
  }
}

/** The id of the key that sealed a text; undefined for texts of before keys had ids. */
export function sealedBy(sealed: string): string | undefined {
  const id = sealed.slice(0, idLength)
  return sealed[idLength] === '.' && idPattern.test(id) ? id : undefined
}
