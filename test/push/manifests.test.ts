import { expect, test } from 'vitest'
import { makeImage, makeIndex } from '../support/images.ts'
import { nameOf, pushWorld, refusalOf } from './manifest-world.ts'

const v1 = makeImage('v1')
const multi = makeIndex('multi')

test('a pushed image can be pulled at once by its tag', async () => {
  const world = await pushWorld()
  const pushed = await world.push('demo/app:prod', v1)
  expect(pushed).toEqual({ digest: v1.manifest.digest, subject: undefined, tags: ['prod'] })
  const served = await world.pullThrough.manifest(nameOf('demo/app'), 'prod', { head: false })
  expect(served.bytes).toEqual(v1.manifest.bytes)
})

test('an index is taken with its children', async () => {
  const world = await pushWorld()
  await world.push('demo/app:prod', multi)
  expect(await world.pin('demo/app:prod')).toBe(multi.manifest.digest)
})

test('what the stream does not have is told, each digest', async () => {
  const world = await pushWorld()
  await world.pushBlob('demo/app', v1.config)
  const refusal = await refusalOf(world.put('demo/app:prod', v1.manifest))
  expect(refusal).toMatchObject({ code: 'MANIFEST_BLOB_UNKNOWN', digests: v1.layers.map(({ digest }) => digest) })
  expect(await world.pin('demo/app:prod')).toBeUndefined()
})
