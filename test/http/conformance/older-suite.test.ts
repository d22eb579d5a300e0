/** What the suite of version 1.1.1 asserts besides. */
import { beforeAll, describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { types } from './content.ts'
import { type Answer, addQuery, someBytes, told, useRegistry } from './registry.ts'

const registry = useRegistry()
const root = '/v2/demo/older'
const uploads = `${root}/blobs/uploads/`

/** Every code that the specification has. */
const codes = new Set(
  `BLOB_UNKNOWN BLOB_UPLOAD_INVALID BLOB_UPLOAD_UNKNOWN DIGEST_INVALID MANIFEST_BLOB_UNKNOWN MANIFEST_INVALID MANIFEST_UNKNOWN
  NAME_INVALID NAME_UNKNOWN SIZE_INVALID UNAUTHORIZED DENIED UNSUPPORTED TOOMANYREQUESTS`.split(/\s+/),
)

function expectKnownCodes({ body }: Answer): void {
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string }[] }
  expect(errors.length).toBeGreaterThan(0)
  for (const { code } of errors) expect(codes).toContain(code)
}

async function begin(): Promise<string> {
  const answer = await registry().ask('POST', uploads, { headers: { 'content-length': '0' } })
  expect(answer.status).toBe(202)
  return String(answer.headers.location)
}

describe('pull', () => {
  test.each(['GET', 'HEAD'])(
    '%s of what is not there is 404, and its codes are of the specification',
    async (method) => {
      for (const path of [`${root}/blobs/${digestOf('dummy')}`, `${root}/manifests/.INVALID_MANIFEST_NAME`]) {
        const answer = await registry().ask(method, path)
        expect(answer.status).toBe(404)
        if (method === 'GET') expectKnownCodes(answer)
      }
    },
  )

  test('GET of a manifest by no digest is 400 or 404, with codes of the specification', async () => {
    const answer = await registry().ask('GET', `${root}/manifests/sha256:totallywrong`)
    expect([400, 404]).toContain(answer.status)
    expectKnownCodes(answer)
  })
})

describe('push', () => {
  test('POST with digest and body: 201, and GET is 200 at once', async () => {
    const bytes = someBytes('in one request')
    const digest = digestOf(bytes)
    const headers = { 'content-type': 'application/octet-stream' }
    const answer = await registry().ask('POST', addQuery(uploads, { digest }), { headers, body: bytes })
    expect(answer.status, told(answer)).toBe(201)
    expect((await registry().ask('GET', String(answer.headers.location))).body.equals(bytes)).toBe(true)
  })

  test('chunks out of order, and again at the address of the POST, are 416; that tells where it is', async () => {
    const { ask } = registry()
    const bytes = someBytes('chunks', 2048)
    const posted = await begin()
    const send = (location: string, from: number, to: number) =>
      ask('PATCH', location, {
        headers: { 'content-type': 'application/octet-stream', 'content-range': `${from}-${to - 1}` },
        body: bytes.subarray(from, to),
      })
    expect((await send(posted, 1024, 2048)).status).toBe(416)
    const first = await send(posted, 0, 1024)
    expect([first.status, first.headers.range]).toEqual([202, '0-1023'])
    expect((await send(posted, 0, 1024)).status).toBe(416)
    const status = await ask('GET', posted)
    expect([status.status, status.headers.range]).toEqual([204, '0-1023'])
    const second = await send(String(status.headers.location), 1024, 2048)
    expect([second.status, second.headers.range]).toEqual([202, '0-2047'])
    const done = await ask('PUT', addQuery(String(second.headers.location), { digest: digestOf(bytes) }))
    expect(done.status, told(done)).toBe(201)
    expect((await ask('GET', String(done.headers.location))).body.equals(bytes)).toBe(true)
  })

  test('a mount without from of an unknown digest is 202; of one that the project has 201, where it says', async () => {
    const { ask, putBlob } = registry()
    const unknown = await ask('POST', addQuery(uploads, { mount: digestOf('unknown') }))
    expect(unknown.status).toBe(202)
    const digest = await putBlob('demo/crossmount', someBytes('to be mounted'))
    const answer = await ask('POST', addQuery(uploads, { mount: digest }))
    expect([answer.status, answer.headers.location]).toEqual([201, `${root}/blobs/${digest}`])
    expect((await ask('GET', `${root}/blobs/${digest}`)).status).toBe(200)
  })

  test('a manifest under four tags, and one without layers', async () => {
    const { ask, putBlob, putManifest } = registry()
    const config = { mediaType: types.config, digest: await putBlob('demo/older', Buffer.from('{}')), size: 2 }
    const layerBytes = someBytes('layer')
    const layer = { mediaType: types.layer, digest: await putBlob('demo/older', layerBytes), size: layerBytes.length }
    for (const layers of [[layer], []]) {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.image, config, layers }))
      for (const tag of ['test0', 'test1', 'test2', 'test3']) {
        const answer = await putManifest('demo/older', tag, { bytes, mediaType: types.image })
        expect(answer.status, told(answer)).toBe(201)
      }
      expect((await ask('GET', `${root}/manifests/${digestOf(bytes)}`)).status).toBe(200)
      expect((await ask('GET', `${root}/manifests/test3`)).headers['docker-content-digest']).toBe(digestOf(bytes))
    }
  })
})

describe('content discovery', () => {
  const repository = 'demo/discovered'
  const discovered = `/v2/${repository}`
  let subject: Digest
  const missing = digestOf('never pushed')

  beforeAll(async () => {
    const { putBlob, putManifest } = registry()
    const config = { mediaType: types.config, digest: await putBlob(repository, Buffer.from('{}')), size: 2 }
    const empty = { mediaType: types.empty, digest: config.digest, size: 2 }
    const put = async (document: object, mediaType: string = types.image, tag?: string) => {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }))
      const answer = await putManifest(repository, tag ?? digestOf(bytes), { bytes, mediaType })
      expect(answer.status, told(answer)).toBe(201)
      return { answer, described: { mediaType, digest: digestOf(bytes), size: bytes.length } }
    }
    for (const tag of ['test0', 'test1', 'test2', 'test3']) await put({ config, layers: [] }, types.image, tag)
    const { described } = await put({ config, layers: [] })
    subject = described.digest
    const annotated = (at: object, seed: string) => ({ subject: at, annotations: { seed } })
    const [a, b] = ['application/vnd.nhl.peanut.butter.bagel', 'application/vnd.food.stand']
    const layers = [empty]
    const referrers = [
      [{ config: { ...empty, mediaType: a }, layers, ...annotated(described, '1') }, types.image],
      [{ artifactType: b, config: empty, layers, ...annotated(described, '2') }, types.image],
      [{ config: { ...empty, mediaType: b }, layers: [], ...annotated(described, '3') }, types.image],
      [{ artifactType: a, config: empty, layers, ...annotated(described, '4') }, types.image],
      [{ artifactType: 'application/vnd.index', manifests: [], ...annotated(described, '5') }, types.index],
    ] as const
    for (const [document, mediaType] of referrers) {
      const { answer } = await put(document, mediaType)
      expect(answer.headers['oci-subject']).toBe(described.digest)
    }
    const orphan = { mediaType: types.image, digest: missing, size: 7 }
    const { answer } = await put({ artifactType: a, config: empty, layers, ...annotated(orphan, '6') })
    expect(answer.headers['oci-subject']).toBe(missing)
  })

  const listed = async (query: string) => {
    const answer = await registry().ask('GET', `${discovered}/tags/list${query}`)
    expect(answer.status).toBe(200)
    return (JSON.parse(answer.body.toString()) as { tags: string[] }).tags
  }

  test('tags/list: n gives exactly n, last none up to it', async () => {
    const all = await listed('')
    expect(all).toEqual(['test0', 'test1', 'test2', 'test3'])
    expect(await listed('?n=2')).toEqual(all.slice(0, 2))
    expect(await listed(`?n=2&last=${all[0]}`)).toEqual(all.slice(1, 3))
    expect(await listed(`?last=${all[1]}`)).toEqual(all.slice(2))
  })

  test('referrers: five with an annotation each, two of a type, one of a subject that is not there, none of nothing', async () => {
    const of = async (digest: string, query = '') => {
      const { status, headers, body } = await registry().ask('GET', `${discovered}/referrers/${digest}${query}`)
      expect([status, headers['content-type']]).toEqual([200, types.index])
      const { manifests } = JSON.parse(body.toString()) as { manifests: { annotations: object }[] }
      return { manifests, filters: headers['oci-filters-applied'] }
    }
    const all = await of(subject)
    expect(all.manifests).toHaveLength(5)
    for (const { annotations } of all.manifests) expect(Object.keys(annotations)).toEqual(['seed'])
    const filtered = await of(subject, '?artifactType=application/vnd.nhl.peanut.butter.bagel')
    expect([filtered.manifests.length, filtered.filters]).toEqual([2, 'artifactType'])
    expect((await of(missing)).manifests).toHaveLength(1)
    expect((await of(digestOf('nothing'))).manifests).toEqual([])
  })

  test('content management: DELETE of a tag leaves one less, of the digest none that stands there', async () => {
    const { ask } = registry()
    expect((await ask('DELETE', `${discovered}/manifests/test0`)).status).toBe(202)
    expect(await listed('')).toEqual(['test1', 'test2', 'test3'])
    expect((await ask('GET', `${discovered}/manifests/${subject}`)).status).toBe(200)
    expect((await ask('DELETE', `${discovered}/manifests/${subject}`)).status).toBe(202)
    expect(await listed('')).toEqual([])
    for (const reference of ['test1', subject]) {
      expect((await ask('GET', `${discovered}/manifests/${reference}`)).status).toBe(404)
    }
    const again = await ask('DELETE', `${discovered}/manifests/${subject}`)
    expect(again.status).toBe(404)
  })
})
