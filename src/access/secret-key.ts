import { randomBytes, randomUUID } from 'node:crypto'
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Logger } from 'pino'
import type { Store } from '../store/store.ts'
import { createKeyRing, type SecretKeys } from './key-ring.ts'
import { discardUnreadable, surveySealed } from './sealed-records.ts'
import { keyBytes } from './sealed-text.ts'

export interface SecretKeysOptions {
  store: Store
  /** Keys of 32 random bytes each, one behind the other, of mode 0600. Made with one when absent. */
  file: string
  /** Takes what no key opens out of the store, instead of refusing to go on. Default false. */
  discardUnreadable?: boolean
  log: Logger
}

/** Why the keys of a file can not be used, in one line for the person who runs Weir. */
export class SecretKeyError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'SecretKeyError'
  }
}

/** The file of the keys in a data directory. */
export function secretKeyFile(data: string): string {
  return join(data, 'secret.key')
}

/** More than a rotation and those that were cut short leave. */
const maxKeys = 16

/** What rotates: made by {@link prepareNextKey}, taken in at the next start. */
const nextOf = (file: string) => `${file}.next`

/**
 * Opens the keys of `file`, before them the one that was prepared to follow. Nothing is written before it is known that they
 * open every sealed record of the store.
 *
 * @throws SecretKeyError when a file does not hold keys, or a record of the store does not open
 */
export async function openSecretKeys(options: SecretKeysOptions): Promise<SecretKeys> {
  const { store, file, log, discardUnreadable: mayDiscard = false } = options
  const [kept, next] = [await readKeys(file), await readKeys(nextOf(file))]
  const isTaken = next !== undefined && kept !== undefined && next[0]?.equals(kept[0] ?? new Uint8Array()) === true
  const bytes = [...(isTaken ? [] : (next ?? [])), ...(kept ?? [])]
  const survey = await surveySealed(store, ringOf(file, bytes))
  if (survey.unreadable > 0) {
    if (!mayDiscard) throw new SecretKeyError(refusal(file, kept === undefined, survey))
    await discardUnreadable(store, ringOf(file, bytes), log)
  }
  if (bytes.length === 0) bytes.push(randomBytes(keyBytes))
  if (kept === undefined || bytes.length > kept.length) await writeKeys(file, bytes)
  if (next !== undefined) await rm(nextOf(file))
  const { mode } = await stat(file)
  if ((mode & 0o077) !== 0) log.warn({ file }, 'others than the owner can read the secret key: chmod 600 it')
  return ringOf(file, bytes)
}

/**
 * Makes the key that follows. A server that runs goes on with the one it has; it takes in the new one when it starts again.
 *
 * @throws SecretKeyError when there is no key to follow, or one is prepared already
 */
export async function prepareNextKey(file: string): Promise<void> {
  if ((await readKeys(file)) === undefined) {
    throw new SecretKeyError(`there is no ${file}: weir serve makes it at its first start`)
  }
  const { uid, gid } = await stat(file)
  const draft = await writeDraft(file, randomBytes(keyBytes), { uid, gid })
  try {
    await link(draft, nextOf(file))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    throw new SecretKeyError(`a new key is in ${nextOf(file)} already: restart Weir, which takes it in`)
  } finally {
    await rm(draft)
  }
  await syncDirectory(file)
}

function ringOf(file: string, keys: readonly Buffer[]): SecretKeys {
  return createKeyRing(keys, (first) => writeKeys(file, [first]))
}

function refusal(file: string, isMissing: boolean, survey: { unreadable: number; sealed: number; example: string }) {
  const { unreadable, sealed, example } = survey
  return (
    `${file} ${isMissing ? 'is missing, and seals' : 'does not open'} ${unreadable} of ${sealed} sealed records of the ` +
    `store, such as ${example}: restore the file from the backup that belongs to the store; or, to go on without what ` +
    'they hold, run weir serve --discard-unreadable-secrets once'
  )
}

async function readKeys(file: string): Promise<Buffer[] | undefined> {
  const bytes = await readIfThere(file)
  if (bytes === undefined) return undefined
  const count = bytes.length / keyBytes
  if (!Number.isInteger(count) || count < 1 || count > maxKeys) {
    throw new SecretKeyError(
      `${file} holds ${bytes.length} bytes, and not 1 to ${maxKeys} keys of ${keyBytes}: restore it from its backup`,
    )
  }
  return Array.from({ length: count }, (_, i) => bytes.subarray(i * keyBytes, (i + 1) * keyBytes))
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

// Renamed into place whole and synced: half a key after a power loss would open nothing that was sealed with it.
async function writeKeys(file: string, keys: readonly Buffer[]): Promise<void> {
  await rename(await writeDraft(file, Buffer.concat(keys)), file)
  await syncDirectory(file)
}

/** Writes a file beside `file`, of mode 0600 and synced, and answers its name. */
async function writeDraft(file: string, bytes: Buffer, owner?: { uid: number; gid: number }): Promise<string> {
  // A link planted under the draft's name must not receive the key.
  const draft = `${file}.${randomUUID()}.tmp`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.chmod(0o600)
    // Root prepares it for the user who runs Weir.
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid)
    await handle.writeFile(bytes)
    await handle.sync()
    return draft
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}

async function syncDirectory(file: string): Promise<void> {
  const directory = await open(dirname(file))
  await directory.sync().finally(() => directory.close())
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
