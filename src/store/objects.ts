/** The stored form of Kubernetes API objects, `object/<resource>/<project>/<name>`, and their common write rules. */

import { RegistryError } from '../oci/errors.ts'
import { asOf, revisionWithin } from './as-of.ts'
import { isRevision } from './check-commit.ts'
import { formatContinue, parseContinue } from './continue-token.ts'
import { createObjectErrors } from './object-errors.ts'
import { type Sealing, toText, toValue } from './sealing.ts'
import type { Entry, Operation, Precondition, Store } from './store.ts'

/** `metadata` as stored; `resourceVersion` is the entry's revision and is added on reading. */
export interface ObjectMeta {
  name: string
  namespace?: string
  uid: string
  creationTimestamp: string
  /** When its removal began; what is in it goes first. Of projects alone. */
  deletionTimestamp?: string
  generateName?: string
  generation?: number
  labels?: Record<string, string>
  annotations?: Record<string, string>
  /** Who set which field by server-side apply, as the API machinery keeps it. */
  managedFields?: readonly unknown[]
}

/** Any API object without `kind` and `apiVersion`, which the kind's table adds. */
export interface StoredObject {
  metadata: ObjectMeta & { resourceVersion: string }
  [field: string]: unknown
}

/**
 * A page of a list; `continue` is opaque and absent on the last page. All pages are of the first one's `resourceVersion`, or
 * newer where the store can not tell that state any more, so that a watch from there misses nothing.
 */
export interface ObjectPage<T extends StoredObject = StoredObject> {
  items: T[]
  resourceVersion: string
  continue?: string
}

/**
 * CRUD of API objects of every stored kind. Cluster-scoped resources use the empty string as project. All writes answer
 * what is stored, with `metadata.resourceVersion`.
 */
export interface Objects {
  get(resource: string, project: string, name: string): Promise<StoredObject | undefined>
  /**
   * In the order of keys; `limit` 0 or absent means all.
   *
   * @throws RegistryError BAD_REQUEST for a `continue` that no page of this list gave.
   */
  list(
    resource: string,
    project: string | undefined,
    options?: { limit?: number; continue?: string },
  ): Promise<ObjectPage>
  /** How many a project has, but for the one called `except`, and how long their records are; none is looked into. */
  measure(resource: string, project: string, except: string): Promise<{ count: number; length: number }>
  /** @throws RegistryError ALREADY_EXISTS, INVALID for a name that cannot stand in a path */
  create(resource: string, project: string, object: NewObject): Promise<StoredObject>
  /**
   * Replaces with what `change` makes of the current object, again after each race. `expectedVersion`, where given, must
   * be the stored resourceVersion. Name, project, uid and creationTimestamp stay; without a difference nothing is written.
   *
   * @throws RegistryError NOT_FOUND, CONFLICT
   */
  update(
    resource: string,
    project: string,
    name: string,
    change: (current: StoredObject) => StoredObject,
    expectedVersion?: string,
  ): Promise<StoredObject>
  /** Deletes and answers what was there. @throws RegistryError NOT_FOUND, CONFLICT when a precondition fails */
  delete(
    resource: string,
    project: string,
    name: string,
    preconditions?: { uid?: string; resourceVersion?: string },
  ): Promise<StoredObject>
}

/** What a caller may set of a new object: the store adds uid, creationTimestamp and resourceVersion. */
export interface NewObject {
  metadata: Pick<ObjectMeta, 'name' | 'generateName' | 'labels' | 'annotations' | 'managedFields'>
  [field: string]: unknown
}

/** The key of an API object's record. */
export function objectKey(resource: string, project: string, name: string): string {
  return `object/${resource}/${project}/${name}`
}

/** What the keys of a resource's records begin with, for those who follow them. */
export function objectPrefix(resource: string): string {
  return `object/${resource}/`
}

/** A write that is about to be tried. */
export interface ObjectWrite {
  verb: 'create' | 'update' | 'delete'
  resource: string
  project: string
  name: string
}

export interface ObjectsOptions {
  store: Store
  now: () => number
  /** The API group of a resource, for messages and subjects; default: none (the core group). */
  groupOf?: (resource: string) => string
  /** Asked before each try of a write: throws to refuse it, or answers what must still hold when it is committed. */
  guard?: (write: ObjectWrite) => Promise<readonly Precondition[]>
  /** Keeps the objects of some resources as ciphertext alone. Default: none are. */
  sealing?: Sealing
}

/**
 * CRUD of API objects on a store. A write whose outcome stays unknown throws RegistryError UNAVAILABLE, and so does reading
 * a sealed object that does not open.
 */
export function createObjects(options: ObjectsOptions): Objects {
  const { store, now, groupOf = () => '', guard = async () => [], sealing } = options
  const errorsOf = (resource: string) => createObjectErrors(resource, groupOf(resource))
  const read = (entry: Entry) => objectOf(entry, sealing)

  async function expect(resource: string, project: string, name: string): Promise<Entry> {
    const entry = await store.get(objectKey(resource, project, name))
    if (entry === undefined) throw errorsOf(resource).notFound(name)
    return entry
  }

  async function tryWrite(write: ObjectWrite, revision: number, text?: string): Promise<number | undefined> {
    const key = objectKey(write.resource, write.project, write.name)
    const value = text === undefined ? undefined : toValue(sealing, key, text)
    return commitOne(store, key, value, [{ key, revision }, ...(await guard(write))])
  }

  return {
    async get(resource, project, name) {
      const entry = await store.get(objectKey(resource, project, name))
      return entry && read(entry)
    },

    list: (resource, project, options = {}) => listPage(store, resource, project, options, read),

    async measure(resource, project, except) {
      const total = { count: 0, length: 0 }
      for await (const { key, value } of await store.range({ prefix: objectKey(resource, project, '') })) {
        if (key === objectKey(resource, project, except)) continue
        total.count += 1
        total.length += value.length
      }
      return total
    },

    async create(resource, project, object) {
      const { name } = object.metadata
      const errors = errorsOf(resource)
      const invalid = errors.invalidName(name)
      if (invalid !== undefined) throw invalid
      const key = objectKey(resource, project, name)
      const text = JSON.stringify({ ...object, metadata: newMetadata(object.metadata, project, now()) })
      for (;;) {
        if ((await store.get(key)) !== undefined) throw errors.alreadyExists(name)
        const revision = await tryWrite({ verb: 'create', resource, project, name }, 0, text)
        if (revision !== undefined) return parsed(text, revision)
      }
    },

    async update(resource, project, name, change, expectedVersion) {
      for (;;) {
        const entry = await expect(resource, project, name)
        if (expectedVersion !== undefined && expectedVersion !== String(entry.revision)) {
          const why = 'the object has been modified; please apply your changes to the latest version and try again'
          throw errorsOf(resource).conflict(name, why)
        }
        const current = toText(sealing, entry)
        const { revision: version } = entry
        const text = changedText(change(parsed(current, version)), parsed(current, version))
        if (text === current) return parsed(current, version)
        const revision = await tryWrite({ verb: 'update', resource, project, name }, version, text)
        if (revision !== undefined) return parsed(text, revision)
      }
    },

    async delete(resource, project, name, preconditions = {}) {
      for (;;) {
        const entry = await expect(resource, project, name)
        const current = read(entry)
        const difference = differenceOf(preconditions, current.metadata)
        if (difference !== undefined) throw errorsOf(resource).conflict(name, difference)
        const revision = await tryWrite({ verb: 'delete', resource, project, name }, entry.revision)
        if (revision !== undefined) return current
      }
    },
  }
}

/** Puts or deletes (no `value`) one key; answers the revision, or undefined when a precondition did not hold. */
async function commitOne(
  store: Store,
  key: string,
  value: string | undefined,
  preconditions: readonly Precondition[],
): Promise<number | undefined> {
  const operation: Operation = value === undefined ? { type: 'delete', key } : { type: 'put', key, value }
  const result = await store.commit({ operations: [operation], preconditions })
  if (result.status === 'committed') return result.revision
  if (result.status === 'conflict') return undefined
  const entry = await store.get(key)
  const isWritten =
    entry?.value === value && !preconditions.some((each) => each.key === key && each.revision === entry?.revision)
  if (isWritten) return entry?.revision ?? 0
  const message = 'the write may or may not have happened: look before trying again'
  throw new RegistryError('UNAVAILABLE', { message, cause: result.cause })
}

async function listPage(
  store: Store,
  resource: string,
  project: string | undefined,
  { limit = 0, continue: token }: { limit?: number; continue?: string },
  read: (entry: Entry) => StoredObject,
): Promise<ObjectPage> {
  if (!isRevision(limit)) throw new TypeError(`${limit} is no limit of a list`)
  const prefix = project === undefined ? `object/${resource}/` : `object/${resource}/${project}/`
  const from = token === undefined ? undefined : parseContinue(token, prefix)
  const query = {
    prefix,
    // No key lies between another and the same with U+0000 behind it.
    ...(from === undefined ? {} : { start: `${from.after}\0` }),
    ...(limit === 0 ? {} : { limit: limit + 1 }),
  }
  const readable = await revisionWithin(store, project, from?.revision)
  const snapshot = await asOf(readable, (state) => store.range(query, state))
  const entries: Entry[] = []
  for await (const entry of snapshot) entries.push(entry)
  const shown = limit === 0 ? entries : entries.slice(0, limit)
  const revision = from?.revision ?? snapshot.revision
  const last = shown.at(-1)
  return {
    items: shown.map(read),
    resourceVersion: String(revision),
    ...(last !== undefined && shown.length < entries.length
      ? { continue: formatContinue({ after: last.key, revision }) }
      : {}),
  }
}

/** Metadata as a new object is stored with it. */
export function newMetadata(metadata: NewObject['metadata'], project: string, nowMs: number): ObjectMeta {
  return {
    ...metadata,
    ...(project === '' ? {} : { namespace: project }),
    uid: crypto.randomUUID(),
    creationTimestamp: new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z'),
  }
}

/** The object of an entry, with its resourceVersion. @throws UnreadableError when it is sealed and does not open */
export function objectOf(entry: Entry, sealing?: Sealing): StoredObject {
  return parsed(toText(sealing, entry), entry.revision)
}

function parsed(text: string, revision: number): StoredObject {
  const object: StoredObject = JSON.parse(text)
  object.metadata.resourceVersion = String(revision)
  return object
}

function changedText(changed: StoredObject, current: StoredObject): string {
  const { resourceVersion: _, ...metadata } = changed.metadata
  const { name, namespace, uid, creationTimestamp } = current.metadata
  return JSON.stringify({
    ...changed,
    metadata: { ...metadata, name, ...(namespace === undefined ? {} : { namespace }), uid, creationTimestamp },
  })
}

/** What the preconditions of a deletion and the object disagree about, in Kubernetes' words; undefined when nothing. */
export function differenceOf(
  wanted: { uid?: string; resourceVersion?: string },
  current: StoredObject['metadata'],
): string | undefined {
  if (wanted.uid !== undefined && wanted.uid !== current.uid) {
    return `Precondition failed: UID in precondition: ${wanted.uid}, UID in object meta: ${current.uid}`
  }
  if (wanted.resourceVersion !== undefined && wanted.resourceVersion !== current.resourceVersion) {
    return `Precondition failed: ResourceVersion in precondition: ${wanted.resourceVersion}, ResourceVersion in object meta: ${current.resourceVersion}`
  }
  return undefined
}
