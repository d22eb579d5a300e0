import { RegistryError } from '../oci/errors.ts'

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
