import type { RbacSubject } from './api.ts'
import type { Client } from './client.ts'
import { CliError, misuse } from './failures.ts'
import { nearestNames } from './nearest.ts'
import { readOfferedLogins } from './offered-logins.ts'

const rbacGroup = 'rbac.authorization.k8s.io'
const accountPrefix = 'system:serviceaccount:'
const anonymousGroup = 'system:unauthenticated'

/** The words that may stand before a colon, whatever issuers there are; names of Weir's own begin with the last. */
const kinds = ['user', 'group', 'serviceaccount', 'weir'] as const

/**
 * Parses SUBJECT: a user's name, or `user:NAME`; `group:NAME`, `serviceaccount:[PROJECT/]NAME` (of `project` unless it says
 * another) or `anonymous`. Anonymous is the group of those who are not logged in: Weir lets everybody do what they may, so
 * that no login takes away what is open to all. A word before a colon that is none of these is taken for an issuer's:
 * {@link requireIssuer} finds out.
 *
 * @param project empty where there is none, as of what is given in all of them
 * @throws CliError misuse
 */
export function parseSubject(value: string, project: string): RbacSubject {
  if (value === 'anonymous') return { kind: 'Group', apiGroup: rbacGroup, name: anonymousGroup }
  if (value.startsWith('group:')) return { kind: 'Group', apiGroup: rbacGroup, name: checked(value, value.slice(6)) }
  if (value.startsWith('user:')) return user(checked(value, value.slice(5)))
  if (value.startsWith('serviceaccount:')) {
    const parts = value.slice('serviceaccount:'.length).split('/')
    const [namespace, name] = parts.length === 1 ? [project, parts[0]] : parts
    if (namespace === '' && parts.length === 1)
      throw misuse(`"${value}" of which project? Write serviceaccount:PROJECT/NAME`)
    return account(value, namespace ?? '', parts.length > 2 ? '' : (name ?? ''))
  }
  return user(checked(value, value), value)
}

/**
 * Finds out whether the word before a SUBJECT's colon is an issuer of the server, whose users are called so; else a word
 * that was misspelt would name somebody who does not exist.
 *
 * @throws CliError misuse that says what can be written
 */
export async function requireIssuer(client: Client, value: string): Promise<void> {
  const word = /^([^:]*):/.exec(value)?.[1]
  if (word === undefined || value.startsWith(accountPrefix) || kinds.some((kind) => kind === word)) return
  const issuers = await issuersOf(client)
  if (issuers.includes(word)) return
  const rest = value.slice(word.length + 1)
  const near = nearestNames(word, [...kinds, ...issuers]).map((each) => `${each}:${rest}`)
  throw misuse(
    `"${value}": the server has no issuer "${word}"${near.length === 0 ? '' : `; did you mean ${near.join(' or ')}?`}`,
    `a user who is called so is written user:${value}, a group group:${value}`,
    ...(issuers.length === 0
      ? []
      : [`users of its issuers begin with ${issuers.map((name) => `${name}:`).join(', ')}`]),
  )
}

async function issuersOf(client: Client): Promise<string[]> {
  try {
    const { issuers } = await readOfferedLogins(client)
    return issuers.map(({ name }) => name)
  } catch (error) {
    if (error instanceof CliError) return []
    throw error
  }
}

/** Formats a subject as SUBJECT is written; the inverse of {@link parseSubject}. */
export function formatSubject(subject: RbacSubject): string {
  if (subject.kind === 'ServiceAccount') return `serviceaccount:${subject.namespace ?? ''}/${subject.name}`
  if (subject.kind === 'Group') return isAnonymous(subject) ? 'anonymous' : `group:${subject.name}`
  const { name } = subject
  const isPlain = name !== 'anonymous' && (!name.includes(':') || name.startsWith('weir:'))
  return isPlain ? name : `user:${name}`
}

/** Whether a subject is all who are not logged in. */
export function isAnonymous({ kind, name }: RbacSubject): boolean {
  return kind === 'Group' && name === anonymousGroup
}

/** The SUBJECT that names whom `name`, a user name of the API, is. */
export function subjectOfUser(name: string): string {
  return formatSubject(name === 'system:anonymous' ? { kind: 'Group', name: anonymousGroup } : user(name))
}

/** A subject of a binding of `project`: a service account without a namespace is one of that project. */
export function boundIn(subject: RbacSubject, project = ''): RbacSubject {
  return subject.kind === 'ServiceAccount' && !subject.namespace ? { ...subject, namespace: project } : subject
}

/** Whether both are the same; a service account may also be bound by its user name. */
export function isSameSubject(a: RbacSubject, b: RbacSubject): boolean {
  return identity(a) === identity(b)
}

function identity({ kind, name, namespace }: RbacSubject): string {
  return kind === 'ServiceAccount' ? `User ${accountPrefix}${namespace ?? ''}:${name}` : `${kind} ${name}`
}

/** A service account by its user name is one. @throws CliError misuse for such a name of nobody, where `value` is given */
function user(name: string, value?: string): RbacSubject {
  if (name.startsWith(accountPrefix)) {
    const [namespace = '', account = '', ...rest] = name.slice(accountPrefix.length).split(':')
    if (rest.length === 0 && isName(namespace) && isName(account)) {
      return { kind: 'ServiceAccount', name: account, namespace }
    }
    if (value !== undefined) throw noAccount(value)
  }
  return { kind: 'User', apiGroup: rbacGroup, name }
}

function account(value: string, namespace: string, name: string): RbacSubject {
  if (isName(namespace) && isName(name)) return { kind: 'ServiceAccount', name, namespace }
  throw noAccount(value)
}

function isName(part: string): boolean {
  return /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/.test(part)
}

function noAccount(value: string): CliError {
  return misuse(`"${value}" is not a service account: write serviceaccount:NAME or serviceaccount:PROJECT/NAME`)
}

function checked(value: string, name: string): string {
  if (name !== '' && !/[\s\p{Cc}]/u.test(name)) return name
  throw misuse(`"${value}" names nobody: write USER, group:NAME, serviceaccount:[PROJECT/]NAME or anonymous`)
}
