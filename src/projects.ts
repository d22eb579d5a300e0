import type { Subject } from './access/access.ts'
import { type ErrorSubject, RegistryError } from './oci/errors.ts'
import { createObjectErrors } from './store/object-errors.ts'
import {
  differenceOf,
  type NewObject,
  newMetadata,
  type Objects,
  type ObjectWrite,
  objectKey,
  type StoredObject,
} from './store/objects.ts'
import type { Operation, Precondition, Store } from './store/store.ts'
import { formatTime } from './streams/events.ts'
import { projectKey } from './streams/keys.ts'
import { openProject, projectOf } from './streams/open-project.ts'

/** Makes projects, and begins their removal, which `projects/removal.ts` ends. */
export interface Projects {
  /**
   * Makes a project with `creator` as its admin, in one commit.
   *
   * @throws RegistryError ALREADY_EXISTS, also while a project of the name is being removed
   */
  create(project: NewObject, creator: Subject): Promise<StoredObject>
  /**
   * Marks a project as one that goes: from then on nothing can be made or changed in it. Of one that is marked already
   * nothing changes.
   *
   * @throws RegistryError NOT_FOUND, CONFLICT when a precondition fails
   */
  remove(name: string, preconditions?: { uid?: string; resourceVersion?: string }): Promise<StoredObject>
}

const rbacGroup = 'rbac.authorization.k8s.io'
const serviceAccountUser = /^system:serviceaccount:([^:]+):([^:]+)$/
const errors = createObjectErrors('namespaces', '')

export function createProjects(options: { store: Store; objects: Objects; now: () => number }): Projects {
  const { store, objects, now } = options
  return {
    async create(project, creator) {
      const { name } = project.metadata
      const invalid = errors.invalidName(name)
      if (invalid !== undefined) throw invalid
      const object = { ...project, metadata: newMetadata(project.metadata, '', now()) }
      const operations = [put(projectKey(name), object), put(objectKey('rolebindings', name, 'admin'), adminOf())]
      const result = await store.commit({ operations, preconditions: [{ key: projectKey(name), revision: 0 }] })
      if (result.status === 'committed') return withVersion(object, result.revision)
      const standing = await store.get(projectKey(name))
      if (standing !== undefined && projectOf(standing).uid === object.metadata.uid) {
        return withVersion(object, standing.revision)
      }
      if (result.status === 'unknown') throw unknown(name, result.cause)
      throw standing !== undefined && projectOf(standing).deletionTimestamp ? goes(name) : errors.alreadyExists(name)

      function adminOf(): object {
        return {
          metadata: newMetadata({ name: 'admin' }, name, now()),
          subjects: [bindingSubject(creator)],
          roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name: 'admin' },
        }
      }
    },

    remove: (name, preconditions = {}) =>
      objects.update('namespaces', '', name, (current) => {
        const { metadata } = current
        const difference = differenceOf(preconditions, metadata)
        if (difference !== undefined) throw errors.conflict(name, difference)
        const deletionTimestamp = metadata.deletionTimestamp ?? formatTime(now())
        return { ...current, metadata: { ...metadata, deletionTimestamp } }
      }),
  }
}

/**
 * What the object store asks before a write in a project: it goes through only while the project is there and is not
 * being removed. Deletions always do.
 */
export function createProjectGuard(
  store: Pick<Store, 'get'>,
  groupOf: (resource: string) => string,
): (write: ObjectWrite) => Promise<readonly Precondition[]> {
  return async ({ verb, resource, project, name }) => {
    if (project === '' || verb === 'delete') return []
    const subject: ErrorSubject = { name, kind: resource, group: groupOf(resource) }
    return [(await openProject(store, project, subject, verb)).precondition]
  }
}

function bindingSubject({ name }: Subject): Record<string, string> {
  const [, namespace, account] = serviceAccountUser.exec(name) ?? []
  return namespace && account
    ? { kind: 'ServiceAccount', name: account, namespace }
    : { kind: 'User', apiGroup: rbacGroup, name }
}

function goes(name: string): RegistryError {
  return new RegistryError('ALREADY_EXISTS', {
    message: `object is being deleted: namespaces "${name}" already exists; make it anew once it is gone`,
    subject: { name, kind: 'namespaces', group: '' },
  })
}

function unknown(name: string, cause: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: `the store did not say whether it made project ${name}; look before trying again`,
    retryAfterSeconds: 1,
    cause,
  })
}

function withVersion(
  object: { metadata: Omit<StoredObject['metadata'], 'resourceVersion'> },
  revision: number,
): StoredObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}

function put(key: string, value: object): Operation {
  return { type: 'put', key, value: JSON.stringify(value) }
}
