import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'

export const imageGroup = 'image.openshift.io'

/** How often everything is looked at anew because sources, tags or rights changed in between. */
const maxRounds = 10

/** Repeats what was outdated by others before it was written. @throws RegistryError CONFLICT after too many rounds */
export async function inRounds<T>(name: string, kind: string, round: () => Promise<T | undefined>): Promise<T> {
  for (let done = 0; done < maxRounds; done += 1) {
    const result = await round()
    if (result !== undefined) return result
  }
  throw new RegistryError('CONFLICT', {
    message: `the sources or tags of "${name}" kept being changed by others; try again`,
    subject: { name, kind, group: imageGroup },
  })
}

/** The name alone of something that carries it. */
export function nameOf({ project, stream }: StreamName): StreamName {
  return { project, stream }
}
