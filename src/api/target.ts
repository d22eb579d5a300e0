import { RegistryError } from '../oci/errors.ts'

/** A request for objects. `project`, `name` and `subresource` are empty where the path has none. */
export interface ObjectTarget {
  type: 'object'
  group: string
  version: string
  project: string
  resource: string
  name: string
  subresource: string
}

/** What a path of the API is about; undefined fields of discovery mean "all". */
export type Target =
  | ObjectTarget
  | { type: 'versions' }
  | { type: 'groups' }
  | { type: 'group'; group: string }
  | { type: 'resources'; group: string; version: string }

const projectSubresources = new Set(['status', 'finalize'])

/**
 * Parses the path of a request, as sent. Each segment is percent-decoded once, so `app%3Aprod` and `app:prod` are the
 * same name and `%2f` can not make another path.
 *
 * @returns undefined when the API has no such path
 * @throws RegistryError BAD_REQUEST for a segment that no name can have
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
 */
export function parseTarget(path: string): Target | undefined {
  const [root, ...segments] = path.replace(/^\//, '').replace(/\/$/, '').split('/').map(decodeSegment)
  if (root === 'api') return segments.length === 0 ? { type: 'versions' } : underVersion('', segments)
  if (root !== 'apis') return undefined
  const [group, ...rest] = segments
  if (group === undefined) return { type: 'groups' }
  if (group === '') return undefined
  return rest.length === 0 ? { type: 'group', group } : underVersion(group, rest)
}

function underVersion(group: string, [version = '', ...segments]: string[]): Target | undefined {
  if (version === '' || segments.includes('')) return undefined
  if (segments.length === 0) return { type: 'resources', group, version }
  const { project, parts } = splitProject(segments)
  const [resource, name = '', subresource = '', ...more] = parts
  if (resource === undefined || more.length > 0) return undefined
  return { type: 'object', group, version, project, resource, name, subresource }
}

/** `namespaces/demo` is an object itself, `namespaces/demo/status` its subresource, anything else lies in the project. */
function splitProject(segments: string[]): { project: string; parts: string[] } {
  const [first, project = '', resource] = segments
  const isInProject = first === 'namespaces' && resource !== undefined && !projectSubresources.has(resource)
  return isInProject ? { project, parts: segments.slice(2) } : { project: '', parts: segments }
}

function decodeSegment(segment: string): string {
  let decoded: string
  try {
    decoded = decodeURIComponent(segment)
  } catch {
    throw badSegment(segment)
  }
  // Names become parts of store keys, which '/' separates; Kubernetes refuses '/' and '%' too.
  if (decoded.includes('/') || decoded.includes('%') || hasControl(decoded) || decoded.length > 1024) {
    throw badSegment(segment)
  }
  return decoded
}

function hasControl(value: string): boolean {
  return /\p{Cc}|\p{Cs}/u.test(value)
}

function badSegment(segment: string): RegistryError {
  const shown = segment.length > 100 ? `${segment.slice(0, 100)}...` : segment
  return new RegistryError('BAD_REQUEST', {
    message: `the path has the segment "${shown}", which no name can be: "/", "%" and control characters are not allowed`,
  })
}
