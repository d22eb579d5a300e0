import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction, type Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { isPublicAddress } from './address.ts'
import { bulkReadWhereTried } from './bulk-read.ts'
import { describeCertificate } from './certificate-text.ts'
import type { HostPolicy, Hosts } from './hosts.ts'
import type { Proxies } from './proxies.ts'

/** Code of the error that refuses an address; its message says which, and what to do. */
export const addressNotAllowed = 'ERR_ADDRESS_NOT_ALLOWED'

export interface ConnectorOptions {
  hosts: Hosts
  /** Longest time until a connection stands, TLS included. */
  connectTimeoutMs: number
  /** For answers that are large, and read as `bulkRead` wants it. */
  bulk?: boolean
  /** Default: everybody is asked directly. */
  proxies?: Proxies | undefined
  /** Resolves names; default the system's resolver. */
  lookup?: LookupFunction
}

/**
 * Makes connections for undici. A host that no rule names is reached at public addresses only: the address that is
 * checked is the one connected to, so a name that resolves differently the next time gains nothing (DNS rebinding). Through a proxy,
 * which looks names up itself, a name is refused that leads to another address here, or can not be public; one that nobody knows here
 * is the proxy's matter.
 */
export function createConnector({
  hosts,
  connectTimeoutMs,
  bulk,
  proxies,
  lookup,
}: ConnectorOptions): buildConnector.connector {
  const resolve = lookup ?? (systemLookup as LookupFunction)
  const common = {
    allowH2: false,
    timeout: connectTimeoutMs,
    minVersion: 'TLSv1.2' as const,
    ...(bulk === true ? bulkReadWhereTried() : {}),
  }
  // Another's connection reads into no memory of ours.
  const plain = { allowH2: false, timeout: connectTimeoutMs, minVersion: 'TLSv1.2' as const }
  const inTunnel = {
    named: buildConnector(plain),
    insecure: buildConnector({ ...plain, rejectUnauthorized: false }),
    withContext: connectorsByContext(plain),
  }
  const withContext = connectorsByContext({ ...common, lookup: resolve })
  const guarded = buildConnector({ ...common, lookup: publicOnly(resolve) })
  const named = buildConnector({ ...common, lookup: resolve })
  const insecure = buildConnector({ ...common, lookup: resolve, rejectUnauthorized: false })

  /** A connection through a proxy, and what makes one over TLS of it. */
  async function throughProxy(
    proxy: URL,
    url: URL,
    policy: HostPolicy,
    { hostname }: buildConnector.Options,
  ): Promise<{ connect?: buildConnector.connector; httpSocket: Socket }> {
    if (!policy.named) await requirePublic(resolve, url.host, hostname)
    const connect = policy.tls
      ? inTunnel.withContext(await policy.tls.context())
      : policy.insecure
        ? inTunnel.insecure
        : inTunnel.named
    const { openTunnel } = await import('./proxy-tunnel.ts')
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    const httpSocket = await openTunnel(proxy, `${url.hostname}:${port}`, connectTimeoutMs)
    return url.protocol === 'https:' ? { connect, httpSocket } : { httpSocket }
  }

  return (options, callback) => {
    const url = new URL(`${options.protocol}//${bracketed(options.hostname)}:${options.port}`)
    const policy = hosts.policy(url)
    const proxy = proxies?.for(url)
    if (proxy !== undefined) {
      return void throughProxy(proxy, url, policy, options).then(
        ({ connect, httpSocket }) => {
          if (connect === undefined) callback(null, httpSocket)
          else connectTold(connect, { ...options, httpSocket }, callback)
        },
        (error: Error) => callback(error, null),
      )
    }
    if (policy.tls !== undefined) {
      const { tls } = policy
      return void tls.context().then(
        (context) => connectTold(withContext(context), options, callback),
        (error: Error) => callback(error, null),
      )
    }
    if (policy.named) return connectTold(policy.insecure ? insecure : named, options, callback)
    // A literal address is never looked up.
    if (isIP(options.hostname) !== 0 && !isPublicAddress(options.hostname)) {
      return callback(notAllowed(url.host, options.hostname), null)
    }
    connectTold(guarded, options, (...[error, socket]) => {
      if (error !== null) return callback(error, null)
      const address = socket.remoteAddress ?? ''
      if (isPublicAddress(address)) return callback(null, socket)
      socket.destroy()
      callback(notAllowed(url.host, address), null)
    })
  }
}

/** New for each context, so that no session goes on that began under another. */
function connectorsByContext(
  options: buildConnector.BuildOptions,
): (secureContext: SecureContext) => buildConnector.connector {
  const known = new WeakMap<SecureContext, buildConnector.connector>()
  return (secureContext) => {
    const made = known.get(secureContext) ?? buildConnector({ ...options, secureContext })
    known.set(secureContext, made)
    return made
  }
}

/** Connects; an error has, as `peer`, whose certificate it was that is not trusted. */
function connectTold(
  connect: buildConnector.connector,
  options: buildConnector.Options,
  callback: buildConnector.Callback,
): void {
  let peer: string | undefined
  const connecting: unknown = connect(options, (...[error, socket]) => {
    if (error === null) callback(null, socket)
    else callback(peer === undefined ? error : Object.assign(error, { peer }), null)
  })
  // Before the certificate is judged: afterwards it is not to be had.
  if (connecting instanceof TLSSocket) {
    connecting.prependOnceListener('secure', () => {
      peer = describeCertificate(connecting.getPeerCertificate())
    })
  }
}

function publicOnly(resolve: LookupFunction): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, [])
      const addresses = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found
      const allowed = addresses.filter(({ address }) => isPublicAddress(address))
      const [first] = allowed
      if (first === undefined) return callback(notAllowed(hostname, addresses[0]?.address ?? 'none'), [])
      if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}

/** Names that no public resolver knows (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`). */
const privateNames = /^[^.]+\.?$|\.(?:localhost|local|internal|home\.arpa)\.?$/i

/** @throws Error when a host is known here not to be public */
async function requirePublic(resolve: LookupFunction, host: string, hostname: string): Promise<void> {
  if (isIP(hostname) !== 0) {
    if (!isPublicAddress(hostname)) throw notAllowed(host, hostname)
    return
  }
  if (privateNames.test(hostname)) throw notAllowedName(host)
  const found = await new Promise<string[]>((done) => {
    resolve(hostname, { all: true }, (error, addresses) => {
      if (error) done([])
      else done([addresses].flat().map((each) => (typeof each === 'string' ? each : each.address)))
    })
  })
  const inside = found.find((address) => !isPublicAddress(address))
  if (inside !== undefined) throw notAllowed(host, inside)
}

function bracketed(hostname: string): string {
  return isIP(hostname) === 6 ? `[${hostname}]` : hostname
}

function notAllowedName(host: string): NodeJS.ErrnoException {
  const message = `${host} is no public name: name the host with its port in upstreams to allow it`
  return Object.assign(new Error(message), { code: addressNotAllowed })
}

function notAllowed(host: string, address: string): NodeJS.ErrnoException {
  const message = `${host} has the address ${address}, which is not public: name the host with its port in upstreams to allow it`
  return Object.assign(new Error(message), { code: addressNotAllowed })
}
