import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, SocketAddress } from 'node:net'
import type { Client } from '../access/access.ts'

/** Says who is at the other end of a request: the same object while the connection says the same. */
export type ClientOf = (incoming: Pick<IncomingMessage, 'socket' | 'rawHeaders'>) => Client

/** Addresses that begin with the same `prefix` bits. */
export interface Network {
  address: string
  prefix: number
  family: 'ipv4' | 'ipv6'
}

const maxUserAgentLength = 256

/** Most addresses of `X-Forwarded-For` that are looked at, from the right, and most characters of one. */
const maxHops = 32
const maxHopLength = 64

/**
 * `X-Forwarded-For` is believed as far as it was written by `trustedProxies`: each names the peer that it had, at the right.
 * The client is the last that no trusted proxy is; what a client writes there itself stands to the left of it.
 *
 * @see https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#security_and_privacy_concerns
 */
export function createClientOf(trustedProxies: readonly Network[] = []): ClientOf {
  const isTrusted = createTrust(trustedProxies)
  const lasts = new WeakMap<object, { userAgent: string; forwardedFor: string; client: Client }>()
  return ({ socket, rawHeaders }) => {
    const userAgent = headerOf(rawHeaders, 'user-agent').slice(0, maxUserAgentLength)
    const forwardedFor = trustedProxies.length === 0 ? '' : headerOf(rawHeaders, 'x-forwarded-for')
    const last = lasts.get(socket)
    if (last?.userAgent === userAgent && last.forwardedFor === forwardedFor) return last.client
    const peer = normaliseAddress(socket.remoteAddress ?? '') ?? ''
    const client = { address: clientAddress(peer, forwardedFor, isTrusted), userAgent: plain(userAgent) }
    lasts.set(socket, { userAgent, forwardedFor, client })
    return client
  }
}

type IsTrusted = (address: string) => boolean

function clientAddress(peer: string, forwardedFor: string, isTrusted: IsTrusted): string {
  let address = peer
  let end = forwardedFor.length
  for (let hop = 0; hop < maxHops && end > 0 && isTrusted(address); hop += 1) {
    const comma = forwardedFor.lastIndexOf(',', end - 1)
    const next = parseHop(forwardedFor.slice(comma + 1, end))
    // Behind what is no address nobody vouches for anything.
    if (next === undefined) break
    address = next
    end = comma
  }
  return address
}

/** An address as proxies write it, some with the port, IPv6 then in brackets. */
function parseHop(text: string): string | undefined {
  if (text.length > maxHopLength) return undefined
  const [, bracketed, dotted] = /^\s*(?:\[([^\]]*)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)\s*$/.exec(text) ?? []
  return normaliseAddress(bracketed ?? dotted ?? text.trim())
}

/** An address in its one form: IPv6 as RFC 5952 has it, IPv4 also where it came mapped into IPv6; undefined for anything else. */
export function normaliseAddress(text: string): string | undefined {
  const [plain = ''] = text.split('%', 1)
  switch (isIP(plain)) {
    case 4:
      return plain
    case 6: {
      const { address } = new SocketAddress({ address: plain, family: 'ipv6' })
      return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address)?.[1] ?? address
    }
    default:
      return undefined
  }
}

function createTrust(networks: readonly Network[]): IsTrusted {
  const list = new BlockList()
  for (const { address, prefix, family } of networks) {
    const mapped = family === 'ipv6' && prefix >= 96 ? normaliseAddress(address) : undefined
    if (mapped !== undefined && isIP(mapped) === 4) list.addSubnet(mapped, prefix - 96, 'ipv4')
    else list.addSubnet(address, prefix, family)
  }
  return (address) => {
    const version = isIP(address)
    return version !== 0 && list.check(address, version === 4 ? 'ipv4' : 'ipv6')
  }
}

/** Headers may have C1 controls, which ledgers and logs would show a terminal (ECMA-48 5.3). */
function plain(text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}

/** A header's values, joined as a list. */
function headerOf(rawHeaders: readonly string[], name: string): string {
  let found: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const sent = rawHeaders[i] ?? ''
    if (sent.length !== name.length || sent.toLowerCase() !== name) continue
    const value = rawHeaders[i + 1] ?? ''
    found = found === undefined ? value : `${found},${value}`
  }
  return found ?? ''
}
