import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Answered, type RequestToSend, startWorld, type World } from '../support/world.ts'

const type = 'application/vnd.oci.image.manifest.v1+json'
const quotas = '/api/v1/namespaces/demo/resourcequotas'
const tags = 'count/imagestreamtags.image.openshift.io'

async function quotaWorld(hard: Record<string, string>): Promise<World> {
  const world = await startWorld()
  await world.cli('new-project', 'demo')
  const body = JSON.stringify({ metadata: { name: 'q' }, spec: { hard } })
  const headers = { 'content-type': 'application/json' }
  const made = await world.request(quotas, { method: 'POST', token: world.adminToken, secure: true, headers, body })
  expect(made.status).toBe(201)
  return world
}

async function used(world: World): Promise<Record<string, string>> {
  const { body } = await world.request(`${quotas}/q`, { token: world.adminToken, secure: true })
  return JSON.parse(body.toString()).status.used
}

async function ask(world: World, method: string, to: string, sent: RequestToSend = {}): Promise<Answered> {
  const token = await world.pullToken('repository:demo/app:pull,push,delete', world.adminToken)
  return world.request(`/v2/demo/app/${to}`, { method, token, ...sent })
}

async function pushBlob(world: World, bytes: string): Promise<Answered> {
  const begun = await ask(world, 'POST', 'blobs/uploads/')
  if (begun.status !== 202) return begun
  const upload = String(begun.headers.location).replace('/v2/demo/app/', '')
  return ask(world, 'PUT', `${upload}?digest=${digestOf(bytes)}`, { body: bytes })
}

function put(world: World, tag: string, manifest: string): Promise<Answered> {
  return ask(world, 'PUT', `manifests/${tag}`, { body: manifest, headers: { 'content-type': type } })
}

function manifestOf(...layers: string[]): string {
  const descriptor = (mediaType: string, bytes: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: type,
    config: descriptor('application/vnd.oci.image.config.v1+json', '{}'),
    layers: layers.map((bytes) => descriptor('application/vnd.oci.image.layer.v1.tar', bytes)),
  })
}

function refusalOf({ status, body }: Answered): object {
  const { code, message } = JSON.parse(body.toString()).errors[0]
  return { status, code, message }
}

test('what is pushed beyond the bytes of a quota is refused, and has room when something was deleted', async () => {
  const world = await quotaWorld({ 'requests.storage': '2000' })
  const [first, second] = ['first'.repeat(200), 'second'.repeat(200)]
  for (const bytes of ['{}', first]) expect((await pushBlob(world, bytes)).status).toBe(201)
  const manifest = manifestOf(first)
  expect((await put(world, 'v1', manifest)).status).toBe(201)
  const bytes = 2 + first.length + manifest.length
  expect(await used(world)).toEqual({ 'requests.storage': String(bytes) })
  expect(refusalOf(await pushBlob(world, second))).toMatchObject({
    status: 403,
    code: 'DENIED',
    message: expect.stringMatching(
      /^exceeded quota: q, requested: requests\.storage=\d+, used: requests\.storage=.*2000$/,
    ),
  })
  expect(await used(world)).toEqual({ 'requests.storage': String(bytes) })
  expect((await ask(world, 'DELETE', `manifests/${digestOf(manifest)}`)).status).toBe(202)
  expect((await ask(world, 'DELETE', `blobs/${digestOf(first)}`)).status).toBe(202)
  expect(await used(world)).toEqual({ 'requests.storage': '2' })
  expect((await pushBlob(world, second)).status).toBe(201)
  await world.restart()
  expect(await used(world)).toEqual({ 'requests.storage': String(2 + second.length) })
})

test('a push of one more tag than a quota allows is refused, and moves of those that are there are not', async () => {
  const world = await quotaWorld({ [tags]: '1' })
  for (const bytes of ['{}', 'a', 'b']) expect((await pushBlob(world, bytes)).status).toBe(201)
  expect((await put(world, 'v1', manifestOf('a'))).status).toBe(201)
  expect(refusalOf(await put(world, 'v2', manifestOf('a')))).toEqual({
    status: 403,
    code: 'DENIED',
    message: `exceeded quota: q, requested: ${tags}=1, used: ${tags}=1, limited: ${tags}=1`,
  })
  expect((await put(world, 'v1', manifestOf('b'))).status).toBe(201)
  expect((await ask(world, 'DELETE', 'manifests/v1')).status).toBe(202)
  expect((await put(world, 'v2', manifestOf('a'))).status).toBe(201)
  expect(await used(world)).toEqual({ [tags]: '1' })
})

test('a push that was refused leaves nothing that counts, and an unfinished one counts also after a restart', async () => {
  const world = await quotaWorld({ 'requests.storage': '2000' })
  const begin = async () => {
    const { headers } = await ask(world, 'POST', 'blobs/uploads/')
    return String(headers.location).replace('/v2/demo/app/', '')
  }
  const refused = await begin()
  expect((await ask(world, 'PATCH', refused, { body: 'x'.repeat(1500) })).status).toBe(202)
  expect(await used(world)).toEqual({ 'requests.storage': '1500' })
  expect(refusalOf(await ask(world, 'PATCH', refused, { body: 'x'.repeat(501) }))).toEqual({
    status: 403,
    code: 'DENIED',
    message:
      'exceeded quota: q, requested: requests.storage=501, used: requests.storage=1500, limited: requests.storage=2000; unfinished uploads have 1500 of what is used',
  })
  expect((await ask(world, 'GET', refused)).status).toBe(404)
  expect(await used(world)).toEqual({ 'requests.storage': '0' })
  expect((await ask(world, 'GET', 'tags/list')).status).toBe(404)
  const paused = await begin()
  expect((await ask(world, 'PATCH', paused, { body: 'y'.repeat(1200) })).status).toBe(202)
  const full = { status: 403, message: expect.stringContaining('used: requests.storage=1200,') }
  expect(refusalOf(await pushBlob(world, 'z'.repeat(801)))).toMatchObject(full)
  await world.restart()
  const metrics = (await world.request('/metrics')).body.toString()
  expect(metrics).toMatch(/^weir_content_uploads 1$/m)
  expect(refusalOf(await pushBlob(world, 'z'.repeat(801)))).toMatchObject(full)
  expect(await used(world)).toEqual({ 'requests.storage': '1200' })
  expect((await ask(world, 'DELETE', paused)).status).toBe(204)
  expect(await used(world)).toEqual({ 'requests.storage': '0' })
  expect((await pushBlob(world, 'z'.repeat(801))).status).toBe(201)
})

test('a promotion beyond the quota of its project is refused, and leaves nothing; the command says what to do', async () => {
  const world = await quotaWorld({})
  for (const bytes of ['{}', 'layer'.repeat(100)]) expect((await pushBlob(world, bytes)).status).toBe(201)
  expect((await put(world, 'v1', manifestOf('layer'.repeat(100)))).status).toBe(201)
  await world.cli('new-project', 'live')
  const body = JSON.stringify({ metadata: { name: 'small' }, spec: { hard: { 'requests.storage': '500' } } })
  const headers = { 'content-type': 'application/json' }
  const sent = { method: 'POST', token: world.adminToken, secure: true, headers, body }
  const small = '/api/v1/namespaces/live/resourcequotas'
  expect((await world.request(small, sent)).status).toBe(201)
  const { exitCode, stderr } = await world.cli('tag', 'demo/app:v1', 'live/x:1')
  expect(exitCode).toBe(1)
  expect(stderr).toContain('exceeded quota: small, requested: requests.storage=')
  expect(stderr).not.toContain('missing right')
  expect(stderr).toContain('kubectl describe quota small -n live')
  const shown = await world.request(`${small}/small`, { token: world.adminToken, secure: true })
  expect(JSON.parse(shown.body.toString()).status.used).toEqual({ 'requests.storage': '0' })
  const stream = '/apis/image.openshift.io/v1/namespaces/live/imagestreams/x'
  expect((await world.request(stream, { token: world.adminToken, secure: true })).status).toBe(404)
  const from = { kind: 'ImageStreamTag', namespace: 'demo', name: 'app:v1' }
  const tag = JSON.stringify({ metadata: { name: 'x:1' }, tag: { name: '1', from } })
  const tried = '/apis/image.openshift.io/v1/namespaces/live/imagestreamtags?dryRun=All'
  const answer = await world.request(tried, { ...sent, body: tag })
  expect(JSON.parse(answer.body.toString())).toMatchObject({
    code: 403,
    message: expect.stringContaining('exceeded quota: small'),
  })
})

test('a quota that is made later knows what is there, each blob once in the project, also after deletes and mounts', async () => {
  const world = await startWorld()
  await world.cli('new-project', 'demo')
  const layer = 'layer'.repeat(100)
  for (const bytes of ['{}', layer]) expect((await pushBlob(world, bytes)).status).toBe(201)
  const manifest = manifestOf(layer)
  expect((await put(world, 'v1', manifest)).status).toBe(201)
  const body = JSON.stringify({ metadata: { name: 'q' }, spec: { hard: { 'requests.storage': '2000', [tags]: '5' } } })
  const headers = { 'content-type': 'application/json' }
  await world.request(quotas, { method: 'POST', token: world.adminToken, secure: true, headers, body })
  const bytes = 2 + layer.length + manifest.length
  expect(await used(world)).toEqual({ 'requests.storage': String(bytes), [tags]: '1' })
  const token = await world.pullToken('repository:demo/tool:pull,push,delete', world.adminToken)
  const tool = (method: string, to: string) => world.request(`/v2/demo/tool/${to}`, { method, token })
  expect((await tool('POST', `blobs/uploads/?mount=${digestOf(layer)}`)).status).toBe(201)
  expect(await used(world)).toEqual({ 'requests.storage': String(bytes), [tags]: '1' })
  expect((await ask(world, 'DELETE', `manifests/${digestOf(manifest)}`)).status).toBe(202)
  expect(await used(world)).toEqual({ 'requests.storage': String(bytes - manifest.length), [tags]: '0' })
  expect((await ask(world, 'DELETE', `blobs/${digestOf(layer)}`)).status).toBe(202)
  expect(await used(world)).toEqual({ 'requests.storage': String(bytes - manifest.length), [tags]: '0' })
  expect((await tool('DELETE', `blobs/${digestOf(layer)}`)).status).toBe(202)
  expect(await used(world)).toEqual({ 'requests.storage': '2', [tags]: '0' })
})

test('the audit log tells what a quota refused from what nobody had the right to', async () => {
  const world = await quotaWorld({ [tags]: '1' })
  for (const bytes of ['{}', 'a']) expect((await pushBlob(world, bytes)).status).toBe(201)
  expect((await put(world, 'v1', manifestOf('a'))).status).toBe(201)
  expect((await put(world, 'v2', manifestOf('a'))).status).toBe(403)
  const from = { kind: 'ImageStreamTag', name: 'app:v1' }
  const body = JSON.stringify({ metadata: { name: 'app:v3' }, tag: { name: 'v3', from } })
  const headers = { 'content-type': 'application/json' }
  const sent = { token: world.adminToken, secure: true, headers }
  const to = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamtags'
  expect((await world.request(to, { ...sent, method: 'POST', body })).status).toBe(403)
  const events = '/apis/weir.dev/v1/auditevents?fieldSelector=project%3Ddemo'
  const { items } = JSON.parse((await world.request(events, sent)).body.toString())
  const refused = items.filter((item: object) => /"(?:code|status)":403/.test(JSON.stringify(item)))
  expect(JSON.stringify(refused).match(/"reason":"\w+"/g)).toEqual(Array(2).fill('"reason":"QuotaExceeded"'))
})
