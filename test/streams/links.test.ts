import { describe, expect, test } from 'vitest'
import type { Location } from '../../src/content/content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { commitLimits } from '../../src/store/store.ts'
import type { ImageRecord } from '../../src/streams/records.ts'
import type { NewLink, Stream } from '../../src/streams/streams.ts'
import { app, digest, imageType, type World, world } from './world.ts'

const here: Location = { kind: 'here' }
const quay: Location = { kind: 'upstream', host: 'quay.io', repository: 'org/app', project: 'demo' }
const mirror: Location = { kind: 'upstream', host: 'mirror.io', repository: 'org/app', project: 'demo' }

async function streamed(): Promise<{ w: World; stream: Stream }> {
  const w = await world()
  return { w, stream: await w.writer.create(app) }
}

function link(character: string, more: Partial<NewLink> = {}): NewLink {
  return { digest: digest(character), mediaType: imageType, size: 7, locations: [quay], ...more }
}

const many = (count: number): NewLink[] =>
  Array.from({ length: count }, (_, i) => link('a', { digest: digestOf(`blob ${i}`) }))

describe('links', () => {
  test('are had by the stream they were added to, and by no other', async () => {
    const { w, stream } = await streamed()
    await w.writer.create({ project: 'demo', stream: 'other' })
    await w.links.add(app, stream.uid, [link('a', { received: true, children: [digest('b')] })])
    expect(await w.links.get(app, digest('a'))).toEqual({
      digest: digest('a'),
      mediaType: imageType,
      size: 7,
      locations: [quay],
      children: [digest('b')],
      received: true,
      manifestType: imageType,
      isBlob: false,
    })
    expect(await w.links.get(app, digest('b'))).toBeUndefined()
    expect(await w.links.get({ project: 'demo', stream: 'other' }, digest('a'))).toBeUndefined()
  })

  test('gather locations without doubles', async () => {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [link('a')])
    await w.links.add(app, stream.uid, [link('a', { locations: [mirror, quay, here] })])
    await w.links.add(app, stream.uid, [link('a', { locations: [here] }), link('a', { locations: [quay] })])
    expect((await w.links.get(app, digest('a')))?.locations).toEqual([quay, mirror, here])
  })

  const lies = [link('a', { size: 3, mediaType: 'text/plain' }), link('a', { size: 9, mediaType: 'application/x' })]
  const truth = link('a', { received: true, children: [digest('b')] })
  test.each([
    ['before', [...lies, truth]],
    ['after', [truth, ...lies]],
    ['around', [lies[0] ?? truth, truth, lies[1] ?? truth]],
  ])('of a received manifest are facts, whatever others said %s', async (_, told) => {
    const { w, stream } = await streamed()
    for (const one of told) await w.links.add(app, stream.uid, [one])
    expect(await w.links.get(app, digest('a'))).toMatchObject({
      mediaType: imageType,
      size: 7,
      children: [digest('b')],
      received: true,
      manifestType: imageType,
      isBlob: true,
    })
  })

  test('whose sizes disagree have none, and none later', async () => {
    const { w, stream } = await streamed()
    for (const size of [7, 3, 7, 7]) {
      await w.links.add(app, stream.uid, [link('a', { size, mediaType: 'text/plain' })])
    }
    expect(await w.links.get(app, digest('a'))).toMatchObject({
      size: undefined,
      manifestType: undefined,
      isBlob: true,
    })
  })

  test('of another repository, host or project are other locations', async () => {
    const { w, stream } = await streamed()
    const others: Location[] = [
      { ...quay, repository: 'org/other' },
      { ...quay, project: 'other' },
    ]
    await w.links.add(app, stream.uid, [link('a', { locations: [quay, ...others, quay] })])
    expect((await w.links.get(app, digest('a')))?.locations).toEqual([quay, ...others])
  })

  test('that say nothing new are not written', async () => {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [link('a'), link('b')])
    w.faults.commits = []
    await w.links.add(app, stream.uid, [link('a'), link('b')])
    await w.links.add(app, stream.uid, [])
    expect(w.faults.commits).toEqual([])
  })

  test('by the hundred are written in steps of at most 100 operations and preconditions', async () => {
    const { w, stream } = await streamed()
    w.faults.commits = []
    await w.links.add(app, stream.uid, many(250))
    expect(w.faults.commits.map(({ operations }) => operations.length)).toEqual([99, 99, 52])
    expect(await w.dump('link/')).toHaveLength(250)
  })

  test('with many children are written in steps that a commit can hold', async () => {
    const { w, stream } = await streamed()
    const children = Array.from({ length: 5000 }, (_, i) => digestOf(`${i}`))
    w.faults.commits = []
    await w.links.add(
      app,
      stream.uid,
      many(5).map((each) => ({ ...each, children })),
    )
    for (const { operations } of w.faults.commits) {
      const bytes = operations.reduce((sum, each) => sum + (each.type === 'put' ? each.value.length : 0), 0)
      expect(bytes).toBeLessThan(commitLimits.maxBytes)
    }
    expect(await w.dump('link/')).toHaveLength(5)
  })

  test('added by many at once all land', async () => {
    const { w, stream } = await streamed()
    const repositories = Array.from({ length: 30 }, (_, i) => `org/r${i}`)
    await Promise.all(
      repositories.map((repository) =>
        w.links.add(app, stream.uid, [link('a', { locations: [{ ...quay, repository }] })]),
      ),
    )
    expect((await w.links.get(app, digest('a')))?.locations).toHaveLength(30)
  })

  test.each([true, false])('are there although the answer got lost (landed: %s)', async (lands) => {
    const { w, stream } = await streamed()
    w.faults.next = [{ status: 'unknown', lands }]
    await w.links.add(app, stream.uid, [link('a')])
    expect(await w.links.get(app, digest('a'))).toBeDefined()
  })

  test('that can not be written end in UNAVAILABLE', async () => {
    const { w, stream } = await streamed()
    w.faults.next = Array.from({ length: 100 }, () => ({ status: 'unknown', lands: false }))
    await expect(w.links.add(app, stream.uid, [link('a')])).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('are not added to a stream that does not live, nor to one that was made anew meanwhile', async () => {
    const { w, stream } = await streamed()
    const anew = async () => {
      await w.writer.delete(app)
      await w.writer.create(app)
    }
    w.faults.next = [{ status: 'committed', first: anew }]
    await expect(w.links.add(app, stream.uid, [link('a')])).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
    const none = { project: 'demo', stream: 'none' }
    await expect(w.links.add(none, stream.uid, [link('a')])).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
    expect(await w.dump('link/')).toEqual([])
  })
})

describe('I5: a stream made anew', () => {
  async function anew(projectUid?: string): Promise<{ w: World; fresh: Stream }> {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [
      link('a', { received: true, children: [digest('b')], locations: [quay] }),
      link('b'),
      link('c'),
      link('d'),
      link('e'),
    ])
    await w.links.putImage(digest('b'), imageOf([digest('c')], digest('d')))
    await w.writer.delete(app)
    if (projectUid !== undefined) await w.project('demo', projectUid)
    return { w, fresh: await w.writer.create(app) }
  }

  test('has none of the old links', async () => {
    const { w } = await anew()
    expect(await w.links.get(app, digest('a'))).toBeUndefined()
  })

  test('gets no location from an old link when it adds its own', async () => {
    const { w, fresh } = await anew()
    await w.links.add(app, fresh.uid, [link('a', { locations: [mirror] })])
    expect(await w.links.get(app, digest('a'))).toMatchObject({ locations: [mirror], children: [] })
  })

  test('takes over a link with all it names by revive(), the named first, and nothing else', async () => {
    const { w } = await anew()
    w.faults.commits = []
    expect(await w.links.revive(app, digest('a'))).toMatchObject({ locations: [quay], children: [digest('b')] })
    for (const each of ['b', 'c', 'd']) expect(await w.links.get(app, digest(each))).toBeDefined()
    expect(await w.links.get(app, digest('e'))).toBeUndefined()
    expect(w.faults.commits[0]?.operations.at(-1)?.key).toBe(`link/demo/app/${digest('a')}`)
  })

  test('of another project takes over nothing', async () => {
    const { w } = await anew('uid-anew')
    expect(await w.links.revive(app, digest('a'))).toBeUndefined()
    expect(await w.links.get(app, digest('b'))).toBeUndefined()
  })

  test('revives what it has as it is, and nothing that never was', async () => {
    const { w, fresh } = await anew()
    await w.links.add(app, fresh.uid, [link('f')])
    w.faults.commits = []
    expect(await w.links.revive(app, digest('f'))).toMatchObject({ digest: digest('f') })
    expect(await w.links.revive(app, digest('1'))).toBeUndefined()
    expect(await w.links.revive({ project: 'demo', stream: 'none' }, digest('a'))).toBeUndefined()
    expect(w.faults.commits).toEqual([])
  })
})

function imageOf(layers: Digest[], config: Digest): ImageRecord {
  const part = (each: Digest) => ({ digest: each, mediaType: 'application/octet-stream', size: 1 })
  return { mediaType: imageType, size: 7, config: part(config), layers: layers.map(part), manifests: [] }
}

describe('image records', () => {
  test('I5: of the same bytes are one for each media type, and tell nothing of another', async () => {
    const { w } = await streamed()
    await w.links.putImage(digest('a'), imageOf([], digest('d')))
    expect(await w.links.image(digest('a'), imageType)).toEqual(imageOf([], digest('d')))
    expect(await w.links.image(digest('a'), 'text/plain')).toBeUndefined()
    const other = { ...imageOf([], digest('d')), mediaType: 'text/plain' }
    await w.links.putImage(digest('a'), other)
    expect(await w.links.image(digest('a'), 'text/plain')).toEqual(other)
    expect(await w.links.image(digest('a'), imageType)).toEqual(imageOf([], digest('d')))
  })

  test('I5: are written alike whether or not they are there', async () => {
    const { w } = await streamed()
    w.faults.commits = []
    for (let i = 0; i < 2; i++) await w.links.putImage(digest('a'), imageOf([], digest('d')))
    expect(w.faults.commits).toHaveLength(2)
    expect(w.faults.commits[1]).toEqual(w.faults.commits[0])
  })

  test('whose write got lost are UNAVAILABLE, unless they landed', async () => {
    const { w } = await streamed()
    w.faults.next = [{ status: 'unknown', lands: true }]
    await w.links.putImage(digest('a'), imageOf([], digest('d')))
    w.faults.next = [{ status: 'unknown', lands: false }]
    await expect(w.links.putImage(digest('b'), imageOf([], digest('d')))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})
