import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { UpstreamLocation } from '../../src/content/content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import type { Pusher } from '../../src/push.ts'
import { ann, app, type BlobWorld, blobWorld, other } from './blob-world.ts'

const bytes = randomBytes(10_000)
const digest = digestOf(bytes)
const elsewhere: StreamName = { project: 'elsewhere', stream: 'app' }
const secret: StreamName = { project: 'demo', stream: 'secret' }

/** `demo/other`, `demo/secret` and `elsewhere/app` each with a blob of their own, besides `demo/app`. */
async function mountWorld() {
  const world = await blobWorld()
  await world.objects.create('namespaces', '', { metadata: { name: 'elsewhere' } })
  const blobs = new Map<StreamName, Digest>()
  for (const name of [app, other, secret, elsewhere]) blobs.set(name, await world.pushBlob(name, randomBytes(100)))
  await world.pushBlob(other, bytes)
  const ownOf = (name: StreamName): Digest => blobs.get(name) ?? expect.fail()
  return { ...world, ownOf }
}

/** May pull from these alone. */
function only(...names: StreamName[]): Pusher {
  const mayPull = ({ project, stream }: StreamName) =>
    names.some((name) => name.project === project && name.stream === stream)
  return { ...ann, mayPull }
}

const upload = { upload: { offset: 0, id: expect.any(String) } }

test.each([
  ['another stream of the project', app, other],
  ['a stream of another project', elsewhere, other],
  ['the stream itself', other, other],
])('a blob of %s is mounted, and can be pulled at once', async (_what, to, from) => {
  const { push, blob } = await mountWorld()
  expect(await push.begin(to, ann, { mount: digest, from })).toEqual({ mounted: digest })
  expect((await blob(to, digest))?.equals(bytes)).toBe(true)
})

test('a mount makes the stream, for those alone who may', async () => {
  const { push, blob, reader } = await mountWorld()
  const fresh = { project: 'demo', stream: 'fresh' }
  const stranger = { ...ann, mayCreate: false }
  const asked = { mount: digest, from: other }
  await expect(push.begin(fresh, stranger, asked)).rejects.toMatchObject({ code: 'DENIED' })
  expect(await reader.stream(fresh)).toBeUndefined()
  expect(await push.begin(fresh, ann, asked)).toEqual({ mounted: digest })
  expect((await blob(fresh, digest))?.equals(bytes)).toBe(true)
})

test('without a source a blob is found in streams of the project that he may pull, and in no others', async () => {
  const { push, ownOf, links } = await mountWorld()
  expect(await push.begin(app, only(app, other), { mount: digest })).toEqual({ mounted: digest })
  expect(await push.begin(app, only(app), { mount: ownOf(app) })).toEqual({ mounted: ownOf(app) })
  expect(await push.begin(app, only(app, other), { mount: ownOf(secret) })).toEqual(upload)
  expect(await push.begin(app, ann, { mount: ownOf(elsewhere) })).toEqual(upload)
  for (const name of [secret, elsewhere]) expect(await links.get(app, ownOf(name))).toBeUndefined()
})

/** What is answered to a mount, and the shape of all that is read of the store for it. */
async function told(world: BlobWorld, by: Pusher, mount: Digest, from?: StreamName) {
  world.observed.reads.length = 0
  const answer = await world.push.begin(app, by, { mount, ...(from === undefined ? {} : { from }) })
  const reads = world.observed.reads.map((key) => key.split('/')[0] ?? '')
  expect(await world.links.get(app, mount)).toBeUndefined()
  return { answer, reads }
}

test('I5: a blob that is unknown, missing there or forbidden is answered alike, and as much is read for it', async () => {
  const world = await mountWorld()
  const { ownOf } = world
  const by = only(app, other, { project: 'demo', stream: 'absent' })
  await told(world, by, digestOf('to have them counted'), other)
  const cases = {
    unknown: await told(world, by, digestOf('nowhere'), other),
    missing: await told(world, by, ownOf(secret), other),
    'stream that is not there': await told(world, by, digest, { project: 'demo', stream: 'absent' }),
    forbidden: await told(world, by, ownOf(secret), secret),
    'forbidden in another project': await told(world, by, ownOf(elsewhere), elsewhere),
    'forbidden and not there': await told(world, by, digestOf('nowhere'), secret),
    'forbidden stream that is not there': await told(world, by, digest, { project: 'no', stream: 'no' }),
  }
  expect(cases.unknown.reads).not.toEqual([])
  for (const { answer, reads } of Object.values(cases)) {
    expect(answer).toEqual(upload)
    expect(reads).toEqual(cases.unknown.reads)
  }
})

test('I5: without a source too', async () => {
  const world = await mountWorld()
  const by = only(app, other)
  await told(world, by, digestOf('to have them counted'))
  const unknown = await told(world, by, digestOf('nowhere'))
  expect(await told(world, by, world.ownOf(secret))).toEqual({ ...unknown, answer: upload })
  expect(await told(world, by, world.ownOf(elsewhere))).toEqual({ ...unknown, answer: upload })
  expect(unknown.answer).toEqual(upload)
})

test('I5: nothing is read of a stream that he may not pull', async () => {
  const world = await mountWorld()
  for (const from of [secret, undefined]) {
    await told(world, only(app), world.ownOf(secret), from)
    expect(world.observed.reads.filter((key) => key.includes('secret'))).toEqual([])
  }
})

test('without a source so many streams are looked into, and no more', async () => {
  const { push, writer, observed } = await mountWorld()
  const many = Array.from({ length: 230 }, (_, i) => ({ project: 'demo', stream: `a${String(i).padStart(3, '0')}` }))
  await Promise.all(many.map((name) => writer.create(name)))
  observed.reads.length = 0
  expect(await push.begin(app, ann, { mount: digestOf('nowhere') })).toEqual(upload)
  expect(observed.reads.filter((key) => key.startsWith('link/'))).toHaveLength(201)
})

test('a manifest is no blob, and is not mounted', async () => {
  const { push, links, reader, content } = await mountWorld()
  const { uid = '' } = (await reader.stream(other)) ?? {}
  const manifest = Buffer.from('{"schemaVersion":2}')
  const here = { kind: 'here' } as const
  const link = { digest: digestOf(manifest), mediaType: mediaTypes.ociManifest, size: manifest.length }
  await content.putManifest(link.digest, manifest, here)
  await links.add(other, uid, [{ ...link, locations: [here], received: true }])
  expect(await push.begin(app, ann, { mount: link.digest, from: other })).toEqual(upload)
})

test('of bytes that are a manifest and a blob the blob alone is mounted', async () => {
  const { push, pushBlob, links, reader, blob } = await mountWorld()
  const { uid = '' } = (await reader.stream(other)) ?? {}
  const manifest = Buffer.from('{"schemaVersion":2}')
  const link = { digest: digestOf(manifest), size: manifest.length, locations: [{ kind: 'here' }] } as const
  await links.add(other, uid, [{ ...link, mediaType: mediaTypes.ociManifest, received: true }])
  const both = await pushBlob(other, manifest)
  expect(await push.begin(app, ann, { mount: both, from: other })).toEqual({ mounted: both })
  expect(await blob(app, both)).toEqual(manifest)
  expect((await links.get(app, both))?.manifestType).toBeUndefined()
})

test('bytes that were here alone and are lost are to be sent again', async () => {
  const { push, content, pushBlob, blob } = await mountWorld()
  await content.remove(digest, { unusedSince: Number.POSITIVE_INFINITY })
  expect(await push.begin(app, ann, { mount: digest, from: other })).toEqual(upload)
  await pushBlob(app, bytes)
  expect((await blob(app, digest))?.equals(bytes)).toBe(true)
})

test('what an upstream has is mounted with the way there, whether or not it is held', async () => {
  const { push, links, reader } = await mountWorld()
  const { uid = '' } = (await reader.stream(other)) ?? {}
  const location: UpstreamLocation = { kind: 'upstream', host: 'quay.io', repository: 'org/app', project: 'demo' }
  const layer = digestOf('a layer')
  const link = {
    digest: layer,
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    size: 7,
    locations: [location],
  }
  await links.add(other, uid, [link])
  expect(await push.begin(app, ann, { mount: layer, from: other })).toEqual({ mounted: layer })
  expect(await links.get(app, layer)).toMatchObject(link)
  expect((await links.get(app, layer))?.measured).toBeUndefined()
})

test('what was pushed, and what is held and was mounted, has its own size, whatever manifests say before or later', async () => {
  const { push, pushBlob, links, writer } = await blobWorld()
  const location: UpstreamLocation = { kind: 'upstream', host: 'quay.io', repository: 'org/app', project: 'demo' }
  const lies = (size: number) => [{ digest, mediaType: 'application/x', size, locations: [location] }]
  const fresh = { project: 'demo', stream: 'fresh' }
  for (const name of [app, other, fresh]) {
    const { uid } = await writer.create(name)
    await links.add(name, uid, lies(3))
    if (name !== fresh) await links.add(name, uid, lies(5))
    if (name === app) await pushBlob(app, bytes)
    else expect(await push.begin(name, ann, { mount: digest, from: app })).toEqual({ mounted: digest })
    await links.add(name, uid, lies(9))
    expect(await links.get(name, digest)).toMatchObject({ size: bytes.length, measured: true })
  }
})
