import { describe, expect, test } from 'vitest'
import { maxFollowers } from '../../src/streams/follow-graph.ts'
import type { FollowersRecord, TagRecord } from '../../src/streams/records.ts'
import type { ChangeResult, TagChange } from '../../src/streams/streams.ts'
import { app, digest, event, imported, type World, wanted, world } from './world.ts'

/** A wish to follow a tag of the same stream. */
function follows(tag: string, source: string, annotations: Record<string, string> | null = null): TagChange {
  const from = { kind: 'ImageStreamTag', name: source } as const
  return { spec: { ...wanted(tag), from, annotations }, wantedBy: { by: 'carol', reason: 'because' } }
}

async function change(w: World, tag: string, next: TagChange): Promise<ChangeResult> {
  const result = await w.writer.changeTag(app, tag, () => next, { create: true })
  if (result === undefined) throw new TypeError('dropped')
  return result
}

const remove: TagChange = { remove: { cause: { kind: 'delete', by: 'alice' } } }

async function pinOf(w: World, tag: string): Promise<string | undefined> {
  return (await w.reader.tag(app, tag))?.record.items[0]?.image
}

async function pins(w: World, ...tags: string[]): Promise<(string | undefined)[]> {
  return Promise.all(tags.map((tag) => pinOf(w, tag)))
}

async function indexed(w: World, tag: string): Promise<string[] | undefined> {
  const entry = await w.store.get(`index/followers/demo/app/${tag}`)
  return entry && (JSON.parse(entry.value) as FollowersRecord).followers
}

/** `a` at A. */
async function source(): Promise<World> {
  const w = await world()
  await change(w, 'a', { event: event('a') })
  return w
}

/** `c` follows `b`, which follows `a` at A. */
async function chain(): Promise<World> {
  const w = await source()
  await change(w, 'b', follows('b', 'a'))
  await change(w, 'c', follows('c', 'app:b'))
  return w
}

describe('a tag that begins to follow another', () => {
  test('I2: moves there in the same commit, on the condition of both and of who follows', async () => {
    const w = await source()
    w.clock.advance(60_000)
    w.faults.commits = []
    const result = await change(w, 'b', follows('b', 'a'))
    expect(w.faults.commits).toHaveLength(1)
    expect(w.faults.commits[0]?.operations.map(({ key }) => key)).toEqual([
      'tag/demo/app/b',
      'event/demo/app/b!000000000001',
      'outbox/demo/app/b!000000000001',
      'index/followers/demo/app/a',
      'index/unheld/demo/app/b',
      'stream/demo/app',
      'generation/demo/app',
    ])
    const conditions = w.faults.commits[0]?.preconditions?.map(({ key }) => key)
    expect(conditions).toEqual(
      expect.arrayContaining(['tag/demo/app/a', 'tag/demo/app/b', 'index/followers/demo/app/a', 'life/demo/app']),
    )
    expect(result.entry).toMatchObject({
      image: digest('a'),
      mediaType: event('a').mediaType,
      generation: 2,
      created: '2026-01-01T00:01:00Z',
      cause: { kind: 'tag', by: 'carol', reason: 'because', from: { kind: 'ImageStreamTag', name: 'demo/app:a' } },
    })
    // okd.md 2.4, step 5.
    expect(result.tag?.record.items).toMatchObject([{ created: '2026-01-01T00:00:00Z', generation: 2 }])
    expect(await indexed(w, 'a')).toEqual(['b'])
  })

  test.each([
    ['a', undefined],
    ['app:a', undefined],
    ['app:a', 'demo'],
    ['a', ''],
  ])('says so by the name %s in the namespace %s', async (name, namespace) => {
    const w = await source()
    const from = { kind: 'ImageStreamTag' as const, name, ...(namespace === undefined ? {} : { namespace }) }
    await change(w, 'b', { spec: { ...wanted('b'), from } })
    await change(w, 'a', { event: event('b') })
    expect(await pinOf(w, 'b')).toBe(digest('b'))
  })

  test.each([
    ['other:a', undefined],
    ['app:a', 'elsewhere'],
  ])('is not one of another stream: %s in %s', async (name, namespace) => {
    const w = await source()
    const from = { kind: 'ImageStreamTag' as const, name, ...(namespace === undefined ? {} : { namespace }) }
    await change(w, 'b', { spec: { ...wanted('b'), from } })
    await change(w, 'a', { event: event('b') })
    expect(await pinOf(w, 'b')).toBeUndefined()
    expect(await w.dump('index/followers/')).toEqual([])
  })

  test('that is not there moves nowhere, until it is', async () => {
    const w = await source()
    const result = await change(w, 'b', follows('b', 'later'))
    expect(result.entry).toBeUndefined()
    expect(result.tag?.record.items).toEqual([])
    const moved = await change(w, 'later', { event: event('c') })
    expect(moved.followed).toMatchObject([{ tag: 'b', image: digest('c'), revision: 1, cause: { kind: 'follow' } }])
    expect(await pinOf(w, 'b')).toBe(digest('c'))
  })

  test('forgets the failure of an import that nobody wants any more', async () => {
    const w = await source()
    await change(w, 'b', { spec: wanted('b'), reimport: true, condition: { reason: 'NotFound', message: 'gone' } })
    const result = await change(w, 'b', follows('b', 'later'))
    expect(result.tag?.record.condition).toBeUndefined()
  })

  test('copies again when it is told to, and not for a change of its annotations', async () => {
    const w = await chain()
    await change(w, 'b', { event: event('f') })
    await change(w, 'b', follows('b', 'a', { n: '1' }))
    expect(await pins(w, 'b', 'c')).toEqual([digest('f'), digest('f')])
    const again = await change(w, 'b', { ...follows('b', 'a', { n: '1' }), reimport: true })
    expect(again.entry).toMatchObject({ image: digest('a'), cause: { kind: 'tag' } })
    expect(await pins(w, 'b', 'c')).toEqual([digest('a'), digest('a')])
  })
})

describe('a tag that is followed', () => {
  test.each<[string, TagChange]>([
    ['push', { event: event('b') }],
    ['import', imported('b', 'quay.io/org/app:v1', 'a')],
    ['scheduled', { event: event('b', 'scheduled') }],
    ['tag', { event: event('b', 'tag') }],
    ['rollback', { event: event('b', 'rollback', { restoredRevision: 1 }) }],
  ])('takes all that follow along, through chains, in one commit: %s', async (_kind, next) => {
    const w = await chain()
    w.faults.commits = []
    const result = await change(w, 'a', next)
    expect(w.faults.commits).toHaveLength(1)
    expect(await pins(w, 'a', 'b', 'c')).toEqual([digest('b'), digest('b'), digest('b')])
    const from = (name: string) => ({ kind: 'ImageStreamTag', name: `demo/app:${name}` })
    expect(result.followed).toMatchObject([
      { tag: 'b', revision: 2, previousImage: digest('a'), cause: { kind: 'follow', by: 'alice', from: from('a') } },
      { tag: 'c', revision: 2, previousImage: digest('a'), cause: { kind: 'follow', by: 'alice', from: from('b') } },
    ])
    expect(result.entry?.image).toBe(digest('b'))
    for (const tag of ['b', 'c']) {
      const [entry] = await w.reader.ledger(app, tag)
      expect(result.followed).toContainEqual({ ...entry, tag })
      expect((await w.dump(`outbox/demo/app/${tag}!`)).map(({ value }) => JSON.parse(value).kind)).toEqual([
        'moved',
        'moved',
      ])
    }
    // Only who is rolled back is held.
    expect((await w.reader.tag(app, 'b'))?.record.hold).toBeUndefined()
  })

  test('and stays, leaves the others where they are', async () => {
    const w = await chain()
    w.faults.commits = []
    for (const next of [{ lastSeen: digest('c') }, { condition: { reason: 'NotFound', message: 'no' } }]) {
      expect(await change(w, 'a', next)).not.toHaveProperty('followed')
    }
    for (const { operations } of w.faults.commits) {
      expect(operations.every(({ key }) => !/\/[bc](!|$)/.test(key))).toBe(true)
    }
  })

  test('and gets another reference for the same image tells it', async () => {
    const w = await chain()
    await change(w, 'a', { event: event('a', 'push', { repository: 'mirror.io/app' }) })
    const records = await Promise.all(['b', 'c'].map((tag) => w.reader.tag(app, tag)))
    for (const tag of records) {
      expect(tag?.record.items).toMatchObject([{ dockerImageReference: expect.stringContaining('mirror.io') }])
      expect(tag?.record.revision).toBe(1)
    }
  })

  test('and deleted moves nobody; when it is back, they follow again', async () => {
    const w = await chain()
    const gone = await change(w, 'a', remove)
    expect(gone.followed).toBeUndefined()
    expect(await pins(w, 'a', 'b', 'c')).toEqual([undefined, digest('a'), digest('a')])
    await change(w, 'a', { event: event('e') })
    expect(await pins(w, 'a', 'b', 'c')).toEqual([digest('e'), digest('e'), digest('e')])
  })

  test('does not take along who follows no more', async () => {
    const w = await chain()
    await change(w, 'c', { spec: wanted('c'), wantedBy: { by: 'x' } })
    await change(w, 'b', { spec: null })
    expect(await indexed(w, 'a')).toBeUndefined()
    expect(await indexed(w, 'b')).toBeUndefined()
    await change(w, 'a', { event: event('b') })
    expect(await pins(w, 'b', 'c')).toEqual([digest('a'), digest('a')])
  })

  test('does not take along who was deleted', async () => {
    const w = await chain()
    await change(w, 'b', remove)
    const moved = await change(w, 'a', { event: event('b') })
    expect(moved.followed).toBeUndefined()
    expect(await pins(w, 'b', 'c')).toEqual([undefined, digest('a')])
  })

  test('does not take along those of an earlier stream of the name', async () => {
    const w = await chain()
    await w.writer.delete(app)
    await change(w, 'a', { event: event('b') })
    expect(await pins(w, 'a', 'b', 'c')).toEqual([digest('b'), undefined, undefined])
    await change(w, 'd', follows('d', 'a'))
    expect(await indexed(w, 'a')).toEqual(['d'])
  })
})

describe('hold', () => {
  test('a held follower gets a candidate and stays, and so do its own followers', async () => {
    const w = await chain()
    await change(w, 'b', { event: event('f', 'rollback', { restoredRevision: 1 }) })
    const moved = await change(w, 'a', { event: event('b') })
    expect(moved.followed).toBeUndefined()
    const held = (await w.reader.tag(app, 'b'))?.record
    expect(held).toMatchObject({ candidate: { image: digest('b'), cause: { kind: 'follow', by: 'alice' } } })
    expect(await pins(w, 'a', 'b', 'c')).toEqual([digest('b'), digest('f'), digest('f')])
  })

  test('a follower that is let go goes where its source is, and takes its own along', async () => {
    const w = await chain()
    await change(w, 'b', { event: event('f', 'rollback', { restoredRevision: 1 }) })
    await change(w, 'a', { event: event('b') })
    const resumed = await change(w, 'b', { hold: null })
    expect(resumed.entry).toMatchObject({ image: digest('b'), cause: { kind: 'follow', by: 'alice' } })
    expect(resumed.tag?.record).not.toHaveProperty('candidate')
    expect(await pins(w, 'a', 'b', 'c')).toEqual([digest('b'), digest('b'), digest('b')])
  })

  test('a held tag can not begin to follow', async () => {
    const w = await source()
    await change(w, 'b', { event: event('b') })
    await change(w, 'b', { event: event('b', 'rollback', { restoredRevision: 1 }) })
    await expect(change(w, 'b', follows('b', 'a'))).rejects.toMatchObject({
      code: 'INVALID',
      detail: { held: { tag: 'b' } },
    })
    expect(await indexed(w, 'a')).toBeUndefined()
  })
})

describe('loops and limits', () => {
  const refused = (text: string) => ({
    code: 'INVALID',
    causes: [{ field: 'tag.from.name', reason: 'FieldValueInvalid', message: expect.stringContaining(text) }],
  })

  test('a tag can not follow itself, directly or through others', async () => {
    const w = await chain()
    const text = 'on the image stream is a reference to same tag'
    await expect(change(w, 'a', follows('a', 'a'))).rejects.toMatchObject(refused(`tag "a" ${text}`))
    await expect(change(w, 'a', follows('a', 'b'))).rejects.toMatchObject(refused(`tag "a" ${text}, through "b"`))
    await expect(change(w, 'a', follows('a', 'app:c'))).rejects.toMatchObject(refused(`"a" ${text}, through "c", "b"`))
    expect((await w.reader.tag(app, 'a'))?.record.spec).toBeUndefined()
  })

  test('two that begin to follow each other at once: one is refused', async () => {
    const w = await source()
    await change(w, 'b', { event: event('b') })
    const outcomes = await Promise.allSettled([change(w, 'a', follows('a', 'b')), change(w, 'b', follows('b', 'a'))])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'INVALID' } })
  })

  test('three that close a ring at once: one at the least is refused', async () => {
    const w = await world()
    const outcomes = await Promise.allSettled(
      [
        ['a', 'b'],
        ['b', 'c'],
        ['c', 'a'],
      ].map(([tag = '', from = '']) => change(w, tag, follows(tag, from))),
    )
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBeGreaterThan(0)
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBe(2)
  })

  test(`${maxFollowers} tags can follow one, through others too, and no more; all move in one commit`, async () => {
    const w = await source()
    for (let i = 0; i < maxFollowers; i++) await change(w, `f${i}`, follows(`f${i}`, i % 3 ? `f${i - 1}` : 'a'))
    const text = `more than ${maxFollowers} tags would follow tag "a"`
    await expect(change(w, 'more', follows('more', 'a'))).rejects.toMatchObject(refused(text))
    await expect(change(w, 'more', follows('more', 'f23'))).rejects.toMatchObject(refused(text))
    w.faults.commits = []
    const moved = await change(w, 'a', imported('c', 'quay.io/org/app:v1', 'a'))
    expect(moved.followed).toHaveLength(maxFollowers)
    expect(w.faults.commits).toHaveLength(1)
  })

  test('two groups that would be too many together are not joined', async () => {
    const w = await source()
    for (let i = 0; i < 12; i++) await change(w, `f${i}`, follows(`f${i}`, 'a'))
    for (let i = 0; i < 12; i++) await change(w, `g${i}`, follows(`g${i}`, 'other'))
    await expect(change(w, 'other', follows('other', 'f3'))).rejects.toMatchObject(refused('more than 24 tags'))
    await change(w, 'g0', { spec: null })
    await change(w, 'other', follows('other', 'f3'))
    expect(await pinOf(w, 'g5')).toBe(digest('a'))
  })

  test('many that begin at once are never too many', async () => {
    const w = await source()
    for (let i = 0; i < 20; i++) await change(w, `f${i}`, follows(`f${i}`, 'a'))
    const late = Array.from({ length: 10 }, (_, i) => change(w, `g${i}`, follows(`g${i}`, `f${i}`)))
    const outcomes = await Promise.allSettled(late)
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(4)
    const moved = await change(w, 'a', { event: event('b') })
    expect(moved.followed).toHaveLength(maxFollowers)
  })

  test.each([
    ['one', () => 'root'],
    ['one another', (i: number) => `t${i + 1}`],
    ['one another, the last first', (i: number) => `t${i - 1}`],
  ])('10,000 tags that want to follow %s are refused, each by its path, in linear time', async (_name, sourceOf) => {
    const w = await source()
    const tags = new Map(Array.from({ length: 10_000 }, (_, i) => [`t${i}`, follows(`t${i}`, sourceOf(i))]))
    const refused = await w.writer.changeStream(app, () => ({ tags })).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'INVALID', causes: { length: 10_000 } })
    expect(await w.reader.tags(app)).toHaveLength(1)
  })

  test('10,000 tags that follow a few each are made', async () => {
    const w = await source()
    const rootOf = (i: number) => i - (i % 20)
    const change = (i: number): TagChange =>
      i === rootOf(i) ? { event: event('b') } : follows(`t${i}`, `t${rootOf(i)}`)
    const tags = new Map(Array.from({ length: 10_000 }, (_, i) => [`t${i}`, change(i)]))
    const { whole } = await w.writer.changeStream(app, () => ({ tags }))
    expect(new Set(whole.tags.map(({ record }) => record.items[0]?.image))).toEqual(new Set([digest('a'), digest('b')]))
    expect(whole.tags).toHaveLength(10_001)
  })

  test('tags that move at once do not have more annotations than one commit takes', async () => {
    const w = await source()
    const note = { note: 'x'.repeat(200_000) }
    await change(w, 'b', follows('b', 'a', note))
    await change(w, 'c', follows('c', 'b', note))
    const cause = { field: 'tag.annotations', reason: 'FieldValueTooLong' }
    await expect(change(w, 'd', follows('d', 'c', note))).rejects.toMatchObject({ code: 'INVALID', causes: [cause] })
    await change(w, 'd', follows('d', 'c'))
    await expect(change(w, 'd', follows('d', 'c', note))).rejects.toMatchObject({ code: 'INVALID', causes: [cause] })
    expect((await change(w, 'a', { event: event('b') })).followed).toHaveLength(3)
  })
})

describe('races: nobody is left behind', () => {
  test('when the source moves just before a tag begins to follow', async () => {
    const w = await source()
    w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'a', () => ({ event: event('b') })) }]
    await change(w, 'b', follows('b', 'a'))
    expect(await pins(w, 'a', 'b')).toEqual([digest('b'), digest('b')])
  })

  test('when a tag begins to follow just before the source moves', async () => {
    const w = await source()
    w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'b', () => follows('b', 'a')) }]
    const moved = await change(w, 'a', { event: event('b') })
    expect(moved.followed).toMatchObject([{ tag: 'b' }])
    expect(await pins(w, 'a', 'b')).toEqual([digest('b'), digest('b')])
  })

  test('when a tag begins to follow a follower just before the source moves', async () => {
    const w = await source()
    await change(w, 'b', follows('b', 'a'))
    w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'c', () => follows('c', 'b')) }]
    const moved = await change(w, 'a', { event: event('b') })
    expect(moved.followed).toMatchObject([{ tag: 'b' }, { tag: 'c' }])
  })

  test('when a tag begins to follow one that is not there just before that comes', async () => {
    const w = await source()
    w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'b', () => follows('b', 'new')) }]
    await change(w, 'new', { event: event('b') })
    expect(await pins(w, 'new', 'b')).toEqual([digest('b'), digest('b')])
  })

  test('when a follower is let go while its source moves', async () => {
    const w = await chain()
    await change(w, 'b', { event: event('f', 'rollback', { restoredRevision: 1 }) })
    w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'b', () => ({ hold: null })) }]
    await change(w, 'a', { event: event('b') })
    expect(await pins(w, 'a', 'b', 'c')).toEqual([digest('b'), digest('b'), digest('b')])
  })

  test('when a follower is let go just after its source came to where it stands', async () => {
    const w = await chain()
    await change(w, 'b', { event: event('f', 'rollback', { restoredRevision: 1 }) })
    w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'a', () => ({ event: event('f') })) }]
    await change(w, 'b', { hold: null })
    expect(await pins(w, 'a', 'b', 'c')).toEqual([digest('f'), digest('f'), digest('f')])
  })

  /** A change of a stream whose second commit comes after `between`. Commits after the first are not conditioned on the generation. */
  async function inSteps(w: World, next: Record<string, TagChange>, between: () => Promise<unknown>) {
    const fillers = Array.from({ length: 150 }, (_, i) => `filler${i}`)
    const wishes = fillers.map((tag): [string, TagChange] => [tag, { spec: wanted(tag) }])
    const tags = new Map([...wishes, ...Object.entries(next)])
    w.faults.next = [
      { status: 'committed', first: async () => undefined },
      { status: 'committed', first: between },
    ]
    return w.writer.changeStream(app, () => ({ tags }))
  }

  test('because of two who begin at once under different followers of a tag that has room for one', async () => {
    const w = await source()
    for (let i = 0; i < 23; i++) await change(w, `f${i}`, follows(`f${i}`, 'a'))
    const both = inSteps(w, { t: follows('t', 'f0') }, () => change(w, 'u', follows('u', 'f1')))
    await expect(both).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('more than 24') })
    expect((await change(w, 'a', { event: event('b') })).followed).toHaveLength(24)
  })

  test('because of one who begins while the tag above begins elsewhere', async () => {
    const w = await world()
    // Nothing stands anywhere yet: no move tells of what happens above.
    for (let i = 0; i < 20; i++) await change(w, `f${i}`, follows(`f${i}`, 'a'))
    await change(w, 's1', follows('s1', 's2'))
    for (let i = 0; i < 3; i++) await change(w, `t${i}`, follows(`t${i}`, 't'))
    const both = inSteps(w, { t: follows('t', 's1') }, () => change(w, 's2', follows('s2', 'a')))
    await expect(both).rejects.toMatchObject({ code: 'INVALID', message: expect.stringContaining('more than 24') })
    expect((await change(w, 'a', { event: event('b') })).followed).toHaveLength(22)
  })

  test('and who stops to follow is not moved', async () => {
    const w = await chain()
    w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'b', () => ({ spec: null })) }]
    await change(w, 'a', { event: event('b') })
    expect(await pins(w, 'a', 'b', 'c')).toEqual([digest('b'), digest('a'), digest('a')])
  })

  test('and a background move that lost only to a new follower is not dropped', async () => {
    const w = await source()
    w.faults.next = [{ status: 'committed', first: () => w.writer.changeTag(app, 'b', () => follows('b', 'a')) }]
    const next = () => ({ event: event('b', 'scheduled') })
    const moved = await w.writer.changeTag(app, 'a', next, { onConflict: 'drop' })
    expect(moved).toMatchObject({ changed: true, followed: [{ tag: 'b' }] })
  })

  test('whatever begins, moves and ends at once', async () => {
    const w = await source()
    const tags = Array.from({ length: 12 }, (_, i) => `f${i}`)
    const moves = ['b', 'c', 'd', 'e', 'f'].map((image) => change(w, 'a', { event: event(image) }))
    await Promise.all([...moves, ...tags.map((tag, i) => change(w, tag, follows(tag, i % 2 ? `f${i - 1}` : 'a')))])
    const pin = await pinOf(w, 'a')
    expect(await pins(w, ...tags)).toEqual(tags.map(() => pin))
  })
})

describe('a reference', () => {
  const reference = (name: string): TagChange => ({
    spec: { ...wanted('ref', name), reference: true },
    wantedBy: { by: 'carol' },
  })

  test('stands for what it says, without an image; another target edits it in place', async () => {
    const w = await source()
    const first = await change(w, 'ref', reference('quay.io/org/app:v1'))
    expect(first.tag?.record.items).toMatchObject([
      { image: '', dockerImageReference: 'quay.io/org/app:v1', generation: 2 },
    ])
    expect(first.entry?.cause).toEqual({
      kind: 'tag',
      by: 'carol',
      from: { kind: 'DockerImage', name: 'quay.io/org/app:v1' },
    })
    const second = await change(w, 'ref', reference('quay.io/org/app:v2'))
    expect(second.tag?.record.items).toMatchObject([
      { image: '', dockerImageReference: 'quay.io/org/app:v2', generation: 3 },
    ])
    expect(await w.pins.pin(app, 'ref')).toBeUndefined()
    expect(await w.dump('index/pending/')).toEqual([])
  })

  test('is followed as it is', async () => {
    const w = await source()
    await change(w, 'ref', reference('quay.io/org/app:v1'))
    await change(w, 'b', follows('b', 'ref'))
    await change(w, 'ref', reference('quay.io/org/app:v2'))
    expect((await w.reader.tag(app, 'b'))?.record.items).toMatchObject([
      { image: '', dockerImageReference: 'quay.io/org/app:v2' },
    ])
  })

  test('that becomes a copy, or the other way round, keeps the history', async () => {
    const w = await source()
    await change(w, 'ref', reference('quay.io/org/app:v1'))
    const copy = await change(w, 'ref', follows('ref', 'a'))
    expect(copy.tag?.record.items).toMatchObject([{ image: digest('a') }, { image: '' }])
    expect(copy.entry).toMatchObject({ revision: 2, image: digest('a'), previousImage: '' })
  })
})

describe('hidden items', () => {
  async function withHistory(): Promise<World> {
    const w = await chain()
    for (const image of ['b', 'c', 'd']) await change(w, 'a', { event: event(image) })
    return w
  }

  test('leave status, and neither the ledger nor what follows', async () => {
    const w = await withHistory()
    const ledger = await w.reader.ledger(app, 'a')
    const notices = await w.dump('outbox/')
    const hidden = await change(w, 'a', { hide: [1, 3] })
    expect(hidden.tag?.record.items.map(({ image }) => image)).toEqual([digest('d'), digest('b')])
    expect(hidden).not.toHaveProperty('followed')
    expect(hidden.stream.generation).toBe(3)
    expect(await w.reader.ledger(app, 'a')).toEqual(ledger)
    expect(await w.dump('outbox/')).toEqual(notices)
    expect((await w.reader.tag(app, 'b'))?.record.items).toHaveLength(4)
  })

  test('are never the newest, and have to be there', async () => {
    const w = await withHistory()
    await expect(change(w, 'a', { hide: [0] })).rejects.toMatchObject({
      code: 'INVALID',
      causes: [{ field: 'status.tags[a].items[0]', reason: 'FieldValueForbidden' }],
    })
    for (const hide of [[4], [-1], [0.5]]) await expect(change(w, 'a', { hide })).rejects.toBeInstanceOf(TypeError)
    expect(await change(w, 'a', { hide: [] })).toMatchObject({ changed: false })
  })
})

test('a stored record never lacks what the index of followers says of it', async () => {
  const w = await chain()
  const record = JSON.parse((await w.store.get('tag/demo/app/c'))?.value ?? '{}') as TagRecord
  expect(record.spec?.from?.name).toBe('app:b')
  expect(await indexed(w, 'b')).toEqual(['c'])
})
