import { BlockList, isIP } from 'node:net'

/** Which proxy leads to whom. */
export interface Proxies {
  /** The proxy for a URL; undefined where it is asked directly. */
  for(url: URL): URL | undefined
}

/** As the environment has it. */
export interface ProxySettings {
  /** For URLs of https, and of http; each an http or https URL, with a login in it where the proxy wants one. */
  https?: URL
  http?: URL
  /** Hosts that are asked directly, between commas or spaces. */
  noProxy: string
}

type Exception = (hostname: string, port: string) => boolean

/**
 * Reads settings as most programs do: an exception is `*`, an address, a network (`10.0.0.0/8`), or a name, which stands for those
 * below it too (with a dot in front for those alone), each but a network with or without a port. Loopback addresses and `localhost` are
 * always asked directly.
 *
 * @see https://pkg.go.dev/golang.org/x/net/http/httpproxy#Config
 */
export function createProxies({ https, http, noProxy }: ProxySettings): Proxies {
  const words = noProxy.toLowerCase().split(/[\s,]+/)
  const exceptions = [...words.filter((word) => word !== '').map(exceptionOf), isLoopback]
  return {
    for(url) {
      const proxy = url.protocol === 'https:' ? https : http
      if (proxy === undefined) return undefined
      const hostname = url.hostname.replace(/^\[|\]$/g, '')
      const port = url.port || (url.protocol === 'https:' ? '443' : '80')
      return exceptions.some((isExcepted) => isExcepted(hostname, port)) ? undefined : proxy
    },
  }
}

function exceptionOf(word: string): Exception {
  if (word === '*') return () => true
  const [, network = '', prefix = ''] = /^([0-9a-f:.]+)\/([0-9]{1,3})$/.exec(word) ?? []
  if (isIP(network) !== 0 && Number(prefix) <= (isIP(network) === 4 ? 32 : 128)) {
    const block = new BlockList()
    block.addSubnet(network, Number(prefix), familyOf(network))
    return (hostname) => isIP(hostname) !== 0 && block.check(hostname, familyOf(hostname))
  }
  // An IPv6 address is bare, or between brackets where a port follows.
  const parts = isIP(word) === 6 ? undefined : /^(.*?)(?::([0-9]+))?$/.exec(word)
  const name = (parts?.[1] ?? word).replace(/^\[(.*)\]$/, '$1').replace(/^\*\./, '.')
  const isMeant = (port: string): boolean => parts?.[2] === undefined || parts[2] === port
  if (isIP(name) !== 0) {
    const block = new BlockList()
    block.addAddress(name, familyOf(name))
    return (hostname, port) => isMeant(port) && isIP(hostname) !== 0 && block.check(hostname, familyOf(hostname))
  }
  const below = name.startsWith('.') ? name : `.${name}`
  return (hostname, port) => isMeant(port) && (hostname === name || hostname.endsWith(below))
}

function isLoopback(hostname: string): boolean {
  if (hostname === 'localhost' || hostname.endsWith('.localhost')) return true
  return isIP(hostname) !== 0 && loopback.check(hostname, familyOf(hostname))
}

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}
