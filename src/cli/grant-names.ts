/** What the objects are called that `weir grant` makes: so that people who read them know what they are. */

import { createHash } from 'node:crypto'
import type { RbacSubject } from './api.ts'
import { isAnonymous } from './subjects.ts'

/** Roles by the short form that people write. */
export const shortRoles: ReadonlyMap<string, string> = new Map([
  ['pull', 'system:image-puller'],
  ['push', 'system:image-pusher'],
])

/**
 * The name of the binding that gives `role` to `subject`, for one stream where one is named: `pull.user.jane`,
 * `push.serviceaccount.demo.ci.stream.app`. The same each time, and another for each grant: where a part of it does not
 * fit, a hash of the whole stands at its end.
 */
export function bindingName(role: string, subject: RbacSubject, stream: string | undefined): string {
  return joined([shortRole(role), ...whoOf(subject), ...(stream === undefined ? [] : ['stream', stream])])
}

function whoOf({ kind, name, namespace = '' }: RbacSubject): string[] {
  if (kind === 'ServiceAccount') return ['serviceaccount', namespace, name]
  return isAnonymous({ kind, name }) ? ['anonymous'] : [kind.toLowerCase(), name]
}

/** The name of the role that gives of `role` what can be given for one stream: `pull.stream.app`. */
export function streamRoleName(role: string, stream: string): string {
  return joined([shortRole(role), 'stream', stream])
}

function shortRole(role: string): string {
  return [...shortRoles].find(([, name]) => name === role)?.[0] ?? role
}

// Parts without a dot, each at its place, can not be taken for others.
function joined(parts: readonly string[]): string {
  const readable = parts.map(
    (part) =>
      part
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 48) || 'x',
  )
  const isFaithful = readable.every((part, i) => part === parts[i])
  if (isFaithful) return readable.join('.')
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)
  return `${readable.join('.')}.${hash}`
}
