import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { atMost } from '../oci/at-most.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Login, Provider, Subject } from './access.ts'
import { createAttempts, networkOf } from './attempts.ts'
import { createPasswordChecks } from './password-checks.ts'
import { openPasswordFile, type PasswordUser } from './password-file.ts'

export interface PasswordsOptions {
  /** Of the provider. */
  name: string
  file: string
  sessionLifetimeMs: number
  now: () => number
  signal: AbortSignal
  log: Logger
}

const maxUserLength = 255
const maxPasswordLength = 1024
/** Docker sends user and password with each request for a token. */
const rightForMs = 10 * 60_000
const wrongForMs = 10_000
const maxKept = 10_000

/**
 * Knows the users of an htpasswd file by their passwords.
 *
 * @throws Error when the file can not be used
 */
export async function createPasswords({ name, sessionLifetimeMs, ...options }: PasswordsOptions): Promise<Provider> {
  const { now, log } = options
  const file = await openPasswordFile(options)
  const checks = createPasswordChecks(options)
  const attempts = createAttempts({ now })
  const known = createKnownGuesses(now)
  const pending = new Map<string, Promise<boolean>>()

  /** One check for all who ask the same at once. */
  const check = (guess: string, user: PasswordUser | undefined, login: Login): Promise<boolean> => {
    const underWay = pending.get(guess)
    if (underWay !== undefined) return underWay
    const hash = user?.hash ?? file.decoy(login.user)
    const checking = checks
      .matches(login.secret, hash, networkOf(login.client.address))
      .finally(() => pending.delete(guess))
    pending.set(guess, checking)
    return checking
  }

  const verify = async (login: Login): Promise<PasswordUser | undefined> => {
    const user = file.find(login.user)
    const guess = known.fingerprint(login, user)
    if (known.isRight(guess)) return user
    const attempt = attempts.begin({ user: login.user, address: login.client.address, guess })
    if (known.isWrong(guess)) return undefined
    const right = await check(guess, user, login).catch((error: unknown) => {
      attempt.release()
      throw error
    })
    known.keep(guess, right)
    if (right) attempt.release()
    return right ? user : undefined
  }

  const subjectOf = (user: string, { uid }: PasswordUser): Subject => ({
    name: user,
    groups: ['system:authenticated'],
    uid,
    provider: name,
  })

  return {
    name,
    sessionLifetimeMs,
    get version() {
      return file.version
    },
    isCurrent: (subject) =>
      subject.provider === name && subject.uid !== undefined && file.find(subject.name)?.uid === subject.uid,
    async authenticate(login) {
      if (login.user === '') return undefined
      await file.refresh()
      const fits = login.user.length <= maxUserLength && login.secret.length <= maxPasswordLength
      const user = fits ? await verify(login) : undefined
      if (user !== undefined) return subjectOf(login.user, user)
      log.debug({ provider: name, address: login.client.address }, 'a password is refused')
      throw new RegistryError('UNAUTHORIZED', { message: 'the user name or the password is wrong' })
    },
  }
}

/**
 * What was found out of late, under keyed hashes: neither passwords nor anything that they could be guessed by is kept. The
 * user's present hash is in the fingerprint, so that a changed file makes every guess a new one.
 */
function createKnownGuesses(now: () => number) {
  const key = randomBytes(32)
  const right = new LRUCache<string, number>(atMost(maxKept))
  const wrong = new LRUCache<string, number>(atMost(maxKept))
  const isWithin = (cache: LRUCache<string, number>, guess: string, ms: number) =>
    (cache.get(guess) ?? Number.NEGATIVE_INFINITY) + ms > now()
  return {
    fingerprint: ({ user, secret }: Login, known: PasswordUser | undefined): string =>
      createHmac('sha256', key)
        .update(JSON.stringify([user, secret, known?.uid]))
        .digest('base64'),
    /** Goes on for as long as it is asked. */
    isRight(guess: string): boolean {
      const is = isWithin(right, guess, rightForMs)
      if (is) right.set(guess, now())
      return is
    },
    isWrong: (guess: string): boolean => isWithin(wrong, guess, wrongForMs),
    keep: (guess: string, isRight: boolean): void => void (isRight ? right : wrong).set(guess, now()),
  }
}
