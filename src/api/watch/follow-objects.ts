import { objectOf, objectPrefix, type StoredObject } from '../../store/objects.ts'
import type { Store } from '../../store/store.ts'
import type { ApiObject, Follow } from '../resource.ts'

/**
 * Follows the stored objects of a resource, of all projects. `toObject` makes of each what the API shows; by default it is
 * shown as it is stored.
 */
export function followObjects(
  store: Pick<Store, 'watch'>,
  resource: string,
  toObject: (stored: StoredObject) => ApiObject = (stored) => stored,
): Follow {
  return async function* follow({ since, signal }) {
    // Prompt, so that whoever begins in the past knows at once when he has caught up.
    for await (const { revision, changes } of store.watch(objectPrefix(resource), { since, signal, prompt: true })) {
      yield {
        revision,
        changes: changes.map(({ key, value, previous }) => ({
          before: previous && toObject(objectOf(previous)),
          after: value === undefined ? undefined : toObject(objectOf({ key, value, revision })),
        })),
      }
    }
  }
}
