import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { fieldShape, type Shape, shapeOf } from '../../src/api/list-keys.ts'
import { imageStreamSchema } from '../../src/api/schemas/image-streams.ts'

function at(shape: Shape, ...path: string[]): Shape {
  return path.reduce(fieldShape, shape)
}

describe('the shape of a kind', () => {
  test('has the keys of its lists', () => {
    const shape = shapeOf({ schema: imageStreamSchema })
    expect(at(shape, 'spec', 'tags')).toMatchObject({ type: 'list', keys: ['name'] })
    expect(at(shape, 'status', 'tags')).toMatchObject({ type: 'list', keys: ['tag'] })
    const tags = at(shape, 'spec', 'tags')
    expect(tags.type === 'list' && fieldShape(tags.item, 'annotations').type).toBe('map')
  })

  test('has the metadata of every kind, with a schema or without', () => {
    for (const shape of [shapeOf({}), shapeOf({ schema: imageStreamSchema }), shapeOf({ schema: z.object({}) })]) {
      expect(at(shape, 'metadata', 'labels').type).toBe('map')
      expect(at(shape, 'metadata', 'finalizers')).toEqual({ type: 'set' })
      expect(at(shape, 'metadata', 'ownerReferences')).toMatchObject({ type: 'list', keys: ['uid'] })
      expect(at(shape, 'metadata', 'managedFields')).toEqual({ type: 'atomic' })
    }
  })

  test('is read through what may be null or left out, and from either side of it', () => {
    const keys = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['port', 'protocol'] }
    const item = z.object({ port: z.int(), protocol: z.string() })
    const schema = z.object({
      inner: z.array(item).meta(keys).nullish(),
      outer: z.array(item).nullish().meta(keys),
      merged: z.array(item).meta({ 'x-kubernetes-patch-merge-key': 'port', 'x-kubernetes-patch-strategy': 'merge' }),
      first: z.array(item).meta({ ...keys, 'x-kubernetes-patch-merge-key': 'protocol' }),
      set: z.array(z.string()).meta({ 'x-kubernetes-list-type': 'set' }),
      primitive: z.array(z.string()).meta({ 'x-kubernetes-patch-strategy': 'merge' }),
      whole: z.array(item),
      one: z.object({ a: z.string() }).meta({ 'x-kubernetes-map-type': 'atomic' }),
      free: z.record(z.string(), z.object({ list: z.array(item).meta(keys) })),
      any: z.unknown(),
    })
    const shape = shapeOf({ schema })
    expect(at(shape, 'inner')).toMatchObject({ type: 'list', keys: ['port', 'protocol'] })
    expect(at(shape, 'outer')).toMatchObject({ type: 'list', keys: ['port', 'protocol'] })
    expect(at(shape, 'merged')).toMatchObject({ type: 'list', keys: ['port'] })
    expect(at(shape, 'first')).toMatchObject({ type: 'list', keys: ['protocol', 'port'] })
    expect(at(shape, 'set')).toEqual({ type: 'set' })
    expect(at(shape, 'primitive')).toEqual({ type: 'set' })
    expect(at(shape, 'whole')).toEqual({ type: 'atomic' })
    expect(at(shape, 'one')).toEqual({ type: 'atomic' })
    expect(at(shape, 'free', 'anything', 'list')).toMatchObject({ type: 'list' })
    expect(at(shape, 'any', 'thing', 'else')).toEqual({ type: 'unknown' })
    expect(at(shape, '__proto__', 'constructor')).toEqual({ type: 'unknown' })
  })

  test('of a schema that contains itself ends', () => {
    interface Tree {
      left: Tree
      right: Tree
      children: Tree[]
    }
    const tree: z.ZodType<Tree> = z.lazy(() => z.object({ left: tree, right: tree, children: z.array(tree) }))
    const shape = shapeOf({ schema: z.object({ tree }) })
    expect(at(shape, 'tree', 'children').type).toBe('atomic')
  })

  test('is found once', () => {
    const schema = z.object({ a: z.string() })
    expect(shapeOf({ schema })).toBe(shapeOf({ schema }))
  })
})
