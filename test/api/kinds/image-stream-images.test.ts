import { describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { mediaTypes } from '../../../src/oci/media-types.ts'
import { makeIndex } from '../../support/images.ts'
import { imageApi, inDemo, refusal, registryHost } from '../world.ts'
import { imagesWorld, importOf, imports, isimages, streams, v1, v2 } from './images.ts'

const digest = v1.manifest.digest
const hex = digest.slice('sha256:'.length)

/** Links the stream has, of digests that begin as told. */
function digests(...starts: string[]): Digest[] {
  return starts.map((start) => `sha256:${start.padEnd(64, '0')}` as unknown as Digest)
}

describe('an image of a stream', () => {
  test('is read by its whole digest, as it is in that stream', async () => {
    const { asAdmin, importTag, clock } = await imagesWorld()
    await asAdmin('POST', streams, { metadata: { name: 'app', annotations: { note: 'n' } } })
    clock.advance(60_000)
    await importTag('prod')
    const { body } = await asAdmin('GET', `${isimages}/app@${digest}`)
    expect(body).toEqual({
      kind: 'ImageStreamImage',
      apiVersion: 'image.openshift.io/v1',
      metadata: {
        name: `app@${digest}`,
        namespace: 'demo',
        uid: expect.any(String),
        resourceVersion: expect.stringMatching(/^\d+$/),
        creationTimestamp: '2026-01-01T00:01:00Z',
        annotations: { note: 'n' },
      },
      image: {
        metadata: {
          name: digest,
          creationTimestamp: '2026-01-01T00:01:00Z',
          annotations: { 'image.openshift.io/dockerLayersOrder': 'ascending' },
        },
        dockerImageReference: `${registryHost}/demo/app@${digest}`,
        dockerImageMetadata: expect.objectContaining({ Id: v1.config.digest, Architecture: 'amd64' }),
        dockerImageMetadataVersion: '1.0',
        dockerImageManifestMediaType: v1.manifest.mediaType,
        dockerImageLayers: [expect.objectContaining({ name: v1.layers[0]?.digest })],
      },
    })
  })

  test.each([hex, hex.slice(0, 1), hex.slice(0, 12), `sha256:${hex.slice(0, 7)}`])(
    'is read by the beginning %s, which its name tells again',
    async (id) => {
      const { asAdmin, importTag } = await imagesWorld()
      await importTag('prod')
      expect(await asAdmin('GET', `${isimages}/app@${id}`)).toMatchObject({
        status: 200,
        body: { metadata: { name: `app@${id}` }, image: { metadata: { name: digest } } },
      })
    },
  )

  test('of history is found as long as the stream has it', async () => {
    const { asAdmin, importTag, registry } = await imagesWorld()
    await importTag('prod')
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod')
    expect((await asAdmin('GET', `${isimages}/app@${digest}`)).status).toBe(200)
  })

  test('is not found where it is another stream’s, a blob’s, or nobody’s', async () => {
    const { asAdmin, importTag, registry } = await imagesWorld()
    await importTag('prod')
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod', 'other')
    for (const id of [
      v2.manifest.digest,
      v2.manifest.digest.slice(7, 19),
      v1.config.digest,
      v1.config.digest.slice(7, 19),
      v1.layers[0]?.digest,
      digestOf(Buffer.from('nothing')),
      `sha512:${'0'.repeat(128)}`,
      `${hex}0`,
      'xyz',
      hex.toUpperCase(),
      'sha256:',
      '..',
      '__proto__',
    ]) {
      expect(await asAdmin('GET', `${isimages}/app@${id}`)).toMatchObject(refusal(404, 'NotFound'))
    }
    expect((await asAdmin('GET', `${isimages}/gone@${digest}`)).status).toBe(404)
    expect((await asAdmin('GET', `${imageApi}/namespaces/other/imagestreamimages/app@${digest}`)).status).toBe(404)
  })

  test('is a 409 by a beginning of several, which are told, however many blobs begin so too', async () => {
    const { asAdmin, writer, links } = await imagesWorld()
    const { uid } = await writer.create({ project: 'demo', stream: 'app' })
    const app = { project: 'demo', stream: 'app' }
    const mediaType = mediaTypes.ociManifest
    const locations = [{ kind: 'here' as const }]
    const blobs = Array.from({ length: 1_100 }, (_, i) => `abc${String(i).padStart(4, '0')}`)
    await links.add(app, uid, [
      ...digests(...blobs).map((each) => ({
        digest: each,
        mediaType: 'application/vnd.oci.image.layer.v1.tar',
        size: 1,
        locations,
      })),
      ...digests('abcd1', 'abcd2', 'abce').map((each) => ({ digest: each, mediaType, size: 1, locations })),
    ])
    const answer = await asAdmin('GET', `${isimages}/app@abc`)
    expect(answer).toMatchObject(refusal(409, 'Conflict', expect.stringContaining('sha256:abcd1')))
    expect((await asAdmin('GET', `${isimages}/app@abcd`)).status).toBe(409)
    expect(await asAdmin('GET', `${isimages}/app@abce`)).toMatchObject({
      status: 200,
      body: { image: { metadata: { name: digests('abce')[0] } } },
    })
    expect((await asAdmin('GET', `${isimages}/app@abc0`)).status).toBe(404)
  })

  test('I5: that an index names is found, in short until this stream received it', async () => {
    const { asAdmin, registry, pullThrough } = await imagesWorld()
    const index = makeIndex('multi')
    registry.put('lib/multi', index, { tag: 'v1' })
    await asAdmin('POST', imports, importOf(`${registry.host}/lib/multi:v1`, 'prod'))
    expect((await asAdmin('GET', `${isimages}/app@${index.manifest.digest}`)).body).toMatchObject({
      image: { dockerImageManifests: [{ architecture: 'amd64' }, { architecture: 'arm64' }] },
    })
    const child = index.children[1]?.manifest.digest ?? ''
    const read = async () => (await asAdmin('GET', `${isimages}/app@${child}`)).body
    expect(await read()).toMatchObject({ image: { metadata: { name: child }, dockerImageMetadata: null } })
    await asAdmin('POST', imports, importOf(`${registry.host}/lib/multi@${child}`, 'prod', 'other'))
    expect(await read()).toMatchObject({ image: { metadata: { name: child }, dockerImageMetadata: null } })
    await pullThrough.manifest({ project: 'demo', stream: 'app' }, child, { head: false })
    expect(await read()).toMatchObject({ image: { dockerImageMetadata: { kind: 'DockerImage' } } })
  })

  test.each(['app', 'app@', '@abc', 'app@a@b', 'app:prod'])('is not read by the name %s', async (name) => {
    const { asAdmin } = await imagesWorld()
    expect(await asAdmin('GET', `${isimages}/${name}`)).toMatchObject(
      refusal(400, 'BadRequest', 'ImageStreamImages must be retrieved with <name>@<id>'),
    )
  })

  test('is only read, one by one', async () => {
    const { asAdmin, importTag } = await imagesWorld()
    await importTag('prod')
    expect((await asAdmin('GET', isimages)).status).toBe(405)
    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      expect((await asAdmin(method, `${isimages}/app@${digest}`, {})).status).toBe(405)
    }
    expect((await asAdmin('POST', isimages, {})).status).toBe(405)
    expect((await asAdmin('GET', `${imageApi}/imagestreamimages/app@${digest}`)).status).toBe(404)
  })

  test('is shown in a table', async () => {
    const { importTag, send, adminToken } = await imagesWorld()
    await importTag('prod')
    const headers = { accept: 'application/json;as=Table;v=v1;g=meta.k8s.io' }
    const { body } = await send('GET', `${imageApi}/${inDemo}/imagestreamimages/app@${hex}`, {
      token: adminToken,
      headers,
    })
    expect(body).toMatchObject({
      columnDefinitions: ['Name', 'Updated', 'Image Reference', 'Image Name'].map((name) => ({ name })),
      rows: [{ cells: [`app@${hex}`, expect.any(String), `${registryHost}/demo/app@${digest}`, digest] }],
    })
  })
})
