/** What a code means: HTTP status, Kubernetes reason, default message. */
export interface ErrorDescriptor {
  status: number
  reason: string
  message: string
}

/**
 * Every error that Weir answers. The first group is the OCI distribution spec's; the second is distribution's, for
 * 5xx and ranges; the third never leaves through `/v2/`.
 *
 * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
 */
export const errorDescriptors = {
  BLOB_UNKNOWN: { status: 404, reason: 'NotFound', message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 400, reason: 'BadRequest', message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, reason: 'NotFound', message: 'blob upload unknown to registry' },
  DIGEST_INVALID: { status: 400, reason: 'BadRequest', message: 'provided digest is not valid' },
  MANIFEST_BLOB_UNKNOWN: { status: 400, reason: 'BadRequest', message: 'manifest references unknown content' },
  MANIFEST_INVALID: { status: 400, reason: 'BadRequest', message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, reason: 'NotFound', message: 'manifest unknown to registry' },
  NAME_INVALID: { status: 400, reason: 'BadRequest', message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, reason: 'NotFound', message: 'repository name not known to registry' },
  SIZE_INVALID: { status: 400, reason: 'BadRequest', message: 'provided length did not match content length' },
  UNAUTHORIZED: { status: 401, reason: 'Unauthorized', message: 'authentication required' },
  DENIED: { status: 403, reason: 'Forbidden', message: 'requested access to the resource is denied' },
  UNSUPPORTED: { status: 405, reason: 'MethodNotAllowed', message: 'the operation is unsupported' },
  TOOMANYREQUESTS: { status: 429, reason: 'TooManyRequests', message: 'too many requests' },

  RANGE_INVALID: { status: 416, reason: 'BadRequest', message: 'invalid content range' },
  UNAVAILABLE: { status: 503, reason: 'ServiceUnavailable', message: 'service unavailable' },
  UNKNOWN: { status: 500, reason: 'InternalError', message: 'internal error' },

  NOT_FOUND: { status: 404, reason: 'NotFound', message: 'not found' },
  ALREADY_EXISTS: { status: 409, reason: 'AlreadyExists', message: 'already exists' },
  CONFLICT: { status: 409, reason: 'Conflict', message: 'the object has been modified' },
  INVALID: { status: 422, reason: 'Invalid', message: 'invalid' },
  BAD_REQUEST: { status: 400, reason: 'BadRequest', message: 'bad request' },
  FORBIDDEN: { status: 403, reason: 'Forbidden', message: 'forbidden' },
  NOT_ACCEPTABLE: { status: 406, reason: 'NotAcceptable', message: 'not acceptable' },
  /** OCI's BLOB_UPLOAD_INVALID of a piece that does not go on where the upload ends; `detail.offset` is where. */
  UPLOAD_OFFSET_INVALID: { status: 416, reason: 'BadRequest', message: 'the upload does not go on there' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, reason: 'UnsupportedMediaType', message: 'unsupported media type' },
  URI_TOO_LONG: { status: 414, reason: 'BadRequest', message: 'the request has too many parameters' },
  TOO_LARGE: { status: 413, reason: 'RequestEntityTooLarge', message: 'request entity too large' },
  EXPIRED: { status: 410, reason: 'Expired', message: 'the resource version is too old' },
  TIMEOUT: { status: 504, reason: 'Timeout', message: 'Timeout: request did not complete within the allotted time' },
} as const satisfies Record<string, ErrorDescriptor>

export type ErrorCode = keyof typeof errorDescriptors

/**
 * One cause of a failure that concerns a field, as in `metav1.StatusCause`: `reason` is `FieldValueInvalid`,
 * `FieldValueRequired`, `FieldValueForbidden`, `FieldValueNotFound`, `FieldValueDuplicate`, `FieldValueNotSupported`, or
 * `ResourceVersionTooLarge`.
 */
export interface FieldCause {
  field: string
  reason: string
  message: string
}

/** The object a failure is about, for `metav1.Status.details`; `kind` is the resource's plural, as Kubernetes has it. */
export interface ErrorSubject {
  name: string
  kind: string
  group: string
}

/** Why an upstream could not be used; also the reason of an import condition. */
export type UpstreamReason =
  | 'NotFound'
  | 'Unauthorized'
  | 'Forbidden'
  | 'CredentialsExpired'
  | 'TooManyRequests'
  | 'Unreachable'
  | 'Tls'
  | 'BadDigest'
  | 'NotAllowed'
  | 'Invalid'

/** What an upstream answered, free of secrets: shown in conditions and in `detail`. */
export interface UpstreamFailure {
  host: string
  reason: UpstreamReason
  status?: number
  /** The project that has it as its home registry, when something was pushed there. */
  home?: string
}

/** Whose a login is that is good no more, as its signature or its record proved. */
export interface Claimant {
  name: string
  provider?: string
  session?: string
}

export interface RegistryErrorOptions {
  message?: string
  detail?: unknown
  causes?: readonly FieldCause[]
  subject?: ErrorSubject
  claimant?: Claimant
  auditReason?: string
  retryAfterSeconds?: number
  upstream?: UpstreamFailure
  cause?: unknown
}

/**
 * The one error that is an answer. Its `code` is the contract; messages are prose. A mistake of the programmer is a
 * `TypeError` instead and becomes a bare 500 with a request id.
 */
export class RegistryError extends Error {
  readonly code: ErrorCode
  readonly detail: unknown
  readonly causes: readonly FieldCause[]
  readonly subject: ErrorSubject | undefined
  /** For the audit log: no answer tells it. */
  readonly claimant: Claimant | undefined
  /** What the audit log tells as the reason, where the code says too little: no answer tells it. */
  readonly auditReason: string
  readonly retryAfterSeconds: number | undefined
  readonly upstream: UpstreamFailure | undefined

  constructor(code: ErrorCode, options: RegistryErrorOptions = {}) {
    super(
      options.message ?? errorDescriptors[code].message,
      options.cause === undefined ? {} : { cause: options.cause },
    )
    this.name = 'RegistryError'
    this.code = code
    this.detail = options.detail
    this.causes = options.causes ?? []
    this.subject = options.subject
    this.claimant = options.claimant
    this.auditReason = options.auditReason ?? code
    this.retryAfterSeconds = options.retryAfterSeconds
    this.upstream = options.upstream
  }

  /** The HTTP status of the code. */
  get status(): number {
    return errorDescriptors[this.code].status
  }

  /** The Kubernetes reason of the code. */
  get reason(): string {
    return errorDescriptors[this.code].reason
  }
}

/** An error that says what went wrong, for who goes on without what it was about. @throws what is none */
export function failureOf(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  throw error
}
