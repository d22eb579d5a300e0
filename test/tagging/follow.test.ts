import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { followed, maxHops, pathAbove } from '../../src/streams/followed-across.ts'
import { makeImage } from '../support/images.ts'
import {
  causesOf,
  from,
  fromRegistry,
  mayPullOnly,
  parse,
  type TaggingWorld,
  taggingWorld,
  type Wanted,
  wantedTag,
} from './world.ts'

const v1 = makeImage('v1')
const annotation = 'weir.dev/follow'
const follow = { [annotation]: 'true' }

function following(source: string): Wanted {
  return { ...from(source), annotations: follow }
}

async function worldWithDev(): Promise<TaggingWorld> {
  const world = await taggingWorld()
  await world.importTo('demo/app:dev', v1)
  return world
}

async function index({ store }: TaggingWorld): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of await store.range({ prefix: 'index/across/' })) keys.push(key.slice(13))
  return keys
}

/** The messages of a refusal. */
async function messagesOf(work: Promise<unknown>): Promise<string[]> {
  try {
    await work
  } catch (error) {
    return (error as { causes: { message: string }[] }).causes.map(({ message }) => message)
  }
  return []
}

describe('weir.dev/follow', () => {
  test.each<[string, Wanted]>([
    ['an image of a registry', { ...fromRegistry('quay.io/org/app:v1'), annotations: follow }],
    ['an image of a stream', { ...from(`demo/app@${v1.manifest.digest}`), annotations: follow }],
    ['no source', { annotations: follow }],
    ['a mere reference', { ...following('demo/app:dev'), reference: true }],
    ['another word', { ...from('demo/app:dev'), annotations: { [annotation]: 'yes' } }],
    ['a word with a space', { ...from('demo/app:dev'), annotations: { [annotation]: 'true ' } }],
    ['an empty word', { ...from('demo/app:dev'), annotations: { [annotation]: '' } }],
  ])('is refused on %s, at its own path', async (_, wanted) => {
    const world = await worldWithDev()
    expect(await causesOf(world.set('prod/app:prod', wanted))).toEqual([
      `metadata.annotations[${annotation}]: FieldValueInvalid`,
    ])
    expect(await causesOf(world.createStream('prod/app', { prod: wanted }))).toEqual([
      `spec.tags[prod].annotations[${annotation}]: FieldValueInvalid`,
    ])
    expect(await index(world)).toEqual([])
  })

  test('says what it is for', async () => {
    const world = await worldWithDev()
    const [message] = await messagesOf(
      world.set('prod/app:prod', { ...fromRegistry('quay.io/a/b:1'), annotations: follow }),
    )
    expect(message).toContain('a tag of another image stream')
    expect(message).toContain('importPolicy.scheduled')
  })

  test('means nothing more on a source of the same stream, which is followed anyway', async () => {
    const world = await worldWithDev()
    await world.set('demo/app:prod', following('demo/app:dev'), { mayPull: () => false })
    expect(await index(world)).toEqual([])
    expect((await world.tagOf('demo/app:prod'))?.record.followsAs).toBeUndefined()
    await world.importTo('demo/app:dev', makeImage('v2'))
    expect(await world.pin('demo/app:prod')).toBe(makeImage('v2').manifest.digest)
  })

  test('that is there is not judged anew, so that other fields can be changed', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', following('demo/app:dev'))
    // An import by hand from elsewhere leaves the annotations.
    await world.importTo('prod/app:prod', v1)
    const wanted = { ...fromRegistry(`${world.registry.host}/lib/app:prod`), annotations: { ...follow, note: 'x' } }
    await world.set('prod/app:prod', wanted)
    expect((await world.tagOf('prod/app:prod'))?.record.spec?.annotations).toMatchObject({ note: 'x' })
    expect(await index(world)).toEqual([])
  })

  test('I2: is in the index by the commit of the tag, and leaves it by that which ends it', async () => {
    const world = await worldWithDev()
    const { revision } = await world.set('prod/app:prod', following('demo/app:dev'))
    const key = 'index/across/demo/app/dev/prod/app/prod'
    expect((await world.store.get(key))?.revision).toBe(revision)
    expect((await world.store.get('tag/prod/app/prod'))?.revision).toBe(revision)
    await world.set('prod/app:prod', following('demo/app:other'))
    expect(await index(world)).toEqual(['demo/app/other/prod/app/prod'])
    await world.set('prod/app:prod', null)
    expect(await index(world)).toEqual([])
    await world.set('prod/app:prod', following('demo/app:dev'))
    const remove = { remove: { cause: { kind: 'delete', by: 'ann' } as const } }
    await world.writer.changeTag(parse('prod/app'), 'prod', () => remove)
    expect(await index(world)).toEqual([])
  })

  test('keeps of who begins it his name and groups, no more than there is room for', async () => {
    const world = await worldWithDev()
    const groups = ['team', ...Array.from({ length: 300 }, (_, i) => `group-${i}`)]
    const as = { name: 'ann', groups, uid: 'u', session: 's', endsAt: 1, provider: 'corp' }
    await world.set('prod/app:prod', following('demo/app:dev'), { as })
    const kept = (await world.tagOf('prod/app:prod'))?.record.followsAs
    expect(kept).toEqual({ name: 'ann', groups: groups.slice(0, 100) })
    await world.set('prod/app:long', following('demo/app:dev'), { as: { name: 'ann', groups: ['x'.repeat(9000)] } })
    expect((await world.tagOf('prod/app:long'))?.record.followsAs).toEqual({ name: 'ann', groups: [] })
  })

  test('is told by dry runs as it would be, and nothing is written', async () => {
    const world = await worldWithDev()
    const { tag } = await world.set('prod/app:prod', following('demo/app:dev'), { dryRun: true })
    expect(tag?.record.items[0]?.image).toBe(v1.manifest.digest)
    expect(await index(world)).toEqual([])
    expect(await world.tagOf('prod/app:prod')).toBeUndefined()
  })
})

describe('a circle', () => {
  const loop = 'tag.from.name: FieldValueInvalid'

  test('of two streams is refused, and names the way', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', following('demo/app:dev'))
    expect(await messagesOf(world.set('demo/app:dev', following('prod/app:prod')))).toEqual([
      'Invalid value: "app:prod": it would follow itself, through prod/app:prod',
    ])
    expect(await world.pin('demo/app:dev')).toBe(v1.manifest.digest)
  })

  test.each([
    [
      'through tags of one stream and of others',
      ['demo/app:b<-demo/app:a', 'prod/app:c<-demo/app:b'],
      'demo/app:a<-prod/app:c',
    ],
    ['closed within one stream', ['prod/app:b<-demo/app:a', 'demo/app:c<-prod/app:b'], 'demo/app:a<-demo/app:c'],
    ['with tags that are not there yet', ['demo/x:a<-prod/y:b', 'prod/y:b<-demo/z:c'], 'demo/z:c<-demo/x:a'],
  ])('%s is refused', async (_, edges, closing) => {
    const world = await worldWithDev()
    for (const stream of ['demo/x', 'demo/z', 'prod/y', 'prod/app']) await world.writer.create(parse(stream))
    for (const edge of edges) await set(world, edge)
    expect(await causesOf(set(world, closing))).toEqual([loop])
    expect(await circles(world)).toEqual([])
  })

  test('is none where a tag takes its image once', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', following('demo/app:dev'))
    await world.set('demo/app:dev', from('prod/app:prod'))
    expect(await world.pin('demo/app:dev')).toBe(v1.manifest.digest)
  })

  test('is none where the streams of its tags were deleted', async () => {
    const world = await worldWithDev()
    await world.set('prod/app:prod', following('demo/app:dev'))
    await world.writer.delete(parse('prod/app'))
    await world.importTo('prod/app:else', v1)
    await world.set('demo/app:dev', following('prod/app:prod'))
    expect(await index(world)).toContain('prod/app/prod/demo/app/dev')
  })

  test('that one write of a stream would close by two of its tags is refused', async () => {
    const world = await worldWithDev()
    for (const stream of ['prod/x', 'prod/y']) await world.writer.create(parse(stream))
    await set(world, 'prod/x:m<-demo/app:b')
    await set(world, 'prod/y:n<-demo/app:a')
    const tags = { a: following('prod/x:m'), b: following('prod/y:n') }
    const causes = await causesOf(
      world.updateStream('demo/app', { ...tags, dev: fromRegistry(`${world.registry.host}/lib/app:dev`) }),
    )
    expect(causes).toEqual(['spec.tags[a].from.name: FieldValueInvalid', 'spec.tags[b].from.name: FieldValueInvalid'])
    expect(await circles(world)).toEqual([])
  })

  test('that two writes would close at the same moment is closed by neither or refused to one', async () => {
    const world = await worldWithDev()
    for (let round = 0; round < 20; round += 1) {
      const [a, b, c] = [`demo/a${round}:t`, `prod/b${round}:t`, `demo/c${round}:t`]
      for (const each of [a, b, c]) await world.writer.create(parse(each))
      const closing = [`${a}<-${b}`, `${b}<-${c}`, `${c}<-${a}`]
      const results = await Promise.allSettled(closing.map((edge) => set(world, edge)))
      expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    }
    expect(await circles(world)).toEqual([])
  })

  test('is told without the streams that one may not pull from', async () => {
    const world = await worldWithDev()
    await world.writer.create(parse('prod/hidden'))
    await set(world, 'prod/hidden:x<-demo/app:dev')
    await set(world, 'demo/web:y<-prod/hidden:x')
    const more = { mayPull: mayPullOnly('demo/web') }
    expect(await messagesOf(world.set('demo/app:dev', following('demo/web:y'), more))).toEqual([
      'Invalid value: "web:y": it would follow itself, through demo/web:y, image streams that you may not see',
    ])
    const tags = { dev: following('demo/web:y') }
    expect((await messagesOf(world.updateStream('demo/app', tags, more))).join()).not.toContain('hidden')
  })

  test('is looked for no further than some tags, and what leads further is refused', async () => {
    const world = await worldWithDev()
    const names = Array.from({ length: maxHops + 1 }, (_, i) => `${i % 2 === 0 ? 'demo' : 'prod'}/s${i}:t`)
    for (const name of names) await world.writer.create(parse(name))
    // From the far end on each leads one further.
    for (let i = maxHops - 1; i >= 1; i -= 1) await set(world, `${names[i]}<-${names[i + 1]}`)
    expect(await messagesOf(set(world, `${names[0]}<-${names[1]}`))).toEqual([
      `Invalid value: "s1:t": it would follow through ${maxHops} tags or more`,
    ])
  })

  const tags = ['demo/p:a', 'demo/p:b', 'demo/q:a', 'prod/p:a', 'prod/p:b']
  test('never comes to be, and the index has exactly who follows, whatever is wanted in which order', async () => {
    const world = await taggingWorld()
    for (const stream of ['demo/p', 'demo/q', 'prod/p']) await world.writer.create(parse(stream))
    const wish = fc.record({
      tag: fc.constantFrom(...tags),
      to: fc.option(fc.constantFrom(...tags)),
      follows: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(wish, { minLength: 2, maxLength: 6 }), async (wishes) => {
        const work = wishes.map(({ tag, to, follows }) => {
          const source = to === null ? null : follows ? following(to) : from(to)
          return world
            .set(tag, source)
            .catch((error: { code: string }) => expect(error.code).toMatch(/INVALID|NOT_FOUND/))
        })
        await Promise.all(work)
        expect(await circles(world)).toEqual([])
        const wanted: string[] = []
        for (const tag of tags) {
          const source = await sourceOf(world, parse(tag))
          const own = parse(tag)
          if (source === undefined || (source.project === own.project && source.stream === own.stream)) continue
          wanted.push(`${source.project}/${source.stream}/${source.tag}/${own.project}/${own.stream}/${own.tag}`)
        }
        expect(await index(world)).toEqual(wanted.toSorted())
      }),
      { numRuns: 200 },
    )
  }, 60_000)

  /** `a<-b`: a follows b. */
  async function set(world: TaggingWorld, edge: string): Promise<unknown> {
    const [to = '', source = ''] = edge.split('<-')
    return world.set(to, following(source))
  }

  async function sourceOf({ reader }: TaggingWorld, name: ReturnType<typeof parse>) {
    return followed((await reader.tag(name, name.tag))?.record.spec, name)
  }

  /** Every tag that leads to itself. */
  async function circles(world: TaggingWorld): Promise<string[]> {
    const found: string[] = []
    for await (const { key } of await world.store.range({ prefix: 'tag/' })) {
      const [, project = '', stream = '', tag = ''] = key.split('/')
      const { ends } = await pathAbove({ project, stream, tag }, (each) => sourceOf(world, each))
      if (ends === 'loop') found.push(key)
    }
    return found
  }
})

test('a whole stream that follows keeps by whose right each tag does', async () => {
  const world = await worldWithDev()
  await world.createStream('prod/app', { a: following('demo/app:dev') })
  const two = { a: following('demo/app:dev'), b: following('demo/app:dev') }
  await world.updateStream('prod/app', two, { by: 'bob' })
  const whole = await world.reader.whole(parse('prod/app'))
  expect(whole?.tags.map(({ name, record }) => [name, record.followsAs?.name])).toEqual([
    ['a', 'ann'],
    ['b', 'bob'],
  ])
  expect(wantedTag('a', two.a).annotations).toEqual(follow)
})
