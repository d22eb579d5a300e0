import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { BindingSubject, Client, PolicyRule, Provider, Subject, TokenRequest } from '../../src/access/access.ts'
import { type AccessOptions, type AccessParts, createAccess } from '../../src/access/create-access.ts'
import { serviceAccountSubject } from '../../src/access/identities.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { objectKey } from '../../src/store/objects.ts'
import type { Store } from '../../src/store/store.ts'
import { type TestClock, testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'

export const issuer = 'https://weir.test:5443'
export const service = 'weir.test:5000'

/** Who asks where it does not matter. */
export const client: Client = { address: '192.0.2.1', userAgent: 'test' }

/** The secret as a bearer sends it. */
export const bearer = (secret: string) => ({ user: '', secret, client })

/** A request of `/token` with what matters to the test. */
export function tokenRequest(request: Partial<TokenRequest>): TokenRequest {
  return { login: undefined, service: undefined, scopes: [], offline: false, clientId: '', client, ...request }
}

/** A store, and the means to open the access part on it, again and again. */
export interface AccessGround {
  store: Store
  clock: TestClock
  secretKeyFile: string
  log: Logger
  /** Ends with the test. */
  signal: AbortSignal
  /** Every log line as one object. */
  lines: Record<string, unknown>[]
  open(options?: Partial<AccessOptions>): Promise<AccessParts>
}

/** The access part on a real store, and hands to write its records. */
export interface AccessWorld extends AccessParts, AccessGround {
  put(key: string, value: unknown): Promise<void>
  remove(key: string): Promise<void>
  account(project: string, name: string): Promise<{ project: string; name: string; uid: string; subject: Subject }>
  bind(project: string, role: string, subject: BindingSubject, name?: string): Promise<string>
  role(project: string, name: string, rules: PolicyRule[]): Promise<string>
}

export const user = (name: string): BindingSubject => ({ kind: 'User', name })
export const group = (name: string): BindingSubject => ({ kind: 'Group', name })
export const person = (name: string, ...groups: string[]): Subject => ({
  name,
  groups: [...groups, 'system:authenticated'],
})
export const robot = (namespace: string, name: string): BindingSubject => ({ kind: 'ServiceAccount', name, namespace })

const logged = ['object/', 'key/', 'session/', 'meta/']

export async function accessGround(): Promise<AccessGround> {
  const directory = await temporaryDirectory()
  const store = await createLevelStore({ directory: join(directory, 'store'), logged })
  const end = new AbortController()
  onTestFinished(async () => {
    end.abort()
    await store.close()
  })
  const clock = testClock()
  const lines: Record<string, unknown>[] = []
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const secretKeyFile = join(directory, 'secret.key')
  const open = (options: Partial<AccessOptions> = {}) =>
    createAccess({ store, secretKeyFile, issuer, service, now: clock.now, signal: end.signal, log, ...options })
  return { store, clock, secretKeyFile, log, signal: end.signal, lines, open }
}

export async function accessWorld(options: Partial<AccessOptions> = {}): Promise<AccessWorld> {
  const ground = await accessGround()
  const parts = await ground.open(options)
  const commit = async (operation: { type: 'put'; key: string; value: string } | { type: 'delete'; key: string }) => {
    const result = await ground.store.commit({ operations: [operation] })
    if (result.status !== 'committed') throw new Error(`the commit of ${operation.key} was ${result.status}`)
    await parts.authorizer.reached(result.revision)
  }
  const put = (key: string, value: unknown) => commit({ type: 'put', key, value: JSON.stringify(value) })
  return {
    ...ground,
    ...parts,
    put,
    remove: (key) => commit({ type: 'delete', key }),
    account: async (project, name) => {
      const uid = randomUUID()
      await put(objectKey('serviceaccounts', project, name), { metadata: { name, namespace: project, uid } })
      return { project, name, uid, subject: serviceAccountSubject({ project, name, uid }) }
    },
    bind: async (project, role, subject, name = randomUUID()) => {
      const key = objectKey(project === '' ? 'clusterrolebindings' : 'rolebindings', project, name)
      const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role }
      await put(key, { metadata: { name }, roleRef, subjects: [subject] })
      return key
    },
    role: async (project, name, rules) => {
      const key = objectKey(project === '' ? 'clusterroles' : 'roles', project, name)
      await put(key, { metadata: { name }, rules })
      return key
    },
  }
}

/** A provider whose users a test sets: who is in `users` logs in with the password that is kept there. */
export interface TestProvider extends Provider {
  /** Passwords by user name. */
  users: Map<string, string>
  /** How long the identities are that it gives, seconds since the epoch; undefined: they do not end by time. */
  endsAt: number | undefined
  /** Tells that `users` changed. */
  changed(): void
}

export function testProvider(name = 'htpasswd', sessionLifetimeMs = 30 * 86_400_000): TestProvider {
  const users = new Map<string, string>([['ann', 'pw']])
  let version = 0
  const provider: TestProvider = {
    name,
    users,
    endsAt: undefined,
    sessionLifetimeMs,
    authenticate: async ({ user, secret }) => {
      if (user === '' || users.get(user) !== secret) return undefined
      const { endsAt } = provider
      const ends = endsAt === undefined ? {} : { endsAt }
      return { name: user, groups: ['devs', 'system:authenticated'], uid: `uid-${secret}`, provider: name, ...ends }
    },
    isCurrent: (subject) => users.has(subject.name) && subject.uid === `uid-${users.get(subject.name)}`,
    get version() {
      return version
    },
    changed: () => {
      version++
    },
  }
  return provider
}
