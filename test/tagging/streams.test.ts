import { describe, expect, test } from 'vitest'
import { makeImage } from '../support/images.ts'
import {
  causesOf,
  from,
  fromRegistry,
  parse,
  type TaggingWorld,
  taggingWorld,
  type Wanted,
  wantedTag,
} from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')

/** `demo/app` with the tags `dev` at v1 and `next` at v2. */
async function worldWithApp(): Promise<TaggingWorld> {
  const world = await taggingWorld()
  await world.importTo('demo/app:dev', v1)
  await world.importTo('demo/app:next', v2)
  return world
}

async function newest({ store }: TaggingWorld): Promise<number> {
  return (await store.range({ prefix: 'no such' })).revision
}

/** The spec of every tag of a stream, as its API object has it. */
async function specOf(world: TaggingWorld, at: string): Promise<Record<string, Wanted>> {
  const whole = await world.reader.whole(parse(at))
  return Object.fromEntries((whole?.tags ?? []).flatMap(({ name, record: { spec } }) => (spec ? [[name, spec]] : [])))
}

const object = { labels: {}, annotations: {}, lookupPolicy: { local: false } }

describe('a new stream', () => {
  test('is born with its tags in one commit', async () => {
    const world = await taggingWorld()
    const before = await newest(world)
    const { whole, changed, revision } = await world.createStream('demo/app', {
      dev: fromRegistry(`${world.registry.host}/lib/app:v1`),
      pushed: {},
      stable: { from: { kind: 'ImageStreamTag', name: 'dev' } },
    })
    expect([changed, revision, await newest(world)]).toEqual([true, before + 1, before + 1])
    expect(whole.stream.generation).toBe(1)
    expect(whole.tags.map(({ name, record }) => [name, record.spec?.generation])).toEqual([
      ['dev', 1],
      ['pushed', 1],
      ['stable', 1],
    ])
  })

  test('takes tags of other streams with it', async () => {
    const world = await worldWithApp()
    const { whole } = await world.createStream(
      'prod/app',
      { blue: from('demo/app:dev'), green: from(`demo/app@${v2.manifest.digest}`), same: from('demo/app:dev') },
      { object: { ...object, labels: { tier: 'web' } } },
    )
    expect(whole.stream.labels).toEqual({ tier: 'web' })
    expect(whole.tags.map(({ name, record }) => [name, record.items[0]?.image])).toEqual([
      ['blue', v1.manifest.digest],
      ['green', v2.manifest.digest],
      ['same', v1.manifest.digest],
    ])
  })

  test('is made once', async () => {
    const world = await worldWithApp()
    for (const tags of [{}, { x: from('demo/app:dev') }]) {
      await expect(world.createStream('demo/app', tags)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
      await expect(world.createStream('demo/app', tags, { dryRun: true })).rejects.toMatchObject({
        code: 'ALREADY_EXISTS',
      })
    }
    const all = await Promise.allSettled(
      [1, 2, 3].map(() => world.createStream('prod/app', { x: from('demo/app:dev') })),
    )
    expect(all.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(await world.pin('prod/app:x')).toBe(v1.manifest.digest)
  })

  test('is not left behind when its tags can not be had', async () => {
    const world = await worldWithApp()
    let asked = 0
    const mayPull = () => ++asked <= 2
    expect(await causesOf(world.createStream('prod/app', { x: from('demo/app:dev') }, { mayPull }))).toEqual([
      'spec.tags[x].from.name: FieldValueForbidden',
    ])
    expect(await world.reader.stream(parse('prod/app'))).toBeUndefined()
  })

  test('is not made when its tags are refused together', async () => {
    const world = await worldWithApp()
    const tags = {
      x: from('demo/app:dev'),
      a: { from: { kind: 'ImageStreamTag', name: 'b' } },
      b: { from: { kind: 'ImageStreamTag', name: 'a' } },
    } as const
    const before = await newest(world)
    const causes = await causesOf(world.createStream('prod/app', tags))
    expect(causes.length).toBeGreaterThan(0)
    for (const cause of causes) expect(cause).toMatch(/^spec\.tags\[[ab]\]\.from\.name: FieldValueInvalid$/)
    expect(await newest(world)).toBe(before)
  })

  test('for a trial is answered and not made', async () => {
    const world = await worldWithApp()
    const before = await newest(world)
    const { whole } = await world.createStream('prod/app', { x: from('demo/app:dev') }, { dryRun: true })
    expect(whole.tags.map(({ record }) => record.items[0]?.image)).toEqual([v1.manifest.digest])
    expect(await newest(world)).toBe(before)
    await expect(world.createStream('gone/app', {}, { dryRun: true })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('a stream that is written again', () => {
  test('as it was changes nothing', async () => {
    const world = await worldWithApp()
    await world.set('demo/app:web', from('demo/app:dev'))
    await world.set('demo/app:ref', { ...fromRegistry(`${world.registry.host}/lib/app:v1`), reference: true })
    await world.createStream('prod/web', {
      blue: from('demo/app:dev'),
      green: from(`demo/app@${v2.manifest.digest}`),
      pushed: {},
    })
    await world.importTo('demo/app:dev', v2)
    const before = await newest(world)
    for (const at of ['demo/app', 'prod/web']) {
      const resourceVersion = String((await world.reader.stream(parse(at)))?.resourceVersion)
      const tags = await specOf(world, at)
      const seen = { resourceVersion }
      expect((await world.updateStream(at, tags, { seen, mayPull: () => false })).changed).toBe(false)
      expect((await world.updateStream(at, tags)).changed).toBe(false)
      for (const [tag, wanted] of Object.entries(tags)) {
        expect((await world.set(`${at}:${tag}`, wanted, { seen, mayPull: () => false })).changed).toBe(false)
      }
    }
    expect(await newest(world)).toBe(before)
  })

  test('without a tag keeps its status, pin and links', async () => {
    const world = await worldWithApp()
    const { next, ...kept } = await specOf(world, 'demo/app')
    expect(next).toBeDefined()
    const { whole } = await world.updateStream('demo/app', kept)
    const tag = whole.tags.find(({ name }) => name === 'next')
    expect([tag?.record.spec, tag?.record.items[0]?.image]).toEqual([undefined, v2.manifest.digest])
    expect(await world.pullAll('demo/app:next')).toContain(v2.manifest.digest)
  })

  test('with a tag twice takes the last', async () => {
    const world = await worldWithApp()
    const tags = [wantedTag('x', { annotations: { n: '1' } }), wantedTag('x', { annotations: { n: '2' } })]
    await world.updateStream('demo/app', {}, { tags })
    expect((await world.tagOf('demo/app:x'))?.record.spec?.annotations).toEqual({ n: '2' })
  })

  test('with a tag named like a part of every object is one like others', async () => {
    const world = await worldWithApp()
    const tags = [wantedTag('__proto__', {}), wantedTag('constructor', {})]
    const { whole } = await world.updateStream('demo/app', {}, { tags })
    expect(whole.tags.filter(({ record }) => record.spec).map(({ name }) => name)).toEqual(['__proto__', 'constructor'])
  })

  test('raises its generation once, and that of new and changed tags alone', async () => {
    const world = await worldWithApp()
    const tags = await specOf(world, 'demo/app')
    const { stream } = (await world.reader.whole(parse('demo/app'))) ?? {}
    const generation = (stream?.generation ?? 0) + 1
    const { whole } = await world.updateStream(
      'demo/app',
      { ...tags, dev: { ...tags.dev, annotations: { a: 'b' } }, next: from('demo/app:dev'), more: {} },
      { object: { ...object, lookupPolicy: { local: true } } },
    )
    expect(whole.stream).toMatchObject({ generation, lookupPolicy: { local: true } })
    expect(whole.tags.map(({ name, record }) => [name, record.spec?.generation === generation])).toEqual([
      ['dev', false],
      ['more', true],
      ['next', true],
    ])
  })

  test('changes the lookup policy and no tag', async () => {
    const world = await worldWithApp()
    const before = await world.reader.whole(parse('demo/app'))
    const { whole } = await world.updateStream('demo/app', await specOf(world, 'demo/app'), {
      object: { ...object, lookupPolicy: { local: true } },
    })
    expect(whole.stream.generation).toBe((before?.stream.generation ?? 0) + 1)
    expect(whole.tags).toEqual(before?.tags)
  })

  test('that is not there is not found', async () => {
    const world = await taggingWorld()
    await expect(world.updateStream('demo/gone', {})).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(world.updateStream('gone/gone', {}, { dryRun: true })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('for a trial is answered and not written', async () => {
    const world = await worldWithApp()
    const before = await newest(world)
    const tags = { ...(await specOf(world, 'demo/app')), more: from('demo/app:dev') }
    const { whole } = await world.updateStream('demo/app', tags, { dryRun: true })
    expect(whole.tags.map(({ name }) => name)).toEqual(['dev', 'more', 'next'])
    expect(await newest(world)).toBe(before)
  })
})

describe('a stream that changed after what the client saw', () => {
  test('conflicts where it writes what changed', async () => {
    const world = await worldWithApp()
    const tags = await specOf(world, 'demo/app')
    const resourceVersion = String((await world.reader.stream(parse('demo/app')))?.resourceVersion)
    await world.set('demo/app:dev', { ...tags.dev, annotations: { by: 'other' } })
    const seen = { resourceVersion }
    const changed = { ...tags, dev: { ...tags.dev, annotations: { by: 'me' } } }
    await expect(world.updateStream('demo/app', changed, { seen })).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('gets no links for what conflicts', async () => {
    const world = await worldWithApp()
    await world.createStream('prod/app', { x: {} })
    const resourceVersion = String((await world.reader.stream(parse('prod/app')))?.resourceVersion)
    await world.set('prod/app:x', { annotations: { a: 'b' } })
    const seen = { resourceVersion }
    await expect(world.updateStream('prod/app', { x: from('demo/app:dev') }, { seen })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    expect(await world.links.get(parse('prod/app'), v1.manifest.digest)).toBeUndefined()
  })

  test('takes what it writes elsewhere', async () => {
    const world = await worldWithApp()
    const tags = await specOf(world, 'demo/app')
    const resourceVersion = String((await world.reader.stream(parse('demo/app')))?.resourceVersion)
    await world.importTo('demo/app:dev', v2)
    const seen = { resourceVersion }
    await world.updateStream('demo/app', { ...tags, next: { ...tags.next, annotations: { by: 'me' } } }, { seen })
    expect(await world.pin('demo/app:dev')).toBe(v2.manifest.digest)
    expect((await world.tagOf('demo/app:next'))?.record.spec?.annotations).toEqual({ by: 'me' })
  })

  test('and was made anew conflicts', async () => {
    const world = await worldWithApp()
    await expect(world.updateStream('demo/app', {}, { seen: { uid: 'another' } })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
  })
})

describe('held tags of a stream', () => {
  test('are all named, with their paths, and nothing is written', async () => {
    const world = await worldWithApp()
    await world.importTo('demo/app:dev', v2)
    await world.importTo('demo/app:next', v1)
    for (const tag of ['dev', 'next']) await world.tagEvents.rollback(parse('demo/app'), tag, { by: 'bob' })
    const tags = await specOf(world, 'demo/app')
    const before = await newest(world)
    const moved = { dev: from('demo/app:next'), next: { ...tags.next, generation: 0 }, more: {} }
    expect(await causesOf(world.updateStream('demo/app', moved))).toEqual([
      'spec.tags[dev]: FieldValueForbidden',
      'spec.tags[next]: FieldValueForbidden',
    ])
    expect(await newest(world)).toBe(before)
    expect((await world.updateStream('demo/app', { ...tags, more: {} })).changed).toBe(true)
  })
})

describe('items that are hidden', () => {
  test('go from status and stay in the ledger', async () => {
    const world = await worldWithApp()
    await world.importTo('demo/app:dev', v2)
    const items = (await world.tagOf('demo/app:dev'))?.record.items ?? []
    const others = (await world.tagOf('demo/app:next'))?.record.items ?? []
    const shown = [
      { tag: 'dev', items: items.slice(0, 1) },
      { tag: 'next', items: others },
    ]
    const trial = await world.tagging.hideItems(parse('demo/app'), shown, {}, { dryRun: true })
    expect(trial.whole.tags[0]?.record.items).toHaveLength(1)
    expect((await world.tagOf('demo/app:dev'))?.record.items).toHaveLength(2)
    await world.tagging.hideItems(parse('demo/app'), shown, {})
    expect((await world.tagOf('demo/app:dev'))?.record.items.map(({ image }) => image)).toEqual([v2.manifest.digest])
    expect(await world.reader.ledger(parse('demo/app'), 'dev')).toHaveLength(2)
    expect((await world.tagging.hideItems(parse('demo/app'), shown, {})).changed).toBe(false)
  })

  test('of a stream that is not there, or is another, are not', async () => {
    const world = await worldWithApp()
    await expect(world.tagging.hideItems(parse('demo/gone'), [], {})).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(world.tagging.hideItems(parse('demo/app'), [], { uid: 'u' })).rejects.toMatchObject({
      code: 'CONFLICT',
    })
    expect(await causesOf(world.tagging.hideItems(parse('demo/app'), [], {}))).toHaveLength(2)
  })
})
