/** How failures look on each surface: `/v2/`, `/token` and the Kubernetes API. */
import type { Logger } from 'pino'
import { failureStatus, internalErrorStatus } from '../api/status.ts'
import { formatBearerChallenge } from '../oci/challenge.ts'
import type { Digest } from '../oci/digest.ts'
import { type ErrorCode, RegistryError, type UpstreamFailure, type UpstreamReason } from '../oci/errors.ts'
import { formatScopes, type Scope } from '../oci/scope.ts'

/** An answer that is small and whole. Header names are lower case. */
export interface Answer {
  status: number
  headers: Record<string, string>
  body: string
}

/** What a rendering needs to know of the request. */
export interface FailedRequest {
  path: string
  requestId: string
  publicUrl: string
}

export type RenderFailure = (error: unknown, request: FailedRequest) => Answer

/** Why a 401 of `/v2/` was given, in the `detail` of UNAUTHORIZED: what its challenge says. */
export interface ChallengeDetail {
  error?: 'invalid_token' | 'insufficient_scope'
  /** Everything that the request needs. */
  scopes?: readonly Scope[]
}

// The OCI spec allows its own codes alone; these are the nearest.
const ociCodes: Partial<Record<ErrorCode, string>> = {
  NOT_FOUND: 'NAME_UNKNOWN',
  ALREADY_EXISTS: 'DENIED',
  CONFLICT: 'DENIED',
  INVALID: 'DENIED',
  BAD_REQUEST: 'UNSUPPORTED',
  FORBIDDEN: 'DENIED',
  NOT_ACCEPTABLE: 'UNSUPPORTED',
  UNSUPPORTED_MEDIA_TYPE: 'UNSUPPORTED',
  TOO_LARGE: 'SIZE_INVALID',
  URI_TOO_LONG: 'UNSUPPORTED',
  EXPIRED: 'UNSUPPORTED',
  RANGE_INVALID: 'SIZE_INVALID',
  UPLOAD_OFFSET_INVALID: 'BLOB_UPLOAD_INVALID',
}

const upstreamReasons: Record<UpstreamReason, string> = {
  NotFound: 'not there',
  Unauthorized: 'denied, or not there',
  Forbidden: 'denied, or not there',
  CredentialsExpired: 'the login for it has expired',
  TooManyRequests: 'too many requests',
  Unreachable: 'not available',
  Tls: 'its TLS or its certificate can not be trusted',
  BadDigest: 'it has other content than asked for',
  NotAllowed: 'not allowed here',
  Invalid: 'its answer is not valid',
}

// RFC 6749 5.2, and 4.1.2.1 for what passes.
const oauthErrors: Partial<Record<ErrorCode, string>> = {
  UNAUTHORIZED: 'invalid_client',
  BAD_REQUEST: 'invalid_request',
  TOOMANYREQUESTS: 'temporarily_unavailable',
  UNAVAILABLE: 'temporarily_unavailable',
}

/** `service` is the one that challenges name. */
export function createRenderFailure({ service, log }: { service: string; log: Logger }): RenderFailure {
  return (error, request) => {
    if (isCutOff(error)) log.debug({ requestId: request.requestId }, 'request cut off by its client')
    else if (!(error instanceof RegistryError)) {
      log.error({ err: error, requestId: request.requestId }, 'request failed')
    }
    const known = error instanceof RegistryError ? error : undefined
    if (/^\/apis?(?:\/|$)/.test(request.path)) return renderStatus(known, request)
    const headers = { ...headersOf(known), ...uploadHeadersOf(known, request) }
    if (request.path === '/token') return renderOauth(known, request, headers)
    if (known?.code === 'UNAUTHORIZED') headers['www-authenticate'] = challengeOf(known, request, service)
    return json(known?.status ?? 500, { errors: ociErrors(known, request) }, headers)
  }
}

/** Node's error for a request whose client left before its body was whole. */
function isCutOff(error: unknown): boolean {
  return error instanceof Error && error.message === 'aborted' && 'code' in error && error.code === 'ECONNRESET'
}

/** A JSON answer without `; charset`, which some clients compare. */
export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }
}

/** The answer as the router gives it. */
export function toResponse({ status, headers, body }: Answer): Response {
  return new Response(body, { status, headers })
}

function renderStatus(error: RegistryError | undefined, { requestId }: FailedRequest): Answer {
  const status = error === undefined ? internalErrorStatus(requestId) : failureStatus(error)
  return json(status.code ?? 500, status, headersOf(error))
}

// The one body that both OAuth clients and clients of the distribution spec find their message in.
function renderOauth(
  error: RegistryError | undefined,
  request: FailedRequest,
  headers: Record<string, string>,
): Answer {
  const detail = error?.detail as { oauth?: string } | undefined
  const body = {
    error: detail?.oauth ?? (error === undefined ? 'server_error' : (oauthErrors[error.code] ?? 'invalid_request')),
    error_description: error?.message ?? 'internal error',
    errors: [
      { code: ociCode(error), message: error?.message ?? 'internal error', detail: requestDetail(error, request) },
    ],
  }
  return json(error?.status ?? 500, body, { ...headers, 'cache-control': 'no-store' })
}

function ociErrors(error: RegistryError | undefined, request: FailedRequest): Record<string, unknown>[] {
  const detail = requestDetail(error, request)
  const code = ociCode(error)
  const message = pullMessage(error)
  if (error?.code !== 'MANIFEST_BLOB_UNKNOWN' || !Array.isArray(detail)) return [{ code, message, detail }]
  // The spec wants one for each blob that is not there; many clients show no more than messages.
  return detail.map((each: { digest?: Digest }) => ({
    code,
    message: each.digest === undefined ? message : `${message}: ${each.digest}`,
    detail: each,
  }))
}

/** What went wrong: who may pull need not be told the repository behind a stream, its login or its address: the API says that (DESIGN 7). */
export function pullMessage(error: RegistryError | undefined): string {
  if (error?.upstream === undefined) return error?.message ?? 'internal error'
  const { host, status, reason, home } = error.upstream
  const by =
    home === undefined ? host : `${host}, the home registry of project ${home}${status === undefined ? '' : ','}`
  const why = (home === undefined ? undefined : homeReason(error.upstream, home)) ?? upstreamReasons[reason]
  return `${by}${status === undefined ? '' : ` answered ${status}`}: ${why}`
}

/** Who pushes is told what to do, where that is anything. */
function homeReason({ host, status, reason }: UpstreamFailure, project: string): string | undefined {
  if (reason === 'NotFound') return 'make the repository there first, if a push does not make it'
  if (reason === 'Invalid' && status !== undefined && status >= 400) return 'it does not take this push'
  if (reason !== 'Unauthorized' && reason !== 'Forbidden' && reason !== 'CredentialsExpired') return undefined
  const login = `kubectl create secret docker-registry home -n ${project} --docker-server=${host}`
  return `${upstreamReasons[reason]}; give the project a login that may push: ${login} --docker-username=... --docker-password=...`
}

function ociCode(error: RegistryError | undefined): string {
  return error === undefined ? 'UNKNOWN' : (ociCodes[error.code] ?? error.code)
}

function requestDetail(error: RegistryError | undefined, { requestId }: FailedRequest): unknown {
  if (error === undefined) return { requestId }
  if (error.code !== 'UNAUTHORIZED') return upstreamDetail(error) ?? error.detail ?? null
  const { scopes } = (error.detail ?? {}) as ChallengeDetail
  return (
    scopes?.flatMap(({ type, name, actions }) =>
      actions.map((action) => ({ Type: type, Class: '', Name: name, Action: action })),
    ) ?? null
  )
}

/** What may be told of an upstream, whatever else an error knows of it. */
function upstreamDetail({ upstream }: RegistryError): UpstreamFailure | undefined {
  if (upstream === undefined) return undefined
  const { host, reason, status } = upstream
  return { host, reason, ...(status === undefined ? {} : { status }) }
}

function headersOf(error: RegistryError | undefined): Record<string, string> {
  const headers: Record<string, string> = {}
  if (error?.retryAfterSeconds !== undefined) headers['retry-after'] = String(Math.ceil(error.retryAfterSeconds))
  const { size } = (error?.detail ?? {}) as { size?: unknown }
  if (error?.code === 'RANGE_INVALID' && typeof size === 'number') headers['content-range'] = `bytes */${size}`
  return headers
}

/** Where an upload is that does not go on where its client thought. */
function uploadHeadersOf(error: RegistryError | undefined, { path }: FailedRequest): Record<string, string> {
  const { offset } = (error?.detail ?? {}) as { offset?: unknown }
  if (error?.code !== 'UPLOAD_OFFSET_INVALID' || typeof offset !== 'number') return {}
  return uploadHeaders(path, offset)
}

/**
 * An upload as its client is told of it; one without bytes looks as one with a single byte.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
 */
export function uploadHeaders(location: string, offset: number): Record<string, string> {
  const id = location.slice(location.lastIndexOf('/') + 1)
  return { location, range: `0-${Math.max(offset - 1, 0)}`, 'docker-upload-uuid': id }
}

function challengeOf(error: RegistryError, { publicUrl }: FailedRequest, service: string): string {
  const detail = (error.detail ?? {}) as ChallengeDetail
  return formatBearerChallenge({
    realm: `${publicUrl}/token`,
    service,
    ...(detail.scopes === undefined ? {} : { scope: formatScopes(detail.scopes) }),
    ...(detail.error === undefined ? {} : { error: detail.error }),
  })
}
