import { describe, expect, test } from 'vitest'
import { requireTagUnchanged } from '../../src/streams/preconditions.ts'
import type { LedgerEntry, Notice, TagRecord } from '../../src/streams/records.ts'
import type { ChangeOptions, ChangeResult, CurrentTag, TagChange } from '../../src/streams/streams.ts'
import { createStreamWriter } from '../../src/streams/writer.ts'
import { app, digest, event, type Fault, imported, type World, wanted, world } from './world.ts'

const invented: ChangeOptions = { create: true }

async function change(w: World, next: TagChange, tag = 'prod', options = invented): Promise<ChangeResult> {
  const result = await w.writer.changeTag(app, tag, () => next, options)
  if (result === undefined) throw new TypeError('dropped')
  return result
}

/** A pushed tag `prod` of `demo/app` at A. */
async function pushed(): Promise<World> {
  const w = await world()
  await change(w, { event: event('a') })
  return w
}

async function pinOf(w: World, tag = 'prod'): Promise<string | undefined> {
  return (await w.reader.tag(app, tag))?.record.items[0]?.image
}

async function counts(w: World): Promise<{ entries: number; notices: number }> {
  return { entries: (await w.dump('event/')).length, notices: (await w.dump('outbox/')).length }
}

describe('a change of a tag', () => {
  test('I2: is one commit of record, entry, notices and the stream touched, conditioned on tag, followers, link and life alone', async () => {
    const w = await pushed()
    w.faults.commits = []
    await change(w, { event: event('b', 'rollback', { restoredRevision: 1 }) })
    expect(w.faults.commits).toHaveLength(1)
    expect(w.faults.commits[0]?.operations.map(({ type, key }) => [type, key])).toEqual([
      ['put', 'tag/demo/app/prod'],
      ['put', 'event/demo/app/prod!000000000002'],
      ['put', 'outbox/demo/app/prod!000000000002'],
      ['put', 'outbox/demo/app/prod!000000000003'],
      ['put', 'index/unheld/demo/app/prod'],
      ['put', 'stream/demo/app'],
    ])
    expect(w.faults.commits[0]?.preconditions?.map(({ key }) => key)).toEqual([
      'life/demo/app',
      'tag/demo/app/prod',
      'index/followers/demo/app/prod',
      `link/demo/app/${digest('b')}`,
    ])
  })

  test('is conditioned on the generation only when it changes the spec', async () => {
    const w = await pushed()
    w.faults.commits = []
    await change(w, { spec: wanted('prod') })
    expect(w.faults.commits[0]?.preconditions?.map(({ key }) => key)).toContain('generation/demo/app')
  })

  test('answers what was written', async () => {
    const w = await pushed()
    const result = await change(w, imported('b'))
    expect(result).toMatchObject({ changed: true, entry: { revision: 2 }, stream: { generation: 2 } })
    expect(result.stream).toEqual(await w.reader.stream(app))
    expect(result.tag).toEqual(await w.reader.tag(app, 'prod'))
    expect(result.tag?.storeRevision).toBe(result.revision)
    expect(await w.reader.ledger(app, 'prod', { limit: 1 })).toEqual([result.entry])
  })

  test('that changes nothing writes nothing, and the resourceVersion stays', async () => {
    const w = await world()
    const first = await change(w, imported('a'))
    w.faults.commits = []
    const again = await change(w, imported('a'))
    expect(again).toMatchObject({ changed: false, revision: first.revision, tag: { storeRevision: first.revision } })
    expect(again).not.toHaveProperty('entry')
    expect(w.faults.commits).toEqual([])
  })

  test('that is not decided for writes nothing', async () => {
    const w = await pushed()
    const result = await w.writer.changeTag(app, 'prod', () => undefined)
    expect(result).toMatchObject({ changed: false, tag: { name: 'prod' } })
  })

  test('of a bad tag, a bad source or a foreign spec is refused before anything is read', async () => {
    const w = await pushed()
    await expect(change(w, { event: event('b') }, 'a!b')).rejects.toMatchObject({ code: 'INVALID' })
    const spec = wanted('prod', 'NOT/a/ref')
    await expect(change(w, { spec })).rejects.toMatchObject({ causes: [{ field: 'tag.from.name' }] })
    await expect(change(w, { spec: wanted('other') })).rejects.toBeInstanceOf(TypeError)
    expect(await pinOf(w)).toBe(digest('a'))
  })

  test('of a tag that goes answers no tag', async () => {
    const w = await pushed()
    const gone = await change(w, { remove: { cause: { kind: 'delete', by: 'bob' } } })
    expect(gone.tag).toBeUndefined()
    expect(gone.entry).toMatchObject({ image: '', revision: 2 })
    expect(await w.reader.tag(app, 'prod')).toBeUndefined()
  })

  test('I3: a deleted tag that is revived goes on counting', async () => {
    const w = await pushed()
    await change(w, { remove: { cause: { kind: 'delete', by: 'bob' } } })
    const revived = await change(w, { event: event('a', 'rollback', { restoredRevision: 1 }) })
    expect(revived.tag?.record).toMatchObject({ revision: 3, current: 3, hold: { revision: 3 } })
    const ledger = await w.reader.ledger(app, 'prod')
    expect(ledger.map(({ revision, cause }) => [revision, cause.kind])).toEqual([
      [3, 'rollback'],
      [2, 'delete'],
      [1, 'push'],
    ])
  })
})

describe('a stream that is not there', () => {
  test('is created by the first commit of its tag, of generation 1', async () => {
    const w = await world()
    const result = await change(w, imported('a'))
    expect(w.faults.commits).toHaveLength(1)
    expect(result.stream).toEqual(await w.reader.stream(app))
    expect(result.stream).toMatchObject({ generation: 1, projectUid: 'uid-of-demo', resourceVersion: result.revision })
    expect(result.tag?.record).toMatchObject({ spec: { generation: 1 }, items: [{ generation: 1 }] })
    expect(JSON.parse((await w.dump('object/imagestreams/'))[0]?.value ?? '')).toEqual({
      metadata: {
        name: 'app',
        namespace: 'demo',
        uid: result.stream.uid,
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
      spec: { lookupPolicy: { local: false } },
    })
  })

  test('is not created unless that is asked for, or when there is nothing to write', async () => {
    const w = await world()
    await expect(w.writer.changeTag(app, 'prod', () => imported('a'))).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
    expect(await w.writer.changeTag(app, 'prod', () => undefined, invented)).toMatchObject({ changed: false })
    expect(await w.reader.stream(app)).toBeUndefined()
  })

  test('is not created in a project that is not there, or under a bad name', async () => {
    const w = await world()
    const push = () => ({ event: event('a') })
    await expect(w.writer.changeTag({ project: 'none', stream: 'app' }, 'v1', push, invented)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('weir new-project none'),
      subject: { name: 'none', kind: 'namespaces' },
    })
    await expect(w.writer.changeTag({ project: 'demo', stream: 'Bad_' }, 'v1', push, invented)).rejects.toMatchObject({
      code: 'INVALID',
      causes: [{ field: 'metadata.name' }],
    })
  })

  test('made by two at once is one stream with both tags', async () => {
    const w = await world()
    const tags = ['one', 'two', 'three', 'four']
    const results = await Promise.all(tags.map((tag) => change(w, { event: event('a') }, tag)))
    expect(new Set(results.map(({ stream }) => stream.uid)).size).toBe(1)
    expect((await w.reader.tags(app)).map(({ name }) => name).sort()).toEqual([...tags].sort())
  })
})

describe('races', () => {
  test('two clients on one tag: both land, in order, each on what the other left', async () => {
    const w = await pushed()
    await Promise.all([change(w, { event: event('b') }), change(w, { event: event('c') })])
    const ledger = await w.reader.ledger(app, 'prod')
    expect(ledger.map(({ revision }) => revision)).toEqual([3, 2, 1])
    expect(ledger[0]?.previousImage).toBe(ledger[1]?.image)
    expect(
      ledger
        .slice(0, 2)
        .map(({ image }) => image)
        .sort(),
    ).toEqual([digest('b'), digest('c')])
  })

  test('two clients that saw the same version: one lands, one gets a 409 that says what changed', async () => {
    const w = await pushed()
    const resourceVersion = String((await w.reader.stream(app))?.resourceVersion)
    const decide = (image: string) => (current: CurrentTag) => {
      requireTagUnchanged(current, 'prod', { resourceVersion })
      return { event: event(image) }
    }
    const outcomes = await Promise.allSettled([
      w.writer.changeTag(app, 'prod', decide('b')),
      w.writer.changeTag(app, 'prod', decide('c')),
    ])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const pin = await pinOf(w)
    expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'CONFLICT', message: expect.stringMatching(`is now at ${pin} \\(revision 2\\)`) },
    })
  })

  test('50 at once on one tag all land', async () => {
    const w = await pushed()
    await Promise.all(
      Array.from({ length: 50 }, (_, i) => change(w, { event: event(i % 2 ? 'b' : 'c', 'push', { reason: `${i}` }) })),
    )
    const ledger = await w.reader.ledger(app, 'prod')
    expect(ledger.map(({ revision }) => revision)).toEqual(ledger.map((_, i) => ledger.length - i))
    for (const [i, entry] of ledger.slice(0, -1).entries()) expect(entry.previousImage).toBe(ledger[i + 1]?.image)
  })

  test('50 at once on different tags of one stream succeed without a conflict, by push and with changes of the spec', async () => {
    const w = await pushed()
    const tags = Array.from({ length: 50 }, (_, i) => `v${i}`)
    await Promise.all(tags.map((tag) => change(w, { event: event('b') }, tag)))
    expect((await w.reader.stream(app))?.generation).toBe(1)
    w.faults.commits = []
    const results = await Promise.all(tags.map((tag) => change(w, imported('c', `quay.io/org/app:${tag}`, tag), tag)))
    expect(results.map(({ stream }) => stream.generation).sort((a, b) => a - b)).toEqual(tags.map((_, i) => i + 2))
    expect((await w.reader.stream(app))?.generation).toBe(51)
    // Each loses at most to those who came at once, then has its turn.
    expect(w.faults.commits.length).toBeLessThan(150)
    for (const tag of tags) expect(await pinOf(w, tag)).toBe(digest('c'))
  })

  test('pushes on different tags never wait for each other: each is committed once', async () => {
    const w = await pushed()
    w.faults.commits = []
    await Promise.all(Array.from({ length: 20 }, (_, i) => change(w, { event: event('b') }, `v${i}`)))
    expect(w.faults.commits).toHaveLength(20)
  })

  test('a background change that lost is dropped, one by hand is decided anew', async () => {
    const w = await pushed()
    const other = (): Fault => ({
      status: 'committed',
      first: () => w.writer.changeTag(app, 'prod', () => ({ event: event('b') })),
    })
    w.faults.next = [other()]
    const dropped = await w.writer.changeTag(app, 'prod', () => ({ event: event('c', 'scheduled') }), {
      onConflict: 'drop',
    })
    expect(dropped).toBeUndefined()
    expect(await pinOf(w)).toBe(digest('b'))

    const seen: (string | undefined)[] = []
    w.faults.next = [
      { status: 'committed', first: () => w.writer.changeTag(app, 'prod', () => ({ event: event('d') })) },
    ]
    await w.writer.changeTag(app, 'prod', ({ tag }) => {
      seen.push(tag?.record.items[0]?.image)
      return { event: event('e') }
    })
    expect(seen).toEqual([digest('b'), digest('d')])
    expect(await pinOf(w)).toBe(digest('e'))
  })

  test('a background change of a stream that is made anew meanwhile is dropped', async () => {
    const w = await pushed()
    const anew = async () => {
      await w.writer.delete(app)
      await w.writer.create(app)
    }
    w.faults.next = [{ status: 'committed', first: anew }]
    const options: ChangeOptions = { onConflict: 'drop' }
    expect(await w.writer.changeTag(app, 'prod', () => ({ event: event('c') }), options)).toBeUndefined()
    expect(await pinOf(w)).toBeUndefined()
  })

  test('a background change that lost another race is dropped when the stream is made anew before the next attempt', async () => {
    const w = await pushed()
    const writer = createStreamWriter({ store: w.store, now: w.clock.now })
    const anew = async () => {
      await writer.delete(app)
      await writer.create(app)
    }
    const commit = w.faults.commit
    // Lost to another change of a spec; before the next attempt, the stream is made anew.
    w.faults.commit = async (asked) => {
      w.faults.commit = commit
      w.faults.commits.push(asked)
      await anew()
      return { status: 'conflict', key: 'generation/demo/app' }
    }
    const options: ChangeOptions = { onConflict: 'drop' }
    expect(await w.writer.changeTag(app, 'prod', () => imported('c'), options)).toBeUndefined()
    expect(await pinOf(w)).toBeUndefined()
  })

  test('a background change that lost only the race for the generation is not dropped', async () => {
    const w = await pushed()
    w.faults.next = [
      {
        status: 'committed',
        first: () => w.writer.changeTag(app, 'other', () => imported('b', 'quay.io/b:v1', 'other')),
      },
    ]
    const options: ChangeOptions = { onConflict: 'drop' }
    const result = await w.writer.changeTag(app, 'prod', () => imported('c'), options)
    expect(result).toMatchObject({ changed: true, stream: { generation: 3 } })
  })

  test('a background change is dropped when the tag moved during a race for the generation', async () => {
    const w = await pushed()
    const both = async () => {
      await w.writer.changeTag(app, 'other', () => imported('b', 'quay.io/b:v1', 'other'))
      await w.writer.changeTag(app, 'prod', () => ({ event: event('d') }))
    }
    w.faults.next = [{ status: 'conflict', key: 'generation/demo/app' }]
    let asked = 0
    const result = await w.writer.changeTag(
      app,
      'prod',
      () => {
        asked++
        return imported('c')
      },
      { onConflict: 'drop' },
    )
    expect(result?.changed).toBe(true)
    expect(asked).toBe(2)

    w.faults.next = [{ status: 'conflict', key: 'generation/demo/app' }]
    const dropped = w.writer.changeTag(
      app,
      'prod',
      () => {
        if (asked++ === 2) w.faults.afterGet = once(w, both)
        return imported('e', 'quay.io/org/app:v2')
      },
      { onConflict: 'drop' },
    )
    expect(await dropped).toBeUndefined()
    expect(await pinOf(w)).toBe(digest('d'))
  })

  test('a race that is never won ends in a CONFLICT that says where the tag stands', async () => {
    const w = await pushed()
    w.faults.next = Array.from({ length: 1000 }, () => ({ status: 'conflict', key: 'tag/demo/app/prod' }))
    await expect(change(w, { event: event('b') })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining(`is now at ${digest('a')} (revision 1)`),
    })
    expect(w.faults.next.length).toBeGreaterThan(800)
    w.faults.next = []
    await change(w, { event: event('b') })
  })

  test('a tag of a stream that is deleted meanwhile is not written', async () => {
    const w = await pushed()
    w.faults.next = [{ status: 'committed', first: () => w.writer.delete(app) }]
    const write = w.writer.changeTag(app, 'prod', () => ({ event: event('b') }))
    await expect(write).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
    expect((await w.reader.ledger(app, 'prod')).map(({ revision }) => revision)).toEqual([1])
  })

  test('a stream is not born in a project that is deleted meanwhile', async () => {
    const w = await world()
    const remove = () => w.store.commit({ operations: [{ type: 'delete', key: 'object/namespaces//demo' }] })
    w.faults.next = [{ status: 'committed', first: remove }]
    await expect(change(w, { event: event('a') })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await w.dump('life/')).toEqual([])
  })
})

/** Runs `act` after the next read, once. */
function once(w: World, act: () => Promise<unknown>): () => Promise<void> {
  return async () => {
    w.faults.afterGet = undefined
    await act()
  }
}

describe('I2: a commit whose answer got lost', () => {
  const b: TagChange = { event: event('b') }

  test('that landed is recognised, and not written twice', async () => {
    const w = await pushed()
    w.faults.next = [{ status: 'unknown', lands: true }]
    const result = await change(w, b)
    expect(result.tag).toEqual(await w.reader.tag(app, 'prod'))
    expect(await counts(w)).toEqual({ entries: 2, notices: 2 })
  })

  test('that did not land is sent again', async () => {
    const w = await pushed()
    w.faults.next = [{ status: 'unknown', lands: false }]
    expect(await change(w, b)).toMatchObject({ changed: true, entry: { revision: 2 } })
    expect(await counts(w)).toEqual({ entries: 2, notices: 2 })
  })

  test('that did not land is sent again, also of a change without an entry', async () => {
    const w = await pushed()
    w.faults.next = [{ status: 'unknown', lands: false }]
    const result = await change(w, { lastSeen: digest('b') })
    expect(result).toMatchObject({ changed: true, tag: { record: { lastSeen: { digest: digest('b') } } } })
  })

  test('that lands only after it was sent again is written once', async () => {
    const w = await pushed()
    w.faults.next = [
      { status: 'unknown', lands: false },
      { status: 'committed', first: () => w.store.commit(w.faults.commits.at(-1) ?? { operations: [] }) },
    ]
    expect(await change(w, b)).toMatchObject({ changed: true, entry: { revision: 2 } })
    expect(await counts(w)).toEqual({ entries: 2, notices: 2 })
  })

  test('that did not land while another did is decided anew', async () => {
    const w = await pushed()
    const other = () => w.writer.changeTag(app, 'prod', () => ({ event: event('c') }))
    w.faults.next = [{ status: 'unknown', lands: false, after: other }]
    expect(await change(w, b)).toMatchObject({ entry: { revision: 3, previousImage: digest('c') } })
    expect(await counts(w)).toEqual({ entries: 3, notices: 3 })
  })

  test('whose record was written over is unknown to all: UNAVAILABLE, and nothing is written again', async () => {
    const w = await pushed()
    const other = () => w.writer.changeTag(app, 'prod', () => ({ event: event('c') }))
    w.faults.next = [{ status: 'unknown', lands: true, after: other }]
    await expect(change(w, b)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await counts(w)).toEqual({ entries: 3, notices: 3 })
  })

  test('of a change without an entry, written over, is UNAVAILABLE too', async () => {
    const w = await pushed()
    const other = () => w.writer.changeTag(app, 'prod', () => ({ event: event('c') }))
    w.faults.next = [{ status: 'unknown', lands: false, after: other }]
    await expect(change(w, { lastSeen: digest('b') })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('that is lost again and again is UNAVAILABLE, and nothing was written', async () => {
    const w = await pushed()
    const lost: Fault = { status: 'unknown', lands: false }
    w.faults.next = [lost, lost, lost]
    await expect(change(w, b)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterSeconds: 1 })
    expect(await counts(w)).toEqual({ entries: 1, notices: 1 })
    expect(await pinOf(w)).toBe(digest('a'))
  })

  test('that can not be read again is UNAVAILABLE', async () => {
    const w = await pushed()
    const failing = async () => {
      w.faults.afterGet = async () => {
        throw new Error('the disk is gone')
      }
    }
    w.faults.next = [{ status: 'unknown', lands: true, after: failing }]
    await expect(change(w, b)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('of a birth that landed is recognised', async () => {
    const w = await world()
    w.faults.next = [{ status: 'unknown', lands: true }]
    const result = await change(w, b)
    expect(result.stream).toEqual(await w.reader.stream(app))
  })
})

test('I2: whatever happens to its commits, record, ledger and outbox tell the same story', async () => {
  const w = await pushed()
  const faults: (Fault | undefined)[] = [
    undefined,
    { status: 'conflict', key: 'tag/demo/app/prod' },
    { status: 'unknown', lands: true },
    { status: 'unknown', lands: false },
    { status: 'conflict', key: 'generation/demo/app' },
  ]
  for (const first of faults) {
    for (const second of faults) {
      w.faults.next = [first, second].filter((fault) => fault !== undefined)
      const image = (await pinOf(w)) === digest('b') ? 'c' : 'b'
      await change(w, imported(image)).catch(() => undefined)
      w.faults.next = []
      const record = JSON.parse((await w.dump('tag/'))[0]?.value ?? '') as TagRecord
      const ledger = (await w.dump('event/')).map(({ value }) => JSON.parse(value) as LedgerEntry)
      const notices = (await w.dump('outbox/')).map(({ value }) => JSON.parse(value) as Notice)
      expect(ledger.map(({ revision }) => revision)).toEqual(ledger.map((_, i) => i + 1))
      expect(record.revision).toBe(ledger.length)
      expect(record.items[0]?.image).toBe(ledger.at(-1)?.image)
      expect(notices.map(({ revision }) => revision)).toEqual(ledger.map(({ revision }) => revision))
      expect(record.noticed).toBe(notices.length)
    }
  }
})

test('I7: a failed attempt leaves the pin, the ledger and the items on disk as they were', async () => {
  const w = await pushed()
  const before = await w.reader.tag(app, 'prod')
  const result = await change(w, { condition: { reason: 'NotFound', message: 'gone' } })
  expect(result.tag?.record.items).toEqual(before?.record.items)
  expect(result.tag?.record.condition?.reason).toBe('NotFound')
  expect(await w.reader.ledger(app, 'prod')).toHaveLength(1)
  expect((await w.dump('outbox/')).map(({ value }) => (JSON.parse(value) as Notice).kind)).toEqual(['moved', 'failed'])
})
