import { describe, expect, test } from 'vitest'
import { ownHost } from '../support/flows.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { causesOf, from, fromRegistry, mayPullOnly, parse, type TaggingWorld, taggingWorld } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')

/** `demo/app:dev` at v1. */
async function worldWithDev(): Promise<TaggingWorld> {
  const world = await taggingWorld()
  await world.importTo('demo/app:dev', v1)
  return world
}

async function newest({ store }: TaggingWorld): Promise<number> {
  return (await store.range({ prefix: 'no such' })).revision
}

async function revisionOf(world: TaggingWorld, at: string): Promise<string> {
  return String((await world.reader.stream(parse(at)))?.resourceVersion)
}

describe('a tag of another stream as the source', () => {
  test.each([
    ['another stream', 'demo/web:prod'],
    ['a stream of another project', 'prod/app:prod'],
  ])('puts the tag of %s where it stands', async (_, to) => {
    const world = await worldWithDev()
    const source = await world.tagOf('demo/app:dev')
    world.clock.advance(60_000)
    const { created, entry, tag } = await world.set(to, from('demo/app:dev'), { reason: 'release 7' })
    expect(created).toBe(true)
    expect(entry).toMatchObject({
      revision: 1,
      image: v1.manifest.digest,
      mediaType: v1.manifest.mediaType,
      cause: {
        kind: 'tag',
        by: 'ann',
        reason: 'release 7',
        from: { kind: 'ImageStreamTag', name: 'demo/app:dev' },
      },
    })
    const { image, created: since, dockerImageReference } = source?.record.items[0] ?? {}
    expect(tag?.record.items).toMatchObject([
      { image, created: since, dockerImageReference, generation: tag?.record.spec?.generation },
    ])
    expect(tag?.record.spec?.from).toEqual({ kind: 'ImageStreamTag', name: 'app:dev', namespace: 'demo' })
  })

  test('is taken once: when it moves on, the tag stays', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await world.importTo('demo/app:dev', v2)
    expect(await world.pin('demo/app:dev')).toBe(v2.manifest.digest)
    expect(await world.pin('prod/app:prod')).toBe(v1.manifest.digest)
  })

  test('that repeats what is there is not taken again, whatever it stands at now', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await world.importTo('demo/app:dev', v2)
    const before = await newest(world)
    const { changed, created } = await world.set('prod/app:prod', { ...from('demo/app:dev'), generation: 7 })
    expect({ changed, created }).toEqual({ changed: false, created: false })
    expect(await newest(world)).toBe(before)
  })

  test('is taken again when generation 0 asks for it', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await world.importTo('demo/app:dev', v2)
    await world.set('prod/app:prod', { ...from('demo/app:dev'), generation: 0 })
    const tag = await world.tagOf('prod/app:prod')
    expect(tag?.record.items.map(({ image }) => image)).toEqual([v2.manifest.digest, v1.manifest.digest])
    expect(tag?.record.items[0]?.generation).toBe(tag?.record.spec?.generation)
  })

  test('that is taken again at the same image adds nothing to the history', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await world.set('prod/app:prod', { ...from('demo/app:dev'), generation: 0 })
    expect(await world.reader.ledger(parse('prod/app'), 'prod')).toHaveLength(1)
    expect((await world.tagOf('prod/app:prod'))?.record.items).toHaveLength(1)
  })

  test('that stands nowhere yet is accepted and moves nothing', async () => {
    const world = await worldWithDev()
    const { created, tag, entry } = await world.set('prod/app:prod', from('demo/app:later'))
    expect([created, entry, tag?.record.items]).toEqual([true, undefined, []])
    await world.importTo('demo/app:later', v2)
    expect(await world.pin('prod/app:prod')).toBeUndefined()
    await world.set('prod/app:prod', { ...from('demo/app:later'), generation: 0 })
    expect(await world.pin('prod/app:prod')).toBe(v2.manifest.digest)
  })

  test('without a stream means the stream of the same name', async () => {
    const world = await worldWithDev()
    const source = { kind: 'ImageStreamTag', name: 'dev', namespace: 'demo' } as const
    await world.set('prod/app:prod', { from: source })
    expect(await world.pin('prod/app:prod')).toBe(v1.manifest.digest)
  })

  test('that is a mere reference is copied as one', async () => {
    const world = await worldWithDev()
    const literal = `${world.registry.host}/lib/app:v9`
    await world.set('demo/app:ref', { ...fromRegistry(literal), reference: true })
    await world.set('prod/app:prod', from('demo/app:ref'))
    expect((await world.tagOf('prod/app:prod'))?.record.items).toMatchObject([
      { image: '', dockerImageReference: literal },
    ])
  })
})

describe('an image of a stream as the source', () => {
  test.each([
    ['by its digest', (digest: string) => digest],
    ['by the start of its digest', (digest: string) => digest.slice(0, 19)],
    ['by the start of its hexadecimal part', (digest: string) => digest.slice(7, 19)],
  ])('puts the tag there %s', async (_, id) => {
    const world = await worldWithDev()
    world.clock.advance(60_000)
    const { entry, tag } = await world.set('prod/app:prod', from(`demo/app@${id(v1.manifest.digest)}`))
    expect(entry).toMatchObject({
      image: v1.manifest.digest,
      mediaType: v1.manifest.mediaType,
      dockerImageReference: `${world.registry.host}/lib/app@${v1.manifest.digest}`,
      cause: { kind: 'tag', from: { kind: 'ImageStreamImage', name: `demo/app@${v1.manifest.digest}` } },
    })
    expect(tag?.record.items[0]?.created).toBe(entry?.created)
  })

  test('may be one that no tag stands at any more', async () => {
    const world = await worldWithDev()
    await world.importTo('demo/app:dev', v2)
    await world.set('prod/app:prod', from(`demo/app@${v1.manifest.digest}`))
    expect(await world.pin('prod/app:prod')).toBe(v1.manifest.digest)
  })

  test('may be one of the same stream', async () => {
    const world = await worldWithDev()
    await world.importTo('demo/app:dev', v2)
    const id = v1.manifest.digest
    await world.set('demo/app:stable', { from: { kind: 'ImageStreamImage', name: id } }, { mayPull: () => false })
    expect(await world.pin('demo/app:stable')).toBe(id)
    expect((await world.tagOf('demo/app:stable'))?.record.items[0]?.dockerImageReference).toBe(
      `${world.registry.host}/lib/app@${id}`,
    )
  })

  test('may be a child of an index, which is received first', async () => {
    const world = await taggingWorld()
    const index = makeIndex('multi')
    const [child] = index.children
    await world.importTo('demo/app:dev', index)
    await world.set('prod/app:arm', from(`demo/app@${child?.manifest.digest}`))
    expect(await world.pin('prod/app:arm')).toBe(child?.manifest.digest)
    expect((await world.links.get(parse('prod/app'), child?.manifest.digest as never))?.received).toBe(true)
  })

  test('promoted again, blindly, is harmless', async () => {
    const world = await worldWithDev()
    const source = from(`demo/app@${v1.manifest.digest}`)
    await world.set('prod/app:prod', source)
    const before = await newest(world)
    await Promise.all([world.set('prod/app:prod', source), world.set('prod/app:prod', source)])
    expect(await newest(world)).toBe(before)
  })
})

describe('a tag of the same stream as the source', () => {
  test.each(['dev', 'app:dev'])('%s is followed', async (name) => {
    const world = await worldWithDev()
    await world.set('demo/app:stable', { from: { kind: 'ImageStreamTag', name } }, { mayPull: () => false })
    expect(await world.pin('demo/app:stable')).toBe(v1.manifest.digest)
    await world.importTo('demo/app:dev', v2)
    expect(await world.pin('demo/app:stable')).toBe(v2.manifest.digest)
  })

  test('need not be there yet', async () => {
    const world = await worldWithDev()
    await world.set('demo/app:stable', { from: { kind: 'ImageStreamTag', name: 'later' } })
    expect(await world.pin('demo/app:stable')).toBeUndefined()
    await world.importTo('demo/app:later', v2)
    expect(await world.pin('demo/app:stable')).toBe(v2.manifest.digest)
  })
})

describe('a reference to the source stream in Weir itself', () => {
  async function worldWithPushed(): Promise<TaggingWorld> {
    const world = await worldWithDev()
    const dockerImageReference = `${ownHost}/demo/app@${v1.manifest.digest}`
    const { digest: image, mediaType } = v1.manifest
    const event = { image, mediaType, dockerImageReference, cause: { kind: 'push', by: 'ci' } } as const
    await world.writer.changeTag(parse('demo/app'), 'pushed', () => ({ event }))
    return world
  }

  test("becomes one to the tag's own stream", async () => {
    const world = await worldWithPushed()
    await world.set('prod/web:prod', from('demo/app:pushed'))
    expect((await world.tagOf('prod/web:prod'))?.record.items[0]?.dockerImageReference).toBe(
      `${ownHost}/prod/web@${v1.manifest.digest}`,
    )
  })

  test("is made for an image that was pushed, and becomes one to the tag's own stream too", async () => {
    const world = await taggingWorld()
    const { uid } = await world.writer.create(parse('demo/app'))
    const { digest, mediaType, bytes } = v1.manifest
    const link = { digest, mediaType, size: bytes.length, locations: [{ kind: 'here' }], received: true } as const
    await world.content.putManifest(digest, bytes, { kind: 'here' })
    await world.links.add(parse('demo/app'), uid, [link])
    for (const [to, at] of [
      ['demo/app:again', 'demo/app'],
      ['prod/web:prod', 'prod/web'],
    ] as const) {
      await world.set(to, from(`demo/app@${digest}`))
      expect((await world.tagOf(to))?.record.items[0]?.dockerImageReference).toBe(`${ownHost}/${at}@${digest}`)
    }
  })

  test('is none when it is one to another stream, or of another registry', async () => {
    const world = await worldWithPushed()
    await world.importTo('demo/app:upstream', v2, 'demo/app')
    await world.set('prod/web:upstream', from('demo/app:upstream'))
    expect((await world.tagOf('prod/web:upstream'))?.record.items[0]?.dockerImageReference).toBe(
      `${world.registry.host}/demo/app@${v2.manifest.digest}`,
    )
    await world.set('demo/other:ref', { ...from('demo/app:pushed'), reference: true })
    await world.set('prod/web:prod', from('demo/other:ref'))
    expect((await world.tagOf('prod/web:prod'))?.record.items[0]?.dockerImageReference).toBe(
      `${ownHost}/demo/app@${v1.manifest.digest}`,
    )
  })

  test('stays as it is where a mere reference is wanted', async () => {
    const world = await worldWithPushed()
    await world.set('prod/web:prod', { ...from('demo/app:pushed'), reference: true })
    expect((await world.tagOf('prod/web:prod'))?.record.items[0]).toMatchObject({
      dockerImageReference: `${ownHost}/demo/app@${v1.manifest.digest}`,
      image: v1.manifest.digest,
    })
  })
})

describe('a registry as the source', () => {
  test('moves nothing yet, and is told to who imports', async () => {
    const world = await taggingWorld()
    const { tag, entry } = await world.set('demo/app:dev', fromRegistry(`${world.registry.host}/lib/app:v1`))
    expect([entry, tag?.record.items]).toEqual([undefined, []])
    expect(await world.store.get('index/pending/demo/app/dev')).toBeDefined()
    expect(world.registry.requests).toEqual([])
  })

  test('that is a mere reference is taken literally and asked for by nobody', async () => {
    const world = await taggingWorld()
    const literal = `${world.registry.host}/lib/app:v1`
    await world.set('demo/app:dev', { ...fromRegistry(literal), reference: true })
    await world.set('demo/app:dev', { ...fromRegistry(`${literal}.1`), reference: true })
    expect((await world.tagOf('demo/app:dev'))?.record.items).toMatchObject([
      { image: '', dockerImageReference: `${literal}.1` },
    ])
    expect(await world.store.get('index/pending/demo/app/dev')).toBeUndefined()
  })
})

describe('a source of another kind and the same name', () => {
  test('moves nothing, and is checked all the same', async () => {
    const world = await taggingWorld({ allowed: ['docker.io'] })
    await world.set('demo/app:dev', fromRegistry('web:v1'))
    const wanted = { from: { kind: 'ImageStreamTag', name: 'web:v1' } } as const
    expect(await causesOf(world.set('demo/app:dev', wanted))).toEqual(['tag.from.name: FieldValueNotFound'])
    expect(await causesOf(world.set('demo/app:dev', wanted, { mayPull: () => false }))).toEqual([
      'tag.from.name: FieldValueForbidden',
    ])
    await world.importTo('demo/web:v1', v1)
    const { tag, entry } = await world.set('demo/app:dev', wanted)
    expect([entry, tag?.record.spec?.from?.kind, tag?.record.items]).toEqual([undefined, 'ImageStreamTag', []])
  })
})

describe('a change that is none of the source', () => {
  test.each<[string, Parameters<TaggingWorld['set']>[1]]>([
    ['the schedule', { importPolicy: { insecure: true } }],
    ['annotations', { annotations: { description: 'stable' } }],
    ['the reference policy', { referencePolicy: { type: 'Source' } }],
  ])('of %s leaves the tag where it is', async (_, wanted) => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', from('demo/app:dev'))
    await world.importTo('demo/app:dev', v2)
    const before = await world.tagOf('prod/app:prod')
    const { changed, created } = await world.set(
      'prod/app:prod',
      { ...from('demo/app:dev'), ...wanted },
      { mayPull: () => false },
    )
    const after = await world.tagOf('prod/app:prod')
    expect({ changed, created }).toEqual({ changed: true, created: false })
    expect(after?.record.items).toEqual(before?.record.items)
    expect(after?.record.spec?.generation).toBe(before?.record.spec?.generation)
  })

  test('takes the spec away and leaves the status', async () => {
    const world = await worldWithDev()
    const { tag, created } = await world.set('demo/app:dev', null)
    expect([tag?.record.spec, created]).toEqual([undefined, false])
    expect(await world.pin('demo/app:dev')).toBe(v1.manifest.digest)
  })
})

describe('who writes a tag', () => {
  test('makes stream and tag when they are not there', async () => {
    const world = await taggingWorld()
    const { stream, tag, created } = await world.set('demo/new:v1', {})
    expect([stream.generation, tag?.record.spec?.generation, created]).toEqual([1, 1, true])
  })

  test('makes no stream in a project that is not there', async () => {
    const world = await worldWithDev()
    for (const wanted of [{}, from('demo/app:dev')]) {
      await expect(world.set('gone/new:v1', wanted)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(world.set('gone/new:v1', wanted, { dryRun: true })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    }
  })

  test('creates a tag once', async () => {
    const world = await worldWithDev()
    await expect(world.set('demo/app:dev', {}, { mode: 'create' })).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    await world.set('demo/app:dev', null)
    expect((await world.set('demo/app:dev', {}, { mode: 'create' })).created).toBe(true)
  })

  test.each([{ resourceVersion: '1' }, { uid: 'u' }])(
    'and saw %o of a stream that is gone is told so',
    async (seen) => {
      const world = await worldWithDev()
      for (const wanted of [{}, fromRegistry('not a reference!')]) {
        await expect(world.set('demo/gone:v1', wanted, { seen })).rejects.toMatchObject({ code: 'NOT_FOUND' })
      }
      await expect(world.set('demo/gone:v1', null)).rejects.toMatchObject({ code: 'NOT_FOUND' })
      await expect(world.set('demo/app:gone', null)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    },
  )

  test('conflicts when the tag changed after what he saw, and only then', async () => {
    const world = await worldWithDev()
    const resourceVersion = await revisionOf(world, 'demo/app')
    await world.set('demo/app:other', {})
    await world.set('demo/app:dev', { annotations: { a: '1' } }, { seen: { resourceVersion } })
    await expect(
      world.set('demo/app:dev', { annotations: { a: '2' } }, { seen: { resourceVersion } }),
    ).rejects.toMatchObject({ code: 'CONFLICT' })
    await world.set('demo/app:dev', { annotations: { a: '2' } })
  })

  test('and saw another stream of the name conflicts', async () => {
    const world = await worldWithDev()
    await expect(world.set('demo/app:dev', {}, { seen: { uid: 'another' } })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
  })

  test('links nothing when he conflicts', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', {})
    const seen = { resourceVersion: '1' }
    await expect(world.set('prod/app:prod', from('demo/app:dev'), { seen })).rejects.toMatchObject({ code: 'CONFLICT' })
    expect(await world.links.get(parse('prod/app'), v1.manifest.digest)).toBeUndefined()
  })

  test('for a trial learns what would come of it, and writes nothing', async () => {
    const world = await worldWithDev()
    const before = await newest(world)
    const made = await world.set('prod/app:prod', from('demo/app:dev'), { dryRun: true })
    expect(made.tag?.record.items[0]?.image).toBe(v1.manifest.digest)
    expect(made.created).toBe(true)
    expect(await causesOf(world.set('prod/app:prod', from('demo/gone:dev'), { dryRun: true }))).toEqual([
      'tag.from.name: FieldValueNotFound',
    ])
    expect(await newest(world)).toBe(before)
  })
})

describe('a held tag', () => {
  async function worldWithHeld(): Promise<TaggingWorld> {
    const world = await worldWithDev()
    await world.importTo('demo/app:dev', v2)
    await world.tagEvents.rollback(parse('demo/app'), 'dev', { by: 'bob', reason: 'bad build' })
    await world.importTo('demo/web:v2', v2, 'lib/web')
    return world
  }

  test.each<[string, (world: TaggingWorld) => Parameters<TaggingWorld['set']>[1]]>([
    ["another stream's tag", () => from('demo/web:v2')],
    ['an image', () => from(`demo/web@${v2.manifest.digest}`)],
    ['a tag of its stream', () => ({ from: { kind: 'ImageStreamTag', name: 'other' } })],
    ['another registry', ({ registry }) => fromRegistry(`${registry.host}/lib/web:v2`)],
    ['its source again', ({ registry }) => ({ ...fromRegistry(`${registry.host}/lib/app:dev`), generation: 0 })],
  ])('does not move to %s', async (_, wanted) => {
    const world = await worldWithHeld()
    const before = await newest(world)
    const work = world.set('demo/app:dev', wanted(world))
    await expect(work).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('held at revision 3'),
      causes: [{ field: 'tag', reason: 'FieldValueForbidden' }],
    })
    expect(await newest(world)).toBe(before)
  })

  test('takes every other change, and stays held', async () => {
    const world = await worldWithHeld()
    const wanted = { ...fromRegistry(`${world.registry.host}/lib/app:dev`), annotations: { a: 'b' } }
    const { tag } = await world.set('demo/app:dev', wanted)
    expect(tag?.record).toMatchObject({ hold: { revision: 3 }, spec: { annotations: { a: 'b' } } })
    expect((await world.set('demo/app:dev', null)).tag?.record.hold).toBeDefined()
  })
})

describe('who may not pull from the source', () => {
  test.each(['demo/app:dev', 'demo/gone:dev', 'gone/app:dev', `demo/app@${v1.manifest.digest}`, 'demo/app@0'])(
    'learns nothing of %s',
    async (source) => {
      const world = await worldWithDev()
      const work = world.set('prod/app:prod', from(source), { mayPull: mayPullOnly('prod/app') })
      const stream = source.replace(/[:@].*/, '')
      await expect(work).rejects.toMatchObject({
        code: 'INVALID',
        causes: [
          {
            field: 'tag.from.name',
            reason: 'FieldValueForbidden',
            message: `Forbidden: you may not pull from "${stream}", or there is no such image stream`,
          },
        ],
      })
      expect(await world.reader.stream(parse('prod/app'))).toBeUndefined()
    },
  )
})

test('a source in another stream that stands at nothing is told as a condition, until the tag is set again', async () => {
  const world = await taggingWorld()
  await world.importTo('demo/app:other', makeImage('other'))
  const from = { kind: 'ImageStreamTag', name: 'app:latest', namespace: 'demo' } as const
  await world.set('prod/app:v1', { from })
  const empty = (await world.tagOf('prod/app:v1'))?.record
  expect(empty).toMatchObject({ items: [], condition: { reason: 'NotFound', generation: empty?.spec?.generation } })
  expect(empty?.condition?.message).toContain('demo/app:latest stands at nothing yet')
  const image = makeImage('latest')
  await world.importTo('demo/app:latest', image)
  await world.set('prod/app:v1', { from, generation: 0 })
  const after = (await world.tagOf('prod/app:v1'))?.record
  expect([after?.items[0]?.image, after?.condition]).toEqual([image.manifest.digest, undefined])
})
