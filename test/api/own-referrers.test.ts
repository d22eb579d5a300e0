import { describe, expect, test } from 'vitest'
import { countReferrers } from '../../src/api/own-referrers.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { fallbackTagOf } from '../../src/oci/fallback-tag.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { makeImage } from '../support/images.ts'
import { apiWorld, imageApi, inDemo } from './world.ts'

const app = { project: 'demo', stream: 'app' }
const subject = digestOf('x')
const mediaType = mediaTypes.ociManifest

/** What is said where the stream has received manifests of these types, and where such tags stand. */
async function said(types: readonly (string | undefined)[], tags: readonly string[] = []): Promise<string | undefined> {
  const received = types.map((artifactType, i) => ({
    digest: digestOf(`${i}`),
    mediaType,
    size: 1,
    ...(artifactType === undefined ? {} : { artifactType }),
  }))
  const records = {
    list: async (_: unknown, __: Digest, { limit = 0 } = {}) => received.slice(0, limit),
    fallbacks: async () => tags.map((tag) => ({ tag, image: digestOf(tag), mediaType, at: '' })),
  }
  return countReferrers(records, app, subject)
}

describe('what refers to an image', () => {
  test('is counted by type, the commonest first, and by the tags that are derived from its digest', async () => {
    expect(await said([])).toBeUndefined()
    expect(await said(['a/b', 'c/d', 'c/d'])).toBe('3: c/d (2), a/b (1)')
    expect(await said([undefined])).toBe(`1: ${mediaType} (1)`)
    const tag = fallbackTagOf(subject)
    expect(await said(['a/b'], [tag, `${tag}.sig`, `${tag}.att`])).toBe('3: a/b (1), tag .sig (1), tag .att (1)')
    expect(await said([], [tag])).toBeUndefined()
  })

  test('is counted up to a bound, and of many types some are named', async () => {
    expect(await said(Array.from({ length: 1000 }, () => 'a/b'))).toBe('1000: a/b (1000)')
    expect(await said(Array.from({ length: 1001 }, () => 'a/b'))).toBe('1000 or more: a/b (1000)')
    const many = await said(Array.from({ length: 12 }, (_, i) => `t/${i}`))
    expect(many).toMatch(/^12: t\/0 \(1\), .*t\/9 \(1\), 2 other types$/)
  })

  test('is shown with a tag and with an image, and not with those of another stream', async () => {
    const api = await apiWorld()
    const image = makeImage('signed')
    const { digest } = image.manifest
    api.registry.put('lib/app', image, { tag: 'v1' })
    for (const stream of ['app', 'other']) await api.importImage(stream, 'prod', `${api.registry.host}/lib/app:v1`)
    const stream = await api.reader.stream(app)
    if (stream === undefined) throw new TypeError('no stream')
    await api.links.add(app, stream.uid, [
      {
        digest: digestOf('bom'),
        mediaType,
        size: 3,
        locations: [],
        received: true,
        referrer: { subject: digest, artifactType: 'example/sbom' },
      },
    ])
    const shown = async (path: string) => {
      const { body } = await api.asAdmin('GET', `${imageApi}/${inDemo}/${path}`)
      return (body.image as { metadata: { annotations: Record<string, string> } }).metadata.annotations
    }
    for (const path of ['imagestreamtags/app:prod', 'imagetags/app:prod', `imagestreamimages/app@${digest}`]) {
      expect(await shown(path), path).toMatchObject({ 'weir.dev/referrers': '1: example/sbom (1)' })
    }
    expect(await shown('imagestreamtags/other:prod')).not.toHaveProperty(['weir.dev/referrers'])
  })
})
