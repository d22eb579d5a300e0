import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createImporter, type ImportedImage, type ImportResult } from '../src/importer.ts'
import { digestOf } from '../src/oci/digest.ts'
import type { RegistryError } from '../src/oci/errors.ts'
import { mediaTypes } from '../src/oci/media-types.ts'
import type { Tag } from '../src/streams/streams.ts'
import { startFakeUpstream } from './support/fake-upstream.ts'
import { fakeAnswer, fakeError } from './support/fake-upstream-answers.ts'
import { createFakeAuthority } from './support/fake-upstream-tls.ts'
import { type FlowsWorld, flowsWorld } from './support/flows.ts'
import { makeImage, makeIndex, piece } from './support/images.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const app = { project: 'demo', stream: 'app' }

async function worldWith(image = v1): Promise<FlowsWorld & { from: string }> {
  const world = await flowsWorld()
  world.registry.put('lib/app', image, { tag: 'v1' })
  return { ...world, from: `${world.registry.host}/lib/app:v1` }
}

async function tagOf({ reader }: FlowsWorld, tag = 'prod'): Promise<Tag> {
  const found = await reader.tag(app, tag)
  if (found === undefined) throw new TypeError(`no tag ${tag}`)
  return found
}

function failure(result: ImportResult): RegistryError {
  const [image] = result.images
  if (image === undefined || !('error' in image)) throw new TypeError('the import succeeded')
  return image.error
}

function digests(images: readonly ImportedImage[]): (string | undefined)[] {
  return images.map((image) => ('digest' in image ? image.digest : undefined))
}

describe('an import by hand', () => {
  test('pins the digest, keeps the manifest, links what it names, and tells cause and source', async () => {
    const world = await worldWith()
    const result = await world.importImage('app', 'prod', world.from, { reason: 'first' })
    expect(digests(result.images)).toEqual([v1.manifest.digest])
    const { record } = await tagOf(world)
    expect(record.items).toMatchObject([
      { image: v1.manifest.digest, dockerImageReference: `${world.registry.host}/lib/app@${v1.manifest.digest}` },
    ])
    expect(record.spec).toMatchObject({
      from: { kind: 'DockerImage', name: world.from },
      generation: record.items[0]?.generation,
    })
    const [entry] = await world.reader.ledger(app, 'prod')
    expect(entry).toMatchObject({
      revision: 1,
      image: v1.manifest.digest,
      cause: { kind: 'import', by: 'admin', reason: 'first', from: { kind: 'DockerImage', name: world.from } },
    })
    for (const piece of [v1.manifest, v1.config, ...v1.layers]) {
      expect(await world.links.get(app, piece.digest)).toMatchObject({
        size: piece.bytes.length,
        locations: [{ host: world.registry.host, repository: 'lib/app', project: 'demo' }],
      })
    }
    const link = await world.links.get(app, v1.manifest.digest)
    expect(link && (await world.content.manifest(link))).toEqual(v1.manifest.bytes)
  })

  test('of an unmoved tag asks by HEAD alone and writes nothing', async () => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    const before = await tagOf(world)
    const asked = world.registry.requests.length
    const again = await world.importImage('app', 'prod', world.from)
    expect(digests(again.images)).toEqual([v1.manifest.digest])
    expect(await tagOf(world)).toEqual(before)
    expect(world.registry.requests.slice(asked).map(({ method }) => method)).not.toContain('GET')
  })

  test('of a moved tag appends a revision', async () => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    world.registry.put('lib/app', v2, { tag: 'v1' })
    await world.importImage('app', 'prod', world.from)
    expect((await tagOf(world)).record.items.map(({ image }) => image)).toEqual([
      v2.manifest.digest,
      v1.manifest.digest,
    ])
    expect((await world.reader.ledger(app, 'prod')).map(({ revision }) => revision)).toEqual([2, 1])
  })

  test('v1, v2 and v1 again make three items of growing generation', async () => {
    const world = await worldWith()
    for (const image of [v1, v2, v1]) {
      world.registry.put('lib/app', image, { tag: 'v1' })
      await world.importImage('app', 'prod', world.from)
    }
    const { items } = (await tagOf(world)).record
    expect(items.map(({ image }) => image)).toEqual([v1, v2, v1].map(({ manifest }) => manifest.digest))
    expect(items.map(({ generation }) => generation)).toEqual(
      [...items.map(({ generation }) => generation)].sort((a, b) => b - a),
    )
  })

  test('of the same digest from another repository changes the head reference and appends nothing', async () => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    world.registry.put('copy/app', v1, { tag: 'v1' })
    await world.importImage('app', 'prod', `${world.registry.host}/copy/app:v1`)
    const { items } = (await tagOf(world)).record
    expect(items).toHaveLength(1)
    expect(items[0]?.dockerImageReference).toContain('/copy/app@')
    expect((await world.links.get(app, v1.manifest.digest))?.locations).toHaveLength(2)
  })

  test('keeps an index whole and links its children, though the client says Legacy', async () => {
    const world = await flowsWorld()
    const index = makeIndex('multi')
    world.registry.put('lib/app', index, { tag: 'v1' })
    const from = `${world.registry.host}/lib/app:v1`
    await world.importImage('app', 'prod', from, {
      images: [{ from, to: 'prod', importPolicy: { importMode: 'Legacy' } }],
    })
    expect((await tagOf(world)).record.items[0]?.image).toBe(index.manifest.digest)
    for (const child of index.children) expect(await world.links.get(app, child.manifest.digest)).toBeDefined()
  })

  test('by digest pins that digest', async () => {
    const world = await worldWith()
    const result = await world.importImage('app', 'prod', `${world.registry.host}/lib/app@${v1.manifest.digest}`)
    expect(digests(result.images)).toEqual([v1.manifest.digest])
  })

  test('as a dry run writes nothing at all', async () => {
    const world = await worldWith()
    const result = await world.importImage('app', 'prod', world.from, { dryRun: true })
    expect(digests(result.images)).toEqual([v1.manifest.digest])
    expect(result.stream).toBeUndefined()
    expect(await world.reader.stream(app)).toBeUndefined()
  })

  test('of several images reports each, and one failure fails no other', async () => {
    const world = await worldWith()
    const images = ['v1', 'absent', 'v1'].map((tag, i) => ({
      from: `${world.registry.host}/lib/app:${tag}`,
      to: `t${i}`,
      importPolicy: {},
    }))
    const result = await world.importer.import({ ...app, by: 'admin', images })
    expect(digests(result.images)).toEqual([v1.manifest.digest, undefined, v1.manifest.digest])
    expect(result.tags.map(({ name }) => name)).toEqual(['t0', 't1', 't2'])
  })

  test('of two clients at once lands both in order', async () => {
    const world = await worldWith()
    world.registry.put('lib/app', v2, { tag: 'v2' })
    await Promise.all([
      world.importImage('app', 'prod', world.from),
      world.importImage('app', 'prod', `${world.registry.host}/lib/app:v2`),
    ])
    expect((await world.reader.ledger(app, 'prod')).map(({ revision }) => revision)).toEqual([2, 1])
  })

  test('that asked before another moved the tag asks anew instead of putting the older answer on top', async () => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    world.registry.put('lib/app', v2, { tag: 'v1' })
    const held = world.registry.hold(({ method }) => method === 'GET')
    const slow = world.importImage('app', 'prod', world.from)
    await held.arrived()
    await world.writer.changeTag(app, 'prod', () => ({ reimport: true }))
    held.release()
    await slow
    const asked = world.registry.requests.filter(
      ({ path, method }) => method === 'GET' && path.endsWith('/manifests/v1'),
    )
    expect(asked).toHaveLength(3)
    expect((await tagOf(world)).record.items[0]?.image).toBe(v2.manifest.digest)
  })
})

describe('I7: a failed import changes no pin and is a visible condition', () => {
  const failures = [
    ['NotFound', fakeError(404, 'MANIFEST_UNKNOWN')],
    ['Forbidden', fakeError(403, 'DENIED')],
    ['TooManyRequests', fakeAnswer(429, '', { 'retry-after': '3600' })],
    ['Unreachable', fakeError(503, 'UNAVAILABLE')],
  ] as const

  test.each(failures)('%s', async (reason, answer) => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    const { record } = await tagOf(world)
    world.registry.intercept(async () => answer)
    const error = failure(await world.importImage('app', 'prod', world.from))
    expect(error.upstream).toMatchObject({ reason, host: world.registry.host })
    const failed = (await tagOf(world)).record
    expect(failed.items).toEqual(record.items)
    expect(failed.revision).toBe(record.revision)
    expect(failed.condition).toMatchObject({
      type: 'ImportSuccess',
      status: 'False',
      reason,
      generation: failed.spec?.generation,
    })
    expect(await world.pullThrough.manifest(app, 'prod', { head: false })).toMatchObject({ digest: v1.manifest.digest })
  })

  test('TooManyRequests tells when to try again', async () => {
    const world = await worldWith()
    world.registry.intercept(async () => fakeAnswer(429, '', { 'retry-after': '3600' }))
    const error = failure(await world.importImage('app', 'prod', world.from))
    expect(error).toMatchObject({
      retryAfterSeconds: 3600,
      message: expect.stringContaining('wait until 2026-01-01T01:0'),
    })
    const condition = (await world.reader.tag(app, 'prod'))?.record.condition
    expect(condition).toMatchObject({ reason: 'TooManyRequests', message: error.message })
  })

  test('Unreachable when the registry is gone', async () => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    await world.registry.close()
    expect(failure(await world.importImage('app', 'prod', world.from)).upstream?.reason).toBe('Unreachable')
    expect((await tagOf(world)).record.items[0]?.image).toBe(v1.manifest.digest)
  })

  test('the same failure again writes nothing, another one does, a success clears it', async () => {
    const world = await worldWith()
    const end = world.registry.intercept(async () => fakeError(404, 'MANIFEST_UNKNOWN'))
    await world.importImage('app', 'prod', world.from)
    const first = await tagOf(world)
    await world.importImage('app', 'prod', world.from)
    expect(await tagOf(world)).toEqual(first)
    end()
    const endOther = world.registry.intercept(async () => fakeError(403, 'DENIED'))
    await world.importImage('app', 'prod', world.from)
    expect((await tagOf(world)).record.condition?.reason).toBe('Forbidden')
    endOther()
    await world.importImage('app', 'prod', world.from)
    expect((await tagOf(world)).record.condition).toBeUndefined()
  })

  test('a registry that is not allowed is named, with those that are, and never asked', async () => {
    const world = await flowsWorld({ allowed: ['quay.io'] })
    const error = failure(await world.importImage('app', 'prod', 'evil.example/lib/app:v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { host: 'evil.example', reason: 'NotAllowed' } })
    expect(error.message).toContain('quay.io')
    expect((await tagOf(world)).record.condition?.reason).toBe('NotAllowed')
  })

  test('a source that is no reference is refused by its text', async () => {
    const world = await worldWith()
    expect(failure(await world.importImage('app', 'prod', 'Not A Reference')).message).toContain('Not A Reference')
  })

  test('a manifest that is none moves nothing', async () => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    world.registry.intercept(async (req, _res, next) =>
      req.method === 'GET' ? fakeAnswer(200, '{"schemaVersion":1}', { 'content-type': v1.manifest.mediaType }) : next(),
    )
    world.registry.put('lib/app', v2, { tag: 'v1' })
    expect(failure(await world.importImage('app', 'prod', world.from)).code).toBe('MANIFEST_INVALID')
    expect((await tagOf(world)).record.items[0]?.image).toBe(v1.manifest.digest)
  })
})

describe('what one image of a request comes to is its own', () => {
  const type = 'application/vnd.oci.image.layer.v1.tar+gzip'
  const big = piece(
    mediaTypes.ociManifest,
    JSON.stringify({
      schemaVersion: 2,
      config: { mediaType: type, digest: v1.config.digest, size: 2 },
      layers: Array.from({ length: 7500 }, (_, i) => ({ mediaType: type, digest: digestOf(`layer ${i}`), size: i })),
    }),
  )
  const bigIndex = piece(
    mediaTypes.ociIndex,
    JSON.stringify({
      schemaVersion: 2,
      manifests: Array.from({ length: 9000 }, (_, i) => ({
        mediaType: mediaTypes.ociManifest,
        digest: digestOf(`manifest ${i}`),
        size: i,
      })),
    }),
  )

  test.each([
    ['7500 layers', big],
    ['9000 manifests', bigIndex],
  ])('I7: one that names %s is MANIFEST_INVALID, a condition, and fails no other', async (_, content) => {
    const world = await worldWith()
    world.registry.put('lib/big', content, { tag: 'v1' })
    const images = ['lib/big', 'lib/app'].map((repository, i) => ({
      from: `${world.registry.host}/${repository}:v1`,
      to: `t${i}`,
      importPolicy: {},
    }))
    const result = await world.importer.import({ ...app, by: 'admin', images })
    expect(failure(result)).toMatchObject({ code: 'MANIFEST_INVALID', message: expect.stringContaining('names') })
    expect((await tagOf(world, 't0')).record.condition).toMatchObject({ reason: 'Invalid' })
    expect(digests(result.images)).toEqual([undefined, v1.manifest.digest])
  })

  test('I7: one that meets a mistake of the program is a plain failure and a condition, is logged, and fails no other', async () => {
    const world = await worldWith()
    world.registry.put('lib/other', v2, { tag: 'v1' })
    const logged: string[] = []
    const content = {
      ...world.content,
      putManifest: (...args: Parameters<typeof world.content.putManifest>) => {
        if (args[0] === v1.manifest.digest) throw new TypeError('secret inside')
        return world.content.putManifest(...args)
      },
    }
    const log = pino({ level: 'error' }, { write: (line: string) => void logged.push(line) })
    const importer = createImporter({ ...world, content, allowed: { refusalOf: () => undefined }, log })
    const images = ['lib/app', 'lib/other'].map((repository, i) => ({
      from: `${world.registry.host}/${repository}:v1`,
      to: `t${i}`,
      importPolicy: {},
    }))
    const result = await importer.import({ ...app, by: 'admin', images })
    expect(failure(result).code).toBe('UNKNOWN')
    expect(failure(result).message).not.toContain('secret')
    const { condition } = (await tagOf(world, 't0')).record
    expect(condition).toMatchObject({ reason: 'InternalError', message: expect.not.stringContaining('secret') })
    expect(digests(result.images)).toEqual([undefined, v2.manifest.digest])
    expect(logged.join()).toMatch(/secret inside.*import failed unexpectedly/)
  })
})

describe('I5: the media type of an image', () => {
  const bare = (mediaType: string) =>
    piece(mediaType, JSON.stringify({ ...JSON.parse(v1.manifest.bytes.toString('utf8')), mediaType: undefined }))
  const [oci, docker] = [bare(mediaTypes.ociManifest), bare(mediaTypes.dockerManifest)]

  test('is the one that this stream was told, whatever others were told of the same bytes', async () => {
    const world = await worldWith()
    world.registry.put('lib/oci', oci, { tag: 'v1' })
    world.registry.put('lib/docker', docker, { tag: 'v1' })
    await world.importImage('first', 'prod', `${world.registry.host}/lib/docker:v1`)
    const result = await world.importImage('app', 'prod', `${world.registry.host}/lib/oci:v1`)
    expect(result.images).toMatchObject([{ mediaType: oci.mediaType, image: { mediaType: oci.mediaType } }])
    const link = await world.links.get(app, oci.digest)
    expect(await world.links.image(oci.digest, link?.mediaType ?? '')).toMatchObject({ mediaType: oci.mediaType })
  })

  test('stays the one that the stream was told first', async () => {
    const world = await worldWith()
    world.registry.put('lib/oci', oci, { tag: 'v1' })
    world.registry.put('lib/docker', docker, { tag: 'v1' })
    await world.importImage('app', 'prod', `${world.registry.host}/lib/docker:v1`)
    const result = await world.importImage('app', 'next', `${world.registry.host}/lib/oci:v1`)
    expect(result.images).toMatchObject([{ mediaType: docker.mediaType }])
    expect(await world.pullThrough.manifest(app, 'next', { head: false })).toMatchObject({
      mediaType: docker.mediaType,
    })
  })
})

describe('I7: an upstream that refuses or lies is told by its reason', () => {
  const lies = [
    ['Unauthorized', fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="x"' })],
    ['Invalid', fakeAnswer(200, '<html>', { 'content-type': 'text/html' })],
  ] as const

  test.each(lies)('%s', async (reason, answer) => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    world.registry.intercept(async () => answer)
    world.registry.put('lib/app', v2, { tag: 'v1' })
    await world.importImage('app', 'prod', world.from)
    const { record } = await tagOf(world)
    expect(record.condition?.reason).toBe(reason)
    expect(record.items[0]?.image).toBe(v1.manifest.digest)
  })

  test('BadDigest of bytes that are not those of the digest asked for', async () => {
    const world = await worldWith()
    world.registry.intercept(async (req, _res, next) =>
      req.method === 'GET' ? fakeAnswer(200, '{}', { 'content-type': v1.manifest.mediaType }) : next(),
    )
    await world.importImage('app', 'prod', `${world.registry.host}/lib/app@${v1.manifest.digest}`)
    expect((await tagOf(world)).record.condition?.reason).toBe('BadDigest')
    expect((await tagOf(world)).record.items).toEqual([])
  })

  test('Tls of a certificate that nobody vouches for', async () => {
    const authority = await createFakeAuthority()
    const { host } = await startFakeUpstream({ tls: await authority.certificate(['127.0.0.1']) })
    const world = await flowsWorld({ rules: [{ host, insecure: false }] })
    await world.importImage('app', 'prod', `${host}/lib/app:v1`)
    expect((await tagOf(world)).record.condition?.reason).toBe('Tls')
  })
})

describe('an import that another overtakes', () => {
  test('and that then fails says nothing of where the other moved the tag', async () => {
    const world = await worldWith()
    const held = world.registry.hold(({ path }) => path.includes('missing'))
    const slow = world.importImage('app', 'prod', `${world.registry.host}/lib/missing:v1`)
    await held.arrived()
    await world.importImage('app', 'prod', world.from)
    const stood = await tagOf(world)
    held.release()
    expect(failure(await slow).upstream?.reason).toBe('NotFound')
    expect(await tagOf(world)).toEqual(stood)
  })
})

describe('preconditions of an import', () => {
  test('a resourceVersion older than the tag conflicts and says what changed', async () => {
    const world = await worldWith()
    const first = await world.importImage('app', 'prod', world.from)
    world.registry.put('lib/app', v2, { tag: 'v1' })
    await world.importImage('app', 'prod', world.from)
    const stale = world.importImage('app', 'prod', world.from, { resourceVersion: String(first.revision) })
    world.registry.put('lib/app', makeImage('v3'), { tag: 'v1' })
    await expect(stale).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('(revision 2)'),
    })
  })

  test('a resourceVersion older than another tag of the stream does not conflict', async () => {
    const world = await worldWith()
    const first = await world.importImage('app', 'prod', world.from)
    await world.importImage('app', 'other', world.from)
    world.registry.put('lib/app', v2, { tag: 'v1' })
    const result = await world.importImage('app', 'prod', world.from, { resourceVersion: String(first.revision) })
    expect(digests(result.images)).toEqual([v2.manifest.digest])
  })

  test('a resourceVersion or uid of a stream that is not there is NOT_FOUND', async () => {
    const world = await worldWith()
    await expect(world.importImage('app', 'prod', world.from, { resourceVersion: '1' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
    await world.importImage('app', 'prod', world.from)
    await expect(world.importImage('app', 'prod', world.from, { uid: 'another' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  test('a project that is not there is named', async () => {
    const world = await worldWith()
    await expect(world.importImage('app', 'prod', world.from, { project: 'nowhere' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('nowhere'),
    })
  })

  test('a tag outside the grammar is refused before any upstream is asked', async () => {
    const world = await worldWith()
    expect(failure(await world.importImage('app', 'bad!tag', world.from)).code).toBe('INVALID')
    expect(world.registry.requests).toEqual([])
  })

  test('a held tag is refused before any upstream is asked', async () => {
    const world = await worldWith()
    await world.importImage('app', 'prod', world.from)
    world.registry.put('lib/app', v2, { tag: 'v1' })
    await world.importImage('app', 'prod', world.from)
    await world.tagEvents.rollback(app, 'prod', { by: 'admin' })
    const asked = world.registry.requests.length
    expect(failure(await world.importImage('app', 'prod', world.from)).message).toContain('weir resume')
    expect(world.registry.requests).toHaveLength(asked)
  })
})
