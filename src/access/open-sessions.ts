import type { Logger } from 'pino'
import { createMirror } from '../store/mirror.ts'
import type { Change, Store } from '../store/store.ts'
import type { Subject } from './access.ts'
import { parseSessionRecord, sessionKey, sessionPrefix } from './session-record.ts'

/** What memory has of every session: little, for there may be many. */
interface OpenSession {
  name: string
  provider: string
  parent: string | undefined
  createdAt: number
  endsAt: number
}

/** Whose sessions are meant; without a provider those of every one that knows somebody of the name. */
export type Owner = Pick<Subject, 'name' | 'provider'>

/** The sessions of the store, in memory. */
export interface OpenSessions {
  /** Whether the session, and the one that it came by, go on. */
  isOpen(id: string): boolean
  /** As `isOpen`, but looks into the store before it says no. */
  confirm(id: string): Promise<boolean>
  /** When it ends, in milliseconds since the epoch, and by what session it came. */
  get(id: string): { endsAt: number; parent: string | undefined } | undefined
  /** The ids of open sessions in order, of one owner alone when one is given, those after `after`. */
  ids(options: { owner?: Owner; after?: string }): string[]
  /** The ids of an owner's open sessions, oldest first. */
  oldestOf(owner: Owner): string[]
  /** At most `limit` ids of those that have ended by time or with the session that they came by. */
  ended(limit: number): string[]
  readonly size: number
  /** Grows when a session ends otherwise than by time. */
  readonly version: number
  reached(revision: number): Promise<void>
  readonly ready: Promise<void>
}

/** Follows `session/`, whose changes the store has to keep. */
export function followSessions(options: {
  store: Store
  now: () => number
  signal: AbortSignal
  log: Logger
}): OpenSessions {
  const { store, now, signal, log } = options
  const sessions = new Map<string, OpenSession>()
  let version = 0
  const isRunning = (session: OpenSession | undefined) => session !== undefined && session.endsAt > now()

  const remove = (id: string) => {
    // What is swept after its end was refused before: nobody has to decide anew.
    if (isRunning(sessions.get(id))) version++
    sessions.delete(id)
  }
  const apply = (changes: readonly Change[]) => {
    for (const { key, value } of changes) {
      const id = key.slice(sessionPrefix.length)
      const record = value === undefined ? undefined : parseSessionRecord(value)
      if (value !== undefined && record === undefined) log.warn({ key }, 'the session can not be read and has ended')
      if (record === undefined) {
        remove(id)
        continue
      }
      const { subject, parent, createdAt, endsAt } = record
      sessions.set(id, { name: subject.name, provider: subject.provider, parent, createdAt, endsAt })
    }
  }
  const mirror = createMirror(store, {
    prefix: sessionPrefix,
    apply,
    reset: () => {
      sessions.clear()
      version++
    },
    signal,
  })

  const goesOn = (session: OpenSession | undefined) =>
    isRunning(session) && (session?.parent === undefined || isRunning(sessions.get(session.parent)))
  const isOpen = (id: string) => goesOn(sessions.get(id))
  const isOf = ({ name, provider }: OpenSession, owner: Owner) =>
    name === owner.name && (owner.provider === undefined || provider === owner.provider)
  return {
    isOpen,
    confirm: async (id) => {
      if (isOpen(id)) return true
      const key = sessionKey(id)
      const entry = key === undefined ? undefined : await store.get(key)
      if (entry === undefined) return false
      await mirror.reached(entry.revision)
      return isOpen(id)
    },
    get: (id) => sessions.get(id),
    ids: ({ owner, after = '' }) =>
      [...sessions]
        .filter(([id, session]) => id > after && (owner === undefined || isOf(session, owner)) && goesOn(session))
        .map(([id]) => id)
        .sort(),
    oldestOf: (owner) =>
      [...sessions]
        .filter(([, session]) => isOf(session, owner) && goesOn(session))
        .sort(([, a], [, b]) => a.createdAt - b.createdAt)
        .map(([id]) => id),
    ended: (limit) => {
      const found: string[] = []
      for (const [id, session] of sessions) {
        if (found.length >= limit) break
        if (!goesOn(session)) found.push(id)
      }
      return found
    },
    get size() {
      return sessions.size
    },
    get version() {
      return version
    },
    reached: (revision) => mirror.reached(revision),
    ready: mirror.ready,
  }
}
