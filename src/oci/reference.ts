import { type Digest, parseDigest } from './digest.ts'

const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/
const hostPattern =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/

/** Longest `project/stream`: clients refuse names over 255 characters. */
export const maxNameLength = 255

/** Whether `value` is a tag of the OCI grammar; `!` and `/`, which the ledger's keys use, can not be in one. */
export function isTag(value: string): boolean {
  return tagPattern.test(value)
}

/** Whether `value` is one path component of a repository name. */
export function isNameComponent(value: string): boolean {
  return value.length <= maxNameLength && component.test(value)
}

/**
 * Whether `value` may name a project or a stream: a component without the words "basic" and "bearer". Clients that parse a
 * challenge loosely, the OCI conformance suite among them, take such a word in its scope for the scheme.
 */
export function isOwnName(value: string): boolean {
  return isNameComponent(value) && !/basic|bearer/.test(value)
}

/** A repository name of Weir, which has exactly two components. */
export interface StreamName {
  project: string
  stream: string
}

/** Parses `project/stream`; undefined when it has another depth or is not of the grammar. */
export function parseStreamName(name: string): StreamName | undefined {
  if (name.length > maxNameLength) return undefined
  const slash = name.indexOf('/')
  const project = name.slice(0, slash)
  const stream = name.slice(slash + 1)
  return slash > 0 && isOwnName(project) && isOwnName(stream) ? { project, stream } : undefined
}

/** An image at an upstream registry. `tag` is absent when `digest` is there: the most specific wins. */
export interface ImageReference {
  /** Host with its port, lower case, as users write it: `docker.io`, `localhost:5100`. */
  host: string
  /** Repository without the host; on Docker Hub with `library/` where no namespace was written. */
  repository: string
  tag?: string
  digest?: Digest
}

/**
 * Parses a reference as Docker users write it: `nginx`, `nginx:1.27`, `quay.io/org/app@sha256:...`. The first segment is
 * a host when it contains `.` or `:` or is `localhost`; without a host it is `docker.io`, without a tag `latest`.
 * Undefined when it is not a reference.
 *
 * @see https://pkg.go.dev/github.com/distribution/reference
 */
export function parseImageReference(value: string): ImageReference | undefined {
  if (value.length > 1024) return undefined
  const at = value.indexOf('@')
  const digest = at < 0 ? undefined : parseDigest(value.slice(at + 1))
  if (at >= 0 && digest === undefined) return undefined
  const named = at < 0 ? value : value.slice(0, at)
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const path = colon < 0 ? named : named.slice(0, colon)
  const tag = colon < 0 ? undefined : named.slice(colon + 1)
  if (tag !== undefined && !isTag(tag)) return undefined
  const { host, repository } = splitHost(path)
  if (!isHost(host) || repository.length > maxNameLength) return undefined
  if (!repository.split('/').every((part) => component.test(part))) return undefined
  if (digest !== undefined) return { host, repository, digest }
  return { host, repository, tag: tag ?? 'latest' }
}

/** Formats a reference in its whole form; the inverse of {@link parseImageReference}. */
export function formatImageReference(reference: ImageReference): string {
  const suffix = reference.digest === undefined ? `:${reference.tag ?? 'latest'}` : `@${reference.digest}`
  return `${reference.host}/${reference.repository}${suffix}`
}

function splitHost(path: string): { host: string; repository: string } {
  const slash = path.indexOf('/')
  const first = slash < 0 ? '' : path.slice(0, slash)
  const hasHost = /[.:[]/.test(first) || first.toLowerCase() === 'localhost'
  const host = hasHost ? canonicalHost(first) : 'docker.io'
  const rest = hasHost ? path.slice(slash + 1) : path
  return { host, repository: host === 'docker.io' && !rest.includes('/') ? `library/${rest}` : rest }
}

/** Also refuses what only looks like a host: port 65536, `1.2.3.256`, `[:::]`. */
function isHost(host: string): boolean {
  return hostPattern.test(host) && URL.canParse(`https://${host}/`)
}

/** Lower case, and one name for Docker Hub's several. */
export function canonicalHost(host: string): string {
  const lower = host.toLowerCase()
  return lower === 'index.docker.io' || lower === 'registry-1.docker.io' ? 'docker.io' : lower
}
