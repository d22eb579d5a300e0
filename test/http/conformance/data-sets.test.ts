/** The suite's data sets, one after the other in one repository: push, list, HEAD, GET, referrers, delete. */
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { type DataSet, dataSets, type Manifest, types } from './content.ts'
import { type Answer, addQuery, type Registry, someBytes, told, useRegistry } from './registry.ts'

const registry = useRegistry()
const repository = 'demo/conformance'
const root = `/v2/${repository}`
const accept = { accept: [types.index, types.image] }

async function pushBlobs(of: Registry, { blobs }: DataSet): Promise<void> {
  for (const { bytes, digest } of blobs) await of.putBlob(repository, bytes, digest)
}

function expectManifest(answer: Answer, { digest, mediaType, bytes }: Manifest): void {
  expect(answer.status, told(answer)).toBe(200)
  expect(answer.headers).toMatchObject({
    'content-type': mediaType,
    'content-length': String(bytes.length),
    'docker-content-digest': digest,
  })
}

function expectPut(answer: Answer, { digest, subject }: Manifest, location: string): void {
  expect(answer.status, told(answer)).toBe(201)
  expect(answer.headers.location).toBe(location)
  expect(answer.headers['docker-content-digest']).toBe(digest)
  expect(answer.headers['oci-subject']).toBe(subject)
}

const tagsOf = ({ tag, tags = [] }: Manifest) => [...tags, ...(tag === undefined ? [] : [tag])]

async function listedTags({ ask }: Registry, query = ''): Promise<string[]> {
  const answer = await ask('GET', `${root}/tags/list${query}`)
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json'])
  return (JSON.parse(answer.body.toString()) as { tags: string[] }).tags
}

describe.each(Object.entries(dataSets))('%s', (_name, set) => {
  const { manifests, blobs } = set
  const allTags = manifests.flatMap(tagsOf)

  test('push: manifests by digest, children first, then by tag; each can be had at once', async () => {
    const of = registry()
    await pushBlobs(of, set)
    for (const manifest of manifests) {
      const { digest, tags = [], bytes } = manifest
      const query = tags.length === 0 ? '' : `?${new URLSearchParams(tags.map((tag) => ['tag', tag]))}`
      const put = await of.putManifest(repository, `${digest}${query}`, manifest)
      expectPut(put, manifest, `${root}/manifests/${digest}`)
      const named = String(put.headers['oci-tag'] ?? '').split(/, */)
      expect(named).toEqual(tags.length === 0 ? [''] : tags)
      const get = await of.ask('GET', String(put.headers.location), { headers: accept })
      expectManifest(get, manifest)
      expect(get.body.equals(bytes)).toBe(true)
    }
    for (const manifest of manifests) {
      if (manifest.tag === undefined) continue
      const put = await of.putManifest(repository, manifest.tag, manifest)
      expectPut(put, { ...manifest, digest: digestOf(manifest.bytes) }, `${root}/manifests/${digestOf(manifest.bytes)}`)
    }
  })

  test('tag list: every tag, and after one of them those behind it in one answer', async () => {
    const of = registry()
    const listed = await listedTags(of)
    expect(listed).toEqual(expect.arrayContaining(allTags))
    expect(listed).toEqual([...listed].sort())
    const last = listed[Math.floor(listed.length / 2)] ?? ''
    if (listed.length > 0) expect(await listedTags(of, `?last=${last}`)).toEqual(listed.filter((tag) => tag > last))
  })

  test('HEAD and GET by tag and digest: the bytes, their type, length and digest', async () => {
    const of = registry()
    for (const manifest of manifests) {
      for (const reference of [manifest.digest, ...tagsOf(manifest)]) {
        const head = await of.ask('HEAD', `${root}/manifests/${reference}`, { headers: accept })
        expectManifest(head, manifest)
        expect(head.body).toHaveLength(0)
        const get = await of.ask('GET', `${root}/manifests/${reference}`, { headers: accept })
        expectManifest(get, manifest)
        expect(get.body.equals(manifest.bytes)).toBe(true)
      }
    }
  })

  test('referrers: each with what it says of itself, filtered and not', async () => {
    const of = registry()
    const subjects = new Set(manifests.flatMap(({ subject }) => subject ?? []))
    for (const subject of subjects) {
      const referrers = manifests.filter((each) => each.subject === subject)
      const entries = referrers.map(({ mediaType, digest, size, listed }) => ({ mediaType, digest, size, ...listed }))
      expect(await referrersOf(of, subject)).toEqual({ entries: byDigest(entries), filters: undefined })
      for (const artifactType of new Set(entries.flatMap((each) => each.artifactType ?? []))) {
        expect(await referrersOf(of, subject, artifactType)).toEqual({
          entries: byDigest(entries.filter((each) => each.artifactType === artifactType)),
          filters: 'artifactType',
        })
      }
      expect(await referrersOf(of, subject, 'application/vnd.nobody')).toEqual({ entries: [], filters: 'artifactType' })
    }
  })

  test('delete: tags, manifests from the top, blobs; each is gone at once', async () => {
    const of = registry()
    const gone = async (path: string, expected = 202) => {
      const deleted = await of.ask('DELETE', path)
      expect(deleted.status, `${path}: ${told(deleted)}`).toBe(expected)
      for (const method of ['HEAD', 'GET']) expect((await of.ask(method, path)).status, path).toBe(404)
    }
    for (const tag of allTags) await gone(`${root}/manifests/${tag}`)
    expect(await listedTags(of)).toEqual([])
    for (const { digest } of [...manifests].reverse()) await gone(`${root}/manifests/${digest}`)
    for (const digest of new Set(blobs.map((blob) => blob.digest))) await gone(`${root}/blobs/${digest}`)
    for (const subject of new Set(manifests.flatMap((each) => each.subject ?? []))) {
      expect((await referrersOf(of, subject)).entries).toEqual([])
    }
  })
})

test('bad digest image: two spaces more than the digest is of are 400', async () => {
  const of = registry()
  const { bytes, digest } = dataSets.image?.manifests[0] ?? { bytes: Buffer.alloc(0), digest: digestOf('') }
  const answer = await of.putManifest(repository, digest, {
    bytes: Buffer.concat([bytes, Buffer.from('  ')]),
    mediaType: types.image,
  })
  expect(answer.status, told(answer)).toBe(400)
  expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code: 'DIGEST_INVALID' }] })
})

describe('sparse', () => {
  const missing = { mediaType: types.image, digest: digestOf('a missing child'), size: 15 }

  test('an index with a child that is missing is taken, and the child is 404', async () => {
    const of = registry()
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: [missing] }))
    expect((await of.putManifest(repository, 'sparse', { bytes, mediaType: types.index })).status).toBe(201)
    expect((await of.ask('GET', `${root}/manifests/sparse`)).body.equals(bytes)).toBe(true)
    expect((await of.ask('GET', `${root}/manifests/${missing.digest}`)).status).toBe(404)
  })

  test('an image whose config and layers are missing is 400, with an error for each', async () => {
    const of = registry()
    const here = await of.putBlob(repository, someBytes('here'))
    const named = (digest: string) => ({ mediaType: types.layer, digest, size: 512 })
    const [config, layer] = [digestOf('missing config'), digestOf('missing layer')]
    const document = {
      schemaVersion: 2,
      mediaType: types.image,
      config: named(config),
      layers: [named(layer), named(here)],
    }
    const bytes = Buffer.from(JSON.stringify(document))
    const answer = await of.putManifest(repository, 'sparse-image', { bytes, mediaType: types.image })
    expect(answer.status).toBe(400)
    const { errors } = JSON.parse(answer.body.toString()) as { errors: { code: string; detail: { digest: string } }[] }
    expect(errors.map(({ code, detail }) => [code, detail.digest])).toEqual([
      ['MANIFEST_BLOB_UNKNOWN', config],
      ['MANIFEST_BLOB_UNKNOWN', layer],
    ])
    expect((await of.ask('HEAD', `${root}/manifests/sparse-image`)).status).toBe(404)
  })
})

interface Listed {
  digest: string
}

const byDigest = <T extends Listed>(entries: T[]) => entries.toSorted((a, b) => (a.digest < b.digest ? -1 : 1))

async function referrersOf({ ask }: Registry, subject: string, artifactType?: string) {
  const path = `${root}/referrers/${subject}`
  const answer = await ask('GET', artifactType === undefined ? path : addQuery(path, { artifactType }))
  expect([answer.status, answer.headers['content-type']]).toEqual([200, types.index])
  const index = JSON.parse(answer.body.toString()) as { schemaVersion: number; mediaType: string; manifests: Listed[] }
  expect([index.schemaVersion, index.mediaType]).toEqual([2, types.index])
  return { entries: byDigest(index.manifests), filters: answer.headers['oci-filters-applied'] }
}
