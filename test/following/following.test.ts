import { describe, expect, test, vi } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { CompactedError } from '../../src/store/store.ts'
import { createFollow } from '../../src/tagging/follow.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { digestsOf, from, fromRegistry, parse, type Wanted } from '../tagging/world.ts'
import { type FollowingWorld, follow, following, followingWorld } from './world.ts'

const [v1, v2, v3] = ['v1', 'v2', 'v3'].map((name) => makeImage(name)) as [
  ReturnType<typeof makeImage>,
  ReturnType<typeof makeImage>,
  ReturnType<typeof makeImage>,
]
const [d1, d2, d3] = [v1, v2, v3].map(({ manifest }) => manifest.digest)

/** `prod/app:prod` follows `demo/app:dev`, which stands at v1. */
async function worldWithFollower(options: Parameters<typeof followingWorld>[0] = {}): Promise<FollowingWorld> {
  const world = await followingWorld(options)
  await world.importTo('demo/app:dev', v1)
  await world.set('prod/app:prod', following('demo/app:dev'))
  await world.idle()
  return world
}

async function move(world: FollowingWorld, at: string, image: ReturnType<typeof makeImage>): Promise<void> {
  await world.importTo(at, image)
  await world.idle()
}

describe('a tag that follows a tag of another project', () => {
  test('moves when that moves, in an entry of the ledger that says so', async () => {
    const world = await worldWithFollower()
    expect(await world.newest('prod/app:prod')).toMatchObject({ image: d1, cause: { kind: 'tag', by: 'ann' } })
    await move(world, 'demo/app:dev', v2)
    expect(await world.newest('prod/app:prod')).toMatchObject({
      revision: 2,
      image: d2,
      mediaType: v2.manifest.mediaType,
      cause: { kind: 'follow', by: 'system:weir:follow', from: { kind: 'ImageStreamTag', name: 'demo/app:dev' } },
    })
    expect((await world.tagOf('prod/app:prod'))?.record.lastSeen?.digest).toBe(d2)
  })

  test('follows every cause: a rollback of the source too', async () => {
    const world = await worldWithFollower()
    await move(world, 'demo/app:dev', v2)
    await world.tagEvents.rollback(parse('demo/app'), 'dev', { by: 'ann' })
    await world.idle()
    expect(await world.pin('prod/app:prod')).toBe(d1)
    expect((await world.newest('prod/app:prod'))?.cause.kind).toBe('follow')
  })

  test('I5: has all of the image, whatever becomes of the source afterwards', async () => {
    const world = await worldWithFollower()
    const multi = makeIndex('multi')
    await world.importTo('demo/app:dev', multi)
    await world.idle()
    await world.writer.delete(parse('demo/app'))
    await world.idle()
    expect((await world.pullAll('prod/app:prod')).sort()).toEqual(digestsOf(multi).sort())
  })

  test('takes along the tags of its own stream that follow it, in the same commit', async () => {
    const world = await worldWithFollower()
    await world.set('prod/app:stable', from('prod/app:prod'))
    await move(world, 'demo/app:dev', v2)
    const [prod, stable] = await Promise.all(['prod', 'stable'].map((tag) => world.tagOf(`prod/app:${tag}`)))
    expect(stable?.record.items[0]?.image).toBe(d2)
    expect(stable?.storeRevision).toBe(prod?.storeRevision)
  })

  test('and is followed in turn moves all of a chain', async () => {
    const world = await worldWithFollower()
    await world.project('live')
    await world.set('live/app:now', following('prod/app:prod'))
    await world.set('demo/copy:now', following('live/app:now'))
    await move(world, 'demo/app:dev', v2)
    expect(await Promise.all(['prod/app:prod', 'live/app:now', 'demo/copy:now'].map(world.pin))).toEqual([d2, d2, d2])
  })

  test('without the annotation takes its image once', async () => {
    const world = await worldWithFollower()
    await world.set('prod/app:once', from('demo/app:dev'))
    await world.set('prod/app:not', { ...from('demo/app:dev'), annotations: { 'weir.dev/follow': 'false' } })
    await move(world, 'demo/app:dev', v2)
    expect(await Promise.all(['prod/app:once', 'prod/app:not'].map(world.pin))).toEqual([d1, d1])
    expect(await world.keys('index/across/')).toEqual(['index/across/demo/app/dev/prod/app/prod'])
  })

  test('begins when the annotation is written later, at once where the source stands', async () => {
    const world = await worldWithFollower()
    await world.set('prod/app:late', from('demo/app:dev'))
    await move(world, 'demo/app:dev', v2)
    await world.set('prod/app:late', following('demo/app:dev'))
    expect(await world.newest('prod/app:late')).toMatchObject({ revision: 2, image: d2, cause: { by: 'ann' } })
    await move(world, 'demo/app:dev', v3)
    expect(await world.pin('prod/app:late')).toBe(d3)
  })

  test('ends when the annotation is taken away, and nothing of it is left', async () => {
    const world = await worldWithFollower()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await move(world, 'demo/app:dev', v2)
    expect(await world.pin('prod/app:prod')).toBe(d1)
    expect(await world.keys('index/across/')).toEqual([])
    expect((await world.tagOf('prod/app:prod'))?.record.followsAs).toBeUndefined()
  })

  test.each<[string, Wanted | null]>([
    ['the annotation', from('demo/app:dev')],
    ['the source', null],
  ])('that can not follow says so no longer when %s is taken away', async (_, wanted) => {
    const world = await worldWithFollower()
    world.revoked.add('ann demo/app')
    await world.importTo('demo/app:dev', v2)
    await world.idle()
    expect(await world.condition('prod/app:prod')).toMatchObject({ reason: 'Forbidden' })
    await world.set('prod/app:prod', wanted)
    expect(await world.condition('prod/app:prod')).toBeUndefined()
    expect(await world.pin('prod/app:prod')).toBe(d1)
  })

  test('keeps what was pushed or tagged onto it until the source moves', async () => {
    const world = await worldWithFollower()
    await world.importTo('demo/other:x', v3, 'lib/other')
    const stream = await world.reader.stream(parse('prod/app'))
    await world.links.copy(parse('demo/other'), { ...parse('prod/app'), uid: stream?.uid ?? '' }, v3.manifest.digest)
    const pushed = { image: v3.manifest.digest, mediaType: v3.manifest.mediaType, dockerImageReference: 'w/prod/app' }
    const push = { event: { ...pushed, cause: { kind: 'push', by: 'ci' } as const } }
    await world.writer.changeTag(parse('prod/app'), 'prod', () => push)
    await world.idle()
    await world.stop()
    await world.start()
    await world.pass(3_600_000)
    expect(await world.pin('prod/app:prod')).toBe(d3)
    await move(world, 'demo/app:dev', v2)
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })

  test('follows a mere reference as one, and writes nothing more while that says the same', async () => {
    const world = await followingWorld()
    const literal = `${world.registry.host}/lib/app:v9`
    await world.set('demo/app:ref', { ...fromRegistry(literal), reference: true })
    await world.set('prod/app:prod', following('demo/app:ref'))
    await world.set('demo/app:ref', { ...fromRegistry(`${literal}b`), reference: true })
    await world.idle()
    const tag = await world.tagOf('prod/app:prod')
    expect(tag?.record.items[0]).toMatchObject({ image: '', dockerImageReference: `${literal}b` })
    await world.stop()
    await world.start()
    expect((await world.tagOf('prod/app:prod'))?.storeRevision).toBe(tag?.storeRevision)
  })
})

describe('a source that is not there', () => {
  test('yet, as a tag that stands at nothing, is followed as soon as it stands somewhere', async () => {
    const world = await worldWithFollower()
    await world.set('prod/app:soon', following('demo/app:later'))
    expect(await world.condition('prod/app:soon')).toMatchObject({
      reason: 'NotFound',
      message: 'demo/app:later stands at no image: the tag follows it as soon as there is one',
    })
    await move(world, 'demo/app:later', v2)
    expect(await world.pin('prod/app:soon')).toBe(d2)
    expect(await world.condition('prod/app:soon')).toBeUndefined()
  })

  test('yet, is followed to where another was seen that the tag followed before', async () => {
    const world = await worldWithFollower()
    await move(world, 'demo/app:dev', v2)
    const cause = { kind: 'push', by: 'ci' } as const
    const { digest, mediaType } = v1.manifest
    const push = { image: digest, mediaType, dockerImageReference: 'w/prod/app', cause }
    await world.writer.changeTag(parse('prod/app'), 'prod', () => ({ event: push }))
    await world.set('prod/app:prod', following('demo/app:later'))
    expect(await world.pin('prod/app:prod')).toBe(d1)
    await move(world, 'demo/app:later', v2)
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })

  test.each([
    ['its tag is deleted', 'demo/app:dev stands at no image', (world: FollowingWorld) => removeTag(world)],
    ['its stream is deleted', 'there is no image stream demo/app', (world: FollowingWorld) => removeStream(world)],
  ])('any more, as %s, leaves the pin and says so; made anew it is followed again', async (_, said, remove) => {
    const world = await worldWithFollower()
    await remove(world)
    await world.idle()
    expect(await world.pin('prod/app:prod')).toBe(d1)
    expect(await world.condition('prod/app:prod')).toMatchObject({
      reason: 'NotFound',
      message: `${said}: the tag keeps what it stands at, and follows again when there is one`,
    })
    await move(world, 'demo/app:dev', v2)
    expect(await world.pin('prod/app:prod')).toBe(d2)
    expect(await world.condition('prod/app:prod')).toBeUndefined()
  })

  test('and comes back where it stood moves nothing, and ends the condition', async () => {
    const world = await worldWithFollower()
    await removeStream(world)
    await world.idle()
    await move(world, 'demo/app:dev', v1)
    expect(await world.condition('prod/app:prod')).toBeUndefined()
    expect((await world.newest('prod/app:prod'))?.revision).toBe(1)
  })

  test('says the same again only once, however often it is tried', async () => {
    const world = await worldWithFollower()
    await removeStream(world)
    await world.idle()
    const before = (await world.tagOf('prod/app:prod'))?.storeRevision
    await world.pass(3_600_000)
    await world.stop()
    await world.start()
    expect((await world.tagOf('prod/app:prod'))?.storeRevision).toBe(before)
    expect(world.running.counters).toEqual({ tags: 1, failing: 1 })
  })
})

describe('the right to pull from the source', () => {
  test('is asked at each move: without it the pin stays, and the condition names source and user', async () => {
    const world = await worldWithFollower()
    world.revoked.add('ann demo/app')
    await move(world, 'demo/app:dev', v2)
    expect(await world.pin('prod/app:prod')).toBe(d1)
    const condition = await world.condition('prod/app:prod')
    expect(condition?.reason).toBe('Forbidden')
    expect(condition?.message).toContain('demo/app:dev is not followed: ann let it follow')
    expect(await world.links.get(parse('prod/app'), v2.manifest.digest)).toBeUndefined()
  })

  test('says the same whether or not there is something to follow', async () => {
    const world = await worldWithFollower()
    world.revoked.add('ann demo/app')
    await move(world, 'demo/app:dev', v2)
    const there = await world.condition('prod/app:prod')
    await removeStream(world)
    await world.idle()
    expect(await world.condition('prod/app:prod')).toEqual(there)
  })

  test('is enough again when it is given back: the tag follows within seconds', async () => {
    const world = await worldWithFollower()
    world.revoked.add('ann demo/app')
    await move(world, 'demo/app:dev', v2)
    await world.pass(10_000)
    expect(await world.pin('prod/app:prod')).toBe(d1)
    world.revoked.clear()
    world.rightsChanged()
    await world.pass(10_000)
    expect(await world.pin('prod/app:prod')).toBe(d2)
    expect(await world.condition('prod/app:prod')).toBeUndefined()
  })

  test('is seen within some minutes, whoever tells of it', async () => {
    const world = await worldWithFollower()
    world.revoked.add('ann demo/app')
    await move(world, 'demo/app:dev', v2)
    world.revoked.clear()
    await world.pass(4 * 60_000)
    expect(await world.pin('prod/app:prod')).toBe(d1)
    await world.pass(2 * 60_000)
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })

  test('is seen again soon, also after the clock was put back', async () => {
    const world = await worldWithFollower()
    world.revoked.add('ann demo/app')
    await move(world, 'demo/app:dev', v2)
    world.clock.advance(-30 * 24 * 3_600_000)
    world.revoked.clear()
    await world.pass(10 * 60_000)
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })

  test('is of who let it follow, not of who edits the tag later', async () => {
    const world = await worldWithFollower()
    const annotations = { ...follow, note: 'x' }
    await world.set('prod/app:prod', { ...from('demo/app:dev'), annotations }, { by: 'bob', mayPull: () => false })
    expect((await world.tagOf('prod/app:prod'))?.record.followsAs).toEqual({ name: 'ann', groups: [] })
    world.revoked.add('bob demo/app')
    await move(world, 'demo/app:dev', v2)
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })

  test.each([
    ['another source', following('demo/app:other')],
    ['the same anew', { ...following('demo/app:dev'), generation: 0 }],
  ])('is of whoever sets %s', async (_, wanted) => {
    const world = await worldWithFollower()
    await world.importTo('demo/app:other', v3)
    const as = { name: 'bob', groups: ['team'], uid: 'of-the-password' }
    await world.set('prod/app:prod', wanted, { by: 'bob', as })
    expect((await world.tagOf('prod/app:prod'))?.record.followsAs).toEqual({ name: 'bob', groups: ['team'] })
  })

  test('is needed to begin: to write the annotation later takes what a new source takes', async () => {
    const world = await worldWithFollower()
    await world.set('prod/app:late', from('demo/app:dev'))
    const work = world.set('prod/app:late', following('demo/app:dev'), { by: 'eve', mayPull: () => false })
    await expect(work).rejects.toMatchObject({
      code: 'INVALID',
      causes: [{ field: 'tag.from.name', reason: 'FieldValueForbidden' }],
    })
    expect(await world.keys('index/across/')).toEqual(['index/across/demo/app/dev/prod/app/prod'])
  })

  test('is asked again at the last moment, after links were copied', async () => {
    const world = await worldWithFollower({ runs: false })
    await world.importTo('demo/app:dev', v2)
    let isRevoked = false
    const copy = async (...of: Parameters<typeof world.links.copy>) => {
      await world.links.copy(...of)
      isRevoked = true
      return { isLinked: true, lost: [] }
    }
    const none = { info() {}, debug() {} } as never
    const given = { prepare: { copy }, mayFollow: () => !isRevoked, registryHost: 'w', log: none }
    const letFollow = createFollow({ ...world, ...given, obtain: async () => undefined })
    expect(await letFollow(parse('prod/app'), 'prod')).toEqual({ kind: 'again' })
    expect(await world.pin('prod/app:prod')).toBe(d1)
    expect(await letFollow(parse('prod/app'), 'prod')).toMatchObject({ kind: 'failed', as: { name: 'ann' } })
  })
})

test('a tag that was set otherwise while its links were copied stays where it was put', async () => {
  const world = await worldWithFollower({ runs: false })
  await world.importTo('demo/app:dev', v2)
  await world.importTo('demo/app:other', v3)
  const copy = async (...of: Parameters<typeof world.links.copy>) => {
    await world.links.copy(...of)
    await world.set('prod/app:prod', from('demo/app:other'))
    await world.set('prod/app:prod', following('demo/app:other'))
    return { isLinked: true, lost: [] }
  }
  const none = { info() {}, debug() {} } as never
  const given = {
    prepare: { copy },
    mayFollow: () => true,
    registryHost: 'w',
    obtain: async () => undefined,
    log: none,
  }
  expect(await createFollow({ ...world, ...given })(parse('prod/app'), 'prod')).toEqual({ kind: 'again' })
  expect(await world.pin('prod/app:prod')).toBe(d3)
})

test('a tag that is thought to follow what it does not is left alone', async () => {
  const world = await worldWithFollower({ runs: false })
  await world.importTo('demo/app:dev', v2)
  const { tag, ...name } = parse('prod/app:prod')
  for (const source of ['demo/app:other', 'demo/web:dev', 'prod/app:dev'].map(parse)) {
    expect(await world.tagging.follow(name, tag, { source })).toEqual({ kind: 'gone' })
  }
  for (const nobody of [parse('prod/app:not'), parse('prod/none:prod')]) {
    expect(await world.tagging.follow(nobody, nobody.tag)).toEqual({ kind: 'gone' })
  }
  expect(await world.pin('prod/app:prod')).toBe(d1)
  expect(await world.tagging.follow(name, tag, { source: parse('demo/app:dev') })).toEqual({ kind: 'moved' })
})

describe('what keeps a tag from moving', () => {
  test('a hold: it gets a candidate alone, and goes where its source stands when it is resumed', async () => {
    const world = await worldWithFollower()
    await move(world, 'demo/app:dev', v2)
    await world.tagEvents.rollback(parse('prod/app'), 'prod', { by: 'ann' })
    await move(world, 'demo/app:dev', v3)
    const { record } = (await world.tagOf('prod/app:prod')) ?? {}
    expect([record?.items[0]?.image, record?.candidate?.image, record?.candidate?.cause.kind]).toEqual([
      d1,
      d3,
      'follow',
    ])
    await world.tagEvents.resume(parse('prod/app'), 'prod', { by: 'bob', reason: 'better' })
    expect(await world.newest('prod/app:prod')).toMatchObject({
      image: d3,
      cause: { kind: 'follow', by: 'bob', reason: 'better', from: { name: 'demo/app:dev' } },
    })
    expect((await world.tagOf('prod/app:prod'))?.record.candidate).toBeUndefined()
  })

  test('a hold that is let go while something is in the way: it follows when that is over', async () => {
    const world = await worldWithFollower()
    await move(world, 'demo/app:dev', v2)
    await world.tagEvents.rollback(parse('prod/app'), 'prod', { by: 'ann' })
    world.revoked.add('ann demo/app')
    await world.tagEvents.resume(parse('prod/app'), 'prod', { by: 'bob' })
    expect(await world.condition('prod/app:prod')).toMatchObject({ reason: 'Forbidden' })
    await world.pass(60_000)
    world.revoked.clear()
    world.rightsChanged()
    await world.pass(10_000)
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })

  test('a hold that ended when nobody was there to look is followed after a start', async () => {
    const world = await worldWithFollower()
    await move(world, 'demo/app:dev', v2)
    await world.tagEvents.rollback(parse('prod/app'), 'prod', { by: 'ann' })
    await world.stop()
    await world.writer.changeTag(parse('prod/app'), 'prod', () => ({ hold: null }))
    await world.start()
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })

  test('that it is immutable: it gets a candidate alone', async () => {
    const world = await worldWithFollower()
    const annotations = { ...follow, 'weir.dev/immutable': 'true' }
    await world.set('prod/app:prod', { ...from('demo/app:dev'), annotations })
    await move(world, 'demo/app:dev', v2)
    const { record } = (await world.tagOf('prod/app:prod')) ?? {}
    expect([record?.items[0]?.image, record?.candidate?.image]).toEqual([d1, d2])
  })

  test('that its content has to be held: it awaits the image', async () => {
    const world = await worldWithFollower()
    const annotations = { ...follow, 'weir.dev/move': 'when-held' }
    await world.set('prod/app:prod', { ...from('demo/app:dev'), annotations })
    await move(world, 'demo/app:dev', v2)
    const { record } = (await world.tagOf('prod/app:prod')) ?? {}
    expect([record?.items[0]?.image, record?.awaits?.image, record?.awaits?.cause.kind]).toEqual([d1, d2, 'follow'])
  })

  test('a quota: a condition says so once, and it follows when there is room', async () => {
    const world = await worldWithFollower()
    const hard = { 'requests.storage': '1' }
    await pushedTo(world, 'demo/app:dev')
    await world.stop()
    const before = await world.pin('prod/app:prod')
    await world.objects.create('resourcequotas', 'prod', { metadata: { name: 'q' }, spec: { hard } } as never)
    await pushedTo(world, 'demo/app:dev', 'more')
    await world.start()
    const condition = await world.condition('prod/app:prod')
    expect(condition).toMatchObject({ reason: 'QuotaExceeded' })
    expect(await world.pin('prod/app:prod')).toBe(before)
    const revision = (await world.tagOf('prod/app:prod'))?.storeRevision
    await world.pass(20 * 60_000)
    expect((await world.tagOf('prod/app:prod'))?.storeRevision).toBe(revision)
    await world.objects.delete('resourcequotas', 'prod', 'q')
    await world.pass(6 * 60_000)
    expect(await world.pin('prod/app:prod')).toBe(await world.pin('demo/app:dev'))
    expect(await world.condition('prod/app:prod')).toBeUndefined()
  })

  test('that its stream would be too large: a condition says so, and it stays', async () => {
    const world = await followingWorld({
      following: (flows) => ({
        follow: async (...args) => {
          const changeTag: typeof flows.writer.changeTag = (name, tag, decide, options) => {
            const refused = new RegistryError('INVALID', { message: 'the stream would be too large' })
            const decideOn: typeof decide = (current) => {
              const change = decide(current)
              if (change?.event !== undefined) throw refused
              return change
            }
            return flows.writer.changeTag(name, tag, decideOn, options)
          }
          const copy = async () => ({ isLinked: true, lost: [] })
          const none = { info() {}, debug() {} } as never
          const given = {
            writer: { changeTag },
            prepare: { copy },
            mayFollow: () => true,
            registryHost: 'w',
            log: none,
          }
          return createFollow({ ...flows, ...given, obtain: async () => undefined })(...args)
        },
      }),
    })
    await world.importTo('demo/app:dev', v1)
    await world.set('prod/app:prod', following('demo/app:dev'))
    await move(world, 'demo/app:dev', v2)
    const condition = { reason: 'Invalid', message: 'the stream would be too large' }
    await vi.waitFor(async () => expect(await world.condition('prod/app:prod')).toMatchObject(condition))
    expect(await world.pin('prod/app:prod')).toBe(d1)
  })

  test('that nobody can give its content any more: a condition says so, and it stays', async () => {
    const world = await worldWithFollower()
    await pushedTo(world, 'demo/app:dev', 'lost', false)
    expect(await world.pin('prod/app:prod')).toBe(d1)
    expect(await world.condition('prod/app:prod')).toMatchObject({ reason: 'Invalid' })
    expect((await world.condition('prod/app:prod'))?.message).toContain('is not kept any more')
  })
})

describe('a start', () => {
  test('finds what moved while nobody looked', async () => {
    const world = await worldWithFollower()
    await world.stop()
    await world.importTo('demo/app:dev', v2)
    await world.start()
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })

  test('goes on after a crash between links and move', async () => {
    const world = await worldWithFollower()
    await world.stop()
    await world.importTo('demo/app:dev', v2)
    const stream = await world.reader.stream(parse('prod/app'))
    await world.links.copy(parse('demo/app'), { ...parse('prod/app'), uid: stream?.uid ?? '' }, v2.manifest.digest)
    await world.start()
    expect(await world.pin('prod/app:prod')).toBe(d2)
    expect((await world.reader.ledger(parse('prod/app'), 'prod')).length).toBe(2)
  })

  test('writes nothing where nothing moved', async () => {
    const world = await worldWithFollower()
    const before = (await world.store.range({ prefix: 'no such' })).revision
    await world.stop()
    await world.start()
    expect((await world.store.range({ prefix: 'no such' })).revision).toBe(before)
  })

  test('is not needed when changes can not be told any more: all tags are looked at anew', async () => {
    const compacted = Promise.withResolvers<void>()
    const world = await worldWithFollower({
      following: ({ store }) => {
        let isFirst = true
        const watch: typeof store.watch = (prefix, options) => {
          if (prefix !== 'tag/' || !isFirst) return store.watch(prefix, options)
          isFirst = false
          return (async function* () {
            await compacted.promise
            yield* []
            throw new CompactedError(1)
          })()
        }
        return { store: { ...store, watch } }
      },
    })
    await world.importTo('demo/app:dev', v2)
    await world.idle()
    expect(await world.pin('prod/app:prod')).toBe(d1)
    compacted.resolve()
    await vi.waitFor(async () => expect(await world.pin('prod/app:prod')).toBe(d2))
  })

  test('drops the records of streams that were deleted, and lets those of one made anew be', async () => {
    const world = await worldWithFollower()
    await world.stop()
    await world.writer.delete(parse('prod/app'))
    expect(await world.keys('index/across/')).toEqual(['index/across/demo/app/dev/prod/app/prod'])
    await world.importTo('prod/app:else', v3)
    await world.start()
    expect(await world.keys('index/across/')).toEqual([])
    await world.set('prod/app:prod', following('demo/app:dev'))
    await world.idle()
    await move(world, 'demo/app:dev', v2)
    expect(await world.pin('prod/app:prod')).toBe(d2)
  })
})

describe('a stream that follows and is deleted', () => {
  test('leaves nothing in the index, and what takes its name follows nothing', async () => {
    const world = await worldWithFollower()
    await world.writer.delete(parse('prod/app'))
    await world.idle()
    expect(await world.keys('index/across/')).toEqual([])
    await world.importTo('prod/app:prod', v3, 'lib/other')
    await move(world, 'demo/app:dev', v2)
    expect(await world.pin('prod/app:prod')).toBe(d3)
  })
})

describe('a circle that came to be somehow', () => {
  test('comes to rest, and says what it is', async () => {
    const world = await worldWithFollower()
    await world.stop()
    // As two commits would make it that did not see one another.
    const entry = await world.store.get('tag/demo/app/dev')
    const record = JSON.parse(entry?.value ?? '')
    record.spec = { ...record.spec, ...following('prod/app:prod') }
    record.followsAs = { name: 'ann', groups: [] }
    const key = 'index/across/prod/app/prod/demo/app/dev'
    const operations = [
      { type: 'put' as const, key: 'tag/demo/app/dev', value: JSON.stringify(record) },
      { type: 'put' as const, key, value: JSON.stringify({ uid: record.uid }) },
    ]
    await world.store.commit({ operations })
    await world.start()
    const digests = [v2.manifest.digest, v3.manifest.digest]
    for (const [i, at] of ['demo/app:dev', 'prod/app:prod'].entries()) {
      const { tag, ...name } = parse(at)
      const uid = (await world.reader.stream(name))?.uid ?? ''
      await world.importTo('demo/other:x', i === 0 ? v2 : v3, `lib/o${i}`)
      await world.links.copy(parse('demo/other'), { ...name, uid }, digests[i] ?? v2.manifest.digest)
      const cause = { kind: 'push', by: 'ci' } as const
      const event = { image: digests[i] ?? v2.manifest.digest, mediaType: 'm', dockerImageReference: 'r', cause }
      await world.writer.changeTag(name, tag, () => ({ event }))
    }
    await world.pass(3_600_000)
    const before = (await world.store.range({ prefix: 'no such' })).revision
    await world.pass(3_600_000)
    expect((await world.store.range({ prefix: 'no such' })).revision).toBe(before)
    expect((await world.condition('prod/app:prod'))?.message).toContain('follows this tag, directly or through others')
  })
})

async function removeTag({ writer }: FollowingWorld): Promise<void> {
  await writer.changeTag(parse('demo/app'), 'dev', () => ({ remove: { cause: { kind: 'delete', by: 'ann' } } }))
}

async function removeStream(world: FollowingWorld): Promise<void> {
  await world.writer.delete(parse('demo/app'))
}

/** Puts what counts against quotas: bytes that are here alone. */
async function pushedTo(world: FollowingWorld, at: string, name = 'pushed', isHeld = true): Promise<void> {
  const { tag, ...stream } = parse(at)
  const image = makeImage(name)
  const uid = (await world.reader.stream(stream))?.uid ?? ''
  const here = [{ kind: 'here' as const }]
  const parts = [image.manifest, image.config, ...image.layers]
  for (const { digest, bytes } of isHeld ? parts : [])
    await world.content.putManifest(digest, Buffer.from(bytes), { kind: 'here' })
  const added = parts.map(({ digest, mediaType, bytes }) => ({
    digest,
    mediaType,
    size: bytes.length,
    locations: here,
    ...(digest === image.manifest.digest ? { received: true as const } : { measured: true as const }),
  }))
  await world.links.add(stream, uid, added)
  const { digest, mediaType } = image.manifest
  const cause = { kind: 'push', by: 'ci' } as const
  await world.writer.changeTag(stream, tag, () => ({
    event: { image: digest, mediaType, dockerImageReference: `w/${at}`, cause },
  }))
  await world.idle()
}
