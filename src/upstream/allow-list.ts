/** Which registries users may name as a source: `imports.allowedRegistries` and the hosts named in `upstreams`. */
export interface AllowList {
  /** `host` with its port, as {@link parseImageReference} gives it. */
  allows(host: string): boolean
  /** For messages: what is allowed, in the order of the config. */
  readonly entries: readonly string[]
}

/**
 * `patterns` are hosts with an optional port, `*` for any part of the name, or a lone `*` for every registry. A
 * pattern without a port allows the default port alone, for another port is another service on the same machine.
 * `named` hosts are always allowed.
 */
export function createAllowList(patterns: readonly string[], named: readonly string[]): AllowList {
  const entries = [...new Set([...named, ...patterns])]
  const all = patterns.includes('*')
  const tests = patterns.map(hostPattern)
  const hosts = new Set(named.map((host) => host.toLowerCase()))
  return {
    allows: (host) => all || hosts.has(host) || tests.some((test) => test.test(withoutDefaultPort(host))),
    entries,
  }
}

function hostPattern(pattern: string): RegExp {
  const escaped = withoutDefaultPort(pattern.toLowerCase()).replace(/[.+?^${}()|[\]\\]/g, '\\$&')
  // '*.amazonaws.com' covers '123.dkr.ecr.eu-west-1.amazonaws.com', as the OKD whitelist has it.
  return new RegExp(`^${escaped.replaceAll('*', '[a-z0-9.-]+')}$`)
}

function withoutDefaultPort(host: string): string {
  return host.endsWith(':443') ? host.slice(0, -4) : host
}
