import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'
import { buildConnector } from 'undici'
import { isPublicAddress } from './address.ts'
import { bulkReadWhereTried } from './bulk-read.ts'
import { describeCertificate } from './certificate-text.ts'
import type { Hosts } from './hosts.ts'

/** Code of the error that refuses an address; its message says which, and what to do. */
export const addressNotAllowed = 'ERR_ADDRESS_NOT_ALLOWED'

export interface ConnectorOptions {
  hosts: Hosts
  /** Longest time until a connection stands, TLS included. */
  connectTimeoutMs: number
  /** For answers that are large, and read as `bulkRead` wants it. */
  bulk?: boolean
  /** Resolves names; default the system's resolver. */
  lookup?: LookupFunction
}

/**
 * Makes connections for undici. A host that no rule names is reached at public addresses only: the address that is
 * checked is the one connected to, so a name that resolves differently the next time gains nothing (DNS rebinding).
 */
export function createConnector({ hosts, connectTimeoutMs, bulk, lookup }: ConnectorOptions): buildConnector.connector {
  const resolve = lookup ?? (systemLookup as LookupFunction)
  const common = {
    allowH2: false,
    timeout: connectTimeoutMs,
    minVersion: 'TLSv1.2' as const,
    ...(bulk === true ? bulkReadWhereTried() : {}),
  }
  const byContext = new WeakMap<SecureContext, buildConnector.connector>()
  const guarded = buildConnector({ ...common, lookup: publicOnly(resolve) })
  const named = buildConnector({ ...common, lookup: resolve })
  const insecure = buildConnector({ ...common, lookup: resolve, rejectUnauthorized: false })

  /** New for each context, so that no session goes on that began under another. */
  function withContext(secureContext: SecureContext): buildConnector.connector {
    const made = byContext.get(secureContext) ?? buildConnector({ ...common, lookup: resolve, secureContext })
    byContext.set(secureContext, made)
    return made
  }

  return (options, callback) => {
    const url = new URL(`${options.protocol}//${bracketed(options.hostname)}:${options.port}`)
    const policy = hosts.policy(url)
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

function bracketed(hostname: string): string {
  return isIP(hostname) === 6 ? `[${hostname}]` : hostname
}

function notAllowed(host: string, address: string): NodeJS.ErrnoException {
  const message = `${host} has the address ${address}, which is not public: name the host with its port in upstreams to allow it`
  return Object.assign(new Error(message), { code: addressNotAllowed })
}
