import { describe, expect, test } from 'vitest'
import { mediaTypes } from '../../../src/oci/media-types.ts'
import { piece } from '../../support/images.ts'
import { imageApi, names, refusal, registryHost, weirApi } from '../world.ts'
import { imagesWorld, importOf, imports, streams, tags, v1, v2, wire, withoutContent } from './images.ts'

const digest = v1.manifest.digest

describe('image stream tags', () => {
  test('are read in OKD’s shape, with a reference into this registry', async () => {
    const { asAdmin, importTag, from } = await imagesWorld()
    await importTag('prod')
    const stream = (await asAdmin('GET', `${streams}/app`)).body.metadata as Record<string, unknown>
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toEqual({
      kind: 'ImageStreamTag',
      apiVersion: 'image.openshift.io/v1',
      metadata: {
        annotations: { 'weir.dev/content': expect.stringMatching(/^pulled: 2 of 3 parts held, /) },
        name: 'app:prod',
        namespace: 'demo',
        uid: stream.uid,
        resourceVersion: stream.resourceVersion,
        creationTimestamp: '2026-01-01T00:00:00Z',
      },
      tag: {
        name: 'prod',
        annotations: null,
        from: { kind: 'DockerImage', name: from },
        generation: 2,
        importPolicy: {},
        referencePolicy: { type: 'Local' },
      },
      generation: 2,
      lookupPolicy: { local: false },
      image: {
        metadata: {
          name: digest,
          creationTimestamp: '2026-01-01T00:00:00Z',
          annotations: { 'image.openshift.io/dockerLayersOrder': 'ascending' },
        },
        dockerImageReference: `${registryHost}/demo/app@${digest}`,
        dockerImageMetadata: expect.objectContaining({ Id: v1.config.digest }),
        dockerImageMetadataVersion: '1.0',
        dockerImageManifestMediaType: v1.manifest.mediaType,
        dockerImageLayers: [expect.objectContaining({ name: v1.layers[0]?.digest })],
      },
    })
  })

  test('I5: show the media type that their own stream was told, whatever another was told of the same bytes', async () => {
    const { asAdmin, registry } = await imagesWorld()
    const bare = JSON.stringify({ ...JSON.parse(v1.manifest.bytes.toString('utf8')), mediaType: undefined })
    const types = { first: mediaTypes.dockerManifest, second: mediaTypes.ociManifest }
    for (const [stream, type] of Object.entries(types)) {
      registry.put(`lib/${stream}`, piece(type, bare), { tag: 'v1' })
      await asAdmin('POST', imports, importOf(`${registry.host}/lib/${stream}:v1`, 'prod', stream))
    }
    for (const [stream, type] of Object.entries(types)) {
      const { body } = await asAdmin('GET', `${tags}/${stream}:prod`)
      expect(body).toMatchObject({ image: { dockerImageManifestMediaType: type } })
    }
  })

  test('with the policy Source tell the upstream’s reference', async () => {
    const { asAdmin, from, registry } = await imagesWorld()
    const image = {
      from: { kind: 'DockerImage', name: from },
      to: { name: 'prod' },
      referencePolicy: { type: 'Source' },
    }
    await asAdmin('POST', imports, { metadata: { name: 'app' }, spec: { import: true, images: [image] } })
    expect((await asAdmin('GET', `${tags}/app:prod`)).body).toMatchObject({
      image: { dockerImageReference: `${registry.host}/lib/app@${digest}` },
    })
  })

  test.each(['a', 'a:b:c', ':b', 'a:', ':'])('are not read by the name %s', async (name) => {
    const { asAdmin } = await imagesWorld()
    for (const method of ['GET', 'DELETE']) {
      expect(await asAdmin(method, `${tags}/${name}`)).toMatchObject(
        refusal(400, 'BadRequest', 'ImageStreamTags must be retrieved with <name>:<tag>'),
      )
    }
  })

  test.each(['app:gone', 'gone:prod', 'App:prod', 'app:PROD', 'app:a!b', 'app:..', 'app:x y'])(
    'are 404 by the name %s',
    async (name) => {
      const { asAdmin, importTag } = await imagesWorld()
      await importTag('prod')
      for (const method of ['GET', 'DELETE']) {
        expect(await asAdmin(method, `${tags}/${encodeURIComponent(name)}`)).toMatchObject(
          refusal(404, 'NotFound', `imagestreamtags.image.openshift.io "${name}" not found`),
        )
      }
    },
  )

  test('are not those of another project', async () => {
    const { asAdmin, importTag } = await imagesWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    await importTag('prod')
    for (const method of ['GET', 'DELETE']) {
      expect((await asAdmin(method, `${imageApi}/namespaces/other/imagestreamtags/app:prod`)).status).toBe(404)
    }
    expect(names(await asAdmin('GET', `${imageApi}/namespaces/other/imagestreamtags`))).toEqual([])
    expect((await asAdmin('GET', `${tags}/app:prod`)).status).toBe(200)
  })

  test('are listed short, only those that stand somewhere, in pages', async () => {
    const { asAdmin, importTag, registry } = await imagesWorld()
    await asAdmin('POST', '/api/v1/namespaces', { metadata: { name: 'other' } })
    for (const tag of ['b', 'a', 'c']) await importTag(tag)
    await importTag('a', 'base')
    await asAdmin('POST', imports, importOf(`${registry.host}/lib/none:v1`, 'failed'))
    const list = await asAdmin('GET', tags)
    expect(list.body.kind).toBe('ImageStreamTagList')
    expect(names(list)).toEqual(['app:a', 'app:b', 'app:c', 'base:a'])
    expect(list.body).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({
          image: {
            metadata: { name: digest, creationTimestamp: null },
            dockerImageReference: `${registryHost}/demo/app@${digest}`,
            dockerImageMetadata: null,
            dockerImageLayers: null,
          },
        }),
      ]),
    })
    for (const size of [1, 2, 3, 4, 5]) {
      for (const path of [tags, `${imageApi}/imagestreamtags`]) {
        const found: string[] = []
        let query = `limit=${size}`
        while (query !== '') {
          const answer = await asAdmin('GET', `${path}?${query}`)
          expect(names(answer).length).toBeGreaterThan(0)
          found.push(...names(answer))
          const { continue: token } = answer.body.metadata as { continue?: string }
          query = token === undefined ? '' : `limit=${size}&continue=${token}`
        }
        expect(found).toEqual(['app:a', 'app:b', 'app:c', 'base:a'])
      }
    }
  })

  test('are listed on as they stood at the first page, whatever was deleted meanwhile', async () => {
    const { asAdmin, importTag } = await imagesWorld()
    for (const tag of ['a', 'b', 'c']) await importTag(tag)
    await importTag('a', 'base')
    const first = await asAdmin('GET', `${tags}?limit=2`)
    const { continue: token } = first.body.metadata as { continue: string }
    await asAdmin('DELETE', `${tags}/app:b`)
    expect(names(await asAdmin('GET', `${tags}?continue=${token}`))).toEqual(['app:c', 'base:a'])
    await asAdmin('DELETE', `${streams}/app`)
    expect(names(await asAdmin('GET', `${tags}?continue=${token}`))).toEqual(['app:c', 'base:a'])
    expect(names(await asAdmin('GET', tags))).toEqual(['base:a'])
  })

  test('tell with the hold what the tag would have moved to', async () => {
    const { asAdmin, importTag, registry } = await imagesWorld()
    await importTag('prod')
    await asAdmin('PUT', `${tags}/app:stable`, {
      metadata: { name: 'app:stable' },
      tag: { name: 'stable', from: { kind: 'ImageStreamTag', name: 'prod' } },
    })
    const rollback = { kind: 'Rollback', stream: 'app', tag: 'stable', to: digest }
    await asAdmin('POST', `${weirApi}/namespaces/demo/tagevents`, rollback)
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod')
    const { body } = await asAdmin('GET', `${tags}/app:stable`)
    const { annotations } = body.metadata as { annotations: Record<string, string> }
    expect(JSON.parse(annotations['weir.dev/hold'] ?? '')).toMatchObject({
      by: 'weir:admin',
      candidate: { image: v2.manifest.digest, seenAt: '2026-01-01T00:00:00Z' },
    })
    expect(body.image).toMatchObject({ metadata: { name: digest } })
  })

  test('carry the stream’s labels and, while held, the hold', async () => {
    const { asAdmin, importTag, registry } = await imagesWorld()
    await asAdmin('POST', streams, { metadata: { name: 'app', labels: { team: 'a' } } })
    await importTag('prod')
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod')
    const rollback = { kind: 'Rollback', stream: 'app', tag: 'prod', reason: 'bad build' }
    await asAdmin('POST', `${weirApi}/namespaces/demo/tagevents`, rollback)
    const hold = JSON.stringify({ by: 'weir:admin', reason: 'bad build', revision: 3, at: '2026-01-01T00:00:00Z' })
    const { body } = await asAdmin('GET', `${tags}/app:prod`)
    expect(body).toMatchObject({
      metadata: { labels: { team: 'a' } },
      tag: { annotations: { 'weir.dev/hold': hold } },
      image: { metadata: { name: digest, annotations: { 'weir.dev/hold': hold } } },
    })
    expect(withoutContent(wire({ body })).metadata.annotations).toEqual({ 'weir.dev/hold': hold })
    expect((await asAdmin('GET', `${streams}/app`)).body).toMatchObject({
      spec: { tags: [{ annotations: { 'weir.dev/hold': hold } }] },
    })
    await asAdmin('POST', `${weirApi}/namespaces/demo/tagevents`, { kind: 'Resume', stream: 'app', tag: 'prod' })
    expect(withoutContent(wire(await asAdmin('GET', `${tags}/app:prod`))).metadata).not.toHaveProperty('annotations')
  })
})

describe('deleting a tag', () => {
  test('empties its status, keeps its ledger, and is known to pulls before the answer', async () => {
    const { asAdmin, importTag, reader, pins } = await imagesWorld()
    await importTag('prod')
    const app = { project: 'demo', stream: 'app' }
    expect(await pins.pin(app, 'prod')).toBeDefined()
    expect(await asAdmin('DELETE', `${tags}/app:prod`)).toMatchObject({ status: 200, body: { status: 'Success' } })
    expect(pins.peek('demo', 'app', 'prod') ?? undefined).toBeUndefined()
    expect((await asAdmin('GET', `${tags}/app:prod`)).status).toBe(404)
    expect((await asAdmin('GET', `${streams}/app`)).body).not.toHaveProperty('spec.tags')
    expect(await reader.ledger(app, 'prod')).toMatchObject([
      { revision: 2, image: '', cause: { kind: 'delete', by: 'weir:admin' } },
      { revision: 1, image: digest },
    ])
    expect((await asAdmin('DELETE', `${tags}/app:prod`)).status).toBe(404)
  })

  test('conflicts when the tag changed after the version seen, or the stream is another', async () => {
    const { asAdmin, importTag, registry } = await imagesWorld()
    await importTag('prod')
    const { metadata } = (await asAdmin('GET', `${tags}/app:prod`)).body as { metadata: { resourceVersion: string } }
    const stale = { preconditions: { resourceVersion: metadata.resourceVersion } }
    await importTag('other')
    expect((await asAdmin('DELETE', `${tags}/app:prod?dryRun=All`, stale)).status).toBe(200)
    registry.put('lib/app', v2, { tag: 'v1' })
    await importTag('prod')
    const ofFuture = { preconditions: { resourceVersion: '999999999' } }
    for (const body of [stale, ofFuture, { preconditions: { uid: 'another' } }]) {
      for (const query of ['', '?dryRun=All']) {
        expect(await asAdmin('DELETE', `${tags}/app:prod${query}`, body)).toMatchObject(refusal(409, 'Conflict'))
      }
    }
    expect((await asAdmin('GET', `${tags}/app:prod`)).status).toBe(200)
  })

  test('needs the right to that tag', async () => {
    const { send, robot, importTag } = await imagesWorld()
    await importTag('prod')
    const token = await robot('viewer', 'view')
    expect((await send('GET', `${tags}/app:prod`, { token })).status).toBe(200)
    expect(await send('DELETE', `${tags}/app:prod`, { token })).toMatchObject(
      refusal(403, 'Forbidden', expect.stringContaining('cannot delete resource "imagestreamtags"')),
    )
  })
})
