import { createHash, createHmac, randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Logger } from 'pino'
import { isForeignName } from './foreign-name.ts'

/** A user of the htpasswd file. */
export interface PasswordUser {
  /** bcrypt. */
  hash: string
  /** Of name and hash: a changed password is another uid. */
  uid: string
}

/** The users of an htpasswd file as it stands: it is looked at every second. */
export interface PasswordFile {
  find(user: string): PasswordUser | undefined
  /** A hash that no password has, of the cost that the hash of a user called so might have: the same for each name. */
  decoy(user: string): string
  /** Looks whether the file has changed, unless it did in the last second. */
  refresh(): Promise<void>
  /** Grows when the users have changed. */
  readonly version: number
}

export interface PasswordFileOptions {
  file: string
  now: () => number
  /** Ends the looking. */
  signal: AbortSignal
  log: Logger
}

type Users = ReadonlyMap<string, PasswordUser>

const maxBytes = 8 * 1024 * 1024
const maxUserLength = 255
const bcryptHash = /^\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}$/
const lookEveryMs = 1000
const maxCost = 14
const minCost = 4
const decoyCost = 10

/** @throws Error naming the file, the lines that are wrong, and what to do */
export async function openPasswordFile({ file, now, signal, log }: PasswordFileOptions): Promise<PasswordFile> {
  let text = await read(file)
  let users = parseUsers(file, text)
  let hashes = hashesOf(users)
  let stamp = ''
  let settled = false
  let version = 0
  let lookedAt = now()
  let looking: Promise<void> | undefined
  let complaint: string | undefined
  const decoys = createDecoys()

  const look = async (): Promise<void> => {
    try {
      const found = await stampOf(file)
      if (found === stamp && settled) return
      const fresh = await read(file)
      // What changed is looked at twice: a clock's tick may hide the second of two changes, and who writes may begin by emptying.
      settled = found === stamp
      stamp = found
      if (fresh !== text && (fresh !== '' || settled)) {
        users = parseUsers(file, fresh)
        hashes = hashesOf(users)
        text = fresh
        version++
        log.info({ file, users: users.size }, 'the htpasswd file was read again')
      }
      complaint = undefined
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      if (complaint !== message) log.warn({ file }, `${message}; the users of before go on`)
      complaint = message
    }
  }
  const lookOnce = (): Promise<void> => {
    lookedAt = now()
    looking ??= look().finally(() => {
      looking = undefined
    })
    return looking
  }
  const timer = setInterval(lookOnce, lookEveryMs).unref()
  signal.addEventListener('abort', () => clearInterval(timer))

  return {
    find: (user) => users.get(user),
    decoy: (user) => decoys(user, hashes),
    refresh: async () => {
      if (looking !== undefined || lookedAt + lookEveryMs <= now()) await lookOnce()
    },
    get version() {
      return version
    },
  }
}

/**
 * Reads `user:hash` lines; empty lines and those that begin with `#` are passed over.
 *
 * @throws Error naming the first lines that are wrong
 */
export function parseUsers(file: string, text: string): Users {
  const users = new Map<string, PasswordUser>()
  const problems: string[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const colon = line.indexOf(':')
    const user = line.slice(0, Math.max(0, colon))
    const hash = line.slice(colon + 1).trimEnd()
    const problem = problemOf(user, hash) ?? (users.has(user) ? `${user} is there twice` : undefined)
    if (problem === undefined) users.set(user, { hash, uid: digest(`${user}:${hash}`) })
    else problems.push(`line ${index + 1}: ${problem}`)
  }
  if (problems.length === 0) return users
  const more = problems.length > 5 ? `; and ${problems.length - 5} more` : ''
  throw new Error(`${file} can not be used: ${problems.slice(0, 5).join('; ')}${more}`)
}

function problemOf(user: string, hash: string): string | undefined {
  if (user.length > maxUserLength || !isForeignName(user)) return 'write user:hash, as htpasswd -B does'
  const cost = Number(bcryptHash.exec(hash)?.[1])
  if (Number.isNaN(cost)) return `the hash of ${user} is not bcrypt; make it with htpasswd -B`
  if (cost >= minCost && cost <= maxCost) return undefined
  return `the hash of ${user} has cost ${cost}; make it with htpasswd -B -C 10 (4 to ${maxCost} are taken)`
}

async function stampOf(file: string): Promise<string> {
  const { mtimeNs, ctimeNs, size, ino, dev } = await stat(file, { bigint: true }).catch(unreadable(file))
  return [mtimeNs, ctimeNs, size, ino, dev].join(' ')
}

async function read(file: string): Promise<string> {
  const { size } = await stat(file).catch(unreadable(file))
  if (size > maxBytes) throw new Error(`${file} can not be used: it is larger than ${maxBytes} bytes`)
  return readFile(file, 'utf8').catch(unreadable(file))
}

function unreadable(file: string) {
  return (error: NodeJS.ErrnoException): never => {
    throw new Error(`${file} can not be read (${error.code})`)
  }
}

function hashesOf(users: Users): string[] {
  return [...users.values()].map(({ hash }) => hash)
}

function createDecoys(): (user: string, hashes: readonly string[]) => string {
  const key = randomBytes(32)
  const alphabet = './ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
  return (user, hashes) => {
    const bits = createHmac('sha512', key).update(user).digest()
    const likeness = hashes[bits.readUInt32BE(0) % Math.max(1, hashes.length)] ?? ''
    const cost = bcryptHash.exec(likeness)?.[1] ?? String(decoyCost)
    const tail = Array.from({ length: 53 }, (_, index) => alphabet[(bits[index] ?? 0) % alphabet.length])
    return `$2b$${cost}$${tail.join('')}`
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}
