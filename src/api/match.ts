import { RegistryError } from '../oci/errors.ts'
import { isWatch } from './query.ts'
import {
  type Admission,
  apiVersionOf,
  type RequestOptions,
  type Resource,
  type Right,
  type Subresource,
  type Verb,
  verbsOf,
} from './resource.ts'
import type { ObjectTarget } from './target.ts'

/** A request for objects, with the row that serves it. */
export interface Matched {
  row: Resource
  /** The row, or the subresource of it that is meant. */
  served: Resource | Subresource
  target: ObjectTarget
  verb: Verb
  /** Of what is sent and answered. */
  type: { kind: string; apiVersion: string }
}

/**
 * Finds the row and verb of a request.
 *
 * @throws RegistryError NOT_FOUND, UNSUPPORTED
 */
export function match(
  table: readonly Resource[],
  target: ObjectTarget,
  method: string,
  query: URLSearchParams,
): Matched {
  const { group, version, resource, subresource, project, name } = target
  const row = table.find((each) => each.group === group && each.version === version && each.resource === resource)
  const served = row && (subresource === '' ? row : ownValue(row.subresources, subresource))
  const isInPlace = row?.namespaced ? project !== '' || (name === '' && method !== 'POST') : project === ''
  if (row === undefined || served === undefined || !isInPlace) throw noSuchResource()
  const verb = verbOf(method, target, query)
  if (verb === undefined || !verbsOf(served).includes(verb))
    throw methodNotAllowed(target, verb === 'watch' ? verb : method)
  const type = {
    kind: served.kind,
    apiVersion: apiVersionOf({ group: served.group ?? group, version: served.version ?? version }),
  }
  return { row, served, target, verb, type }
}

/** The right that a request needs unless its row says otherwise. */
export function rightOf({ row, target, verb }: Matched, { fields }: RequestOptions): Right {
  const { group, resource, subresource } = target
  // A list of one name is asked for by that name, so that a right limited by resourceNames covers it, as in Kubernetes.
  const name = target.name || (fields['metadata.name'] ?? '')
  const project = row.isProject ? target.name : target.project
  return { verb, group, resource: subresource === '' ? resource : `${resource}/${subresource}`, name, project }
}

/** Who may ask for this. */
export function admissionOf({ served, verb }: Pick<Matched, 'served' | 'verb'>): Admission {
  return served.admission?.[verb] ?? 'right'
}

/** @throws RegistryError BAD_REQUEST where what is asked for cannot be done without effect */
export function refuseDryRun({ served, target }: Matched, dryRun: boolean): void {
  if (!dryRun || served.dryRun === true) return
  throw new RegistryError('BAD_REQUEST', { message: `dryRun is not served for ${target.resource}; nothing was done` })
}

/** One key for all who change the same object. */
export function turnKey({ target: { group, resource, project, name } }: Matched): string {
  return JSON.stringify([group, resource, project, name])
}

/** The answer to a path or kind that is not served, in the words that clients know. */
export function noSuchResource(): RegistryError {
  return new RegistryError('NOT_FOUND', { message: 'the server could not find the requested resource' })
}

/** The answer to a method that a path does not have. */
export function methodNotAllowed({ resource }: Pick<ObjectTarget, 'resource'>, method: string): RegistryError {
  return new RegistryError('UNSUPPORTED', { message: `${method} is not served for ${resource} on this path` })
}

/** The verb of a request by its method; undefined where a path does not have the method. */
export function verbOf(method: string, { name, subresource }: ObjectTarget, query: URLSearchParams): Verb | undefined {
  const isCollection = name === ''
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (!isCollection) return 'get'
      if (!isWatch(query)) return 'list'
      // There is nothing of a watch but its body.
      return method === 'HEAD' ? undefined : 'watch'
    case 'POST':
      return isCollection || subresource !== '' ? 'create' : undefined
    case 'PUT':
      return isCollection ? undefined : 'update'
    case 'PATCH':
      return isCollection ? undefined : 'patch'
    case 'DELETE':
      return isCollection ? 'deletecollection' : 'delete'
    default:
      return undefined
  }
}

function ownValue<T>(record: Readonly<Record<string, T>> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined
}
