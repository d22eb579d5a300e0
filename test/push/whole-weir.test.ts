import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { type Answered, type RequestToSend, startWorld, type World } from '../support/world.ts'

const type = 'application/vnd.oci.image.manifest.v1+json'
const path = '/v2/demo/app'
const layer = 'a layer, as text '.repeat(100)
const half = layer.slice(0, 900)

async function pushWorld(config: Record<string, unknown> = {}) {
  const world = await startWorld({ config })
  await world.cli('new-project', 'demo')
  return world
}

/** Asks as the admin. */
async function ask(world: World, method: string, to: string, sent: RequestToSend = {}): Promise<Answered> {
  const token = await world.pullToken('repository:demo/app:pull,push', world.adminToken)
  return world.request(to, { method, token, ...sent })
}

async function begin(world: World): Promise<string> {
  const { status, headers } = await ask(world, 'POST', `${path}/blobs/uploads/`)
  expect(status).toBe(202)
  return String(headers.location)
}

async function pushBlob(world: World, bytes: string): Promise<{ mediaType: string; digest: string; size: number }> {
  const digest = digestOf(bytes)
  const answer = await ask(world, 'PUT', `${await begin(world)}?digest=${digest}`, { body: bytes })
  expect(answer.status).toBe(201)
  return { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest, size: bytes.length }
}

async function manifestOf(world: World, layers: readonly unknown[]): Promise<string> {
  const config = { ...(await pushBlob(world, '{}')), mediaType: 'application/vnd.oci.image.config.v1+json' }
  return JSON.stringify({ schemaVersion: 2, mediaType: type, config, layers })
}

function put(world: World, reference: string, body: string): Promise<Answered> {
  return ask(world, 'PUT', `${path}/manifests/${reference}`, { body, headers: { 'content-type': type } })
}

test('an upload goes on where it was after Weir was restarted, and what was pushed can be pulled', async () => {
  const world = await pushWorld()
  const upload = await begin(world)
  expect((await ask(world, 'PATCH', upload, { body: half })).status).toBe(202)
  await world.restart()
  expect((await ask(world, 'GET', upload)).headers.range).toBe(`0-${half.length - 1}`)
  const headers = { 'content-range': `${half.length}-${layer.length - 1}` }
  const digest = digestOf(layer)
  const finished = await ask(world, 'PUT', `${upload}?digest=${digest}`, { body: layer.slice(half.length), headers })
  expect(finished.status).toBe(201)
  const manifest = await manifestOf(world, [{ mediaType: 'text/plain', digest, size: layer.length }])
  expect((await put(world, 'v1', manifest)).status).toBe(201)
  await world.restart()
  expect((await world.pull('demo/app:v1', world.adminToken)).body.toString()).toBe(manifest)
  expect((await ask(world, 'GET', `${path}/blobs/${digest}`)).body.toString()).toBe(layer)
})

test('the limits of the config hold', async () => {
  const world = await pushWorld({ uploads: { maxPerUser: 1, maxBytes: '1MiB' } })
  const upload = await begin(world)
  const refused = await ask(world, 'POST', `${path}/blobs/uploads/`)
  expect(refused.status).toBe(429)
  expect(refused.headers['retry-after']).toBe('60')
  expect(JSON.parse(refused.body.toString()).errors[0].code).toBe('TOOMANYREQUESTS')
  expect((await ask(world, 'PATCH', upload, { body: 'x'.repeat(1024 ** 2 + 1) })).status).toBe(413)
  expect((await ask(world, 'DELETE', upload)).status).toBe(204)
  await begin(world)
})

test('a signature pushed under the tag that is derived from an image is none of the tags that move', async () => {
  const world = await pushWorld()
  const image = await manifestOf(world, [await pushBlob(world, layer)])
  await put(world, 'v1', image)
  const tag = `${digestOf(image).replace(':', '-')}.sig`
  const signature = await manifestOf(world, [await pushBlob(world, 'a signature')])
  expect((await put(world, tag, signature)).status).toBe(201)
  expect((await world.pull(`demo/app:${tag}`, world.adminToken)).body.toString()).toBe(signature)
  const stream = await world.api('GET', '/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app')
  const { tags } = stream.body.status as { tags: { tag: string }[] }
  expect(tags.map((each) => each.tag)).toEqual(['v1'])
})

test('who pushes what the quota has no room for is told so before he sends it', async () => {
  const world = await pushWorld()
  const quota = { metadata: { name: 'small' }, spec: { hard: { 'requests.storage': '1000' } } }
  const made = await world.api('POST', '/api/v1/namespaces/demo/resourcequotas', quota)
  expect(made.status).toBe(201)
  const upload = await begin(world)
  const headers = { 'content-range': `0-${layer.length - 1}` }
  const refused = await ask(world, 'PATCH', upload, { body: layer, headers })
  expect(refused.status).toBe(403)
  const [error] = JSON.parse(refused.body.toString()).errors
  expect(error.code).toBe('DENIED')
  expect(error.message).toContain('exceeded quota: small')
})

test('a manifest of another type is 415 in words that list what is taken', async () => {
  const world = await pushWorld()
  const headers = { 'content-type': 'application/vnd.oci.artifact.manifest.v1+json' }
  const answer = await ask(world, 'PUT', `${path}/manifests/v1`, { body: '{"schemaVersion":2}', headers })
  expect(answer.status).toBe(415)
  const [{ code, message }] = (JSON.parse(answer.body.toString()) as { errors: [{ code: string; message: string }] })
    .errors
  expect(code).toBe('UNSUPPORTED')
  for (const words of [headers['content-type'], ...Object.values(mediaTypes)]) expect(message).toContain(words)
})
