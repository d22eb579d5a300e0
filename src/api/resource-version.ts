import { RegistryError } from '../oci/errors.ts'
import { forbiddenField, notSupported, requireValid } from './fields.ts'

/**
 * Reads a `resourceVersion` that says which state is wanted; undefined when any will do.
 *
 * @throws RegistryError BAD_REQUEST
 */
export function parseResourceVersion(value: string | null): number | undefined {
  if (value === null || value === '' || value === '0') return undefined
  if (!/^[0-9]{1,20}$/.test(value)) {
    throw new RegistryError('BAD_REQUEST', {
      message: `resourceVersion: Invalid value: "${value.slice(0, 40)}": not a version that this server gave`,
    })
  }
  return Number(value)
}

/** Which state of a list is wanted. */
export interface WantedVersion {
  /** The oldest that will do; undefined for whatever is newest. */
  version: number | undefined
  /** No other than `version` will do. */
  isExact: boolean
}

/**
 * Reads which state a list is asked for.
 *
 * @throws RegistryError BAD_REQUEST, INVALID
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#resourceversion-in-metadata
 */
export function parseWantedVersion(query: URLSearchParams): WantedVersion {
  const text = query.get('resourceVersion') ?? ''
  const match = query.get('resourceVersionMatch') ?? ''
  const version = parseResourceVersion(text)
  const hasContinue = Boolean(query.get('continue'))
  if (match !== '') requireMatch(match, text, hasContinue)
  if (hasContinue && version !== undefined) {
    throw new RegistryError('BAD_REQUEST', {
      message: 'specifying resource version is not allowed when using continue',
    })
  }
  return { version, isExact: match === 'Exact' }
}

/** @see https://github.com/kubernetes/apimachinery/blob/v0.33.0/pkg/apis/meta/internalversion/validation/validation.go */
function requireMatch(match: string, version: string, hasContinue: boolean): void {
  const field = 'resourceVersionMatch'
  const isKnown = match === 'Exact' || match === 'NotOlderThan'
  const causes = [
    hasContinue && forbiddenField(field, `${field} is forbidden when continue is provided`),
    version === '' && forbiddenField(field, `${field} is forbidden unless resourceVersion is provided`),
    !isKnown && notSupported(field, match, ['Exact', 'NotOlderThan']),
    match === 'Exact' &&
      version === '0' &&
      forbiddenField(field, `${field} "exact" is forbidden for resourceVersion "0"`),
  ]
  requireValid(
    causes.filter((cause) => cause !== false),
    { name: '', kind: 'ListOptions', group: 'meta.k8s.io' },
  )
}

/**
 * The refusal of a state that is not there yet, in Kubernetes' words: clients know it by its cause and try again.
 *
 * @see https://github.com/kubernetes/apiserver/blob/v0.33.0/pkg/storage/errors.go NewTooLargeResourceVersionError
 */
export function tooLargeVersion(wanted: number, current: number): RegistryError {
  return new RegistryError('TIMEOUT', {
    message: `Timeout: Too large resource version: ${wanted}, current: ${current}`,
    causes: [{ field: 'resourceVersion', reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  })
}

/** The refusal of a state that is no longer kept. */
export function expiredVersion(wanted: number): RegistryError {
  return new RegistryError('EXPIRED', {
    message: `The resourceVersion for the provided list is too old: ${wanted}; list without it`,
  })
}
