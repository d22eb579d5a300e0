/** ImageStreamImports of a whole repository, and what else an import is asked beside the image. */

import { describe, expect, test } from 'vitest'
import type { KeepManifest } from '../../../src/importer/children.ts'
import { createImporter } from '../../../src/importer.ts'
import { createAllowList } from '../../../src/upstream/allow-list.ts'
import { makeIndex } from '../../support/images.ts'
import { invalidFields, refusal } from '../world.ts'
import { imagesWorld, imports, streams, tags, v1, v2, wire } from './images.ts'

interface ImageStatus {
  tag: string
  status: { status: string; reason?: string; message?: string; code?: number }
  image?: { metadata: { name: string }; dockerImageManifest?: string }
  manifests?: { metadata: { name: string }; dockerImageReference: string; dockerImageManifest?: string }[]
}

interface RepositoryStatus {
  status: { status: string; reason?: string; message?: string; code?: number }
  images: ImageStatus[]
  additionalTags?: string[]
}

async function repositoryWorld(...listed: string[]) {
  const world = await imagesWorld()
  for (const tag of listed) world.registry.put('lib/many', v1, { tag })
  const from = { kind: 'DockerImage', name: `${world.registry.host}/lib/many` }
  const send = async (repository: object = {}, spec: object = {}, query = '') => {
    const body = { metadata: { name: 'app' }, spec: { import: true, repository: { from, ...repository }, ...spec } }
    const answer = await world.asAdmin('POST', `${imports}${query}`, body)
    const { repository: told, import: stream } = (answer.body.status ?? {}) as {
      repository: RepositoryStatus
      import?: unknown
    }
    return { ...answer, repository: told, stream }
  }
  const specTags = async () => wire(await world.asAdmin('GET', `${streams}/app`)).spec?.tags ?? []
  return { ...world, source: from, send, specTags }
}

describe('an import of a repository', () => {
  test('sets a tag for each, from its own reference, with the policies that were sent', async () => {
    const { send, specTags, source } = await repositoryWorld('latest', '1.0', 'edge')
    const policies = { importPolicy: { scheduled: true, importMode: 'Legacy' }, referencePolicy: { type: 'Source' } }
    const { status, repository, stream } = await send(policies)
    expect(status).toBe(201)
    expect(repository).toMatchObject({
      status: { kind: 'Status', status: 'Success' },
      images: ['latest', '1.0', 'edge'].map((tag) => ({
        tag,
        status: { status: 'Success' },
        image: { metadata: { name: v1.manifest.digest } },
      })),
    })
    expect(repository).not.toHaveProperty('additionalTags')
    expect(await specTags()).toMatchObject(
      ['1.0', 'edge', 'latest'].map((tag) => ({
        name: tag,
        from: { kind: 'DockerImage', name: `${source.name}:${tag}` },
        ...policies,
      })),
    )
    expect(stream).toMatchObject({
      metadata: { name: 'app' },
      status: { tags: [{ tag: '1.0' }, { tag: 'edge' }, { tag: 'latest' }] },
    })
  })

  test('takes no more than its annotation says, and names the others; with 0 it is a list', async () => {
    const { asAdmin, source, registry } = await repositoryWorld('latest', '1.0', 'edge')
    const send = async (written: string, dryRun = false) => {
      const metadata = { name: 'app', annotations: { 'weir.dev/max-tags': written } }
      const spec = { import: !dryRun, repository: { from: source } }
      return asAdmin('POST', imports, { metadata, spec })
    }
    registry.requests.length = 0
    const listed = await send('0', true)
    expect(listed.status).toBe(201)
    expect(listed.headers.get('warning')).toBeNull()
    expect(listed.body.status).toMatchObject({
      repository: { status: { status: 'Success' }, images: [], additionalTags: ['latest', '1.0', 'edge'] },
    })
    expect(registry.matching(/manifests/)).toEqual([])
    expect((await asAdmin('GET', `${streams}/app`)).status).toBe(404)
    expect((await send('2')).body.status).toMatchObject({
      repository: { images: [{ tag: 'latest' }, { tag: '1.0' }], additionalTags: ['edge'] },
    })
    for (const written of ['51', '-1', '1.5', 'all', '', '1000']) {
      expect(await send(written)).toMatchObject(invalidFields('metadata.annotations[weir.dev/max-tags]'))
    }
  })

  test('tells each failure in its place, and in the summary how many there are', async () => {
    const { send, registry, asAdmin } = await repositoryWorld('a', 'b', 'c')
    await send()
    registry.put('lib/many', v2, { tag: 'a' })
    const broken = (names: string[]) =>
      registry.intercept((req, _res, next) =>
        names.some((name) => req.url?.endsWith(`/manifests/${name}`))
          ? Promise.resolve({ status: 403, headers: {}, body: Buffer.from('{}') })
          : next(),
      )
    const mend = broken(['b'])
    const one = await send()
    expect(one.status).toBe(201)
    expect(one.repository.images.map(({ status }) => status.status)).toEqual(['Success', 'Failure', 'Success'])
    expect(one.repository.status).toMatchObject({
      status: 'Failure',
      reason: 'ImportFailed',
      message: 'one of the images from this repository failed to import',
    })
    mend()
    broken(['b', 'c'])
    expect((await send()).repository.status.message).toBe('2 of the images from this repository failed to import')
    for (const [tag, image] of [
      ['a', v2],
      ['b', v1],
      ['c', v1],
    ] as const) {
      expect((await asAdmin('GET', `${tags}/app:${tag}`)).body).toMatchObject({
        image: { metadata: { name: image.manifest.digest } },
      })
    }
    expect((await asAdmin('GET', `${tags}/app:b`)).body).toMatchObject({
      conditions: [{ type: 'ImportSuccess', status: 'False' }],
    })
  })

  test('that can not be listed is a 201 whose status says why, and makes no stream', async () => {
    const { send, asAdmin } = await repositoryWorld()
    const gone = await send()
    expect(gone).toMatchObject({
      status: 201,
      repository: { status: { status: 'Failure', reason: 'NotFound', code: 404 }, images: [] },
    })
    expect(gone.stream).toBeUndefined()
    const evil = await send({ from: { kind: 'DockerImage', name: 'evil.example/lib/app' } })
    expect(evil).toMatchObject({ status: 201, repository: { status: { status: 'Failure', code: 403 } } })
    expect((await asAdmin('GET', `${streams}/app`)).status).toBe(404)
  })

  test.each([
    ['import: false', { import: false }, ''],
    ['dryRun=All', {}, '?dryRun=All'],
  ])('by %s tells everything and writes nothing', async (_, spec, query) => {
    const { send, revision, asAdmin } = await repositoryWorld('latest', '1.0')
    const before = await revision()
    const { repository, stream } = await send({}, spec, query)
    expect(repository.images.map(({ tag, image }) => [tag, image?.metadata.name])).toEqual([
      ['latest', v1.manifest.digest],
      ['1.0', v1.manifest.digest],
    ])
    expect(stream).toBeUndefined()
    expect(await revision()).toBe(before)
    expect((await asAdmin('GET', `${streams}/app`)).status).toBe(404)
  })

  test('beside single images does both, the repository last', async () => {
    const { send, from, registry, specTags, asAdmin } = await repositoryWorld('latest')
    registry.put('lib/app', v2, { tag: 'v1' })
    const images = ['latest', 'mine'].map((name) => ({ from: { kind: 'DockerImage', name: from }, to: { name } }))
    await send({}, { images })
    const { resourceVersion } = wire(await asAdmin('GET', `${streams}/app`)).metadata
    const metadata = { name: 'app', resourceVersion }
    const again = await asAdmin('POST', imports, {
      metadata,
      spec: { import: true, images, repository: { from: { kind: 'DockerImage', name: `${registry.host}/lib/many` } } },
    })
    expect(again).toMatchObject({
      status: 201,
      body: { status: { images: [{ tag: 'latest' }, { tag: 'mine' }], repository: { images: [{ tag: 'latest' }] } } },
    })
    expect((await specTags()).map(({ name }) => name)).toEqual(['latest', 'mine'])
    expect((await asAdmin('GET', `${tags}/app:latest`)).body).toMatchObject({
      image: { metadata: { name: v1.manifest.digest } },
    })
  })

  test('tells the manifests when asked to', async () => {
    const { send } = await repositoryWorld('latest')
    const raw = v1.manifest.bytes.toString()
    expect((await send({ includeManifest: true })).repository.images[0]?.image?.dockerImageManifest).toBe(raw)
    expect((await send()).repository.images[0]?.image).not.toHaveProperty('dockerImageManifest')
  })

  test.each([
    [{ from: { kind: 'DockerImage', name: 'quay.io/a/b:v1' } }, 'spec.repository.from.name'],
    [{ from: { kind: 'DockerImage', name: `quay.io/a/b@${v1.manifest.digest}` } }, 'spec.repository.from.name'],
    [{ from: { kind: 'DockerImage', name: 'A B' } }, 'spec.repository.from.name'],
    [{ from: { kind: 'DockerImage' } }, 'spec.repository.from.name'],
    [{ from: { kind: 'ImageStreamTag', name: 'app' } }, 'spec.repository.from.kind'],
    [{ importPolicy: { importMode: 'X' } }, 'spec.repository.importPolicy.importMode'],
    [{ referencePolicy: { type: 'X' } }, 'spec.repository.referencePolicy.type'],
  ])('is refused for %j, before anybody is asked', async (repository, field) => {
    const { send, registry } = await repositoryWorld('latest')
    expect(await send(repository)).toMatchObject(invalidFields(field))
    expect(registry.requests).toEqual([])
  })

  test('from a version of a stream that is gone is 404', async () => {
    const { asAdmin, source } = await repositoryWorld('latest')
    const spec = { import: true, repository: { from: source } }
    for (const metadata of [
      { name: 'app', resourceVersion: '1' },
      { name: 'app', uid: 'x' },
    ]) {
      expect(await asAdmin('POST', imports, { metadata, spec })).toMatchObject(refusal(404, 'NotFound'))
    }
  })
})

describe('an index that is imported', () => {
  const index = makeIndex('multi')

  async function indexWorld() {
    // As it is wired in earnest: children are obtained with their index.
    const world = await imagesWorld((real) => {
      const allowed = createAllowList({ patterns: [], named: [real.registry.host], own: [] })
      const keepManifest: KeepManifest = (name, digest) => real.pullThrough.manifest(name, digest, { head: false })
      return { importer: createImporter({ ...real, allowed, keepManifest }) }
    })
    world.registry.put('lib/multi', index, { tag: 'v1' })
    const send = async (more: object, query = '') => {
      const image = {
        from: { kind: 'DockerImage', name: `${world.registry.host}/lib/multi:v1` },
        to: { name: 'prod' },
        ...more,
      }
      const { body } = await world.asAdmin('POST', `${imports}${query}`, {
        metadata: { name: 'app' },
        spec: { import: true, images: [image] },
      })
      return (body.status as { images: ImageStatus[] }).images[0]
    }
    return { ...world, send }
  }

  test.each(['', '?dryRun=All'])(
    'by PreserveOriginal tells its children, their manifests when asked to (%s)',
    async (query) => {
      const { send, registry } = await indexWorld()
      const told = await send({ importPolicy: { importMode: 'PreserveOriginal' }, includeManifest: true }, query)
      expect(told?.image?.metadata.name).toBe(index.manifest.digest)
      expect(told?.manifests).toMatchObject(
        index.children.map(({ manifest, config }) => ({
          metadata: { name: manifest.digest },
          dockerImageReference: `${registry.host}/lib/multi@${manifest.digest}`,
          dockerImageMetadata: { Id: config.digest },
          dockerImageManifest: manifest.bytes.toString(),
        })),
      )
      const plain = await send({ importPolicy: { importMode: 'PreserveOriginal' } }, query)
      expect(plain?.manifests).toHaveLength(2)
      expect(JSON.stringify(plain)).not.toContain('dockerImageManifest"')
    },
  )

  test('by Legacy is kept whole too, and tells no children', async () => {
    const { send } = await indexWorld()
    const told = await send({ importPolicy: { importMode: 'Legacy' } })
    expect(told?.image?.metadata.name).toBe(index.manifest.digest)
    expect(told).not.toHaveProperty('manifests')
  })

  test('has children that can be read one by one, and promoted', async () => {
    const { send, asAdmin } = await indexWorld()
    await send({})
    const child = index.children[1]
    if (child === undefined) throw new Error('two children')
    const name = `app@${child.manifest.digest}`
    expect(
      (await asAdmin('GET', `${tags.replace('imagestreamtags', 'imagestreamimages')}/${name}`)).body,
    ).toMatchObject({
      image: { dockerImageMetadata: { Id: child.config.digest, Architecture: 'arm64' } },
    })
    await asAdmin('PUT', `${tags}/arm:prod`, {
      metadata: { name: 'arm:prod' },
      tag: { from: { kind: 'ImageStreamImage', name } },
    })
    expect((await asAdmin('GET', `${tags}/arm:prod`)).body).toMatchObject({
      image: { metadata: { name: child.manifest.digest }, dockerImageLayers: [{ name: child.layers[0]?.digest }] },
    })
  })
})

test('a child that nobody had yet can be promoted, and its tag be read', async () => {
  const { asAdmin, registry } = await imagesWorld()
  const index = makeIndex('multi')
  registry.put('lib/multi', index, { tag: 'v1' })
  const image = { from: { kind: 'DockerImage', name: `${registry.host}/lib/multi:v1` }, to: { name: 'prod' } }
  await asAdmin('POST', imports, { metadata: { name: 'app' }, spec: { import: true, images: [image] } })
  const child = index.children[0]?.manifest.digest ?? ''
  const from = { kind: 'ImageStreamImage', name: `app@${child}` }
  expect((await asAdmin('PUT', `${tags}/arm:prod`, { metadata: { name: 'arm:prod' }, tag: { from } })).status).toBe(201)
  expect(await asAdmin('GET', `${tags}/arm:prod`)).toMatchObject({
    status: 200,
    body: { image: { metadata: { name: child }, dockerImageLayers: [{ name: index.children[0]?.layers[0]?.digest }] } },
  })
})
