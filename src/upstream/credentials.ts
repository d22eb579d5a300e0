import { createHash } from 'node:crypto'
import { canonicalHost } from '../oci/reference.ts'
import type { Credential, CredentialsFor, LoginSource, PasswordLogin, UpstreamRule } from './upstream.ts'

/** A rule's login, and where it may be used. */
interface ScopedLogin {
  id: string
  host: string
  projects: readonly RegExp[]
  repositories: readonly RegExp[]
  from: PasswordLogin | { source: LoginSource }
}

/**
 * Gives the logins of the operator's rules, in their order, to the projects and for the repositories that each rule
 * names: `*` stands for anything within a path component, `**` also across them. Their ids are `upstreams[<index>]`. When the
 * source of one fails, the others are given before that is told.
 */
export function credentialsFromRules(rules: readonly UpstreamRule[]): CredentialsFor {
  const matching = loginsOfRules(rules)
  return (project, host, repository) => {
    const given = matching(project, host, repository).map(({ id, from }) => ({ id, from }))
    const written = given.flatMap(({ id, from }) => ('source' in from ? [] : [{ id, ...from }]))
    return written.length === given.length ? written : askedInTurn(given)
  }
}

/** The ids of what {@link credentialsFromRules} would give; no source is asked. */
export function loginIdsFromRules(
  rules: readonly UpstreamRule[],
): (project: string, host: string, repository: string) => string[] {
  const matching = loginsOfRules(rules)
  return (...asked) => matching(...asked).map(({ id }) => id)
}

/** When the logins of rules end that are known to end, by their ids. */
export function loginEndsOfRules(rules: readonly UpstreamRule[]): { id: string; host: string; expiresAt: number }[] {
  return rules.flatMap(({ host, login }, index) => {
    const expiresAt = login !== undefined && 'source' in login ? login.source.expiresAt : undefined
    return expiresAt === undefined ? [] : [{ id: idOf(index), host: canonicalHost(host), expiresAt }]
  })
}

function idOf(index: number): string {
  return `upstreams[${index}]`
}

function loginsOfRules(rules: readonly UpstreamRule[]) {
  const logins = rules.flatMap(({ host, login }, index): ScopedLogin[] => {
    if (login === undefined) return []
    const { projects, repositories } = login
    const from = 'source' in login ? { source: login.source } : { username: login.username, password: login.password }
    const scope = { projects: projects.map(glob), repositories: repositories.map(glob) }
    return [{ id: idOf(index), host: canonicalHost(host), ...scope, from }]
  })
  return (project: string, host: string, repository: string): ScopedLogin[] =>
    logins
      .filter((login) => login.host === canonicalHost(host))
      .filter((login) => login.projects.some((pattern) => pattern.test(project)))
      .filter((login) => login.repositories.some((pattern) => pattern.test(repository)))
}

async function* askedInTurn(given: readonly Pick<ScopedLogin, 'id' | 'from'>[]): AsyncGenerator<Credential> {
  const failures: unknown[] = []
  for (const { id, from } of given) {
    if (!('source' in from)) {
      yield { id, ...from }
      continue
    }
    const { source } = from
    const login = await source.login().catch((error: unknown) => void failures.push(error))
    if (login === undefined) continue
    const renewed = async (): Promise<Credential | undefined> => {
      const other = await source.renewed(login)
      return other && { id, ...other }
    }
    yield { id, ...login, renewed }
  }
  if (failures.length > 0) throw failures[0]
}

/** Asks one source of credentials after the other. */
export function credentialsInTurn(...sources: readonly CredentialsFor[]): CredentialsFor {
  return async function* (...asked) {
    for (const credentialsFor of sources) yield* credentialsFor(...asked)
  }
}

/** The Authorization header of a login (RFC 7617). */
export function basicAuthorization({ username, password }: PasswordLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** The same for the same secret under the same id alone: what was changed must prove itself anew. */
export function fingerprint({ title: _title, renewed: _renewed, ...credential }: Credential): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(credential).sort()))
    .digest('base64')
}

function glob(pattern: string): RegExp {
  const parts = pattern.split(/(\*\*|\*)/).map((part) => {
    if (part === '**') return '.*'
    return part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${parts.join('')}$`)
}
