import { RegistryError } from '../oci/errors.ts'

class ClosingError extends RegistryError {}

/** What downloads end with when Weir stops: it says nothing of what was fetched. */
export function closingError(): RegistryError {
  return new ClosingError('UNAVAILABLE', { message: 'the content store is closing' })
}

/** Whether something ended because Weir stops. */
export function isClosingError(error: unknown): boolean {
  return error instanceof ClosingError
}
