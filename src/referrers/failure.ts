import { RegistryError } from '../oci/errors.ts'

/** The failure of an upstream, or of what only an upstream can give. @throws what is none */
export function failureOf(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  throw error
}
