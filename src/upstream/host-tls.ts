import { X509Certificate } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Logger } from 'pino'
import { createFollowedFile } from './followed-file.ts'

/** How one registry is spoken to over TLS. */
export interface HostTls {
  /** The same until a file changes, which new connections then go by. */
  context(): Promise<SecureContext>
}

/** A file and what it held at first, PEM. */
export interface PemFile {
  file: string
  pem: string
}

/** Of one rule. */
export interface HostTlsFiles {
  /** The only authorities that are trusted; default those that the system trusts. */
  certificateAuthority?: PemFile
  /** The certificate, with its chain, that says who Weir is. */
  clientCertificate?: { certificate: PemFile; key: PemFile }
}

export interface HostTlsOptions extends HostTlsFiles {
  /** Of the rule, for the log. */
  path: string
  now: () => number
  log: Logger
}

/** @throws Error when the files make no context */
export function createHostTls(options: HostTlsOptions): HostTls {
  const { certificateAuthority, clientCertificate, path, now, log } = options
  const follow = (key: string, from: PemFile | undefined, parse: (text: string) => string) =>
    from && createFollowedFile({ file: from.file, key: `${path}.${key}`, initial: from.pem, parse, now, log })
  const files = {
    ca: follow('certificateAuthorityFile', certificateAuthority, certificateIn),
    cert: follow('certFile', clientCertificate?.certificate, certificateIn),
    key: follow('keyFile', clientCertificate?.key, (text) => text),
  }
  let known: readonly (string | undefined)[] = []
  let complaint: string | undefined
  const { certificate, key } = clientCertificate ?? {}
  let context = contextOf(certificateAuthority?.pem, certificate?.pem, key?.pem)

  return {
    async context() {
      const pems = [await files.ca?.current(), await files.cert?.current(), await files.key?.current()] as const
      if (pems.every((pem, index) => pem === known[index])) return context
      try {
        context = contextOf(...pems)
        complaint = undefined
      } catch (error) {
        // A certificate may have come before its key: both are looked at again.
        const problem = `${path}: certificate and key, or authority, can not be used (${codeOf(error)})`
        if (complaint !== problem) log.warn(`${problem}; those from before go on`)
        complaint = problem
      }
      known = pems
      return context
    },
  }
}

/** What OpenSSL makes of PEM, as a code that holds nothing of it. @throws Error */
export function contextOf(ca?: string, cert?: string, key?: string): SecureContext {
  const client = cert === undefined || key === undefined ? {} : { cert, key }
  return createSecureContext({ minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }), ...client })
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown'
}

/** @throws Error */
function certificateIn(pem: string): string {
  try {
    new X509Certificate(pem)
  } catch {
    throw new Error('is no certificate in PEM')
  }
  return pem
}
