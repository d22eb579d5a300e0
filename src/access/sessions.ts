import { randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { Operation, Store } from '../store/store.ts'
import type { Client, Session, Sessions, Subject } from './access.ts'
import { followSessions } from './open-sessions.ts'
import {
  followingToken,
  formatRefreshToken,
  hashOf,
  isHashOf,
  makeNonce,
  makeRefreshToken,
  parseRefreshToken,
  type RefreshToken,
} from './refresh-token.ts'
import { parseSessionRecord, type SessionRecord, sessionKey, sessionOf, sessionPrefix } from './session-record.ts'
import { sweepSessions } from './session-sweep.ts'

export interface SessionsOptions {
  /** Has to keep the changes of `session/`. */
  store: Store
  /** Whether the provider of a subject still knows it. */
  isKnown(subject: Subject): boolean
  /** Most sessions of one subject: one more ends the oldest. Default 1,000, for jobs that all log in under one name. */
  maxPerSubject?: number
  /** Most sessions in all: no more are begun then, and logins go on without. Default 100,000. */
  maxSessions?: number
  /** How often what has ended is removed from the store. Default 10 minutes. */
  sweepMs?: number
  now: () => number
  signal: AbortSignal
  log: Logger
}

/** How long a token that was followed by another is still good. */
const graceMs = 60_000
/** How exact `usedAt` is: a session in use is not written at each use. */
const usedAtMs = 60 * 60 * 1000
/** How often a write that met another is decided anew. */
const maxAttempts = 5
/** Sessions that one login may end to make room. */
const maxEndedAtOnce = 50
const maxClientIdLength = 256

/** What a refresh token is to its session. */
type Standing = 'present' | 'before' | 'old' | 'forged'

/** What becomes of a record when its token is used, and the token that the client has to go on with. */
interface Use {
  write?: SessionRecord
  refreshToken?: string
}

/** Opens the sessions of the store and keeps removing what has ended. */
export function createSessions(options: SessionsOptions): Sessions {
  const { store, isKnown, maxPerSubject = 1000, maxSessions = 100_000, now, signal, log } = options
  const open = followSessions(options)
  void sweepSessions({ store, open, intervalMs: options.sweepMs ?? 10 * 60 * 1000, signal, log })

  async function put(id: string, record: SessionRecord, revision: number, ended: string[] = []): Promise<boolean> {
    const key = `${sessionPrefix}${id}`
    const operations: Operation[] = [
      { type: 'put', key, value: JSON.stringify(record) },
      ...ended.map((other): Operation => ({ type: 'delete', key: `${sessionPrefix}${other}` })),
    ]
    const result = await store.commit({ operations, preconditions: [{ key, revision }] })
    if (result.status === 'unknown') throw unavailable(result.cause)
    if (result.status === 'conflict') return false
    await open.reached(result.revision)
    return true
  }

  async function end(id: string): Promise<boolean> {
    const key = sessionKey(id)
    if (key === undefined || (await store.get(key)) === undefined) return false
    const result = await store.commit({ operations: [{ type: 'delete', key }] })
    if (result.status !== 'committed') throw unavailable(result.status === 'unknown' ? result.cause : undefined)
    await open.reached(result.revision)
    return true
  }

  const begin: Sessions['begin'] = async (subject, { clientId, client, lifetimeMs }) => {
    const { provider } = subject
    if (provider === undefined) throw new TypeError('a session is of a subject that a provider knows')
    const createdAt = now()
    const parent = subject.session === undefined ? undefined : open.get(subject.session)
    // A login that came by a session begins one that ends with it; that one begins no other.
    if (subject.session !== undefined && (parent === undefined || parent.parent !== undefined)) return undefined
    const endsAt = Math.min(createdAt + lifetimeMs, parent?.endsAt ?? Number.POSITIVE_INFINITY)
    if (endsAt <= createdAt) return undefined
    if (open.size >= maxSessions) {
      log.warn({ sessions: open.size }, 'there are too many sessions: logins get no refresh tokens')
      return undefined
    }
    const id = randomUUID()
    const token = makeRefreshToken(id)
    const record: SessionRecord = {
      subject: { name: subject.name, groups: [...subject.groups], provider, uid: subject.uid },
      parent: subject.session,
      clientId: clientId.slice(0, maxClientIdLength),
      client: clientOf(client),
      createdAt,
      usedAt: createdAt,
      endsAt,
      family: hashOf(token.family),
      turn: hashOf(token.turn),
      turnedAt: createdAt,
    }
    const own = open.oldestOf(subject)
    const tooMany = Math.min(Math.max(0, own.length + 1 - maxPerSubject), maxEndedAtOnce)
    if (!(await put(id, record, 0, own.slice(0, tooMany)))) throw unavailable(undefined)
    return { session: sessionOf(id, record), refreshToken: formatRefreshToken(token) }
  }

  const refresh: Sessions['refresh'] = async (text, { clientId, client, rotate }) => {
    const token = parseRefreshToken(text)
    if (token === undefined) throw refused()
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const entry = await store.get(`${sessionPrefix}${token.id}`)
      const record = entry && parseSessionRecord(entry.value)
      if (entry === undefined || record === undefined || record.endsAt <= now()) throw refused()
      const standing = standingOf(token, record, now())
      if (standing === 'forged') throw refused()
      const { subject } = sessionOf(token.id, record)
      if (standing === 'old') {
        log.warn({ session: token.id, subject: subject.name }, 'a used refresh token came again: its session is ended')
        await end(token.id)
        throw refused(subject)
      }
      if ((record.parent !== undefined && !(await open.confirm(record.parent))) || !isKnown(subject)) {
        throw refused(subject)
      }
      const { write, refreshToken } = useOf({ token, record, standing, rotate, now: now() })
      const used = write && { ...write, clientId: clientId.slice(0, maxClientIdLength), client: clientOf(client) }
      if (used !== undefined && !(await put(token.id, used, entry.revision))) continue
      // Another process may have begun it a moment ago, and what is asked next is asked of memory.
      await open.reached(entry.revision)
      return { subject, ...(refreshToken !== undefined && { refreshToken }) }
    }
    throw unavailable(undefined)
  }

  const read = async (id: string): Promise<Session | undefined> => {
    const key = open.isOpen(id) ? sessionKey(id) : undefined
    const entry = key === undefined ? undefined : await store.get(key)
    const record = entry && parseSessionRecord(entry.value)
    return record && sessionOf(id, record)
  }

  return {
    begin,
    refresh,
    list: async ({ owner, after, limit = Number.POSITIVE_INFINITY } = {}) => {
      const ids = open.ids({ ...(owner && { owner }), ...(after !== undefined && { after }) })
      const found: Session[] = []
      for (const id of ids) {
        if (found.length >= limit) break
        const session = await read(id)
        if (session !== undefined) found.push(session)
      }
      return found
    },
    get: read,
    revoke: end,
    isOpen: open.isOpen,
    confirm: open.confirm,
    get version() {
      return open.version
    },
    reached: open.reached,
    ready: open.ready,
  }
}

function standingOf(token: RefreshToken, record: SessionRecord, at: number): Standing {
  if (!isHashOf(record.family, token.family)) return 'forged'
  if (isHashOf(record.turn, token.turn)) return 'present'
  const isBefore = record.before !== undefined && isHashOf(record.before.turn, token.turn)
  return isBefore && at < record.turnedAt + graceMs ? 'before' : 'old'
}

/**
 * A token is followed by another at most once within the time that the one before is good, so that at any time two are good
 * at most, and clients that ask at once all get the same.
 */
function useOf(use: {
  token: RefreshToken
  record: SessionRecord
  standing: Standing
  rotate: boolean
  now: number
}): Use {
  const { token, record, standing, rotate, now } = use
  if (rotate && standing === 'before') {
    return { refreshToken: formatRefreshToken(followingToken(token, record.before?.nonce ?? '')) }
  }
  if (rotate && now >= record.turnedAt + graceMs) {
    const nonce = makeNonce()
    const following = followingToken(token, nonce)
    const before = { turn: record.turn, nonce }
    return {
      write: { ...record, turn: hashOf(following.turn), turnedAt: now, before, usedAt: now },
      refreshToken: formatRefreshToken(following),
    }
  }
  return {
    ...(now >= record.usedAt + usedAtMs && { write: { ...record, usedAt: now } }),
    ...(rotate && { refreshToken: formatRefreshToken(token) }),
  }
}

function clientOf({ address, userAgent }: Client): Client {
  return { address, userAgent }
}

function refused(claimant?: Subject): RegistryError {
  return new RegistryError('UNAUTHORIZED', {
    message: 'the refresh token is unknown, or its session has ended: log in again',
    detail: { oauth: 'invalid_grant' },
    ...(claimant !== undefined && { claimant }),
  })
}

function unavailable(cause: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', { message: 'the session could not be stored: try again', cause })
}
