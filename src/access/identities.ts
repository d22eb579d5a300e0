import type { Logger } from 'pino'
import { z } from 'zod'
import { createMirror } from '../store/mirror.ts'
import { objectKey } from '../store/objects.ts'
import type { Store } from '../store/store.ts'
import type { Subject } from './access.ts'
import { mirrorObjects } from './object-mirror.ts'

/** A service account, as tokens name it. */
export interface ServiceAccount {
  project: string
  name: string
  uid: string
}

/** The admin's record, `meta/admin`. */
export interface AdminRecord {
  /** One for each token made: what was granted to an earlier one ends with it. */
  uid: string
  /** SHA-256 of the token, hexadecimal. */
  hash: string
  createdAt: string
}

export const adminKey = 'meta/admin'
export const adminName = 'weir:admin'

/** Which of the identities that Weir keeps itself still exist. */
export interface Identities {
  /** Whether the account or admin login behind a subject is still the same; true for subjects of other kinds. */
  isCurrent(subject: Subject): boolean
  /** As `isCurrent`, but looks into the store before it says no: the account may be newer than what memory knows. */
  confirm(subject: Subject): Promise<boolean>
  admin(): AdminRecord | undefined
  /** Grows when any of them appears, changes or goes. */
  readonly version: number
  reached(revision: number): Promise<void>
  readonly ready: Promise<void>
}

const userPrefix = 'system:serviceaccount:'
const accountSchema = z.object({ metadata: z.object({ uid: z.string().min(1) }) })
const adminSchema = z.object({ uid: z.string().min(1), hash: z.string(), createdAt: z.string() })

/** The subject of a service account, with the groups that Kubernetes gives it. */
export function serviceAccountSubject({ project, name, uid }: ServiceAccount): Subject {
  return { name: serviceAccountUser(project, name), groups: serviceAccountGroups(project), uid }
}

/** The user name of a service account, `system:serviceaccount:demo:ci`. */
export function serviceAccountUser(project: string, name: string): string {
  return `${userPrefix}${project}:${name}`
}

/** Reads the admin's record; undefined when it is none, which leaves no admin until one is made anew. */
export function parseAdminRecord(value: string): AdminRecord | undefined {
  try {
    return adminSchema.parse(JSON.parse(value))
  } catch {
    return undefined
  }
}

/** Follows the service accounts and the admin's record. */
export function createIdentities(options: { store: Store; signal: AbortSignal; log: Logger }): Identities {
  const { store, signal } = options
  const uids = new Map<string, string>()
  const accounts = mirrorObjects({
    ...options,
    resource: 'serviceaccounts',
    parse: (value) => accountSchema.safeParse(value).data?.metadata.uid,
    set: (project, name, uid) => {
      const user = serviceAccountUser(project, name)
      uid === undefined ? uids.delete(user) : uids.set(user, uid)
    },
    reset: () => uids.clear(),
  })
  const admin = followAdmin(store, signal)

  const isCurrent = ({ name, uid }: Subject) => {
    if (name.startsWith(userPrefix)) return uid !== undefined && uids.get(name) === uid
    if (name === adminName) return uid !== undefined && admin.record()?.uid === uid
    return true
  }
  const reached = async (revision: number) => {
    await Promise.all([accounts.reached(revision), admin.reached(revision)])
  }
  return {
    isCurrent,
    confirm: async (subject) => {
      if (isCurrent(subject)) return true
      const key = recordKey(subject.name)
      const entry = key === undefined ? undefined : await store.get(key)
      if (entry === undefined) return false
      await reached(entry.revision)
      return isCurrent(subject)
    },
    admin: admin.record,
    get version() {
      return accounts.version + admin.version()
    },
    reached,
    ready: Promise.all([accounts.ready, admin.ready]).then(() => {}),
  }
}

function serviceAccountGroups(project: string): string[] {
  return ['system:serviceaccounts', `system:serviceaccounts:${project}`, 'system:authenticated']
}

function recordKey(user: string): string | undefined {
  if (user === adminName) return adminKey
  const [project, name] = user.slice(userPrefix.length).split(':')
  return project && name ? objectKey('serviceaccounts', project, name) : undefined
}

function followAdmin(store: Store, signal: AbortSignal) {
  let record: AdminRecord | undefined
  let version = 0
  const mirror = createMirror(store, {
    prefix: adminKey,
    apply: (changes) => {
      for (const change of changes) {
        if (change.key !== adminKey) continue
        record = change.value === undefined ? undefined : parseAdminRecord(change.value)
        version++
      }
    },
    reset: () => {
      record = undefined
      version++
    },
    signal,
  })
  return {
    record: () => record,
    version: () => version,
    ready: mirror.ready,
    reached: (revision: number) => mirror.reached(revision),
  }
}
