import { describe, expect, test } from 'vitest'
import { mediaTypes } from '../../../src/oci/media-types.ts'
import { makeIndex } from '../../support/images.ts'
import { invalidFields, refusal, registryHost, weirApi } from '../world.ts'
import { imagesWorld, importOf, imports, itags, mappings, streams, tags, v1, v2 } from './images.ts'

const one = v1.manifest.digest
const reference = (digest: string) => `${registryHost}/demo/app@${digest}`

function mapping(digest: string, tag: unknown, more: object = {}): Record<string, unknown> {
  return {
    kind: 'ImageStreamMapping',
    apiVersion: 'image.openshift.io/v1',
    metadata: { name: 'app', namespace: 'demo' },
    image: { metadata: { name: digest }, dockerImageReference: reference(digest) },
    tag,
    ...more,
  }
}

/** A stream `app` that has v1 and v2. */
async function mappingsWorld() {
  const world = await imagesWorld()
  await world.importTag('one')
  world.registry.put('lib/app', v2, { tag: 'v1' })
  await world.importTag('two')
  const head = async (tag: string) =>
    ((await world.asAdmin('GET', `${tags}/app:${tag}`)).body.image as { metadata: { name: string } } | undefined)
      ?.metadata.name
  return { ...world, head }
}

describe('an image stream mapping', () => {
  test('moves a tag to an image of the stream as a push does, followers too', async () => {
    const { asAdmin, head, reader, pins } = await mappingsWorld()
    await asAdmin('PUT', `${tags}/app:follower`, {
      metadata: { name: 'app:follower' },
      tag: { name: 'follower', from: { kind: 'ImageStreamTag', name: 'prod' } },
    })
    const metadata = { name: 'app', annotations: { 'kubernetes.io/change-cause': 'built' } }
    const answer = await asAdmin('POST', mappings, mapping(one, 'prod', { metadata }))
    expect(answer).toMatchObject({ status: 201, body: { kind: 'Status', apiVersion: 'v1', status: 'Success' } })
    expect([await head('prod'), await head('follower')]).toEqual([one, one])
    expect((await asAdmin('GET', `${itags}/app:prod`)).body).toMatchObject({
      spec: null,
      status: { items: [{ image: one, dockerImageReference: reference(one) }] },
    })
    const app = { project: 'demo', stream: 'app' }
    expect(await reader.ledger(app, 'prod')).toMatchObject([
      { cause: { kind: 'push', by: 'weir:admin', reason: 'built' } },
    ])
    expect((await pins.pin(app, 'prod'))?.digest).toBe(one)
  })

  test('again changes nothing', async () => {
    const { asAdmin, revision } = await mappingsWorld()
    await asAdmin('POST', mappings, mapping(one, 'prod'))
    const before = await revision()
    expect((await asAdmin('POST', mappings, mapping(one, 'prod'))).status).toBe(201)
    expect(await revision()).toBe(before)
  })

  test('of a dry run moves nothing', async () => {
    const { asAdmin, revision } = await mappingsWorld()
    const before = await revision()
    expect((await asAdmin('POST', `${mappings}?dryRun=All`, mapping(one, 'prod'))).status).toBe(201)
    expect(await revision()).toBe(before)
  })

  const unread = makeIndex('multi').children[0]?.manifest.digest ?? ''
  const bad: [string, Record<string, unknown>, string[]][] = [
    ['an image that nobody has', mapping(`sha256:${'0'.repeat(64)}`, 'prod'), ['image.metadata.name']],
    ['a config', mapping(v1.config.digest, 'prod'), ['image.metadata.name']],
    ['a layer', mapping(v1.layers[0]?.digest ?? '', 'prod'), ['image.metadata.name']],
    ['a child that was never received', mapping(unread, 'prod'), ['image.metadata.name']],
    ['no digest', mapping('latest', 'prod'), ['image.metadata.name', 'image.dockerImageReference']],
    ['no tag', mapping(one, ''), ['tag']],
    ['a bad tag', mapping(one, 'a!b'), ['tag']],
    ['no image', { metadata: { name: 'app' }, tag: 'prod' }, ['image.metadata.name', 'image.dockerImageReference']],
    [
      'a bad reference',
      mapping(one, 'prod', { image: { metadata: { name: one }, dockerImageReference: 'A B' } }),
      ['image.dockerImageReference'],
    ],
    [
      'a reference to another image',
      mapping(one, 'prod', { image: { metadata: { name: one }, dockerImageReference: reference(v2.manifest.digest) } }),
      ['image.dockerImageReference'],
    ],
    ['no stream', mapping(one, 'prod', { metadata: {} }), ['metadata.name']],
  ]
  test.each(bad)('of %s is refused', async (_, body, fields) => {
    const { asAdmin, registry, revision } = await mappingsWorld()
    registry.put('lib/multi', makeIndex('multi'), { tag: 'v1' })
    await asAdmin('POST', imports, importOf(`${registry.host}/lib/multi:v1`, 'multi'))
    const before = await revision()
    for (const query of ['', '?dryRun=All']) {
      expect(await asAdmin('POST', `${mappings}${query}`, body)).toMatchObject(invalidFields(...fields))
    }
    expect(await revision()).toBe(before)
  })

  test('of another stream’s image is refused as one that nobody has', async () => {
    const { asAdmin } = await mappingsWorld()
    await asAdmin('POST', streams, { metadata: { name: 'other' } })
    const [theirs, nobodys] = await Promise.all(
      [one, `sha256:${'0'.repeat(64)}`].map((digest) =>
        asAdmin('POST', mappings, mapping(digest, 'prod', { metadata: { name: 'other' } })),
      ),
    )
    expect(theirs).toMatchObject(invalidFields('image.metadata.name'))
    expect(theirs?.text.replaceAll(one, 'X')).toBe(nobodys?.text.replaceAll(`sha256:${'0'.repeat(64)}`, 'X'))
    const nowhere = mapping(one, 'prod', { metadata: { name: 'gone' } })
    expect(await asAdmin('POST', mappings, nowhere)).toMatchObject(refusal(404, 'NotFound'))
  })

  test('of a held tag is refused and says how to let it move', async () => {
    const { asAdmin, head } = await mappingsWorld()
    for (const digest of [one, v2.manifest.digest]) await asAdmin('POST', mappings, mapping(digest, 'prod'))
    await asAdmin('POST', `${weirApi}/namespaces/demo/tagevents`, { kind: 'Rollback', stream: 'app', tag: 'prod' })
    for (const query of ['', '?dryRun=All']) {
      expect(await asAdmin('POST', `${mappings}${query}`, mapping(v2.manifest.digest, 'prod'))).toMatchObject({
        status: 422,
        body: { message: expect.stringContaining('weir resume demo/app:prod') },
      })
    }
    expect(await head('prod')).toBe(one)
  })

  test('into a stream that is made anew by others meanwhile moves nothing', async () => {
    let strike = false
    const world = await imagesWorld(({ links, writer }) => ({
      links: {
        ...links,
        async get(name, digest) {
          const link = await links.get(name, digest)
          if (!strike) return link
          strike = false
          await writer.delete({ project: 'demo', stream: 'app' })
          await writer.create({ project: 'demo', stream: 'app' })
          return link
        },
      },
    }))
    await world.importTag('one')
    strike = true
    expect(await world.asAdmin('POST', mappings, mapping(one, 'prod'))).toMatchObject(refusal(409, 'Conflict'))
    expect((await world.asAdmin('GET', `${tags}/app:prod`)).status).toBe(404)
  })

  test('is for who may create mappings, and not for who may only pull or push', async () => {
    const { send, robot } = await mappingsWorld()
    for (const [role, status] of [
      ['view', 403],
      ['system:image-pusher', 403],
      ['edit', 201],
      ['registry-editor', 201],
    ] as const) {
      const token = await robot(role.replace(/\W/g, '-'), role)
      expect([role, (await send('POST', mappings, { token, body: mapping(one, 'prod') })).status]).toEqual([
        role,
        status,
      ])
    }
    expect((await send('POST', mappings, { body: mapping(one, 'prod') })).status).toBe(403)
  })

  test('is the type of the link, whatever is said of the image', async () => {
    const { asAdmin, reader } = await mappingsWorld()
    const image = {
      metadata: { name: one },
      dockerImageReference: reference(one),
      dockerImageManifestMediaType: mediaTypes.ociIndex,
      dockerImageManifest: '{}',
      dockerImageLayers: [{ name: 'sha256:x', size: 1, mediaType: 'evil' }],
    }
    await asAdmin('POST', mappings, mapping(one, 'prod', { image }))
    const [entry] = await reader.ledger({ project: 'demo', stream: 'app' }, 'prod')
    expect(entry?.mediaType).toBe(v1.manifest.mediaType)
  })
})
