import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { loginsOf, matchingCredentials, type ProjectLogin } from './pull-secrets/project-logins.ts'
import { createMirror } from './store/mirror.ts'
import { objectKey, objectOf, objectPrefix } from './store/objects.ts'
import type { Sealing } from './store/sealing.ts'
import type { Change, Entry, Store } from './store/store.ts'
import { projectKey } from './streams/keys.ts'
import type { CredentialsFor } from './upstream/upstream.ts'

export interface PullSecretsOptions {
  /** Must log the prefix `object/secrets/`. */
  store: Store
  /** Opens the secrets. */
  sealing?: Sealing | undefined
  signal: AbortSignal
  log: Logger
}

const resource = 'secrets'
/** Most logins that are tried for one request; each wrong one is a failed login at the registry. */
const maxTried = 20
/** Most logins of a project. */
const maxLogins = 10_000
/** Characters of logins in memory, for projects that ask registries; others are read again when they do. */
const maxCachedLength = 16 * 1024 * 1024
/** What a login takes beside its characters. */
const loginLength = 256

/**
 * Gives a project's own logins to registries: those of its secrets of type `kubernetes.io/dockerconfigjson` and `dockercfg`,
 * as they stand when they are asked for. Another project's are never among them.
 *
 * @see https://kubernetes.io/docs/concepts/containers/images/#config-json for what an entry is for; of all that match, the one with the longest path is first
 */
export function pullSecretCredentials({ store, sealing, signal, log }: PullSecretsOptions): CredentialsFor {
  const prefix = objectPrefix(resource)
  const cache = new LRUCache<string, readonly ProjectLogin[]>({
    maxSize: maxCachedLength,
    sizeCalculation: lengthOf,
  })
  const loading = new Map<string, Promise<readonly ProjectLogin[]>>()

  function apply(changes: readonly Change[]): void {
    for (const { key } of changes) {
      const [project = ''] = key.slice(prefix.length).split('/')
      cache.delete(project)
      loading.delete(project)
    }
  }

  function reset(): void {
    cache.clear()
    loading.clear()
  }

  const mirror = createMirror(store, { prefix, apply, reset, preload: false, signal })

  async function load(project: string): Promise<readonly ProjectLogin[]> {
    const logins: ProjectLogin[] = []
    for await (const entry of await store.range({ prefix: objectKey(resource, project, '') })) {
      logins.push(...read(entry))
      if (logins.length <= maxLogins) continue
      log.warn({ project, most: maxLogins }, 'the secrets of a project hold more logins than are used')
      return logins.slice(0, maxLogins)
    }
    return logins
  }

  function read(entry: Entry): ProjectLogin[] {
    try {
      return loginsOf(objectOf(entry, sealing))
    } catch (error) {
      // What a parser says of JSON quotes it.
      const why = error instanceof SyntaxError ? 'no JSON' : error
      log.warn({ key: entry.key, err: why }, 'the secret can not be read and counts as absent')
      return []
    }
  }

  function loginsOfProject(project: string): Promise<readonly ProjectLogin[]> | readonly ProjectLogin[] {
    const known = cache.get(project) ?? loading.get(project)
    if (known !== undefined) return known
    const loaded = load(project)
    loading.set(project, loaded)
    // Whoever changes a secret in the meantime takes it out of `loading`: it is then of use to those who waited, alone.
    const settle = (logins?: readonly ProjectLogin[]): void => {
      if (loading.get(project) !== loaded) return
      loading.delete(project)
      if (logins !== undefined) cache.set(project, logins)
    }
    loaded.then(settle, () => settle())
    return loaded
  }

  async function uidOf(project: string): Promise<string | undefined> {
    const entry = await store.get(projectKey(project))
    return entry && objectOf(entry).metadata.uid
  }

  return async function* (project, host, repository, projectUid) {
    // What a project promoted goes on in others when it is gone: who makes one of its name later pays for none of it (I9).
    if (projectUid !== undefined && (await uidOf(project)) !== projectUid) return
    // A secret that somebody just made, changed or deleted counts at once.
    await mirror.reached((await store.range({ prefix, limit: 0 })).revision)
    const credentials = matchingCredentials(await loginsOfProject(project), { project, host, repository })
    if (credentials.length > maxTried) {
      log.warn(
        { project, host, repository, matching: credentials.length, tried: maxTried },
        'more logins than are tried',
      )
    }
    yield* credentials.slice(0, maxTried)
  }
}

function lengthOf(logins: readonly ProjectLogin[]): number {
  return logins.reduce((sum, login) => sum + loginLength + JSON.stringify(login).length, loginLength)
}
