import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import { forbiddenField } from '../fields.ts'
import { parseResourceVersion } from '../resource-version.ts'

/** How a watch begins and ends. */
export interface WatchOptions {
  /** The revision after which changes are told; undefined for the newest. */
  since: number | undefined
  /** Whether what is there is told first: not at all, as a list, or as a list with a bookmark at its end. */
  initial: 'none' | 'list' | 'marked'
  bookmarks: boolean
  /** How long the client wants to watch, in milliseconds; undefined when it does not say. */
  timeoutMs: number | undefined
}

const maxTimeoutSeconds = 24 * 60 * 60

/**
 * Reads what the query of a watch says of its beginning and end.
 *
 * @throws RegistryError BAD_REQUEST; INVALID for options that exclude each other
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export function parseWatchOptions(query: URLSearchParams): WatchOptions {
  const since = parseResourceVersion(query.get('resourceVersion'))
  const bookmarks = parseFlag(query, 'allowWatchBookmarks') ?? false
  const sendInitialEvents = parseFlag(query, 'sendInitialEvents')
  requireCombination(query.get('resourceVersionMatch') || undefined, sendInitialEvents, bookmarks)
  const timeoutMs = parseTimeout(query.get('timeoutSeconds'))
  if (sendInitialEvents === undefined) {
    return { since, initial: since === undefined ? 'list' : 'none', bookmarks, timeoutMs }
  }
  return { since, initial: sendInitialEvents ? 'marked' : 'none', bookmarks, timeoutMs }
}

/** The rules of Kubernetes, and that the end of the list, which only a bookmark tells, can be told. */
function requireCombination(match: string | undefined, sendInitialEvents: boolean | undefined, bookmarks: boolean) {
  const causes: FieldCause[] = []
  const forbid = (detail: string) => causes.push(forbiddenField('resourceVersionMatch', detail))
  if (sendInitialEvents === undefined) {
    if (match !== undefined) forbid('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided')
  } else if (match !== 'NotOlderThan') {
    forbid('sendInitialEvents requires setting resourceVersionMatch to NotOlderThan')
  }
  if (sendInitialEvents && !bookmarks) {
    causes.push(forbiddenField('allowWatchBookmarks', 'sendInitialEvents requires setting allowWatchBookmarks to true'))
  }
  if (causes.length === 0) return
  const subject = { name: '', kind: 'ListOptions', group: 'meta.k8s.io' }
  const message = `ListOptions.meta.k8s.io "" is invalid: ${causes.map((each) => `${each.field}: ${each.message}`).join(', ')}`
  throw new RegistryError('INVALID', { message, causes, subject })
}

/** Kubernetes takes whatever is not `false` or `0` for true. */
function parseFlag(query: URLSearchParams, name: string): boolean | undefined {
  const value = query.get(name)
  return value === null ? undefined : !['false', '0', 'f'].includes(value.toLowerCase())
}

function parseTimeout(value: string | null): number | undefined {
  if (value === null || value === '') return undefined
  if (!/^[0-9]{1,15}$/.test(value)) {
    throw new RegistryError('BAD_REQUEST', {
      message: `timeoutSeconds: Invalid value: "${value.slice(0, 40)}": must be a number of seconds`,
    })
  }
  const seconds = Math.min(Number(value), maxTimeoutSeconds)
  return seconds === 0 ? undefined : seconds * 1000
}
