import { createHash } from 'node:crypto'
import { canonicalHost } from '../oci/reference.ts'
import type { Credential, CredentialsFor, PasswordLogin, UpstreamRule } from './upstream.ts'

/**
 * Gives the logins of the operator's rules, in their order, to the projects and for the repositories that each rule
 * names: `*` stands for anything within a path component, `**` also across them. Their ids are `upstreams[<index>]`.
 */
export function credentialsFromRules(rules: readonly UpstreamRule[]): CredentialsFor {
  const logins = rules.flatMap(({ host, login }, index) => {
    if (login === undefined) return []
    const { username, password, projects, repositories } = login
    return {
      host: canonicalHost(host),
      projects: projects.map(glob),
      repositories: repositories.map(glob),
      credential: { id: `upstreams[${index}]`, username, password },
    }
  })
  return (project, host, repository) =>
    logins
      .filter((login) => login.host === canonicalHost(host))
      .filter((login) => login.projects.some((pattern) => pattern.test(project)))
      .filter((login) => login.repositories.some((pattern) => pattern.test(repository)))
      .map((login) => login.credential)
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
export function fingerprint({ title: _, ...credential }: Credential): string {
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
