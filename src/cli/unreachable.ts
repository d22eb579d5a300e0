/** Why a server gave no answer, and what to do about it. */

import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { CliError } from './failures.ts'
import type { Server } from './server.ts'
import type { Failed } from './transport.ts'

/** What failed on the way to `server`, in words. */
export async function unreachable(server: Server, { cause, tooLongMs }: Failed): Promise<CliError> {
  return tooLongMs === undefined ? brokenOff(server, cause) : tooSlow(server, tooLongMs, cause)
}

function tooSlow(server: Server, limitMs: number, cause: unknown): CliError {
  return new CliError(`${server.url} (from ${server.from}) gave no whole answer within ${limitMs / 1000} s`, {
    hints: ['it may still do what was asked: look before asking again; wait longer with --request-timeout 10m'],
    cause,
  })
}

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
])

const unanswered = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])

async function brokenOff(server: Server, cause: unknown): Promise<CliError> {
  const { code = '', message } = innermost(cause)
  const place = `${server.url} (from ${server.from})`
  if (untrusted.has(code)) {
    const fingerprint = await fingerprintOf(server)
    return new CliError(`${place} shows a certificate that is not trusted here (${code})`, {
      hints: [
        "name its authority with --certificate-authority FILE; Weir's own is <data>/tls/ca.crt there (data/tls/ca.crt), and in data/admin.kubeconfig",
        ...(fingerprint === undefined
          ? []
          : [
              `the certificate's SHA-256 fingerprint is ${fingerprint}`,
              'is it this one? there: openssl x509 -in <data>/tls/tls.crt -noout -fingerprint -sha256',
            ]),
        'a kubeconfig of an earlier data directory trusts the earlier authority: take the new one',
      ],
      cause,
    })
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code.startsWith('CERT_')) {
    return new CliError(`${place} shows a certificate that does not hold: ${message}`, { cause })
  }
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG' || code === 'EPROTO') {
    return new CliError(`${place} does not speak HTTPS`, {
      hints: ['port 5443 is HTTPS and port 5000 HTTP unless configured otherwise'],
      cause,
    })
  }
  if (code.startsWith('HPE_')) return new CliError(`${place} does not speak HTTP`, { cause })
  if (code === 'ERR_INVALID_ARG_VALUE' || code === 'ERR_OSSL_PEM_NO_START_LINE' || code.startsWith('ERR_OSSL_')) {
    return new CliError(`the certificate authority given for ${place} is not a certificate: ${message}`, { cause })
  }
  if (!unanswered.has(code)) {
    return new CliError(`${place} broke the connection: ${code === '' ? message : code}`, {
      hints: [
        'it may still do what was asked: look before asking again; its log says why',
        ...(server.url.startsWith('http:') ? ['or it speaks HTTPS: then write https://'] : []),
      ],
      cause,
    })
  }
  return new CliError(`nothing answers at ${place}: ${code}`, {
    hints: [
      ...(new URL(server.url).port === ''
        ? ['without a port it is 443 (80 of http): Weir itself listens on 5443, and on 5000 for http']
        : []),
      'start it with `npm start` where it is installed, or name another server with --server or --kubeconfig',
    ],
    cause,
  })
}

/** Why a connection failed, in a word or two. */
export function reasonOf(cause: unknown): string {
  const { code, message } = innermost(cause)
  return code ?? message
}

/** The fingerprint of the certificate that a server shows; nothing is sent to it. */
async function fingerprintOf({ url, tlsServerName }: Server): Promise<string | undefined> {
  const { hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const servername = tlsServerName ?? (isIP(host) === 0 ? host : '')
  return new Promise((resolve) => {
    const options = { host, port: Number(port) || 443, servername, rejectUnauthorized: false, timeout: 5000 }
    const socket = connect(options, () => done(socket.getPeerCertificate().fingerprint256))
    const done = (fingerprint?: string) => {
      socket.destroy()
      resolve(fingerprint)
    }
    socket.on('error', () => done()).on('timeout', () => done())
  })
}

// A host with several addresses fails with an AggregateError that has a code and no message.
function innermost(error: unknown): { code?: string; message: string } {
  if (error instanceof AggregateError && error.errors.length > 0) return innermost(error.errors[0])
  if (error instanceof Error) {
    const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
    return { message: error.message, ...(code === undefined ? {} : { code }) }
  }
  return { message: String(error) }
}
