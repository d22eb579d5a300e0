import type { StoredObject } from '../store/objects.ts'
import type { Store } from '../store/store.ts'
import type { ApiObject, Follow } from './resource.ts'

/** Follows the stored objects of a resource: each change as it was told to the store. */
export function followObjects(store: Pick<Store, 'watch'>, resource: string): Follow {
  return async function* (options) {
    for await (const { revision, changes } of store.watch(`object/${resource}/`, options)) {
      yield {
        revision,
        changes: changes.map(({ value, previous }) => ({
          before: previous && objectOf(previous.value, previous.revision),
          after: value === undefined ? undefined : objectOf(value, revision),
        })),
      }
    }
  }
}

function objectOf(value: string, revision: number): ApiObject {
  const object: StoredObject = JSON.parse(value)
  object.metadata.resourceVersion = String(revision)
  return object
}
