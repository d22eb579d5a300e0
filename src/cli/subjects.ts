import type { RbacSubject } from './api.ts'
import { misuse } from './failures.ts'

const rbacGroup = 'rbac.authorization.k8s.io'
const accountPrefix = 'system:serviceaccount:'

/**
 * Parses SUBJECT: a user's name, `group:NAME`, `serviceaccount:[PROJECT/]NAME` (of `project` unless it says another) or
 * `anonymous`. Anonymous is the group of those who are not logged in: Weir lets everybody do what they may, so that no
 * login takes away what is open to all.
 *
 * @throws CliError misuse
 */
export function parseSubject(value: string, project: string): RbacSubject {
  if (value === 'anonymous') return { kind: 'Group', apiGroup: rbacGroup, name: 'system:unauthenticated' }
  if (value.startsWith('group:')) return { kind: 'Group', apiGroup: rbacGroup, name: checked(value, value.slice(6)) }
  if (value.startsWith('serviceaccount:')) {
    const parts = value.slice('serviceaccount:'.length).split('/')
    const [namespace, name] = parts.length === 1 ? [project, parts[0]] : parts
    return account(value, namespace ?? '', parts.length > 2 ? '' : (name ?? ''))
  }
  if (value.startsWith(accountPrefix)) {
    const [namespace, name, ...rest] = value.slice(accountPrefix.length).split(':')
    return account(value, namespace ?? '', rest.length > 0 ? '' : (name ?? ''))
  }
  return { kind: 'User', apiGroup: rbacGroup, name: checked(value, value) }
}

/** Formats a subject as SUBJECT is written; the inverse of {@link parseSubject}. */
export function formatSubject(subject: RbacSubject): string {
  if (subject.kind === 'ServiceAccount') return `serviceaccount:${subject.namespace ?? ''}/${subject.name}`
  if (subject.kind !== 'Group') return subject.name
  return subject.name === 'system:unauthenticated' ? 'anonymous' : `group:${subject.name}`
}

/** The SUBJECT that names whom `user`, a user name of the API, is. */
export function subjectOfUser(user: string): string {
  return formatSubject(parseSubject(user === 'system:anonymous' ? 'anonymous' : user, ''))
}

/** Whether both are the same; a service account may also be bound by its user name. */
export function isSameSubject(a: RbacSubject, b: RbacSubject): boolean {
  return identity(a) === identity(b)
}

function identity({ kind, name, namespace }: RbacSubject): string {
  return kind === 'ServiceAccount' ? `User ${accountPrefix}${namespace ?? ''}:${name}` : `${kind} ${name}`
}

function account(value: string, namespace: string, name: string): RbacSubject {
  const isName = (part: string) => /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/.test(part)
  if (isName(namespace) && isName(name)) return { kind: 'ServiceAccount', name, namespace }
  throw misuse(`"${value}" is not a service account: write serviceaccount:NAME or serviceaccount:PROJECT/NAME`)
}

function checked(value: string, name: string): string {
  if (name !== '' && !/[\s\p{Cc}]/u.test(name)) return name
  throw misuse(`"${value}" names nobody: write USER, group:NAME, serviceaccount:[PROJECT/]NAME or anonymous`)
}
