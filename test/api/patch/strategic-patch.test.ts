import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { shapeOf } from '../../../src/api/list-keys.ts'
import { strategicPatch } from '../../../src/api/patch/strategic-patch.ts'
import { RegistryError } from '../../../src/oci/errors.ts'

const keyed = (key: string) => ({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': [key] })
const tag = z.object({ name: z.string(), from: z.unknown(), annotations: z.record(z.string(), z.string()).nullish() })
const schema = z.object({
  spec: z
    .object({
      tags: z.array(tag).meta(keyed('name')).nullish(),
      plain: z.array(z.unknown()).nullish(),
      names: z.array(z.string()).meta({ 'x-kubernetes-list-type': 'set' }).nullish(),
    })
    .nullish(),
})
const shape = shapeOf({ schema })

type JsonObject = Record<string, unknown>
const patch = (target: JsonObject, change: unknown) => strategicPatch(target, change as JsonObject, shape)

function refusal(target: JsonObject, change: unknown): string {
  try {
    patch(target, change)
  } catch (error) {
    if (error instanceof RegistryError) return `${error.code}: ${error.message}`
    throw error
  }
  return 'applied'
}

const tags = (...names: string[]) => names.map((name) => ({ name, from: { name: `old-${name}` } }))
const stream = (...names: string[]) => ({ metadata: { name: 'app' }, spec: { tags: tags(...names) } })
const namesOf = (object: JsonObject) => (object.spec as { tags: { name: string }[] }).tags.map(({ name }) => name)

describe('a strategic merge patch', () => {
  test('merges maps and removes what is null', () => {
    const target = { metadata: { labels: { a: '1', b: '2' } }, data: { x: '1' } }
    expect(patch(target, { metadata: { labels: { a: null, c: '3' } }, data: { y: '2' } })).toEqual({
      metadata: { labels: { b: '2', c: '3' } },
      data: { x: '1', y: '2' },
    })
    expect(target.metadata.labels).toEqual({ a: '1', b: '2' })
  })

  test('changes one item of a list by its key and leaves the others', () => {
    const patched = patch(stream('v1', 'v2'), { spec: { tags: [{ name: 'v2', from: { name: 'new' } }] } })
    expect(patched).toEqual({
      metadata: { name: 'app' },
      spec: { tags: [tags('v1')[0], { name: 'v2', from: { name: 'new' } }] },
    })
  })

  test('puts new items before those that are there, as Kubernetes does', () => {
    expect(namesOf(patch(stream('v1'), { spec: { tags: [{ name: 'v2' }] } }))).toEqual(['v2', 'v1'])
  })

  test('deletes an item with $patch: delete', () => {
    const change = { spec: { tags: [{ name: 'v1', $patch: 'delete' }] } }
    expect(namesOf(patch(stream('v1', 'v2'), change))).toEqual(['v2'])
    expect(namesOf(patch(stream('v2'), change))).toEqual(['v2'])
  })

  test('replaces a list with $patch: replace in one of its elements', () => {
    const change = { spec: { tags: [{ $patch: 'replace' }, { name: 'v3', annotations: null }] } }
    expect(patch(stream('v1', 'v2'), change)).toEqual({ metadata: { name: 'app' }, spec: { tags: [{ name: 'v3' }] } })
  })

  test('replaces a map with $patch: replace, and empties it with $patch: delete', () => {
    const target = { spec: { names: ['a'], plain: [1] }, metadata: { labels: { a: '1' } } }
    expect(patch(target, { spec: { $patch: 'replace', plain: [2] } }).spec).toEqual({ plain: [2] })
    expect(patch(target, { metadata: { labels: { $patch: 'delete' } } }).metadata).toEqual({ labels: {} })
  })

  test('merges with $patch: merge, which says what happens anyway', () => {
    const change = { spec: { $patch: 'merge', tags: [{ name: 'v1', $patch: 'merge', from: { name: 'n' } }] } }
    expect(patch(stream('v1', 'v2'), change).spec).toEqual({
      tags: [{ name: 'v1', from: { name: 'n' } }, tags('v2')[0]],
    })
  })

  test('puts elements into the order of $setElementOrder', () => {
    const order = (...names: string[]) => ({ spec: { '$setElementOrder/tags': names.map((name) => ({ name })) } })
    expect(namesOf(patch(stream('a', 'b', 'c'), order('c', 'a', 'b')))).toEqual(['c', 'a', 'b'])
    // What the client does not know stays where it stood among what it knows.
    expect(namesOf(patch(stream('a', 'x', 'b'), order('b', 'a')))).toEqual(['x', 'b', 'a'])
    expect(namesOf(patch(stream('a', 'x', 'b'), order('a', 'b')))).toEqual(['a', 'x', 'b'])
    const added = { spec: { ...order('a', 'n', 'b').spec, tags: [{ name: 'n' }] } }
    expect(namesOf(patch(stream('a', 'b', 'x'), added))).toEqual(['a', 'n', 'b', 'x'])
    const moved = { spec: { ...order('b').spec, tags: [{ name: 'a', $patch: 'delete' }] } }
    expect(namesOf(patch(stream('a', 'b'), moved))).toEqual(['b'])
  })

  test('adds to sets, takes out of them and orders them', () => {
    const target = { spec: { names: ['a', 'b'] } }
    expect(patch(target, { spec: { names: ['b', 'c'] } }).spec).toEqual({ names: ['a', 'b', 'c'] })
    expect(patch(target, { spec: { '$deleteFromPrimitiveList/names': ['a', 'z'] } }).spec).toEqual({ names: ['b'] })
    expect(patch(target, { spec: { names: ['c'], '$setElementOrder/names': ['c', 'b', 'a'] } }).spec).toEqual({
      names: ['c', 'b', 'a'],
    })
    const finalizers = { metadata: { finalizers: ['x', 'y'] } }
    expect(patch(finalizers, { metadata: { '$deleteFromPrimitiveList/finalizers': ['x'] } }).metadata).toEqual({
      finalizers: ['y'],
    })
  })

  test('merges owners by their uid', () => {
    const target = { metadata: { ownerReferences: [{ uid: '1', name: 'a' }] } }
    expect(patch(target, { metadata: { ownerReferences: [{ uid: '1', name: 'b' }] } }).metadata).toEqual({
      ownerReferences: [{ uid: '1', name: 'b' }],
    })
  })

  test('keeps only the fields of $retainKeys', () => {
    const target = { spec: { plain: [1], names: ['a'] } }
    expect(patch(target, { spec: { $retainKeys: ['names'], plain: null } }).spec).toEqual({ names: ['a'] })
    expect(refusal(target, { spec: { $retainKeys: ['names'], plain: [2] } })).toMatch(/BAD_REQUEST.*\$retainKeys/)
  })

  test('replaces lists without keys as a whole', () => {
    expect(patch({ spec: { plain: [1, 2] } }, { spec: { plain: [3] } }).spec).toEqual({ plain: [3] })
    expect(patch({ other: [1, 2] }, { other: [{ a: 1 }] })).toEqual({ other: [{ a: 1 }] })
  })

  test('takes a value of another type instead', () => {
    expect(patch({ spec: 'x' }, { spec: { plain: [1] } })).toEqual({ spec: { plain: [1] } })
    expect(patch({ spec: { plain: 1 } }, { spec: { tags: [{ name: 'a' }] } }).spec).toEqual({
      plain: 1,
      tags: [{ name: 'a' }],
    })
  })

  test.each([
    ['an unknown directive', { $rename: 1 }],
    ['an unknown $patch', { spec: { $patch: 'remove' } }],
    ['an unknown $patch of an item', { spec: { tags: [{ name: 'v1', $patch: 'rename' }] } }],
    ['an item without its key', { spec: { tags: [{ from: {} }] } }],
    ['an item whose key is no scalar', { spec: { tags: [{ name: {} }] } }],
    ['a deletion without a key', { spec: { tags: [{ $patch: 'delete' }] } }],
    ['an item that is a scalar', { spec: { tags: ['v1'] } }],
    ['an item that is null', { spec: { tags: [null] } }],
    ['an order that is no list', { spec: { '$setElementOrder/tags': {} } }],
    [
      'an order that leaves an item of the patch out',
      { spec: { tags: [{ name: 'v9' }], '$setElementOrder/tags': [] } },
    ],
    ['an order of a list without keys', { spec: { plain: [1], '$setElementOrder/plain': [1] } }],
    ['a deletion from a list without keys', { spec: { plain: [], '$deleteFromPrimitiveList/plain': [1] } }],
    ['a deletion of scalars from a list with keys', { spec: { tags: [], '$deleteFromPrimitiveList/tags': ['v1'] } }],
    ['a directive in a list without keys', { spec: { plain: [{ a: 1, $patch: 'delete' }] } }],
    ['an item of a set that is an object', { spec: { names: [{}] } }],
    ['keys to retain that are no list', { spec: { $retainKeys: 'names' } }],
    ['an order for what is no list', { metadata: { '$setElementOrder/name': [] } }],
  ])('with %s is refused', (_name, change) => {
    expect(refusal({ ...stream('v1'), spec: { tags: tags('v1'), plain: [1], names: [] } }, change)).toMatch(
      /^BAD_REQUEST: the strategic merge patch is not valid/,
    )
  })

  test('takes any name for a field’s, also those that objects inherit', () => {
    const change = JSON.parse('{"__proto__":{"polluted":1},"data":{"constructor":{"prototype":{"polluted":1}}}}')
    const patched = patch({ data: {} }, change)
    expect(Object.hasOwn(patched, '__proto__')).toBe(true)
    expect(({} as JsonObject).polluted).toBeUndefined()
    const order = JSON.parse('{"$setElementOrder/__proto__":[],"$deleteFromPrimitiveList/constructor":["a"]}')
    expect(patch({ data: {} }, order)).toEqual({ data: {} })
  })

  test('of ten thousand items is done at once', () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `v${i}`)
    const change = {
      spec: { tags: tags(...names), '$setElementOrder/tags': names.toReversed().map((name) => ({ name })) },
    }
    expect(namesOf(patch(stream(...names), change))).toEqual(names.toReversed())
    const dropped = { spec: { tags: names.map((name) => ({ name, $patch: 'delete' })) } }
    expect(namesOf(patch(stream(...names), dropped))).toEqual([])
  })
})

describe('a strategic merge patch of a list with keys', () => {
  const names: fc.Arbitrary<string[]> = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', '__proto__'), {
    maxLength: 6,
  })

  test('makes any list of any other, in its order', () => {
    fc.assert(
      fc.property(names, names, (before, after) => {
        const gone = before.filter((name) => !after.includes(name))
        const change = {
          spec: {
            tags: [
              ...after.map((name) => ({ name, from: { name: 'new' } })),
              ...gone.map((name) => ({ name, $patch: 'delete' })),
            ],
            '$setElementOrder/tags': after.map((name) => ({ name })),
          },
        }
        const patched = patch(stream(...before), change)
        expect(patched.spec).toEqual({ tags: after.map((name) => ({ name, from: { name: 'new' } })) })
      }),
      { numRuns: 300 },
    )
  })

  test('loses nothing that it does not name, and keeps the order of that', () => {
    fc.assert(
      fc.property(names, names, names, (live, changed, order) => {
        const wanted = [...new Set([...order, ...changed])]
        const change = {
          spec: {
            tags: changed.map((name) => ({ name })),
            '$setElementOrder/tags': wanted.map((name) => ({ name })),
          },
        }
        const result = namesOf(patch(stream(...live), change))
        expect([...result].sort()).toEqual([...new Set([...live, ...changed])].sort())
        expect(result.filter((name) => wanted.includes(name))).toEqual(wanted.filter((name) => result.includes(name)))
        const others = live.filter((name) => !wanted.includes(name))
        expect(result.filter((name) => others.includes(name))).toEqual(others)
      }),
      { numRuns: 300 },
    )
  })
})

test('no strategic merge patch does anything but apply or be refused', () => {
  const name = fc.constantFrom('spec', 'tags', 'names', 'plain', 'name', '$patch', '$retainKeys', '__proto__', 'x')
  const directive = fc.constantFrom('$setElementOrder/tags', '$deleteFromPrimitiveList/names', '$setElementOrder/x')
  const value = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, depthSize: 'large' },
      fc.constantFrom(null, 1, 'a', 'delete', 'replace', 'merge', true),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.oneof(name, directive), tie('value'), { maxKeys: 4 }),
    ),
  })).value
  const object = fc.dictionary(fc.oneof(name, directive), value, { maxKeys: 4 })
  fc.assert(
    fc.property(object, object, (target, change) => {
      const before = JSON.stringify(target)
      expect(refusal(target, change)).toMatch(/^(?:applied|BAD_REQUEST)/)
      expect(JSON.stringify(target)).toBe(before)
    }),
    { numRuns: 500 },
  )
})
