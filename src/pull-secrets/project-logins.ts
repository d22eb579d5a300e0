import { canonicalHost } from '../oci/reference.ts'
import type { StoredObject } from '../store/objects.ts'
import type { Credential } from '../upstream/upstream.ts'
import { type DockerLogin, dockerConfigKeys, parseDockerConfig } from './docker-config.ts'
import { matchesHost, matchesPath } from './match.ts'

/** A login of one of a project's secrets. */
export interface ProjectLogin extends DockerLogin {
  /** The name of the secret. */
  secret: string
}

/** With this annotation at `true` a secret is none of the project's logins to registries (okd.md 2.7). */
const exclusion = 'openshift.io/image.excludeSecret'

/** Whether a secret holds logins to registries that its project uses. */
export function holdsLogins({ type, metadata }: StoredObject): boolean {
  return typeof type === 'string' && dockerConfigKeys.has(type) && metadata.annotations?.[exclusion] !== 'true'
}

/** The logins of a secret; none where it holds none, or what is no docker config. */
export function loginsOf(secret: StoredObject): ProjectLogin[] {
  if (!holdsLogins(secret)) return []
  const type = String(secret.type)
  const data = dataOf(secret, dockerConfigKeys.get(type) ?? '')
  const config = data === undefined ? undefined : parseDockerConfig(type, data)
  if (config === undefined || 'problem' in config) return []
  return config.logins.map((login) => ({ ...login, secret: secret.metadata.name }))
}

/**
 * The logins for a repository, each once: the longest path first, then by the secret's name, then hosts that are written out
 * before those with `*`.
 */
export function matchingCredentials(
  logins: readonly ProjectLogin[],
  { project, host, repository }: { project: string; host: string; repository: string },
): Credential[] {
  const asked = canonicalHost(host)
  const matching = logins
    .filter((login) => matchesHost(login.host, asked) && matchesPath(login.path, repository))
    .sort(byPrecedence)
  const byContent = new Map<string, Credential>()
  for (const { secret, login } of matching) {
    const content = JSON.stringify(login)
    if (byContent.has(content)) continue
    byContent.set(content, { id: `secrets/${project}/${secret}`, title: `secret "${secret}"`, ...login })
  }
  return [...byContent.values()]
}

function byPrecedence(a: ProjectLogin, b: ProjectLogin): number {
  if (a.path.length !== b.path.length) return b.path.length - a.path.length
  if (a.secret !== b.secret) return a.secret < b.secret ? -1 : 1
  return Number(a.host.includes('*')) - Number(b.host.includes('*'))
}

function dataOf({ data }: StoredObject, key: string): string | undefined {
  if (typeof data !== 'object' || data === null || !Object.hasOwn(data, key)) return undefined
  const value: unknown = (data as Record<string, unknown>)[key]
  return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : undefined
}
