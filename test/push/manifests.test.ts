import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { makeImage, makeIndex, type Piece } from '../support/images.ts'
import { descriptorOf, indexOf, manifestOf, nameOf, pushWorld, refusalOf } from './manifest-world.ts'

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

describe('I5: a manifest that names what another project pushed', () => {
  const secret = makeImage('secret')

  test('opens no blob, when it calls it a layer that is had elsewhere', async () => {
    const world = await pushWorld()
    await world.push('demo/app:prod', secret)
    const [layer] = secret.layers
    const foreign = { ...descriptorOf(layer as Piece), urls: ['https://elsewhere.test/layer'] }
    const manifest = manifestOf(v1.config, [foreign])
    await world.pushBlob('demo/evil', v1.config)
    await world.put('demo/evil:prod', manifest)
    await world.pullThrough.manifest(nameOf('demo/evil'), 'prod', { head: false })
    await expect(world.pullThrough.blob(nameOf('demo/evil'), layer?.digest ?? '')).rejects.toMatchObject({
      code: 'BLOB_UNKNOWN',
    })
    expect(await world.links.get(nameOf('demo/evil'), layer?.digest as Digest)).toBeUndefined()
  })

  test('opens neither a manifest nor its blobs, when it is a child of an index', async () => {
    const world = await pushWorld()
    await world.push('demo/app:prod', secret)
    await world.put('demo/evil:prod', indexOf([secret.manifest]))
    await world.pullThrough.manifest(nameOf('demo/evil'), 'prod', { head: false })
    await expect(
      world.pullThrough.manifest(nameOf('demo/evil'), secret.manifest.digest, { head: false }),
    ).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    for (const { digest } of [secret.config, ...secret.layers]) {
      await expect(world.pullThrough.blob(nameOf('demo/evil'), digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
    }
  })
})
