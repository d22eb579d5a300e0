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
      createdAt: '2026-01-01T00:00:00Z',
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

  test('of another repository, host or project, or one made anew, are other locations', async () => {
    const { w, stream } = await streamed()
    const others: Location[] = [
      { ...quay, repository: 'org/other' },
      { ...quay, project: 'other' },
      { ...quay, projectUid: 'of the project before' },
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
    expect(w.faults.commits[1]?.operations).toEqual(w.faults.commits[0]?.operations)
    expect(w.faults.gets.filter((key) => key.startsWith('image/'))).toHaveLength(2)
  })

  test('whose write got lost are written again, and UNAVAILABLE when that goes on', async () => {
    const { w } = await streamed()
    for (const lands of [true, false]) {
      w.faults.next = [{ status: 'unknown', lands }]
      await w.links.putImage(digest('a'), imageOf([], digest('d')))
      expect(await w.links.image(digest('a'), imageType)).toEqual(imageOf([], digest('d')))
    }
    w.faults.next = Array.from({ length: 100 }, () => ({ status: 'unknown', lands: false }))
    await expect(w.links.putImage(digest('b'), imageOf([], digest('d')))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('never lose the configuration that was read once, and take a newer one', async () => {
    const { w } = await streamed()
    const image = imageOf([], digest('d'))
    await w.links.putImage(digest('a'), { ...image, configuration: { os: 'linux' } })
    await w.links.putImage(digest('a'), image)
    expect(await w.links.image(digest('a'), imageType)).toEqual({ ...image, configuration: { os: 'linux' } })
    await w.links.putImage(digest('a'), { ...image, configuration: { os: 'plan9' } })
    expect(await w.links.image(digest('a'), imageType)).toMatchObject({ configuration: { os: 'plan9' } })
  })

  test('never lose the configuration to one who did not see it written', async () => {
    const { w } = await streamed()
    const image = imageOf([], digest('d'))
    const other = () => w.links.putImage(digest('a'), { ...image, configuration: { os: 'linux' } })
    w.faults.next = [{ status: 'committed', first: other }]
    await w.links.putImage(digest('a'), image)
    expect(await w.links.image(digest('a'), imageType)).toMatchObject({ configuration: { os: 'linux' } })
  })
})

describe('the links of a stream', () => {
  test('are listed in the order of digests, by prefix, paged, and none of an earlier stream', async () => {
    const { w, stream } = await streamed()
    await w.writer.create({ project: 'demo', stream: 'app-2' })
    await w.links.add(
      app,
      stream.uid,
      ['c', 'a', 'b'].map((each) => link(each)),
    )
    const digests = async (options?: Parameters<typeof w.links.list>[1]) =>
      (await w.links.list(app, options)).map((each) => each.digest)
    expect(await digests()).toEqual([digest('a'), digest('b'), digest('c')])
    expect(await digests({ limit: 2 })).toEqual([digest('a'), digest('b')])
    expect(await digests({ after: digest('a'), limit: 1 })).toEqual([digest('b')])
    expect(await digests({ prefix: 'sha256:bb' })).toEqual([digest('b')])
    expect(await digests({ prefix: 'sha256:bb', after: digest('b') })).toEqual([])
    for (const prefix of ['sha256:d', '../app-2/', 'sha512:']) expect(await digests({ prefix })).toEqual([])
    expect(await digests({ limit: 0 })).toEqual([])
    await w.writer.delete(app)
    expect(await digests()).toEqual([])
    await w.writer.create(app)
    expect(await digests()).toEqual([])
  })
})

describe('what is renewed', () => {
  /** `demo/app` has so many images of the same layer, and a signature of the first. */
  async function streamOf(count: number) {
    const { w, stream } = await streamed()
    const digests = Array.from(
      { length: count },
      (_, i) => digest('a').slice(0, -3) + `${i}`.padStart(3, '0'),
    ) as Digest[]
    const signature = link('e', { received: true, referrer: { subject: digests[0] as Digest } })
    const received = digests.map((each) => ({ ...link('a', { received: true }), digest: each }))
    await w.links.add(app, stream.uid, [link('c', { mediaType: 'application/x' }), ...received, signature])
    for (const each of digests) await w.links.putImage(each, imageOf([digest('c')], digest('d')))
    return { w, stream, digests, all: [...digests, digest('c'), digest('e')] }
  }

  test('is read once, however many name it, and not written while it is young', async () => {
    const { w, stream, digests } = await streamOf(50)
    w.faults.commits = []
    w.faults.gets = []
    await w.links.renew(stream, digests)
    expect(w.faults.commits).toEqual([])
    const links = w.faults.gets.filter((key) => key.startsWith('link/'))
    // The images, their layer, their config, which the stream does not have, and the signature.
    expect(links).toHaveLength(53)
    expect(new Set(links).size).toBe(53)
  })

  test('is written once it is old, with what it names and what refers to it, in one commit', async () => {
    const { w, stream, digests, all } = await streamOf(50)
    w.clock.advance(2 * 3600_000)
    w.faults.commits = []
    await w.links.renew(stream, digests)
    expect(w.faults.commits).toHaveLength(1)
    const written = w.faults.commits.flatMap(({ operations }) => operations.map(({ key }) => key))
    expect(written.toSorted()).toEqual(all.map((each) => `link/demo/app/${each}`).toSorted())
    w.faults.commits = []
    await w.links.renew(stream, digests)
    expect(w.faults.commits).toEqual([])
  })

  test('is nothing that only another stream has, or an earlier one of the name', async () => {
    const { w, stream, digests } = await streamOf(1)
    const other = await w.writer.create({ project: 'demo', stream: 'other' })
    await w.links.renew(other, digests)
    expect(await w.links.list(other)).toEqual([])
    await w.writer.delete(app)
    const anew = await w.writer.create(app)
    await w.links.renew(anew, digests)
    expect(await w.links.list(app)).toEqual([])
    await expect(w.links.renew(stream, digests)).resolves.toBeUndefined()
    w.clock.advance(2 * 3600_000)
    await expect(w.links.renew(stream, digests)).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
  })
})

describe('a copy', () => {
  /** `demo/app` has the index A of B, whose config is D and layer C, and E besides; `team/web` is empty. */
  async function promoted() {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [
      link('a', { received: true, children: [digest('b')], size: 11 }),
      link('b', { received: true }),
      link('c', { mediaType: 'application/x', locations: [quay, mirror] }),
      link('d', { mediaType: 'text/plain', locations: [here] }),
      link('e'),
    ])
    await w.links.putImage(digest('b'), imageOf([digest('c'), digest('f')], digest('d')))
    await w.project('team')
    const to = await w.writer.create({ project: 'team', stream: 'web' })
    return { w, to }
  }

  test('has what the image names, with the locations and their project, and nothing else', async () => {
    const { w, to } = await promoted()
    w.faults.commits = []
    const copied = await w.links.copy(app, to, digest('a'))
    expect(copied).toEqual(await w.links.get(app, digest('a')))
    for (const each of ['b', 'c', 'd'])
      expect(await w.links.get(to, digest(each))).toEqual(await w.links.get(app, digest(each)))
    expect((await w.links.get(to, digest('c')))?.locations).toEqual([quay, mirror])
    expect((await w.links.list(to)).map((each) => each.digest)).toEqual(['a', 'b', 'c', 'd'].map(digest))
    const written = w.faults.commits.flatMap(({ operations }) => operations.map(({ key }) => key))
    expect(written.at(-1)).toBe(`link/team/web/${digest('a')}`)
  })

  test('of what the source does not have is none, also when an earlier stream of the name had it', async () => {
    const { w, to } = await promoted()
    expect(await w.links.copy(app, to, digest('f'))).toBeUndefined()
    expect(await w.links.copy({ project: 'demo', stream: 'none' }, to, digest('a'))).toBeUndefined()
    await w.writer.delete(app)
    await w.writer.create(app)
    expect(await w.links.copy(app, to, digest('a'))).toBeUndefined()
    expect(await w.links.list(to)).toEqual([])
  })

  test('adds to what is there, and what was received stays a fact', async () => {
    const { w, to } = await promoted()
    await w.links.add(to, to.uid, [link('a', { size: 999, locations: [mirror] }), link('c', { size: 8 })])
    await w.links.copy(app, to, digest('a'))
    expect(await w.links.get(to, digest('a'))).toMatchObject({
      received: true,
      size: 11,
      children: [digest('b')],
      locations: [mirror, quay],
    })
    // Two that were merely told say different sizes: neither is believed.
    expect(await w.links.get(to, digest('c'))).toMatchObject({ size: undefined, locations: [quay, mirror] })
  })

  test('does not make a fact of what was only told, nor forget who named it otherwise', async () => {
    const { w, to } = await promoted()
    const { uid } = (await w.reader.stream(app)) ?? to
    await w.links.add(app, uid, [link('e', { mediaType: 'text/plain', size: 5 })])
    await w.links.copy(app, to, digest('e'))
    expect(await w.links.get(to, digest('e'))).toMatchObject({
      received: false,
      size: undefined,
      manifestType: imageType,
      isBlob: true,
    })
    await w.links.add(to, to.uid, [link('e')])
    expect(await w.links.get(to, digest('e'))).toMatchObject({ size: undefined, isBlob: true })
  })

  test('of an index of many children goes in steps, each with what it names before it', async () => {
    const { w, to } = await promoted()
    const { uid } = (await w.reader.stream(app)) ?? to
    const children = many(150).map((each) => ({ ...each, received: true as const }))
    await w.links.add(app, uid, children)
    await w.links.add(app, uid, [link('9', { received: true, children: children.map((each) => each.digest) })])
    w.faults.commits = []
    w.faults.next = [
      { status: 'conflict', key: 'x' },
      { status: 'unknown', lands: true },
    ]
    await w.links.copy(app, to, digest('9'))
    expect(await w.links.list(to)).toHaveLength(151)
    for (const { operations, preconditions } of w.faults.commits) {
      expect(operations.length).toBeLessThanOrEqual(commitLimits.maxOperations)
      expect(preconditions?.map(({ key }) => key)).toContain('life/team/web')
    }
    expect(w.faults.commits.at(-1)?.operations.at(-1)?.key).toBe(`link/team/web/${digest('9')}`)
  })

  test('does not go to a stream that was made anew', async () => {
    const { w, to } = await promoted()
    await w.writer.delete(to)
    await w.writer.create(to)
    await expect(w.links.copy(app, to, digest('a'))).rejects.toMatchObject({ code: 'NAME_UNKNOWN' })
    expect(await w.links.list(to)).toEqual([])
  })
})

describe('the images of the cluster', () => {
  const other = { project: 'demo', stream: 'other' }

  async function known() {
    const { w, stream } = await streamed()
    const second = await w.writer.create(other)
    await w.links.add(app, stream.uid, [link('a', { received: true }), link('b', { received: true }), link('c')])
    await w.links.add(other, second.uid, [link('b', { received: true }), link('d', { received: true })])
    for (const each of ['a', 'b', 'c', 'd']) await w.links.putImage(digest(each), imageOf([], digest('e')))
    const listed = async (options?: Parameters<typeof w.links.images>[0]) =>
      (await w.links.images(options)).map(({ digest, stream }) => [digest, stream.stream])
    return { w, listed }
  }

  test('are those that some stream received, with one that lives, in the order of digests, paged', async () => {
    const { w, listed } = await known()
    const all = [
      [digest('a'), 'app'],
      [digest('b'), 'app'],
      [digest('d'), 'other'],
    ]
    expect(await listed()).toEqual(all)
    expect(await listed({ limit: 2 })).toEqual(all.slice(0, 2))
    expect(await listed({ after: digest('a') })).toEqual(all.slice(1))
    expect(await listed({ after: digest('b'), limit: 1 })).toEqual(all.slice(2))
    expect(await w.links.knownImage(digest('b'))).toEqual({
      digest: digest('b'),
      image: imageOf([], digest('e')),
      stream: app,
      revision: expect.any(Number),
    })
    expect(await w.links.knownImage(digest('c'))).toBeUndefined()
  })

  test('come and go with the streams that have them', async () => {
    const { w, listed } = await known()
    await w.writer.delete(app)
    await w.writer.create(app)
    expect(await listed()).toEqual([
      [digest('b'), 'other'],
      [digest('d'), 'other'],
    ])
    expect(await w.links.knownImage(digest('a'))).toBeUndefined()
    expect(await listed({ limit: 1 })).toEqual([[digest('b'), 'other']])
    const { uid } = (await w.reader.stream(app)) ?? { uid: '' }
    await w.links.add(app, uid, [link('a')])
    expect(await w.links.knownImage(digest('a'))).toBeUndefined()
    await w.writer.delete(app)
    await w.writer.create(app)
    await w.links.revive(app, digest('b'))
    expect(await listed()).toContainEqual([digest('b'), 'app'])
  })

  test('are indexed in the commit that links them, once', async () => {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [link('a')])
    expect(await w.dump('index/image/')).toEqual([])
    w.faults.commits = []
    await w.links.add(app, stream.uid, [link('a', { received: true })])
    expect(w.faults.commits[0]?.operations.map(({ key }) => key)).toEqual([
      `index/image/${digest('a')}/demo/app`,
      `link/demo/app/${digest('a')}`,
    ])
    await w.links.add(app, stream.uid, [link('a', { received: true, locations: [mirror] })])
    expect(w.faults.commits[1]?.operations).toHaveLength(1)
  })
})

describe('links of manifests with a subject', () => {
  const referrer = { subject: digest('b'), artifactType: 'text/x', annotations: { a: 'b' } }

  test('are recorded with their subject by the commit that says they were received', async () => {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [link('a')])
    expect(await w.dump('index/referrers/')).toEqual([])
    w.faults.commits = []
    await w.links.add(app, stream.uid, [link('a', { received: true, referrer })])
    expect(w.faults.commits).toHaveLength(1)
    expect(await w.links.get(app, digest('a'))).toMatchObject({ subject: digest('b') })
    expect(await w.referrerRecords.list(app, digest('b'))).toEqual([
      { digest: digest('a'), mediaType: imageType, size: 7, artifactType: 'text/x', annotations: { a: 'b' } },
    ])
    w.faults.commits = []
    await w.links.add(app, stream.uid, [link('a', { received: true, referrer })])
    expect(w.faults.commits).toEqual([])
  })

  test('are recorded where they were received before subjects were', async () => {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [link('a', { received: true })])
    await w.links.add(app, stream.uid, [link('a', { received: true, referrer })])
    expect(await w.referrerRecords.list(app, digest('b'))).toHaveLength(1)
  })

  test('are no referrers by what others say of them', async () => {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [link('a', { referrer })])
    expect(await w.referrerRecords.list(app, digest('b'))).toEqual([])
  })

  test('are revived with the image that they refer to', async () => {
    const { w, stream } = await streamed()
    await w.links.add(app, stream.uid, [link('b', { received: true }), link('a', { received: true, referrer })])
    await w.writer.delete(app)
    await w.writer.create(app)
    expect(await w.referrerRecords.list(app, digest('b'))).toEqual([])
    await w.links.revive(app, digest('b'))
    expect(await w.referrerRecords.list(app, digest('b'))).toMatchObject([
      { digest: digest('a'), annotations: { a: 'b' } },
    ])
  })
})
