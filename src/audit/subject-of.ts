import { RegistryError } from '../oci/errors.ts'
import type { AuditEvent } from './event.ts'

/** Who is not known. */
export const nobody: AuditEvent['subject'] = { name: '', groups: [] }

/** Whose login it is that is good no more, where that was proved: he has no groups then. */
export function claimantOf(error: unknown): AuditEvent['subject'] | undefined {
  if (!(error instanceof RegistryError) || error.claimant === undefined) return undefined
  const { name, provider, session } = error.claimant
  return {
    name,
    groups: [],
    ...(provider !== undefined && { provider }),
    ...(session !== undefined && { session }),
  }
}
