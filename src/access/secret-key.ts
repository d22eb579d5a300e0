import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes, randomUUID } from 'node:crypto'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Logger } from 'pino'

const keyBytes = 32
const ivBytes = 12
const tagBytes = 16

/**
 * Reads the key that seals secrets in the store, 32 random bytes in a file of mode 0600; makes it when there is no file.
 *
 * @throws Error when the file does not hold 32 bytes
 */
export async function openSecretKey(file: string, log: Logger): Promise<KeyObject> {
  const bytes = (await readIfThere(file)) ?? (await create(file))
  if (bytes.length !== keyBytes) {
    throw new Error(
      `${file} holds ${bytes.length} bytes and not ${keyBytes}: restore it from a backup, or remove it and a new key is made`,
    )
  }
  const { mode } = await stat(file)
  if ((mode & 0o077) !== 0) log.warn({ file }, 'others than the owner can read the secret key: chmod 600 it')
  return createSecretKey(bytes)
}

/** Encrypts with AES-256-GCM, bound to `context`: 12 bytes IV, ciphertext, 16 bytes tag, as base64. */
export function seal(key: KeyObject, plain: Buffer, context: string): string {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64')
}

/** Decrypts what {@link seal} made; undefined when it was sealed with another key or context, or was changed. */
export function unseal(key: KeyObject, sealed: string, context: string): Buffer | undefined {
  const bytes = Buffer.from(sealed, 'base64')
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

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function create(file: string): Promise<Buffer> {
  const bytes = randomBytes(keyBytes)
  // Renamed into place whole and synced: half a key after a power loss would open nothing that was sealed with it.
  // A link planted under the draft's name must not receive the key.
  const draft = `${file}.${randomUUID()}.tmp`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.chmod(0o600)
    await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
  const directory = await open(dirname(file))
  await directory.sync().finally(() => directory.close())
  return bytes
}
