import { isIP } from 'node:net'
import { parseImageReference } from './oci/reference.ts'

/** Values of the config as people write them. Each parser answers undefined for what is not one. */

/** An address to listen on; port 0 means any free port. */
export interface ListenAddress {
  /** Host name or address, an IPv6 address without its brackets. */
  host: string
  port: number
}

const sizeUnits = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const

/** Parses `512MiB`, `50GiB` to bytes; a number without a unit is none, and neither are the powers of ten. */
export function parseSize(text: string): number | undefined {
  const [, n, unit] = /^([0-9]+)(B|KiB|MiB|GiB|TiB)$/.exec(text) ?? []
  const bytes = Number(n) * sizeUnits[unit as 'B']
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Parses `127.0.0.1:5000`, `localhost:0`, `[::1]:5000`. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const [, bracketed, bare, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([a-zA-Z0-9.-]+)):([0-9]{1,5})$/.exec(text) ?? []
  const host = bracketed ?? bare
  const port = Number(digits)
  return host !== undefined && port <= 65_535 ? { host, port } : undefined
}

/**
 * Parses the URL under which clients reach a listener: scheme, host and port alone, answered without a trailing slash.
 * A port of 0 stands for the port that is bound.
 */
export function parsePublicUrl(text: string): string | undefined {
  if (!/^https?:\/\/[^/?#@\\\s]+\/?$/.test(text) || !URL.canParse(text)) return undefined
  // Some clients take the last of these words in a challenge for its scheme, wherever it stands.
  return /basic|bearer/i.test(text) ? undefined : new URL(text).origin
}

/** Parses the issuer of OIDC tokens, answered as it was written: `iss` is compared letter by letter. */
export function parseIssuer(text: string): string | undefined {
  return /^https:\/\/[^?#@\\\s]+$/.test(text) && URL.canParse(text) ? text : undefined
}

/** Parses an IP address or a network, `10.0.0.0/8`; a network of one address has its whole length as prefix. */
export function parseNetwork(text: string): { address: string; prefix: number; family: 'ipv4' | 'ipv6' } | undefined {
  const [, address = '', digits] = /^([0-9a-fA-F:.]+)(?:\/([0-9]{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version === 0) return undefined
  const most = version === 4 ? 32 : 128
  const prefix = digits === undefined ? most : Number(digits)
  return prefix <= most ? { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' } : undefined
}

/** Parses a registry host as users write it in image names, lower case, with its port. */
export function parseRegistryHost(text: string): string | undefined {
  if (/[/@]/.test(text)) return undefined
  const reference = parseImageReference(`${text}/project/stream`)
  return reference?.repository === 'project/stream' ? reference.host : undefined
}

/** Parses an entry of an allow-list: `*`, a registry host, or a host with `*` for a part of its name. */
export function parseHostPattern(text: string): string | undefined {
  if (text === '*') return text
  return parseRegistryHost(text.replaceAll('*', 'x')) === undefined ? undefined : text.toLowerCase()
}
