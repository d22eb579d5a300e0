import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { linkKey } from '../../src/streams/keys.ts'
import { makeImage, type Piece } from '../support/images.ts'
import { bob, type DeletionsWorld, deletionsWorld, nameOf, refusalOf } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const app = nameOf('demo/app')
const layer = v1.layers[0] as Piece

async function has(world: DeletionsWorld, digest: Digest, at = app): Promise<boolean> {
  return world.pullThrough.blobSize(at, digest).then(
    () => true,
    () => false,
  )
}

describe('a blob', () => {
  test('that no manifest names goes from this stream alone', async () => {
    const world = await deletionsWorld()
    for (const to of ['demo/app', 'demo/twin']) await world.pushBlob(to, layer)
    await world.deletions.blob(app, layer.digest)
    expect(await has(world, layer.digest)).toBe(false)
    expect(await has(world, layer.digest, nameOf('demo/twin'))).toBe(true)
    expect(await refusalOf(world.deletions.blob(app, layer.digest))).toMatchObject({ code: 'BLOB_UNKNOWN' })
  })

  test('that a manifest names stays, and the refusal says which; once that is deleted, it goes', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.push('demo/app:next', v2)
    for (const { digest } of [layer, v1.config]) {
      const before = await world.store.get(linkKey(app, digest))
      const refusal = await refusalOf(world.deletions.blob(app, digest))
      expect(refusal).toMatchObject({ code: 'UNSUPPORTED' })
      expect(refusal.message).toContain(v1.manifest.digest)
      expect(await world.store.get(linkKey(app, digest))).toEqual(before)
    }
    await world.deletions.image(app, v1.manifest.digest, bob)
    for (const { digest } of [layer, v1.config]) {
      await world.deletions.blob(app, digest)
      expect(await has(world, digest)).toBe(false)
    }
  })

  test('that is a manifest is none', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    const refusal = await refusalOf(world.deletions.blob(app, v1.manifest.digest))
    expect(refusal).toMatchObject({ code: 'BLOB_UNKNOWN' })
    expect(await world.look('demo/app:prod')).toBe(v1.manifest.digest)
  })

  test('of another project is answered as one that nobody has (I5)', async () => {
    const world = await deletionsWorld()
    await world.objects.create('namespaces', '', { metadata: { name: 'other' } })
    await world.push('other/app:prod', v1)
    await world.push('demo/app:prod', v2)
    const refusals = []
    for (const digest of [layer.digest, makeImage('nowhere').config.digest])
      refusals.push(await refusalOf(world.deletions.blob(app, digest)))
    expect(refusals[0]).toEqual(refusals[1])
    expect(refusals[0]).toMatchObject({ code: 'BLOB_UNKNOWN' })
    expect(await has(world, layer.digest, nameOf('other/app'))).toBe(true)
  })

  test('in a stream with more manifests than are looked through stays, and the refusal says so', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v2)
    await world.push('demo/app:next', makeImage('v3'))
    await world.pushBlob('demo/app', layer)
    const refusal = await refusalOf(world.deletionsWith({ maxManifests: 1 }).blob(app, layer.digest))
    expect(refusal).toMatchObject({ code: 'UNSUPPORTED' })
    expect(refusal.message).toContain('too many manifests')
    expect(await has(world, layer.digest)).toBe(true)
  })

  test('that a manifest begins to name while it goes is put back', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.deletions.image(app, v1.manifest.digest, bob)
    const { store } = world
    const { commit } = store
    const key = linkKey(app, layer.digest)
    store.commit = async (each) => {
      if (each.operations.some((one) => one.type === 'delete' && one.key === key)) {
        store.commit = commit
        await world.put('demo/app:prod', v1.manifest)
      }
      return commit(each)
    }
    expect(await refusalOf(world.deletions.blob(app, layer.digest))).toMatchObject({ code: 'UNSUPPORTED' })
    expect(await has(world, layer.digest)).toBe(true)
    expect(await world.look('demo/app:prod')).toBe(v1.manifest.digest)
  })
})

describe('the annotation weir.dev/deletes', () => {
  const all = (world: DeletionsWorld) => [
    () => world.deletions.tag(app, 'prod', bob),
    () => world.deletions.image(app, v1.manifest.digest, bob),
    () => world.deletions.image(app, v1.manifest.digest, { ...bob, dryRun: true }),
    () => world.deletions.blob(app, layer.digest),
  ]

  async function world(ofProject: string | undefined, ofStream: string | undefined): Promise<DeletionsWorld> {
    const world = await deletionsWorld()
    const annotationsOf = (value: string | undefined): Record<string, string> =>
      value === undefined ? {} : { 'weir.dev/deletes': value }
    await world.objects.update('namespaces', '', 'demo', (current) => ({
      ...current,
      metadata: { ...current.metadata, annotations: annotationsOf(ofProject) },
    }))
    await world.writer.create(app, { annotations: annotationsOf(ofStream) })
    await world.push('demo/app:prod', v1)
    return world
  }

  test.each([
    ['denied', undefined, 'project demo'],
    ['denied', 'nonsense', 'project demo'],
    [undefined, 'denied', 'image stream demo/app'],
    ['allowed', 'denied', 'image stream demo/app'],
  ])('of the project %s and of the stream %s refuses all, and says where it stands', async (project, stream, where) => {
    const denied = await world(project, stream)
    for (const work of all(denied)) {
      const refusal = await refusalOf(work())
      expect(refusal).toMatchObject({ code: 'UNSUPPORTED' })
      expect(refusal.message).toContain(where)
    }
    expect(await denied.look('demo/app:prod')).toBe(v1.manifest.digest)
  })

  test.each([
    [undefined, undefined],
    ['denied', 'allowed'],
    ['nonsense', undefined],
  ])('of the project %s and of the stream %s refuses nothing', async (project, stream) => {
    const allowed = await world(project, stream)
    await allowed.deletions.image(app, v1.manifest.digest, bob)
    expect(await allowed.look('demo/app:prod')).toBe('MANIFEST_UNKNOWN')
  })
})
