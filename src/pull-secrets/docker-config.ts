import { canonicalHost, isNameComponent, parseImageReference } from '../oci/reference.ts'
import type { Login, PasswordLogin } from '../upstream/upstream.ts'

/** A login of a docker config, and what it is for. */
export interface DockerLogin {
  /** Host with its port, lower case and with one name for Docker Hub; `*` stands for anything within a label. */
  host: string
  /** What a repository begins with, in whole components: `org`, `library/nginx`; empty for the whole registry. */
  path: string
  login: Login
}

export interface DockerConfig {
  /** In the order of the config. */
  logins: DockerLogin[]
  /** Why other entries serve for nothing, a sentence each for whoever wrote them; no secret is in it. */
  unused: string[]
}

/** The types of secrets that hold logins to registries, with the key of `data` that holds them. */
export const dockerConfigKeys: ReadonlyMap<string, string> = new Map([
  ['kubernetes.io/dockerconfigjson', '.dockerconfigjson'],
  ['kubernetes.io/dockercfg', '.dockercfg'],
])

const maxEntries = 500
/** In characters. The longest in use are keys of service accounts as passwords and identity tokens, some 4,000. */
const maxSecretLength = 12_000
const maxUserLength = 1000

/**
 * Parses the text of `.dockerconfigjson` (`{"auths": {...}}`) or `.dockercfg` (what is in `auths`). Registries are written as
 * kubelet takes them: with or without scheme, port, path and trailing slash, `*` within a label; `https://index.docker.io/v1/`
 * is Docker Hub. Of an entry `registrytoken` counts before `identitytoken`, then `auth`, then `username` and `password`.
 *
 * @returns a problem, when it is none of them, for whoever wrote it; neither it nor `unused` quotes what may be secret
 * @see https://kubernetes.io/docs/concepts/containers/images/#config-json
 */
export function parseDockerConfig(type: string, text: string): DockerConfig | { problem: string } {
  const key = dockerConfigKeys.get(type)
  if (key === undefined) throw new TypeError(`${type} is no type of secret that holds logins to registries`)
  const whole = parseJson(text)
  // What a parser says of JSON quotes it.
  if (!isRecord(whole)) return { problem: `${key} is not a JSON object` }
  const auths = key === '.dockercfg' ? whole : own(whole, 'auths')
  if (auths === undefined) return { logins: [], unused: [] }
  if (!isRecord(auths)) return { problem: `auths of ${key} is not a JSON object` }
  const entries = Object.entries(auths)
  if (entries.length > maxEntries) return { problem: `${key} has more than ${maxEntries} registries` }
  const config: DockerConfig = { logins: [], unused: [] }
  for (const [index, [registry, entry]] of entries.entries()) {
    const place = parsePlace(registry)
    if (place === undefined) {
      config.unused.push(`registry ${index + 1} of ${key} is not written as host, host:port or host/path`)
      continue
    }
    const login = parseLogin(entry)
    if (typeof login === 'string') config.unused.push(`${place.host} in ${key}: ${login}`)
    else config.logins.push({ ...place, login })
  }
  return config
}

/** What a key of `auths` is for. Docker wrote some with the path of a registry API, `/v1/` or `/v2/`: that is the whole host. */
function parsePlace(registry: string): { host: string; path: string } | undefined {
  if (registry.length > 1024) return undefined
  const [first = '', ...rest] = registry.replace(/^https?:\/\//i, '').split('/')
  const components = rest.filter((component) => component !== '')
  if (components[0] === 'v1' || components[0] === 'v2') components.shift()
  const host = canonicalHost(first)
  if (!isHost(host) || !components.every(isNameComponent)) return undefined
  return { host, path: components.join('/') }
}

/** Whether an image reference could name a host of this pattern. */
function isHost(pattern: string): boolean {
  const example = canonicalHost(pattern.replaceAll('*', 'x'))
  return parseImageReference(`${example}/x/x`)?.host === example
}

function parseLogin(entry: unknown): Login | string {
  if (!isRecord(entry)) return 'the entry is not a JSON object'
  const registryToken = stringOf(entry, 'registrytoken')
  if (registryToken !== '') return isToken(registryToken) ? { registryToken } : 'registrytoken can not be sent'
  const auth = stringOf(entry, 'auth')
  const pair = auth === '' ? plainPair(entry) : decodeAuth(auth)
  const identityToken = stringOf(entry, 'identitytoken')
  if (identityToken !== '') return identityLogin(identityToken, pair?.username ?? '')
  if (pair === undefined) return 'auth is not "username:password" in base64'
  if (pair.username === '' && pair.password === '') {
    return 'there is no login; docker may keep it in a credential store, and not in its config file'
  }
  if (pair.username.length > maxUserLength || pair.password.length > maxSecretLength) return 'the login is too long'
  // So docker's credential helpers mark a password that is an identity token.
  return pair.username === '<token>' ? identityLogin(pair.password, '') : pair
}

function identityLogin(identityToken: string, username: string): Login | string {
  const isSendable = isToken(identityToken) && username.length <= maxUserLength
  return isSendable ? { identityToken, username } : 'the identity token can not be sent'
}

function plainPair(entry: Record<string, unknown>): PasswordLogin {
  return { username: stringOf(entry, 'username'), password: stringOf(entry, 'password') }
}

function decodeAuth(auth: string): PasswordLogin | undefined {
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(auth)) return undefined
  const decoded = Buffer.from(auth, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  if (colon < 0) return undefined
  // Docker fills some passwords up with NULs, and takes them off again.
  const end = decoded.indexOf('\0', colon)
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1, end < 0 ? undefined : end) }
}

/** Whether it can stand in a header (RFC 9110 5.5). */
function isToken(value: string): boolean {
  return value.length <= maxSecretLength && /^[\x21-\x7e]+$/.test(value)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function stringOf(entry: Record<string, unknown>, field: string): string {
  const value = own(entry, field)
  return typeof value === 'string' ? value : ''
}

function own(object: Record<string, unknown>, field: string): unknown {
  return Object.hasOwn(object, field) ? object[field] : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
