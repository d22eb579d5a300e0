import { isIP } from 'node:net'
import { isPublicAddress } from './address.ts'

/** Which registries users may name as a source, or as a home of what they push: `imports.allowedRegistries` and the hosts named in `upstreams`. */
export interface AllowList {
  /**
   * Why `host` (with its port, as {@link parseImageReference} gives it) may not be imported from, or pushed to; undefined when it
   * may.
   */
  refusalOf(host: string, use?: 'import' | 'push'): string | undefined
}

export interface AllowListOptions {
  /**
   * Hosts with an optional port, or a lone `*` for every registry. A `*.` in front stands for one label or more, any other
   * `*` for a part of one label. Without a port the default port alone is allowed, for another port is another service.
   */
  patterns: readonly string[]
  /** The hosts of `upstreams`, with their ports: always allowed. */
  named: readonly string[]
  /** Weir's own hosts, never allowed: two streams that import from each other would ask each other without end. */
  own: readonly string[]
}

export function createAllowList({ patterns, named, own }: AllowListOptions): AllowList {
  const entries = [...new Set([...named, ...patterns])]
  const all = patterns.includes('*')
  const tests = patterns.map(hostPattern)
  const hosts = new Set(named.map((host) => host.toLowerCase()))
  const ownHosts = new Set(own.map((host) => withoutDefaultPort(host.toLowerCase())))
  return {
    refusalOf(host, use = 'import') {
      const what = use === 'import' ? 'importing images from' : 'pushing images on to'
      if (ownHosts.has(withoutDefaultPort(host))) {
        const instead = use === 'import' ? 'the registry that has the image' : 'another registry'
        return `${what} "${host}" is forbidden: that is this Weir itself; name ${instead}`
      }
      if (use === 'push' && !hosts.has(host) && isPrivate(host)) {
        return `${what} "${host}" is forbidden: its address is not public; name it in upstreams of Weir's config`
      }
      if (all || hosts.has(host) || tests.some((test) => test.test(withoutDefaultPort(host)))) return undefined
      return `${what} registry "${host}" is forbidden: allowed are ${entries.join(', ') || 'none'} (imports.allowedRegistries and upstreams in Weir's config)`
    },
  }
}

/** Whether a host is written as an address that is not public. Of names only a lookup tells: connections are refused then. */
function isPrivate(host: string): boolean {
  const url = `https://${host}/`
  if (!URL.canParse(url)) return false
  // Numbers in other notations are addresses too: URLs have them as dotted ones.
  const { hostname } = new URL(url)
  const bare = hostname.replace(/^\[(.*)\]$/, '$1')
  return hostname === 'localhost' || (isIP(bare) !== 0 && !isPublicAddress(bare))
}

function hostPattern(pattern: string): RegExp {
  const escaped = withoutDefaultPort(pattern.toLowerCase()).replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  const inFront = escaped.replace(/^\*\\\./, '(?:[a-z0-9-]+\\.)+')
  return new RegExp(`^${inFront.replaceAll('*', '[a-z0-9-]+')}$`)
}

function withoutDefaultPort(host: string): string {
  return host.endsWith(':443') ? host.slice(0, -4) : host
}
