import { type ErrorSubject, RegistryError } from '../oci/errors.ts'
import type { StoredObject } from '../store/objects.ts'
import type { Entry, Precondition, Store } from '../store/store.ts'
import { projectKey } from './keys.ts'

/** A project that things can be made in, for as long as its record stays at `precondition`. */
export interface OpenProject {
  uid: string
  precondition: Precondition
}

/**
 * Reads the project that `subject` is about to be made or changed in. What is written under the precondition can not come
 * to lie in a project that is being removed.
 *
 * @throws RegistryError NOT_FOUND naming the project; FORBIDDEN, in Kubernetes' words, while it is being removed
 */
export async function openProject(
  store: Pick<Store, 'get'>,
  project: string,
  subject?: ErrorSubject,
  verb: 'create' | 'update' = 'create',
): Promise<OpenProject> {
  const entry = await store.get(projectKey(project))
  if (entry === undefined) throw projectNotFound(project)
  const { uid, deletionTimestamp } = projectOf(entry)
  if (deletionTimestamp !== undefined) throw terminating(project, subject, verb)
  return { uid, precondition: { key: entry.key, revision: entry.revision } }
}

/** A project's metadata as stored. */
export function projectOf(entry: Pick<Entry, 'value'>): StoredObject['metadata'] {
  return (JSON.parse(entry.value) as StoredObject).metadata
}

function projectNotFound(project: string): RegistryError {
  return new RegistryError('NOT_FOUND', {
    message: `namespaces "${project}" not found: make the project first, with: weir new-project ${project}`,
    subject: { name: project, kind: 'namespaces', group: '' },
  })
}

function terminating(project: string, subject: ErrorSubject | undefined, verb: 'create' | 'update'): RegistryError {
  const { name, kind, group } = subject ?? { name: project, kind: 'namespaces', group: '' }
  const about = `${group === '' ? kind : `${kind}.${group}`} "${name}"`
  const what = verb === 'create' ? 'create new content' : 'change content'
  const cause = {
    field: 'metadata.namespace',
    reason: 'NamespaceTerminating',
    message: `namespace ${project} is being terminated`,
  }
  return new RegistryError('FORBIDDEN', {
    message: `${about} is forbidden: unable to ${what} in namespace ${project} because it is being terminated`,
    causes: [cause],
    subject: { name, kind, group },
  })
}
