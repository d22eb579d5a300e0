import { expect, test } from 'vitest'
import type { Asked } from '../../src/api/asked.ts'
import { removeAll } from '../../src/api/remove.ts'
import type { ApiObject, Call, Resource } from '../../src/api/resource.ts'

/** A request to delete a collection of a row that lists everything, whatever is selected. */
function asking(names: readonly string[], selects: (object: ApiObject) => boolean, signal?: AbortSignal) {
  const deleted: string[] = []
  const row: Resource = {
    group: '',
    version: 'v1',
    resource: 'things',
    singular: 'thing',
    kind: 'Thing',
    namespaced: true,
    handlers: {
      list: async () => ({ items: names.map((name) => ({ metadata: { name, namespace: 'demo' } })) }),
      delete: async ({ name }) => {
        deleted.push(name)
        return { metadata: { name } }
      },
    },
  }
  const target = {
    type: 'object',
    group: '',
    version: 'v1',
    project: 'demo',
    resource: 'things',
    name: '',
    subresource: '',
  }
  const type = { kind: 'Thing', apiVersion: 'v1' }
  const asked = {
    request: new Request('http://weir.test/', { method: 'DELETE', ...(signal && { signal }) }),
    query: new URLSearchParams(),
    call: { project: 'demo', name: '', options: { fields: {}, selects, dryRun: false } } as unknown as Call,
    matched: { row, served: row, target, verb: 'deletecollection', type },
  } as unknown as Asked
  return { asked, deleted }
}

test('what a row lists beyond what is selected is not deleted', async () => {
  const { asked, deleted } = asking(['a', 'b', 'c'], ({ metadata }) => metadata.name !== 'b')
  await removeAll(asked, () => undefined)
  expect(deleted).toEqual(['a', 'c'])
})

test('whoever goes away ends the deletion', async () => {
  const going = new AbortController()
  const selects = ({ metadata }: ApiObject) => {
    if (metadata.name === 'c') going.abort()
    return true
  }
  const { asked, deleted } = asking(['a', 'b', 'c', 'd'], selects, going.signal)
  await removeAll(asked, () => undefined)
  expect(deleted).toEqual([])
})
