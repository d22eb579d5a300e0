import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { moveAwaited } from '../../src/retention/awaited.ts'
import type { Commit } from '../../src/store/store.ts'
import { linkKey } from '../../src/streams/keys.ts'
import { descriptorOf, manifestOf } from '../push/manifest-world.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { bob, type DeletionsWorld, deletionsWorld, nameOf, refusalOf } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const app = nameOf('demo/app')
const { digest } = v1.manifest
const own = linkKey(app, digest)

/** Does `work` just before the first commit that `isIt`: whoever commits has looked at everything by then. */
function justBefore({ store }: DeletionsWorld, isIt: (commit: Commit) => boolean, work: () => Promise<unknown>): void {
  const { commit } = store
  let isDone = false
  store.commit = async (each) => {
    if (!isDone && isIt(each)) {
      isDone = true
      await work()
    }
    return commit(each)
  }
}

const moves =
  (tag: string) =>
  ({ operations }: Commit): boolean =>
    operations.some(({ type, key }) => type === 'put' && key === `tag/demo/app/${tag}`)

const removes =
  (key: string) =>
  ({ operations }: Commit): boolean =>
    operations.some((each) => each.type === 'delete' && each.key === key)

/** No tag of the stream stands at an image that it does not have. */
async function expectWhole({ reader, links }: DeletionsWorld): Promise<void> {
  for (const { name, record } of await reader.tags(app))
    expect(await links.get(app, record.items[0]?.image as Digest), name).toMatchObject({ received: true })
}

const deleteV1 = (world: DeletionsWorld) => () => world.deletions.image(app, digest, bob)

describe('an image that is deleted just before a tag moves there', () => {
  test('is pushed anew by a push of one tag, or of several', async () => {
    for (const tags of [['late'], ['late', 'later', 'latest']]) {
      const world = await deletionsWorld()
      await world.push('demo/app:prod', v1)
      justBefore(world, moves('late'), deleteV1(world))
      await world.put(`demo/app@${digest}`, v1.manifest, { tags })
      for (const tag of tags) expect(await world.look(`demo/app:${tag}`)).toBe(digest)
      await expectWhole(world)
    }
  })

  test('is imported anew, by hand', async () => {
    const world = await deletionsWorld()
    world.registry.put('lib/app', v1, { tag: 'v1' })
    const from = `${world.registry.host}/lib/app:v1`
    await world.importImage('app', 'prod', from)
    justBefore(world, moves('late'), deleteV1(world))
    const { images } = await world.importImage('app', 'late', from)
    expect(images).toMatchObject([{ to: 'late', digest }])
    expect(await world.look('demo/app:late')).toBe(digest)
    await expectWhole(world)
  })

  test('is no place to roll back to', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.push('demo/app:prod', v2)
    justBefore(world, moves('prod'), deleteV1(world))
    const refused = await refusalOf(world.tagEvents.rollback(app, 'prod', { by: 'ann' }))
    expect(refused).toMatchObject({ code: 'INVALID', message: expect.stringContaining('was deleted from the stream') })
    expect(await world.look('demo/app:prod')).toBe(v2.manifest.digest)
    await expectWhole(world)
  })

  test('is no source of a tag of its stream any more', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    justBefore(world, moves('late'), deleteV1(world))
    const refused = await refusalOf(tagIt(world, 'demo', `app@${digest}`))
    expect(refused).toMatchObject({ code: 'INVALID', message: expect.stringContaining('no image of that stream') })
    await expectWhole(world)
  })

  test('is given anew to a tag that is promoted from another stream', async () => {
    const world = await deletionsWorld()
    await world.push('demo/source:prod', v1)
    await world.push(`demo/app@${digest}`, v1)
    justBefore(world, moves('late'), deleteV1(world))
    await tagIt(world, 'demo', 'source:prod')
    expect(await world.look('demo/app:late')).toBe(digest)
    await expectWhole(world)
  })

  test('is given anew to a stream that is written whole', async () => {
    const world = await deletionsWorld()
    await world.push('demo/source:prod', v1)
    await world.push(`demo/app@${digest}`, v1)
    justBefore(world, moves('late'), deleteV1(world))
    const { wanted, ...asked } = late('demo', 'source:prod')
    const object = { labels: {}, annotations: {}, lookupPolicy: { local: false } }
    await world.tagging.updateStream({ ...app, ...asked, object, tags: [wanted] })
    expect(await world.look('demo/app:late')).toBe(digest)
    await expectWhole(world)
  })

  test('is had by a dry run still, which writes nothing', async () => {
    const world = await deletionsWorld()
    await world.push('demo/source:prod', v1)
    await world.writer.create(app)
    const { wanted, ...asked } = late('demo', 'source:prod')
    await world.tagging.setTag({ ...app, ...asked, tag: 'late', field: 'tag', wanted, dryRun: true })
    expect(await world.look('demo/app:late')).toBe('MANIFEST_UNKNOWN')
  })

  test('moves no tag that awaits it', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v2)
    await world.push(`demo/app@${digest}`, v1)
    const annotations = { 'weir.dev/move': 'when-held' }
    await world.writer.changeStream(app, ({ stream }) => ({ object: { ...stream, annotations } }))
    const event = {
      image: digest,
      mediaType: v1.manifest.mediaType,
      dockerImageReference: `x/y@${digest}`,
      cause: { kind: 'import', by: 'ann' },
    } as const
    await world.writer.changeTag(app, 'prod', () => ({ event }))
    const { uid = '' } = (await world.reader.stream(app)) ?? {}
    justBefore(world, moves('prod'), deleteV1(world))
    const awaiting = { name: { ...app, uid }, tag: 'prod', image: digest }
    expect((await refusalOf(moveAwaited(world.writer, awaiting, () => false))).message).toContain('does not have it')
    expect(await world.look('demo/app:prod')).toBe(v2.manifest.digest)
    await expectWhole(world)
  })
})

describe('a tag that moves to an image just before its link goes', () => {
  test('keeps the link there until it is gone itself, also where the deletion ends then', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    let links: unknown
    justBefore(world, removes(own), async () => {
      await world.put('demo/app:late', v1.manifest)
      const { changeStream } = world.writer
      world.writer.changeStream = async (...args) => {
        links = await world.links.get(app, digest)
        return changeStream(...args)
      }
    })
    expect((await world.deletions.image(app, digest, bob)).tags).toEqual(['late', 'prod'])
    expect(links).toMatchObject({ received: true })
    expect(await world.reader.tags(app)).toEqual([])
  })

  test('that is held or immutable by then, keeps the image', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.writer.changeStream(app, ({ stream }) => ({
      object: { ...stream, annotations: { 'weir.dev/immutable': 'v*' } },
    }))
    justBefore(world, removes(own), () => world.put('demo/app:v1', v1.manifest))
    expect((await refusalOf(world.deletions.image(app, digest, bob))).code).toBe('DENIED')
    expect(await world.look('demo/app:v1')).toBe(digest)
    await expectWhole(world)
  })

  test('keeps the image when it moves to an index that names it', async () => {
    const world = await deletionsWorld()
    const index = makeIndex('multi')
    const child = index.children[0]?.manifest.digest as Digest
    await world.push(`demo/app@${index.manifest.digest}`, index)
    justBefore(world, removes(linkKey(app, child)), () => world.put('demo/app:multi', index.manifest))
    expect((await refusalOf(world.deletions.image(app, child, bob))).code).toBe('DENIED')
    expect(await world.look(`demo/app@${child}`)).toBe(child)
  })

  test('keeps what refers to the image, when it moves there', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    const signature = manifestOf(v1.config, [], { subject: descriptorOf(v1.manifest) })
    await world.put(`demo/app@${signature.digest}`, signature)
    justBefore(world, removes(linkKey(app, signature.digest)), () => world.put('demo/app:signature', signature))
    expect((await world.deletions.image(app, digest, bob)).manifests).toEqual([digest])
    expect(await world.look('demo/app:signature')).toBe(signature.digest)
    await expectWhole(world)
  })
})

function tagIt(world: DeletionsWorld, project: string, source: string) {
  const { wanted, ...asked } = late(project, source)
  return world.tagging.setTag({ ...app, ...asked, tag: 'late', field: 'tag', wanted })
}

/** What ann asks for: the tag `late` is to stand where `source` does. */
function late(project: string, source: string) {
  const kind = source.includes('@') ? ('ImageStreamImage' as const) : ('ImageStreamTag' as const)
  const wanted = {
    name: 'late',
    annotations: null,
    from: { kind, namespace: project, name: source },
    referencePolicy: { type: 'Local' as const },
    importPolicy: {},
  }
  return { wanted, by: 'ann', seen: {}, mayPull: () => true }
}
