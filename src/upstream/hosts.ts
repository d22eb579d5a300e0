import { canonicalHost } from '../oci/reference.ts'
import type { HostTls } from './host-tls.ts'
import type { UpstreamRule } from './upstream.ts'

/** What the operator's rules say of one host and port. Hosts without a rule are neither named nor insecure. */
export interface HostPolicy {
  /** It may have an address that is not public. */
  named: boolean
  /** Plain HTTP or an unknown certificate is acceptable. */
  insecure: boolean
  /** Whom it trusts, and what Weir shows, where that is its own. */
  tls?: HostTls
}

/** The operator's rules by host and port. */
export interface Hosts {
  policy(url: URL): HostPolicy
  /**
   * The rules as they hold for where the registry at `url` sends on to: all of them when a rule names it. One that no rule
   * names gains nothing from the rules for others: what they open to Weir is not open to whoever can be imported from.
   */
  seenFrom(url: URL): Hosts
}

const noPolicy: HostPolicy = { named: false, insecure: false }
const noRules: Hosts = { policy: () => noPolicy, seenFrom: () => noRules }

/** Reads the rules. A host without a port means the default one: 443, and 80 where plain HTTP is acceptable. */
export function createHosts(rules: readonly UpstreamRule[]): Hosts {
  const policies = new Map<string, HostPolicy>()
  for (const { host, insecure, tls } of rules) {
    const schemes = insecure ? (['https', 'http'] as const) : (['https'] as const)
    for (const key of schemes.map((scheme) => hostKey(registryUrl(host, scheme)))) {
      const before = policies.get(key)
      const own = tls ?? before?.tls
      policies.set(key, { named: true, insecure: insecure || (before?.insecure ?? false), ...(own && { tls: own }) })
    }
  }
  const hosts: Hosts = {
    policy: (url) => policies.get(hostKey(url)) ?? noPolicy,
    seenFrom: (url) => (hosts.policy(url).named ? hosts : noRules),
  }
  return hosts
}

/**
 * The origin of a registry's API: of `docker.io` it is another host than the one in names.
 *
 * @throws TypeError when `host` is not a host
 */
export function registryUrl(host: string, scheme: 'https' | 'http'): URL {
  return new URL(`${scheme}://${canonicalHost(host) === 'docker.io' ? 'registry-1.docker.io' : host}/`)
}

/** One name for a registry, however its host and port are written: as rules have it, in lower case, without the port 443. */
export function registryName(written: string): string {
  const host = canonicalHost(written)
  if (!URL.canParse(`https://${host}/`)) return host
  const name = new URL(`https://${host}/`).host
  // With a port, Docker Hub's names are those of other servers.
  return canonicalHost(name) === 'docker.io' ? host : name
}

/** Host and port as messages and rules write them: without a port for HTTPS's own. */
export function hostOf(url: URL): string {
  return url.protocol === 'http:' && url.port === '' ? `${url.hostname}:80` : url.host
}

function hostKey(url: URL): string {
  return `${url.hostname}:${url.port === '' ? (url.protocol === 'http:' ? '80' : '443') : url.port}`
}
