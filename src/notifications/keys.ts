import { LRUCache } from 'lru-cache'
import type { Logger } from 'pino'
import { atMost } from '../oci/at-most.ts'
import { isOwnName } from '../oci/reference.ts'
import { createMirror } from '../store/mirror.ts'
import { objectKey, objectOf, objectPrefix } from '../store/objects.ts'
import type { Sealing } from '../store/sealing.ts'
import type { Change, Entry, Store } from '../store/store.ts'
import { keyOf, type NotificationKey } from './key-secret.ts'

export interface KeysOptions {
  /** Must log the prefix `object/secrets/`. */
  store: Store
  /** Opens the secrets. */
  sealing?: Sealing | undefined
  signal: AbortSignal
  log: Logger
}

/** The keys of a project; none of one that is not there. */
export type Keys = (project: string) => Promise<readonly NotificationKey[]>

const resource = 'secrets'
/** Most keys of a project, by the names of their secrets. */
const maxKeys = 20
const maxProjects = 10_000

/** Reads the keys in a project's secrets when they are first asked for, and again when one of its secrets changed. */
export function createKeys({ store, sealing, signal, log }: KeysOptions): Keys {
  const prefix = objectPrefix(resource)
  const cache = new LRUCache<string, Promise<readonly NotificationKey[]>>(atMost(maxProjects))

  function apply(changes: readonly Change[]): void {
    for (const { key } of changes) cache.delete(key.slice(prefix.length).split('/', 1)[0] ?? '')
  }

  const mirror = createMirror(store, { prefix, apply, reset: () => cache.clear(), preload: false, signal })

  function read(entry: Entry): NotificationKey | undefined {
    try {
      return keyOf(objectOf(entry, sealing))
    } catch (error) {
      // What a parser says of JSON quotes it.
      const why = error instanceof SyntaxError ? 'no JSON' : error
      log.warn({ key: entry.key, err: why }, 'the secret can not be read and counts as absent')
      return undefined
    }
  }

  async function load(project: string): Promise<readonly NotificationKey[]> {
    const keys: NotificationKey[] = []
    for await (const entry of await store.range({ prefix: objectKey(resource, project, '') })) {
      const key = read(entry)
      if (key === undefined) continue
      if (keys.length < maxKeys) keys.push(key)
      else
        log.warn({ project, secret: key.name, most: maxKeys }, 'the project has more notification keys than are used')
    }
    return keys
  }

  return async (project) => {
    if (!isOwnName(project)) return []
    // A key that somebody just made or deleted counts at once.
    await mirror.reached((await store.range({ prefix, limit: 0 })).revision)
    const known = cache.get(project)
    if (known !== undefined) return known
    const loaded = load(project)
    cache.set(project, loaded)
    loaded.catch(() => {
      if (cache.get(project) === loaded) cache.delete(project)
    })
    return loaded
  }
}
