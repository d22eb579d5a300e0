import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { maxManifestBytes, mediaTypes } from '../../src/oci/media-types.ts'
import { makeImage, type Piece } from '../support/images.ts'
import { descriptorOf, nameOf, pushWorld, refusalOf } from './manifest-world.ts'

const v1 = makeImage('v1')
const app = nameOf('demo/app')

describe('the media type', () => {
  const { ociManifest, dockerManifest } = mediaTypes

  test.each([
    ['with parameters and in other letters', `${ociManifest.replace('vnd', 'VND')}; charset=utf-8`],
    ['said by the manifest alone', undefined],
    ['said by the manifest alone, beside nothing', ' ; q=1'],
    ['said by the manifest alone, beside an empty one', ''],
  ])('may be sent %s', async (_, contentType) => {
    const world = await pushWorld()
    await world.push('demo/app:prod', v1, { contentType })
    const served = await world.pullThrough.manifest(app, 'prod', { head: false })
    expect(served.mediaType).toBe(ociManifest)
  })

  test.each([
    ['another than the manifest says', dockerManifest, 'says that its mediaType is'],
    ['schema 1', 'application/vnd.docker.distribution.manifest.v1+prettyjws', 'schema 1'],
  ])('may not be %s', async (_, contentType, words) => {
    const world = await pushWorld()
    const refusal = await refusalOf(world.push('demo/app:prod', v1, { contentType }))
    expect(refusal.code).toBe('MANIFEST_INVALID')
    expect(refusal.message).toContain(words)
  })

  test.each([
    ['any JSON', 'application/json'],
    ['of the artifact manifests that never were', 'application/vnd.oci.artifact.manifest.v1+json'],
    ['of a layer', 'application/vnd.oci.image.layer.v1.tar+gzip'],
    ['as long as a header', `text/${'x'.repeat(8000)}`],
  ])('is one of the four that are told to who sends another: %s', async (_, type) => {
    const world = await pushWorld()
    const silent = JSON.stringify({ schemaVersion: 2, config: descriptorOf(v1.config), layers: [] })
    for (const written of [{ mediaType: type }, {}]) {
      const sent = bare(JSON.stringify({ ...JSON.parse(silent), ...written }))
      const contentType = 'mediaType' in written ? undefined : `${type}; charset=utf-8`
      const refusal = await world.put('demo/app:prod', sent, { contentType }).catch((error: unknown) => error)
      expect(refusal).toMatchObject({ code: 'UNSUPPORTED_MEDIA_TYPE', status: 415 })
      const { message } = refusal as Error
      for (const words of [type.slice(0, 90), ...Object.values(mediaTypes)]) expect(message).toContain(words)
      expect(message.length).toBeLessThan(600)
    }
    expect(await world.reader.stream(app)).toBeUndefined()
  })

  test('of configs, layers and artifacts may be any', async () => {
    const world = await pushWorld()
    await world.pushBlob('demo/app', v1.config)
    const mediaType = 'application/vnd.nobody.knows+it'
    const config = { ...descriptorOf(v1.config), mediaType }
    const artifact = { schemaVersion: 2, mediaType: ociManifest, artifactType: mediaType, config, layers: [config] }
    const sent = bare(JSON.stringify(artifact))
    await world.put('demo/app:prod', sent, { contentType: ociManifest })
    expect(await world.pin('demo/app:prod')).toBe(sent.digest)
  })

  test('has to be said by somebody', async () => {
    const world = await pushWorld()
    const silent = bare(JSON.stringify({ schemaVersion: 2, config: descriptorOf(v1.config), layers: [] }))
    const refusal = await refusalOf(world.put('demo/app:prod', silent, { contentType: undefined }))
    expect(refusal).toMatchObject({ code: 'MANIFEST_INVALID', message: expect.stringContaining('Content-Type') })
  })

  test('of bytes that the stream has stays what it was', async () => {
    const world = await pushWorld()
    await world.pushBlob('demo/app', v1.config)
    const silent = bare(JSON.stringify({ schemaVersion: 2, config: descriptorOf(v1.config), layers: [] }))
    await world.put('demo/app:a', silent, { contentType: ociManifest })
    const refusal = await refusalOf(world.put('demo/app:b', silent, { contentType: dockerManifest }))
    expect(refusal).toMatchObject({ code: 'MANIFEST_INVALID', message: expect.stringContaining(ociManifest) })
    expect(await world.pin('demo/app:b')).toBeUndefined()
  })
})

describe('a manifest that is no manifest', () => {
  const config = descriptorOf(v1.config)
  const image = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [] }

  test.each<[string, string | Buffer]>([
    ['empty', ''],
    ['no object', '[]'],
    ['a byte order mark', `\ufeff${JSON.stringify(image)}`],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['two of them', `${JSON.stringify(image)}${JSON.stringify(image)}`],
    ['an index too', JSON.stringify({ ...image, manifests: [] })],
    ['a key twice', '{"schemaVersion":2,"schemaVersion":2,"config":{},"layers":[]}'],
    ['a key in other letters', JSON.stringify({ ...image, Layers: [] })],
    [
      'too deep',
      JSON.stringify({ ...image, deep: '['.repeat(40) }).replace(/"(\[+)"/, (_, open) => open + ']'.repeat(40)),
    ],
    ['of schema 1', JSON.stringify({ schemaVersion: 1, fsLayers: [] })],
    ['with half a byte', JSON.stringify({ ...image, config: { ...config, size: 0.5 } })],
    ['with data of other content', JSON.stringify({ ...image, config: { ...config, data: base64('other') } })],
    ['with data that is no base64', JSON.stringify({ ...image, config: { ...config, data: '%%%' } })],
    ['with an artifactType that moves cursors', JSON.stringify({ ...image, artifactType: 'a/\u001b[2J' })],
    ['with an artifactType in C1 controls', JSON.stringify({ ...image, artifactType: 'a/\u009b2J' })],
    ['with an artifactType of 700 KB', JSON.stringify({ ...image, artifactType: `a/${'b'.repeat(700_000)}` })],
    ['with data of too many bytes', JSON.stringify({ ...image, config: { ...config, size: 1, data: base64('{}') } })],
  ])('(%s) is refused, and leaves nothing', async (_, bytes) => {
    const world = await pushWorld()
    await world.pushBlob('demo/app', v1.config)
    const before = await world.links.list(app)
    const refusal = await refusalOf(world.put('demo/app:prod', bare(bytes), { contentType: mediaTypes.ociManifest }))
    expect(refusal.code).toBe('MANIFEST_INVALID')
    expect(await world.links.list(app)).toEqual(before)
    expect(await world.pin('demo/app:prod')).toBeUndefined()
  })

  test('is told from one with true data', async () => {
    const world = await pushWorld()
    await world.pushBlob('demo/app', v1.config)
    const data = v1.config.bytes.toString('base64')
    await world.put('demo/app:prod', bare(JSON.stringify({ ...image, config: { ...config, data } })), {
      contentType: undefined,
    })
  })

  test('is refused at 4 MiB and a byte, and taken at 4 MiB', async () => {
    const world = await pushWorld()
    await world.pushBlob('demo/app', v1.config)
    const text = JSON.stringify(image)
    const largest = bare(text + ' '.repeat(maxManifestBytes - text.length))
    await world.put('demo/app:prod', largest, { contentType: undefined })
    const refusal = world.put('demo/app:more', bare(`${largest.bytes} `), { contentType: undefined })
    await expect(refusal).rejects.toMatchObject({ code: 'TOO_LARGE', status: 413 })
  })

  test('whatever its bytes are, is an answer and no crash', async () => {
    const world = await pushWorld()
    await world.pushBlob('demo/app', v1.config)
    const valid = v1.manifest.bytes
    const edits = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(fc.oneof(edits, fc.uint8Array({ maxLength: 200 })), async (sent) => {
        const bytes = Buffer.from(sent instanceof Uint8Array ? sent : valid)
        if (!(sent instanceof Uint8Array)) for (const [at, byte] of sent) bytes[at] = byte
        if (bytes.equals(valid)) return
        const { code } = await refusalOf(world.put('demo/app:prod', bare(bytes), { contentType: undefined }))
        expect(['MANIFEST_INVALID', 'UNSUPPORTED_MEDIA_TYPE', 'MANIFEST_BLOB_UNKNOWN', 'SIZE_INVALID']).toContain(code)
      }),
      { numRuns: 300 },
    )
  })
})

describe('a reference', () => {
  test.each(['sha256', 'sha512'] as const)('may be a digest, %s', async (algorithm) => {
    const world = await pushWorld()
    for (const blob of [v1.config, ...v1.layers]) await world.pushBlob('demo/app', blob)
    const digest = digestOf(v1.manifest.bytes, algorithm)
    const pushed = await world.put(`demo/app@${digest}`, v1.manifest, { tags: ['a', 'b', 'a'] })
    expect(pushed).toEqual({ digest, subject: undefined, tags: ['a', 'b'] })
    for (const tag of ['a', 'b']) expect(await world.pin(`demo/app:${tag}`)).toBe(digest)
    const served = await world.pullThrough.manifest(app, digest, { head: false })
    expect(served).toMatchObject({ digest, bytes: v1.manifest.bytes })
  })

  test.each([
    ['another digest', digestOf('other'), 'DIGEST_INVALID'],
    ['no digest', 'sha256:abc', 'DIGEST_INVALID'],
    ['no tag', '.prod', 'MANIFEST_INVALID'],
  ])('may not be %s', async (_, reference, code) => {
    const world = await pushWorld()
    for (const blob of [v1.config, ...v1.layers]) await world.pushBlob('demo/app', blob)
    expect((await refusalOf(world.put(`demo/app@${reference}`, v1.manifest))).code).toBe(code)
    expect(await world.links.get(app, v1.manifest.digest)).toBeUndefined()
  })

  test.each([
    ['beside a tag', 'demo/app:prod', ['other'], 'BAD_REQUEST'],
    ['when one is none', `demo/app@${v1.manifest.digest}`, ['fine', 'not fine'], 'MANIFEST_INVALID'],
    [
      'when they are too many',
      `demo/app@${v1.manifest.digest}`,
      Array.from({ length: 101 }, (_, i) => `t${i}`),
      'URI_TOO_LONG',
    ],
  ])('takes no tags %s', async (_, to, tags, code) => {
    const world = await pushWorld()
    const refusal = await refusalOf(world.push(to, v1, { tags }))
    expect(refusal.code).toBe(code)
    expect(await world.reader.tags(app)).toEqual([])
  })
})

function bare(text: string | Buffer): Piece {
  const bytes = Buffer.from(text as string)
  return { bytes, mediaType: '', digest: digestOf(bytes) }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
