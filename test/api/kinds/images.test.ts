import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { makeImage } from '../../support/images.ts'
import { names, rbacApi, refusal, registryHost } from '../world.ts'
import { images, imagesWorld, streams, v1, v2 } from './images.ts'

async function severalImages() {
  const world = await imagesWorld()
  const made = [v1, v2, makeImage('v3'), makeImage('v4')]
  for (const [i, image] of made.entries()) {
    world.registry.put('lib/app', image, { tag: 'v1' })
    await world.importTag(`t${i}`, i % 2 === 0 ? 'app' : 'other')
  }
  return { ...world, digests: made.map(({ manifest }) => manifest.digest).toSorted() }
}

describe('images', () => {
  test('are those of all streams, each with a stream that has it', async () => {
    const { asAdmin, digests } = await severalImages()
    const list = await asAdmin('GET', images)
    expect(list.body).toMatchObject({
      kind: 'ImageList',
      metadata: { resourceVersion: expect.stringMatching(/^\d+$/) },
    })
    expect(names(list)).toEqual(digests)
    const { body } = await asAdmin('GET', `${images}/${v1.manifest.digest}`)
    expect(body).toMatchObject({
      kind: 'Image',
      metadata: { name: v1.manifest.digest },
      dockerImageReference: `${registryHost}/demo/app@${v1.manifest.digest}`,
      dockerImageMetadata: { Id: v1.config.digest },
      dockerImageLayers: [{ name: v1.layers[0]?.digest }],
    })
    expect(body).not.toHaveProperty('dockerImageManifest')
  })

  test('are listed in pages, each once', async () => {
    const { asAdmin, digests } = await severalImages()
    for (const limit of [1, 2, 3, 4, 5]) {
      const found: string[] = []
      for (let query = `limit=${limit}`; query !== ''; ) {
        const page = await asAdmin('GET', `${images}?${query}`)
        found.push(...names(page))
        const { continue: next } = page.body.metadata as { continue?: string }
        query = next === undefined ? '' : `limit=${limit}&continue=${next}`
      }
      expect(found).toEqual(digests)
    }
    expect(names(await asAdmin('GET', `${images}?fieldSelector=metadata.name%3D${digests[1]}`))).toEqual([digests[1]])
    expect(names(await asAdmin('GET', `${images}?limit=5000`))).toEqual(digests)
    expect((await asAdmin('GET', `${images}?continue=AAAA`)).status).toBe(400)
  })

  test('that are large make pages short, which go on', async () => {
    const { asAdmin, writer, links } = await imagesWorld()
    const { uid, ...app } = await writer.create({ project: 'demo', stream: 'app' })
    const mediaType = v1.manifest.mediaType
    const layers = Array.from({ length: 4_500 }, (_, i) => ({
      digest: digestOf(Buffer.from(`${i}`)),
      mediaType,
      size: 1,
    }))
    const digests = Array.from({ length: 30 }, (_, i) => digestOf(Buffer.from(`image ${i}`))).toSorted()
    for (const digest of digests) {
      await links.putImage(digest, { mediaType, size: 1, layers, manifests: [] })
      await links.add(app, uid, [{ digest, mediaType, size: 1, locations: [{ kind: 'here' }], received: true }])
    }
    const first = await asAdmin('GET', `${images}?limit=500`)
    const { continue: next } = first.body.metadata as { continue?: string }
    expect(names(first).length).toBeGreaterThan(15)
    expect(names(first).length).toBeLessThan(28)
    expect([...names(first), ...names(await asAdmin('GET', `${images}?limit=500&continue=${next}`))]).toEqual(digests)
    expect(names(await asAdmin('GET', images))).toEqual(digests)
  })

  test('tell since when they are shown so, alike alone and in a list', async () => {
    const { asAdmin, digests, revision } = await severalImages()
    const { items } = (await asAdmin('GET', images)).body as { items: { metadata: { resourceVersion: string } }[] }
    const versions = items.map(({ metadata }) => Number(metadata.resourceVersion))
    expect(new Set(versions).size).toBe(digests.length)
    for (const [i, digest] of digests.entries()) {
      expect((await asAdmin('GET', `${images}/${digest}`)).body).toMatchObject(items[i] ?? {})
      expect(versions[i]).toBeGreaterThan(0)
      expect(versions[i]).toBeLessThanOrEqual(await revision())
    }
  })

  test('can be watched: they come complete, change with the stream that is shown, and go with the last', async () => {
    const { asAdmin, importTag, watch, adminToken } = await imagesWorld()
    const { resourceVersion } = (await asAdmin('GET', images)).body.metadata as { resourceVersion: string }
    const next = await watch(`${images}?watch=1&resourceVersion=${resourceVersion}`, adminToken)
    const reference = (stream: string) => `${registryHost}/demo/${stream}@${v1.manifest.digest}`
    await importTag('prod', 'web')
    const added = await next()
    const { items } = (await asAdmin('GET', images)).body as { items: object[] }
    expect(added).toMatchObject({ type: 'ADDED', object: { kind: 'Image', ...items[0] } })
    expect(added?.object).toMatchObject({
      dockerImageReference: reference('web'),
      dockerImageMetadata: { Architecture: 'amd64' },
    })
    await importTag('prod', 'app')
    expect(await next()).toMatchObject({ type: 'MODIFIED', object: { dockerImageReference: reference('app') } })
    // What is known of an image is written again with each stream that receives it.
    expect((await asAdmin('GET', `${images}/${v1.manifest.digest}`)).body).toEqual((await next())?.object)
    await asAdmin('DELETE', `${streams}/app`)
    expect(await next()).toMatchObject({ type: 'MODIFIED', object: { dockerImageReference: reference('web') } })
    await asAdmin('DELETE', `${streams}/web`)
    expect(await next()).toMatchObject({ type: 'DELETED', object: { metadata: { name: v1.manifest.digest } } })
    expect(names(await asAdmin('GET', images))).toEqual([])
  })

  test('can be watched from what there is, and by those alone who may read them', async () => {
    const { watch, adminToken, digests, robot, send } = await severalImages()
    const next = await watch(`${images}?watch=1`, adminToken)
    const told = [await next(), await next(), await next(), await next()]
    expect(told.map((each) => [each?.type, each?.object.metadata.name])).toEqual(digests.map((d) => ['ADDED', d]))
    const token = await robot('auditor', 'system:image-auditor')
    expect(await send('GET', `${images}?watch=1`, { token })).toMatchObject(refusal(403, 'Forbidden'))
  })

  test('are those of streams that are there', async () => {
    const { asAdmin, digests } = await severalImages()
    await asAdmin('DELETE', `${streams}/app`)
    const left = names(await asAdmin('GET', images))
    expect(left).toHaveLength(digests.length / 2)
    expect(left).not.toContain(v1.manifest.digest)
    expect(await asAdmin('GET', `${images}/${v1.manifest.digest}`)).toMatchObject(refusal(404, 'NotFound'))
  })

  test.each([v1.config.digest, 'sha256:abc', `sha256:${'0'.repeat(64)}`, 'latest', '__proto__', 'sha256:..'])(
    'are not %s',
    async (name) => {
      const { asAdmin, importTag } = await imagesWorld()
      await importTag('prod')
      expect(await asAdmin('GET', `${images}/${name}`)).toMatchObject(refusal(404, 'NotFound'))
    },
  )

  test('are for readers of the cluster alone, whatever they may in projects', async () => {
    const { send, robot, importTag, asAdmin } = await imagesWorld()
    await importTag('prod')
    await asAdmin('POST', `${rbacApi}/namespaces/demo/roles`, {
      metadata: { name: 'all-images' },
      rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
    })
    const tokens = [undefined]
    for (const role of ['admin', 'system:image-auditor', 'cluster-admin', 'system:image-puller']) {
      tokens.push((await robot(role.replace(/\W/g, '-'), role)) as never)
    }
    for (const token of tokens) {
      for (const name of [v1.manifest.digest, v2.manifest.digest]) {
        const sent = token === undefined ? {} : { token }
        expect(await send('GET', `${images}/${name}`, sent)).toMatchObject(refusal(403, 'Forbidden'))
        expect((await send('GET', images, sent)).status).toBe(403)
      }
    }
    expect((await asAdmin('GET', `/apis/image.openshift.io/v1/namespaces/demo/images`)).status).toBe(404)
  })

  test('can not be written', async () => {
    const { asAdmin, importTag } = await imagesWorld()
    await importTag('prod')
    const one = `${images}/${v1.manifest.digest}`
    for (const method of ['PUT', 'PATCH', 'DELETE']) expect((await asAdmin(method, one, {})).status).toBe(405)
    for (const method of ['POST', 'DELETE']) expect((await asAdmin(method, images, {})).status).toBe(405)
  })
})
