import { objectOf, objectPrefix, type StoredObject } from '../../store/objects.ts'
import { type Sealing, UnreadableError } from '../../store/sealing.ts'
import { CompactedError, type Entry, type Store } from '../../store/store.ts'
import type { Follow } from '../resource.ts'

/** Follows the stored objects of a resource, of all projects; those that are sealed are shown open. */
export function followObjects(store: Pick<Store, 'watch'>, resource: string, sealing?: Sealing): Follow {
  return async function* follow({ since, signal }) {
    // Prompt, so that whoever begins in the past knows at once when he has caught up.
    for await (const { revision, changes } of store.watch(objectPrefix(resource), { since, signal, prompt: true })) {
      yield {
        revision,
        changes: changes.map(({ key, value, previous }) => ({
          before: previous && toObject(previous, revision, sealing),
          after: value === undefined ? undefined : toObject({ key, value, revision }, revision, sealing),
        })),
      }
    }
  }
}

// What was sealed with a key that is gone since is history that can not be told any more.
function toObject(entry: Entry, revision: number, sealing: Sealing | undefined): StoredObject {
  try {
    return objectOf(entry, sealing)
  } catch (error) {
    throw error instanceof UnreadableError ? new CompactedError(revision) : error
  }
}
