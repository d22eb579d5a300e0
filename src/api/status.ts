import { type ErrorSubject, errorDescriptors, type FieldCause, type RegistryError } from '../oci/errors.ts'
import { reasonOfIncomplete } from '../retention/awaited.ts'
import { qualifiedName } from './resource.ts'

/** `metav1.Status`, the answer that is no object. */
export interface Status {
  kind: 'Status'
  apiVersion: 'v1'
  /** `continue` leads on with a list whose position is too old. */
  metadata: { continue?: string }
  status: 'Success' | 'Failure'
  message?: string
  reason?: string
  details?: StatusDetails
  code?: number
}

export interface StatusDetails {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: { reason: string; message: string; field: string }[]
  retryAfterSeconds?: number
}

/** What a failure is called on the API: HTTP status and Kubernetes reason. */
interface Outcome {
  code: number
  reason: string
}

/** Most of what an answer tells of a failure: what was wrong may be as large as what was sent. */
const maxCauses = 50
const maxTextLength = 1_024
const maxMessageLength = 8_192

const base = { kind: 'Status', apiVersion: 'v1', metadata: {} } as const

/** The Status of something done. */
export function successStatus(details?: StatusDetails): Status {
  return { ...base, status: 'Success', ...(details === undefined ? {} : { details }) }
}

/**
 * Renders a failure. `subject` is what the request was about, for an error that does not say it itself.
 *
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
 */
export function failureStatus(error: RegistryError, subject?: ErrorSubject): Status {
  const about = error.subject ?? subject
  const { code, reason } = outcomeOf(error)
  return {
    ...base,
    metadata: listMetadata(error),
    status: 'Failure',
    message: cut(messageOf(error, about), maxMessageLength),
    reason,
    ...detailsOf(error, about),
    code,
  }
}

/** The Status of one item of a command that went on: its reason is the one its condition shows. */
export function itemStatus(error: RegistryError, subject?: ErrorSubject): Status {
  const status = failureStatus(error, subject)
  const reason = error.upstream?.reason ?? reasonOfIncomplete(error)
  return reason === undefined ? status : { ...status, reason }
}

/** The Status of a programmer's mistake, which tells nothing but where to look. */
export function internalErrorStatus(requestId: string | undefined): Status {
  const where = requestId === undefined ? '' : `; the log has it under request id ${requestId}`
  const { status: code, reason } = errorDescriptors.UNKNOWN
  return { ...base, status: 'Failure', message: `Internal error occurred${where}`, reason, code }
}

// A held tag is DENIED on /v2/, but here 422 with a cause: oc works around a 403 by another request.
function outcomeOf(error: RegistryError): Outcome {
  const isPolicy = error.code === 'DENIED' && error.upstream === undefined && error.causes.length > 0
  const { status: code, reason } = errorDescriptors[isPolicy ? 'INVALID' : error.code]
  return { code, reason }
}

function messageOf(error: RegistryError, subject: ErrorSubject | undefined): string {
  if (subject === undefined || error.message !== errorDescriptors[error.code].message) return error.message
  const about = `${qualifiedName({ group: subject.group, resource: subject.kind })} "${subject.name}"`
  switch (error.reason) {
    case 'NotFound':
      return `${about} not found`
    case 'AlreadyExists':
      return `${about} already exists`
    case 'Conflict':
      return `Operation cannot be fulfilled on ${about}: the object has been modified; read it again and repeat the change`
    case 'Invalid':
      return `${about} is invalid: ${error.causes
        .slice(0, maxCauses)
        .map(({ field, message }) => `${field}: ${message}`)
        .join(', ')}`
    default:
      return error.message
  }
}

function detailsOf(error: RegistryError, subject: ErrorSubject | undefined): { details?: StatusDetails } {
  const details: StatusDetails = {
    ...(subject === undefined ? {} : withoutEmpty(subject)),
    ...(error.causes.length === 0 ? {} : { causes: error.causes.slice(0, maxCauses).map(shortCause) }),
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  }
  return Object.keys(details).length === 0 ? {} : { details }
}

function listMetadata({ code, detail }: RegistryError): Status['metadata'] {
  const isPosition = code === 'EXPIRED' && typeof detail === 'object' && detail !== null && 'continue' in detail
  return isPosition ? { continue: String(detail.continue) } : {}
}

function shortCause({ field, reason, message }: FieldCause): FieldCause {
  return { field: cut(field, maxTextLength), reason, message: cut(message, maxTextLength) }
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}...` : text
}

function withoutEmpty({ name, group, kind }: ErrorSubject): StatusDetails {
  return {
    ...(name === '' ? {} : { name: cut(name, maxTextLength) }),
    ...(group === '' ? {} : { group }),
    ...(kind === '' ? {} : { kind }),
  }
}
