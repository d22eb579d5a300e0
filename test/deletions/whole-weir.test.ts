import { expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { type Answered, type RequestToSend, startWorld } from '../support/world.ts'

const type = 'application/vnd.oci.image.manifest.v1+json'
const path = '/v2/demo/app'
const deletions = '/apis/weir.dev/v1/namespaces/demo/imagedeletions'
const config = '{"of":"an image"}'

/** A Weir with a project; asks as the admin. */
async function deletingWorld() {
  const world = await startWorld()
  await world.cli('new-project', 'demo')
  const ask = async (method: string, to: string, sent: RequestToSend = {}): Promise<Answered> => {
    const headers = { 'user-agent': 'crane/0.20', ...sent.headers }
    const token = await world.pullToken('repository:demo/app:pull,push,delete', world.adminToken)
    return world.request(`${path}/${to}`, { method, token, ...sent, headers })
  }
  const put = (reference: string, body: string) =>
    ask('PUT', `manifests/${reference}`, { body, headers: { 'content-type': type } })
  return { ...world, ask, put }
}

function manifestOf(more: object = {}): string {
  const descriptor = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: digestOf(config),
    size: config.length,
  }
  return JSON.stringify({ schemaVersion: 2, mediaType: type, config: descriptor, layers: [], ...more })
}

async function statusesOf(
  ask: (method: string, to: string) => Promise<Answered>,
  ...paths: string[]
): Promise<number[]> {
  return Promise.all(paths.map(async (to) => (await ask('HEAD', to)).status))
}

test('what is deleted by tag, by digest and as a blob is gone at once, and after a restart', async () => {
  const { ask, put, restart, api, cli } = await deletingWorld()
  const blob = `blobs/${digestOf(config)}`
  const upload = await ask('POST', `blobs/uploads/?digest=${digestOf(config)}`, { body: config })
  expect(upload.status).toBe(201)
  const image = manifestOf()
  const digest = digestOf(image)
  const signature = manifestOf({ subject: { mediaType: type, digest, size: image.length } })
  for (const reference of ['v1', 'v2', digest]) expect((await put(reference, image)).status).toBe(201)
  expect((await put(digestOf(signature), signature)).status).toBe(201)
  const manifests = ['v1', 'v2', digest, digestOf(signature)].map((reference) => `manifests/${reference}`)
  expect(await statusesOf(ask, ...manifests)).toEqual([200, 200, 200, 200])

  expect((await ask('DELETE', 'manifests/v1')).status).toBe(202)
  expect(await statusesOf(ask, ...manifests)).toEqual([404, 200, 200, 200])
  const used = await ask('DELETE', blob)
  expect({ status: used.status, says: used.body.toString().includes(digest) }).toEqual({ status: 405, says: true })

  const told = await api('POST', deletions, { spec: { stream: 'app', image: digest, dryRun: true } })
  expect(told.body.status).toMatchObject({ tags: ['v2'], manifests: [digest, digestOf(signature)] })
  expect(await statusesOf(ask, ...manifests)).toEqual([404, 200, 200, 200])
  expect((await ask('DELETE', `manifests/${digest}`)).status).toBe(202)
  expect(await statusesOf(ask, ...manifests)).toEqual([404, 404, 404, 404])
  expect((await ask('DELETE', `manifests/${digest}`)).status).toBe(404)
  expect((await ask('DELETE', blob)).status).toBe(202)
  expect(await statusesOf(ask, blob)).toEqual([404])

  await restart()
  expect(await statusesOf(ask, ...manifests, blob)).toEqual([404, 404, 404, 404, 404])
  const { stdout } = await cli('history', 'demo/app:v2')
  expect(stdout).toMatch(/delete/)
  const history = '/apis/weir.dev/v1/namespaces/demo/tagevents?fieldSelector=stream=app,tag=v1'
  const [newest] = (await api('GET', history)).body.items as { cause: object }[]
  expect(newest?.cause).toMatchObject({ kind: 'delete', client: 'crane/0.20' })
})

test('a project that denies deletions answers 405 to each', async () => {
  const { ask, put, api, cli } = await deletingWorld()
  await ask('POST', `blobs/uploads/?digest=${digestOf(config)}`, { body: config })
  const image = manifestOf()
  await put('v1', image)
  const project = '/api/v1/namespaces/demo'
  const found = (await api('GET', project)).body as { metadata: { annotations?: object } }
  const annotations = { ...found.metadata.annotations, 'weir.dev/deletes': 'denied' }
  const written = await api('PUT', project, { ...found, metadata: { ...found.metadata, annotations } })
  expect(written.status).toBe(200)
  for (const to of ['manifests/v1', `manifests/${digestOf(image)}`, `blobs/${digestOf(config)}`]) {
    const answer = await ask('DELETE', to)
    expect(answer.status).toBe(405)
    expect(JSON.parse(answer.body.toString()).errors[0].code).toBe('UNSUPPORTED')
  }
  const why = 'nothing can be deleted here: project demo has the annotation weir.dev/deletes: denied'
  expect((await cli('delete', 'demo/app:v1')).stderr).toBe(`error: ${why}\n`)
  expect((await cli('tag', '-d', 'demo/app:v1')).stderr).toBe(`error: demo/app:v1 was not deleted: ${why}\n`)
  expect(await statusesOf(ask, 'manifests/v1')).toEqual([200])

  const gone = await api('DELETE', project)
  expect(gone.status).toBe(200)
  await expect.poll(async () => (await api('GET', project)).status).toBe(404)
})

test('what an index names that a tag stands at answers 403 with both, until the tag is gone', async () => {
  const { ask, put } = await deletingWorld()
  await ask('POST', `blobs/uploads/?digest=${digestOf(config)}`, { body: config })
  const image = manifestOf()
  const child = `manifests/${digestOf(image)}`
  await put(digestOf(image), image)
  const indexType = 'application/vnd.oci.image.index.v1+json'
  const manifests = [{ mediaType: type, digest: digestOf(image), size: image.length }]
  const index = JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests })
  const pushed = await ask('PUT', 'manifests/idx', { body: index, headers: { 'content-type': indexType } })
  expect(pushed.status).toBe(201)
  const refused = await ask('DELETE', child)
  const [error] = JSON.parse(refused.body.toString()).errors
  expect({ status: refused.status, code: error.code }).toEqual({ status: 403, code: 'DENIED' })
  for (const word of [digestOf(index), 'tag "idx"']) expect(error.message).toContain(word)
  expect(await statusesOf(ask, 'manifests/idx', child)).toEqual([200, 200])
  expect((await ask('DELETE', 'manifests/idx')).status).toBe(202)
  expect((await ask('DELETE', child)).status).toBe(202)
  expect(await statusesOf(ask, child)).toEqual([404])
})
