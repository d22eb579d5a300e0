import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import type { Commit, Store } from '../../src/store/store.ts'
import { linkKey } from '../../src/streams/keys.ts'
import { descriptorOf, manifestOf } from '../push/manifest-world.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { bob, type DeletionsWorld, deletionsWorld, nameOf } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const app = nameOf('demo/app')
const { digest } = v1.manifest
const own = linkKey(app, digest)

/** Does `work` once, before or after the first commit that removes `key`. */
function around({ store }: DeletionsWorld, key: string, when: 'before' | 'after', work: () => Promise<unknown>): void {
  const { commit } = store
  let isDone = false
  const removes = ({ operations }: Commit) => operations.some((each) => each.type === 'delete' && each.key === key)
  const watched: Store['commit'] = async (each) => {
    if (isDone || !removes(each)) return commit(each)
    isDone = true
    if (when === 'before') await work()
    const result = await commit(each)
    if (when === 'after') await work()
    return result
  }
  store.commit = watched
}

/** No tag of the stream stands at an image that it does not have. */
async function expectWhole({ reader, links }: DeletionsWorld): Promise<void> {
  for (const { record } of await reader.tags(app))
    expect(await links.get(app, record.items[0]?.image as Digest)).toMatchObject({ received: true })
}

describe('while an image is deleted', () => {
  test('a tag that moves elsewhere is left', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:stable', v1)
    await world.push('demo/app:prod', v1)
    await world.push('demo/app:next', v2)
    const { writer } = world
    let isMoved = false
    const deletions = world.deletionsWith({
      writer: {
        changeTag: writer.changeTag,
        async changeStream(...args) {
          if (!isMoved) await world.put('demo/app:prod', v2.manifest)
          isMoved = true
          return writer.changeStream(...args)
        },
      },
    })
    expect(await deletions.image(app, digest, bob)).toEqual({ tags: ['stable'], manifests: [digest] })
    expect(await world.look('demo/app:prod')).toBe(v2.manifest.digest)
    expect(await world.newest('demo/app:prod')).toMatchObject({ cause: { kind: 'push' } })
    await expectWhole(world)
  })

  test('a tag that moves elsewhere between the decision and its commit is left too', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.push('demo/app:next', v2)
    const { commit } = world.store
    let isMoved = false
    world.store.commit = async (each) => {
      if (!isMoved && each.operations.some(({ key }) => key === 'tag/demo/app/prod')) {
        isMoved = true
        world.store.commit = commit
        await world.put('demo/app:prod', v2.manifest)
      }
      return commit(each)
    }
    expect(await world.deletions.image(app, digest, bob)).toEqual({ tags: [], manifests: [digest] })
    expect(await world.look('demo/app:prod')).toBe(v2.manifest.digest)
  })

  test('a tag that is pushed there before the link goes, goes too', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    around(world, own, 'before', () => world.put('demo/app:late', v1.manifest))
    expect((await world.deletions.image(app, digest, bob)).tags).toEqual(['late', 'prod'])
    expect(await world.look('demo/app:late')).toBe('MANIFEST_UNKNOWN')
    expect(await world.reader.tags(app)).toEqual([])
  })

  test('an image that is pushed anew after the link went, is there', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    around(world, own, 'after', () => world.put('demo/app:late', v1.manifest))
    expect((await world.deletions.image(app, digest, bob)).tags).toEqual(['prod'])
    for (const at of ['demo/app:late', `demo/app@${digest}`]) expect(await world.look(at)).toBe(digest)
    await expectWhole(world)
  })

  test('a push that begins before and ends after leaves no tag without its image', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    const { writer } = world
    // The push has looked at all that it names, and is about to move the tag.
    let deleted: Promise<unknown> | undefined
    const slow = world.putManifestWith({
      writer: {
        ...writer,
        async changeTag(name, tag, decide, options) {
          if (options?.dryRun !== true && deleted === undefined) {
            deleted = world.deletions.image(app, digest, bob)
            await deleted
          }
          return writer.changeTag(name, tag, decide, options)
        },
      },
    })
    await world.put('demo/app:late', v1.manifest, { through: slow })
    expect(await world.look('demo/app:late')).toBe(digest)
    await expectWhole(world)
  })

  test('another deletion of it ends well, and each tag has one entry of it', async () => {
    const world = await deletionsWorld()
    await world.push(`demo/app@${digest}`, v1, { tags: ['prod', 'stable', 'next'] })
    const both = await Promise.allSettled([1, 2, 3].map(() => world.deletions.image(app, digest, bob)))
    for (const each of both)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    expect(both.some(({ status }) => status === 'fulfilled')).toBe(true)
    for (const tag of ['prod', 'stable', 'next']) {
      const ledger = await world.reader.ledger(app, tag)
      expect(ledger.map(({ cause }) => cause.kind)).toEqual(['delete', 'push'])
    }
    expect(await world.look(`demo/app@${digest}`)).toBe('MANIFEST_UNKNOWN')
  })

  test('a pull of it that waits for the upstream gets it, and does not bring it back', async () => {
    const world = await deletionsWorld()
    const index = makeIndex('imported')
    world.registry.put('lib/app', index, { tag: 'v1' })
    await world.importImage('app', 'prod', `${world.registry.host}/lib/app:v1`)
    const child = index.children[0]?.manifest.digest as Digest
    const hold = world.registry.hold(new RegExp(child))
    const pull = world.look(`demo/app@${child}`)
    await hold.arrived()
    await world.deletions.tag(app, 'prod', bob)
    await world.deletions.image(app, child, bob)
    hold.release()
    expect(await pull).toBe(child)
    expect(await world.links.get(app, child)).toBeUndefined()
    expect(world.pullThrough.warm('demo', 'app', child)).toBeUndefined()
    expect(await world.look(`demo/app@${child}`)).toBe('MANIFEST_UNKNOWN')
  })

  test('what begins to refer to it, with the link of it, is no trouble', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    const signature = manifestOf(v1.config, [], { subject: descriptorOf(v1.manifest) })
    around(world, own, 'before', () => world.put(`demo/app@${signature.digest}`, signature))
    await world.deletions.image(app, digest, bob)
    expect(await world.look(`demo/app@${digest}`)).toBe('MANIFEST_UNKNOWN')
  })

  test('the stream may go, and another of its name is left alone', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    const { writer } = world
    const deletions = world.deletionsWith({
      writer: {
        changeTag: writer.changeTag,
        async changeStream(...args) {
          if ((await world.reader.ledger(app, 'prod')).length === 1) {
            await writer.delete(app)
            await world.push('demo/app:prod', v1)
          }
          return writer.changeStream(...args)
        },
      },
    })
    await deletions.image(app, digest, bob).catch(() => undefined)
    expect(await world.look('demo/app:prod')).toBe(digest)
    await expectWhole(world)
  })
})

test('a blob that is deleted while a manifest that names it is pushed, is there in the end', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await world.deletions.image(app, digest, bob)
  const layer = v1.layers[0]?.digest as Digest
  const { content } = world
  // The push has looked at all that it names, and is about to give the stream the manifest.
  const slow = world.putManifestWith({
    content: {
      ...content,
      async putManifest(...args) {
        await world.deletions.blob(app, layer)
        return content.putManifest(...args)
      },
    },
  })
  await world.put('demo/app:late', v1.manifest, { through: slow })
  expect(await world.look('demo/app:late')).toBe(digest)
  expect(await world.pullThrough.blobSize(app, layer)).toMatchObject({ digest: layer })
})
