import type { IncomingHttpHeaders } from 'node:http'
import type { Digest } from '../oci/digest.ts'
import { type ErrorCode, RegistryError, type UpstreamReason } from '../oci/errors.ts'
import { addressNotAllowed } from './connector.ts'
import { retryAfterMs } from './retry-after.ts'

/** What was asked for, for messages. `host` is the registry as users name it. */
export interface Subject {
  kind: 'manifest' | 'blob' | 'tags' | 'referrers'
  host: string
  repository: string
  reference: string
  /** It is pushed, and not asked for. */
  isPush?: boolean
}

/**
 * A login, as messages call it, or nobody without one, that an upstream refused; `status` is what it or its token endpoint
 * answered.
 */
export interface Refusal {
  login: string | undefined
  status: number
  /** Whether it may have been good once, as far as the answer tells: it has expired, or was revoked. */
  hasEnded?: boolean
}

const codes: Record<Exclude<UpstreamReason, 'NotFound'>, ErrorCode> = {
  Unauthorized: 'DENIED',
  Forbidden: 'DENIED',
  CredentialsExpired: 'DENIED',
  NotAllowed: 'DENIED',
  TooManyRequests: 'TOOMANYREQUESTS',
  Unreachable: 'UNAVAILABLE',
  Tls: 'UNAVAILABLE',
  BadDigest: 'UNAVAILABLE',
  Invalid: 'UNAVAILABLE',
}

const unknownCodes = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
  tags: 'NAME_UNKNOWN',
  referrers: 'MANIFEST_UNKNOWN',
} as const

const certificateCodes =
  /^(?:ERR_TLS_|CERT_|CRL_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|INVALID_CA|HOSTNAME_MISMATCH|PATH_LENGTH_)/

/** Alerts by which a server refuses the certificate that it was shown, or that none was; OpenSSL changed their names. */
const clientCertificateCodes =
  /^ERR_SSL_(?:TLSV13|TLSV1|SSLV3|SSL\/TLS)_ALERT_(?:CERTIFICATE_\w+|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)$/

/** A registry chooses what is in a message, such as where it redirects to, and each tag keeps one. */
const maxMessageLength = 4096

interface FailureOptions {
  status?: number
  code?: ErrorCode
  retryAfterSeconds?: number | undefined
  cause?: unknown
}

/** The error for an upstream that could not be used; its code follows from the reason (DESIGN section 7). */
export function upstreamFailure(
  host: string,
  reason: Exclude<UpstreamReason, 'NotFound'>,
  message: string,
  { status, code, retryAfterSeconds, cause }: FailureOptions = {},
): RegistryError {
  const upstream = { host, reason, ...(status === undefined ? {} : { status }) }
  return new RegistryError(code ?? codes[reason], {
    message: message.length > maxMessageLength ? `${message.slice(0, maxMessageLength)}...` : message,
    detail: upstream,
    upstream,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(cause === undefined ? {} : { cause }),
  })
}

/** The error for an answer whose status is not the one wanted. `by` is who answered: after a redirect another host. */
export function statusFailure(
  subject: Subject,
  answer: { status: number; headers: IncomingHttpHeaders },
  by: string,
  now: number,
): RegistryError {
  const { host, repository, reference, kind, isPush } = subject
  const { status } = answer
  const what = kind === 'tags' ? `tags of ${host}/${repository}` : `${kind} ${reference} of ${host}/${repository}`
  if (isPush && (status === 404 || (status >= 300 && status < 400))) return notTaken(subject, status, by)
  if (status === 404) {
    const upstream = { host, reason: 'NotFound' as const, status }
    return new RegistryError(unknownCodes[kind], { message: `${by} has no ${what}`, detail: upstream, upstream })
  }
  const delayMs = retryAfterMs(answer.headers['retry-after'], now)
  // In whole minutes: the same limit, met again, is not told as something new each time.
  const until = delayMs === undefined ? '' : `; it asks to wait until ${minuteAfter(now + delayMs)}`
  const when = isPush ? `when ${kind} ${reference} was pushed to ${host}/${repository}` : `when asked for ${what}`
  const message = `${by} answered ${status} ${when}${until}`
  const retryAfterSeconds = delayMs === undefined ? undefined : Math.ceil(delayMs / 1000)
  return upstreamFailure(host, reasonOf(status), message, { status, retryAfterSeconds })
}

/** The error for a registry that has no such repository, or wants what is pushed sent elsewhere. */
function notTaken({ host, repository, kind, reference }: Subject, status: number, by: string): RegistryError {
  const what = `${by} answered ${status} when ${kind} ${reference} was pushed to ${host}/${repository}`
  if (status !== 404) return upstreamFailure(host, 'NotAllowed', `${what}: a push follows no redirect`, { status })
  const upstream = { host, reason: 'NotFound' as const, status }
  const message = `${what}: make the repository there first, if a push does not make it`
  return new RegistryError('DENIED', { message, detail: upstream, upstream })
}

/** A time in whole minutes, not before `ms`. */
export function minuteAfter(ms: number): string {
  return new Date(Math.ceil(ms / 60_000) * 60_000).toISOString().replace('.000Z', 'Z')
}

function reasonOf(status: number): Exclude<UpstreamReason, 'NotFound'> {
  if (status === 401) return 'Unauthorized'
  if (status === 403) return 'Forbidden'
  if (status === 429) return 'TooManyRequests'
  return status === 408 || status >= 500 ? 'Unreachable' : 'Invalid'
}

/** The error for a registry that let none of the logins, nor anybody without one, at what was asked for. */
export function refusedFailure(subject: Subject, project: string, refusals: readonly Refusal[]): RegistryError {
  const { host, repository, isPush } = subject
  const ended = refusals.find(({ hasEnded }) => hasEnded === true)
  const status = (ended ?? refusals[0])?.status ?? 401
  const tried = refusals.map(({ login = 'without a login', status: answer, hasEnded }) => {
    return `${login} (${answer}${hasEnded === true ? ', it has expired or was revoked' : ''})`
  })
  const isAnonymous = refusals.every(({ login }) => login === undefined)
  const mayPush = isPush ? ' that may push' : ''
  const advice = isAnonymous
    ? `project ${project} has no login for it: put one${mayPush} into a secret of type kubernetes.io/dockerconfigjson`
    : ended !== undefined
      ? `renew it where it is kept; one that lives for hours alone is for credentialHelper or exec, in upstreams`
      : `put a working login${mayPush} into a secret of type kubernetes.io/dockerconfigjson`
  const what = isPush ? `a push to "${repository}"` : `"${repository}"`
  const message = `${host} denied ${what}, or it is not there: tried ${tried.join(', then ')}; ${advice}`
  const reason = ended !== undefined ? 'CredentialsExpired' : status === 403 ? 'Forbidden' : 'Unauthorized'
  return upstreamFailure(host, reason, message, { status })
}

/** The error for content that is not what its digest says. */
export function badDigest({ host, repository, kind, reference, isPush }: Subject, got: Digest): RegistryError {
  const did = isPush ? 'took' : 'sent'
  const message = `${host} ${did} something else than ${kind} ${reference} of ${repository}: its digest is ${got}`
  return upstreamFailure(host, 'BadDigest', message)
}

/** The error for a connection that did not come about or broke. `url` is where it went. */
export function connectionFailure(host: string, url: URL, error: unknown): RegistryError {
  const code = errorCode(error)
  const text = (error instanceof Error ? error.message : '') || code || 'unknown failure'
  if (code === addressNotAllowed) return upstreamFailure(host, 'NotAllowed', text)
  // The transport's own errors can hold what was received: only the message and the code go on.
  const cause = Object.assign(new Error(text), { code })
  const advice = 'name it in upstreams with insecure: true'
  if (clientCertificateCodes.test(code)) {
    const message = `${url.host} ended the TLS handshake (${code}): it may want a client certificate, or another: set certFile and keyFile beside it in upstreams`
    return upstreamFailure(host, 'Tls', message, { cause })
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_')) {
    const message = `${url.host} does not speak TLS as it should (${code}): if it serves plain HTTP, ${advice}`
    return upstreamFailure(host, 'Tls', message, { cause })
  }
  if (certificateCodes.test(code)) {
    const whose = error instanceof Error && 'peer' in error ? `${error.peer}: ` : ''
    const why = text.replace(/; if the root CA is installed locally.*$/s, '')
    const message = `the certificate of ${url.host} is not trusted (${whose}${why}): ${trustAdvice(code)}, or ${advice}`
    return upstreamFailure(host, 'Tls', message, { cause })
  }
  return upstreamFailure(host, 'Unreachable', `${url.host} could not be reached: ${text}`, { cause })
}

/** What to do, by OpenSSL's and Node's codes, that a certificate is trusted. */
function trustAdvice(code: string): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return 'ask for it by a name that its certificate is for'
  if (code === 'CERT_HAS_EXPIRED') return 'it has to be renewed there'
  return 'name its CA as certificateAuthorityFile in upstreams'
}

/** The code of an error, of what caused it, or of the first of several. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return ''
  if ('code' in error && typeof error.code === 'string') return error.code
  if (error instanceof AggregateError) return errorCode(error.errors[0])
  return errorCode(error.cause)
}
