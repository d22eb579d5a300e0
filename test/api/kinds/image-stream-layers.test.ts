import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { makeImage, makeIndex } from '../../support/images.ts'
import { refusal } from '../world.ts'
import { imagesWorld, importOf, imports, streams, tags, v1, v2 } from './images.ts'

interface Layers {
  blobs: Record<string, { size: number | null; mediaType: string }>
  images: Record<
    string,
    { layers: string[] | null; config: string | null; manifests?: string[]; imageMissing?: boolean }
  >
}

const path = `${streams}/app/layers`

async function layersWorld() {
  const world = await imagesWorld()
  const read = async () => (await world.asAdmin('GET', path)).body as unknown as Layers
  return { ...world, read }
}

describe('imagestreams/layers', () => {
  test('tells of an image its manifest, config and layers', async () => {
    const { read, importTag, asAdmin } = await layersWorld()
    await importTag('prod')
    const { body } = await asAdmin('GET', path)
    expect(body).toMatchObject({
      kind: 'ImageStreamLayers',
      apiVersion: 'image.openshift.io/v1',
      metadata: { name: 'app', namespace: 'demo', resourceVersion: expect.stringMatching(/^\d+$/) },
    })
    const { blobs, images } = await read()
    const pieces = [v1.manifest, v1.config, ...v1.layers]
    expect(blobs).toEqual(
      Object.fromEntries(pieces.map(({ digest, mediaType, bytes }) => [digest, { size: bytes.length, mediaType }])),
    )
    expect(images).toEqual({
      [v1.manifest.digest]: { layers: v1.layers.map(({ digest }) => digest), config: v1.config.digest },
    })
  })

  test('I5: tells of an index its children, and of a child that it never received that it is missing', async () => {
    const { read, asAdmin, registry, pullThrough } = await layersWorld()
    const index = makeIndex('multi')
    registry.put('lib/multi', index, { tag: 'v1' })
    await asAdmin('POST', imports, importOf(`${registry.host}/lib/multi:v1`, 'prod'))
    const [first, second] = index.children
    if (first === undefined || second === undefined) throw new Error('two children')
    const missing = { layers: null, config: null, imageMissing: true }
    const children = index.children.map(({ manifest }) => manifest.digest)
    const whole = { layers: [], config: null, manifests: children }
    expect((await read()).images).toEqual({
      [index.manifest.digest]: whole,
      [first.manifest.digest]: missing,
      [second.manifest.digest]: missing,
    })
    // What another stream received tells nothing here.
    await asAdmin('POST', imports, importOf(`${registry.host}/lib/multi@${second.manifest.digest}`, 'prod', 'other'))
    await pullThrough.manifest({ project: 'demo', stream: 'app' }, first.manifest.digest, { head: false })
    const { blobs, images } = await read()
    expect(images).toEqual({
      [index.manifest.digest]: whole,
      [first.manifest.digest]: { layers: first.layers.map(({ digest }) => digest), config: first.config.digest },
      [second.manifest.digest]: missing,
    })
    expect(Object.keys(blobs).toSorted()).toEqual(
      [index.manifest, first.manifest, second.manifest, first.config, ...first.layers]
        .map(({ digest }) => digest)
        .toSorted(),
    )
  })

  test('tells all of 1,200 blobs, each once', async () => {
    const { read, links, writer } = await layersWorld()
    const { uid } = await writer.create({ project: 'demo', stream: 'app' })
    const mediaType = 'application/vnd.oci.image.layer.v1.tar'
    const wanted = Array.from({ length: 1_200 }, (_, i) => digestOf(Buffer.from(`blob ${i}`)))
    await links.add(
      { project: 'demo', stream: 'app' },
      uid,
      wanted.map((digest) => ({ digest, mediaType, size: 7, locations: [{ kind: 'here' }] })),
    )
    const { blobs, images } = await read()
    expect(Object.keys(blobs)).toEqual(wanted.toSorted())
    expect(images).toEqual({})
  })

  test('tells nothing of another stream, and nothing that a stream of the name had before', async () => {
    const { read, importTag, asAdmin, registry } = await layersWorld()
    await importTag('prod')
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod', 'other')
    expect(Object.keys((await read()).images)).toEqual([v1.manifest.digest])
    await asAdmin('DELETE', `${streams}/app`)
    expect(await asAdmin('GET', path)).toMatchObject(refusal(404, 'NotFound'))
    await asAdmin('POST', streams, { metadata: { name: 'app' } })
    expect(await read()).toMatchObject({ blobs: {}, images: {} })
  })

  test('keeps what history alone names', async () => {
    const { read, importTag, asAdmin, registry } = await layersWorld()
    await importTag('prod')
    registry.put('lib/app', makeImage('next'), { tag: 'v1' })
    await importTag('prod')
    await asAdmin('DELETE', `${tags}/app:prod`)
    expect(Object.keys((await read()).images)).toContain(v1.manifest.digest)
  })

  test('is refused where it would be more than one answer holds', async () => {
    const { asAdmin, writer, links } = await layersWorld()
    const { uid, ...app } = await writer.create({ project: 'demo', stream: 'app' })
    const mediaType = v1.manifest.mediaType
    const layer = { digest: digestOf(Buffer.from('layer')), mediaType, size: 1 }
    const image = { mediaType, size: 1, layers: Array.from({ length: 4_500 }, () => layer), manifests: [] }
    const digests = Array.from({ length: 100 }, (_, i) => digestOf(Buffer.from(`image ${i}`)))
    await links.add(
      app,
      uid,
      digests.map((digest) => ({ digest, mediaType, size: 1, locations: [{ kind: 'here' }], received: true })),
    )
    for (const digest of digests.slice(0, 90)) await links.putImage(digest, image)
    expect((await asAdmin('GET', path)).status).toBe(200)
    for (const digest of digests.slice(90)) await links.putImage(digest, image)
    expect(await asAdmin('GET', path)).toMatchObject(
      refusal(413, 'RequestEntityTooLarge', expect.stringContaining('demo/app has more layers than one answer tells')),
    )
  })

  test('is read alone, by who may pull', async () => {
    const { importTag, asAdmin, send, robot } = await layersWorld()
    await importTag('prod')
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expect((await asAdmin(method, path, {})).status).toBe(405)
    }
    expect((await send('GET', path, { token: await robot('puller', 'system:image-puller') })).status).toBe(200)
    expect(await send('GET', path, { token: await robot('nobody') })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot get resource "imagestreams/layers"')),
    )
    expect((await send('GET', path)).status).toBe(403)
  })
})
