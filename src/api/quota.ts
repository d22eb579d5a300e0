import { RegistryError } from '../oci/errors.ts'
import type { Objects } from '../store/objects.ts'
import type { Call } from './resource.ts'

/** How many objects of a kind a project may have, and about how long their records may be in all. */
export interface Quota {
  most: number
  /** Characters. Writes at the same time may go beyond. */
  mostLength: number
}

/**
 * Checks that a project has room for an object of `length`, beside those of other names.
 *
 * @throws RegistryError FORBIDDEN, in the words of Kubernetes' quotas
 */
export async function requireRoom(
  objects: Objects,
  { most, mostLength }: Quota,
  { group, resource }: { group: string; resource: string },
  { project, name }: Pick<Call, 'project' | 'name'>,
  ownLength: number,
): Promise<void> {
  const { count, length } = await objects.measure(resource, project, name)
  if (count < most && length + ownLength <= mostLength) return
  throw new RegistryError('FORBIDDEN', {
    message: `exceeded quota: project ${project} has ${count} other ${resource} that take ${length} bytes; the most are ${most}, and ${mostLength} bytes of them all`,
    subject: { name, kind: resource, group },
  })
}
