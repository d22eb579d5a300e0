import { describe, expect, test } from 'vitest'
import { makeIndex } from '../../support/images.ts'
import { imageApi, invalidFields, refusal, registryHost } from '../world.ts'
import { imagesWorld, importOf, imports, streams, tags, v1, v2 } from './images.ts'

const digest = v1.manifest.digest

describe('an import', () => {
  test('answers 201 with the stream and the image in OKD’s shape', async () => {
    const { importTag, from, registry } = await imagesWorld()
    const { status, body } = await importTag('prod')
    expect(status).toBe(201)
    const reference = `${registry.host}/lib/app@${digest}`
    expect(body).toEqual({
      kind: 'ImageStreamImport',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name: 'app', namespace: 'demo', creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: importOf(from, 'prod').spec,
      status: {
        import: {
          metadata: {
            name: 'app',
            namespace: 'demo',
            uid: expect.any(String),
            resourceVersion: expect.stringMatching(/^\d+$/),
            generation: 2,
            creationTimestamp: '2026-01-01T00:00:00Z',
          },
          spec: {
            lookupPolicy: { local: false },
            tags: [
              {
                name: 'prod',
                annotations: null,
                from: { kind: 'DockerImage', name: from },
                generation: 2,
                importPolicy: {},
                referencePolicy: { type: 'Local' },
              },
            ],
          },
          status: {
            dockerImageRepository: `${registryHost}/demo/app`,
            publicDockerImageRepository: `${registryHost}/demo/app`,
            tags: [
              {
                tag: 'prod',
                items: [
                  { created: '2026-01-01T00:00:00Z', dockerImageReference: reference, image: digest, generation: 2 },
                ],
              },
            ],
          },
        },
        images: [
          {
            status: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' },
            tag: 'prod',
            image: {
              metadata: {
                name: digest,
                creationTimestamp: '2026-01-01T00:00:00Z',
                annotations: { 'image.openshift.io/dockerLayersOrder': 'ascending' },
              },
              dockerImageReference: reference,
              dockerImageMetadata: expect.objectContaining({
                kind: 'DockerImage',
                apiVersion: 'image.openshift.io/1.0',
                Id: v1.config.digest,
                Size: v1.config.bytes.length + (v1.layers[0]?.bytes.length ?? 0),
              }),
              dockerImageMetadataVersion: '1.0',
              dockerImageManifestMediaType: v1.manifest.mediaType,
              dockerImageLayers: v1.layers.map((layer) => ({
                name: layer.digest,
                size: layer.bytes.length,
                mediaType: layer.mediaType,
              })),
            },
          },
        ],
      },
    })
  })

  test('of an index tells its manifests', async () => {
    const { asAdmin, registry } = await imagesWorld()
    const index = makeIndex('multi')
    registry.put('lib/multi', index, { tag: 'v1' })
    const { body } = await asAdmin('POST', imports, importOf(`${registry.host}/lib/multi:v1`, 'prod'))
    expect(body).toMatchObject({
      status: {
        images: [
          {
            image: {
              metadata: { name: index.manifest.digest },
              dockerImageLayers: [],
              dockerImageManifests: index.children.map(({ manifest }, i) => ({
                digest: manifest.digest,
                mediaType: manifest.mediaType,
                manifestSize: manifest.bytes.length,
                architecture: ['amd64', 'arm64'][i],
                os: 'linux',
              })),
            },
          },
        ],
      },
    })
  })

  test('without a target takes the tag that it comes from', async () => {
    const { asAdmin, from } = await imagesWorld()
    const { body } = await asAdmin('POST', imports, importOf(from, undefined))
    expect(body).toMatchObject({ status: { images: [{ tag: 'v1' }] } })
  })

  test('writes who, why and from where into the ledger', async () => {
    const { asAdmin, from, reader } = await imagesWorld()
    const metadata = { name: 'app', annotations: { 'kubernetes.io/change-cause': 'release 5' } }
    await asAdmin('POST', imports, importOf(from, 'prod', 'app', { metadata }))
    expect(await reader.ledger({ project: 'demo', stream: 'app' }, 'prod')).toMatchObject([
      { cause: { kind: 'import', by: 'weir:admin', reason: 'release 5', from: { kind: 'DockerImage', name: from } } },
    ])
  })

  test('keeps the policies that it is sent', async () => {
    const { asAdmin, from } = await imagesWorld()
    const image = {
      from: { kind: 'DockerImage', name: from },
      to: { name: 'prod' },
      importPolicy: { scheduled: true, importMode: 'Legacy' },
      referencePolicy: { type: 'Source' },
    }
    const { body } = await asAdmin('POST', imports, {
      metadata: { name: 'app' },
      spec: { import: true, images: [image] },
    })
    expect(body).toMatchObject({
      status: {
        import: {
          spec: {
            tags: [{ importPolicy: { scheduled: true, importMode: 'Legacy' }, referencePolicy: { type: 'Source' } }],
          },
        },
      },
    })
  })

  test('of a tag that waits for its content fails with the reason that its condition has', async () => {
    const { asAdmin, from, registry } = await imagesWorld()
    await asAdmin('POST', streams, { metadata: { name: 'app', annotations: { 'weir.dev/move': 'when-held' } } })
    for (const { digest } of v1.layers) registry.remove(digest)
    const { status, body } = await asAdmin('POST', imports, importOf(from, 'prod'))
    expect(status).toBe(201)
    expect(body).toMatchObject({
      status: {
        import: { status: { tags: [{ conditions: [{ reason: 'ContentIncomplete', status: 'False' }, {}] }] } },
        images: [{ tag: 'prod', status: { status: 'Failure', reason: 'ContentIncomplete', code: 503 } }],
      },
    })
  })

  test('tells the manifest when asked to', async () => {
    const { asAdmin, from } = await imagesWorld()
    const image = { from: { kind: 'DockerImage', name: from }, to: { name: 'prod' }, includeManifest: true }
    const { body } = await asAdmin('POST', imports, {
      metadata: { name: 'app' },
      spec: { import: true, images: [image] },
    })
    expect(body).toMatchObject({
      status: { images: [{ image: { dockerImageManifest: v1.manifest.bytes.toString() } }] },
    })
  })

  test('is known to pulls before it is answered', async () => {
    const { importTag, pins } = await imagesWorld()
    await importTag('prod')
    expect((await pins.pin({ project: 'demo', stream: 'app' }, 'prod'))?.digest).toBe(digest)
  })
})

describe('an import that fails', () => {
  test('answers 201, each failure in its place, with a condition and the pin untouched (I7)', async () => {
    const { asAdmin, importTag, from, registry } = await imagesWorld()
    await importTag('prod')
    const images = [
      { from: { kind: 'DockerImage', name: `${registry.host}/lib/app:gone` }, to: { name: 'prod' } },
      { from: { kind: 'DockerImage', name: from }, to: { name: 'next' } },
    ]
    const { status, body } = await asAdmin('POST', imports, {
      metadata: { name: 'app' },
      spec: { import: true, images },
    })
    expect(status).toBe(201)
    expect(body).toMatchObject({
      status: {
        images: [
          { tag: 'prod', status: { kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 } },
          { tag: 'next', status: { status: 'Success' }, image: { metadata: { name: digest } } },
        ],
      },
    })
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toMatchObject({
      image: { metadata: { name: digest } },
      conditions: [{ type: 'ImportSuccess', status: 'False', reason: 'NotFound' }],
    })
  })

  test('of a tag that never stood anywhere shows its condition with items null', async () => {
    const { asAdmin, registry } = await imagesWorld()
    const { body } = await asAdmin('POST', imports, importOf(`${registry.host}/lib/none:v1`, 'prod'))
    expect(body).toMatchObject({
      status: { import: { status: { tags: [{ tag: 'prod', items: null, conditions: [{ type: 'ImportSuccess' }] }] } } },
    })
    expect((await asAdmin('GET', `${tags}/app:prod`)).status).toBe(404)
  })

  test('of a registry that is not allowed names those that are', async () => {
    const { asAdmin, registry } = await imagesWorld()
    const { status, body } = await asAdmin('POST', imports, importOf('evil.example/lib/app:v1', 'prod'))
    expect(status).toBe(201)
    expect(body).toMatchObject({
      status: {
        images: [
          {
            status: {
              status: 'Failure',
              reason: 'NotAllowed',
              code: 403,
              message: expect.stringContaining(registry.host),
            },
          },
        ],
      },
    })
  })

  test('of a held tag tells how to let it move', async () => {
    const { importTag, registry, asAdmin } = await imagesWorld()
    await importTag('prod')
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod')
    await asAdmin('POST', '/apis/weir.dev/v1/namespaces/demo/tagevents', {
      kind: 'Rollback',
      stream: 'app',
      tag: 'prod',
    })
    const { status, body } = await importTag('prod')
    expect(status).toBe(201)
    expect(body).toMatchObject({
      status: {
        images: [
          {
            status: {
              reason: 'Invalid',
              code: 422,
              message: expect.stringContaining('weir resume'),
              details: { causes: [{ field: 'tag', reason: 'FieldValueForbidden' }] },
            },
          },
        ],
      },
    })
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toMatchObject({ image: { metadata: { name: digest } } })
  })
})

describe('an import that only looks', () => {
  test.each([
    ['import: false', '', { import: false }],
    ['dryRun=All', '?dryRun=All', { import: true }],
  ])('by %s answers the image and writes nothing', async (_, query, more) => {
    const { asAdmin, from, store } = await imagesWorld()
    const revision = async () => (await store.range({ prefix: '' })).revision
    const before = await revision()
    const body = importOf(from, 'prod')
    const answer = await asAdmin('POST', `${imports}${query}`, { ...body, spec: { ...(body.spec as object), ...more } })
    expect(answer).toMatchObject({
      status: 201,
      body: { status: { images: [{ image: { metadata: { name: digest } } }] } },
    })
    expect(answer.body.status).not.toHaveProperty('import')
    expect(await revision()).toBe(before)
  })
})

describe('an import with preconditions', () => {
  test('conflicts when the tag changed after the version seen, and not when another did', async () => {
    const { asAdmin, importTag, from, registry } = await imagesWorld()
    const first = await importTag('prod')
    const seen = (first.body.status as { import: { metadata: { resourceVersion: string } } }).import.metadata
    await importTag('other')
    registry.put('lib/app', v2, { tag: 'v1' })
    const metadata = { name: 'app', resourceVersion: seen.resourceVersion }
    expect((await asAdmin('POST', imports, importOf(from, 'prod', 'app', { metadata }))).status).toBe(201)
    registry.put('lib/app', v1, { tag: 'v1' })
    expect(await asAdmin('POST', imports, importOf(from, 'prod', 'app', { metadata }))).toMatchObject(
      refusal(409, 'Conflict'),
    )
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toMatchObject({
      image: { metadata: { name: v2.manifest.digest } },
    })
  })

  test.each([
    ['a version of a stream that is not there', { resourceVersion: '1' }],
    ['a uid of a stream that is not there', { uid: 'x' }],
  ])('is 404 for %s', async (_, preconditions) => {
    const { asAdmin, from } = await imagesWorld()
    const metadata = { name: 'app', ...preconditions }
    expect(await asAdmin('POST', imports, importOf(from, 'prod', 'app', { metadata }))).toMatchObject(
      refusal(404, 'NotFound'),
    )
    expect((await asAdmin('GET', `${streams}/app`)).status).toBe(404)
  })

  test('is 404 for another uid of a stream that is there', async () => {
    const { asAdmin, from, importTag } = await imagesWorld()
    await importTag('prod')
    const metadata = { name: 'app', uid: 'another' }
    expect(await asAdmin('POST', imports, importOf(from, 'prod', 'app', { metadata }))).toMatchObject(
      refusal(404, 'NotFound'),
    )
  })
})

describe('an import is refused', () => {
  const image = (more: object) => ({ from: { kind: 'DockerImage', name: 'quay.io/a/b:c' }, to: { name: 't' }, ...more })

  test.each([
    ['no images', { images: [] }, 'spec.images'],
    ['nothing at all', {}, 'spec.images'],
    [
      'a repository with a tag',
      { repository: { from: { kind: 'DockerImage', name: 'quay.io/a/b:v1' } } },
      'spec.repository.from.name',
    ],
    ['no source', { images: [image({ from: undefined })] }, 'spec.images[0].from.kind'],
    [
      'another kind of source',
      { images: [image({ from: { kind: 'ImageStreamTag', name: 'a:b' } })] },
      'spec.images[0].from.kind',
    ],
    [
      'a source that is no reference',
      { images: [image({ from: { kind: 'DockerImage', name: 'A B' } })] },
      'spec.images[0].from.name',
    ],
    ['a bad tag', { images: [image({ to: { name: 'a!b' } })] }, 'spec.images[0].to.name'],
    ['a tag with a slash', { images: [image({ to: { name: '../x' } })] }, 'spec.images[0].to.name'],
    [
      'a digest without a target',
      { images: [image({ from: { kind: 'DockerImage', name: `quay.io/a/b@${digest}` }, to: undefined })] },
      'spec.images[0].to.name',
    ],
    ['a tag twice', { images: [image({}), image({})] }, 'spec.images[1].to.name'],
    [
      'an unknown import mode',
      { images: [image({ importPolicy: { importMode: 'X' } })] },
      'spec.images[0].importPolicy.importMode',
    ],
    [
      'an unknown reference policy',
      { images: [image({ referencePolicy: { type: 'X' } })] },
      'spec.images[0].referencePolicy.type',
    ],
    [
      'too many images',
      { images: Array.from({ length: 101 }, (_, i) => image({ to: { name: `t${i}` } })) },
      'spec.images',
    ],
  ])('for %s', async (_, spec, field) => {
    const { asAdmin, registry } = await imagesWorld()
    const answer = await asAdmin('POST', imports, { metadata: { name: 'app' }, spec: { import: true, ...spec } })
    expect(answer).toMatchObject({ status: 422, body: { reason: 'Invalid' } })
    const { causes } = answer.body.details as { causes: { field: string }[] }
    expect(causes.map((cause) => cause.field)).toContain(field)
    expect(registry.requests).toEqual([])
  })

  test.each(['App', 'a/b', '..', 'a__b_', '', 'x'.repeat(256)])('for the stream name %j', async (name) => {
    const { asAdmin, from } = await imagesWorld()
    expect(await asAdmin('POST', imports, importOf(from, 'prod', name))).toMatchObject(invalidFields('metadata.name'))
  })

  test('without the right, before the upstream is asked', async () => {
    const { send, robot, from, registry } = await imagesWorld()
    const token = await robot('viewer', 'view')
    expect(await send('POST', imports, { token, body: importOf(from, 'prod') })).toMatchObject(
      refusal(403, 'Forbidden'),
    )
    expect(registry.requests).toEqual([])
  })

  test('into a project that is not there, saying how to create it', async () => {
    const { asAdmin, from, registry } = await imagesWorld()
    const body = importOf(from, 'prod', 'app', { metadata: { name: 'app' } })
    expect(await asAdmin('POST', `${imageApi}/namespaces/none/imagestreamimports`, body)).toMatchObject(
      refusal(404, 'NotFound', expect.stringContaining('weir new-project none')),
    )
    expect(registry.requests).toEqual([])
  })
})
