import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createDeletions } from '../../src/deletions.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { makeImage, type Piece } from '../support/images.ts'
import { ann, manifestOf, nameOf, type PushWorld, pushWorld } from './manifest-world.ts'

const v1 = makeImage('v1')
const [first, second] = ['first', 'second'].map((what) => manifestOf(v1.config, [], { annotations: { what } })) as [
  Piece,
  Piece,
]
const tag = `sha256-${v1.manifest.digest.slice(7)}.sig`
const silent = pino({ level: 'silent' })
const app = nameOf('demo/app')

type Levels = { ofProject?: string; ofStream?: string }

/** An image that is signed once, where `weir.dev/immutable` is said so. */
async function signed({ ofProject, ofStream }: Levels) {
  const world = await pushWorld()
  const said = (written: string | undefined): Record<string, string> =>
    written === undefined ? {} : { 'weir.dev/immutable': written }
  await world.objects.update('namespaces', '', 'demo', (project) => ({
    ...project,
    metadata: { ...project.metadata, annotations: said(ofProject) },
  }))
  await world.writer.create(app, { annotations: said(ofStream) })
  await world.push('demo/app:v1', v1)
  const { isOne } = world.referrers
  const through = world.putManifestWith({ fallbackTags: { isOne, putFallback: world.referrerRecords.putFallback } })
  const sign = (manifest: Piece) => world.put(`demo/app:${tag}`, manifest, { through })
  await sign(first)
  return { ...world, sign }
}

async function standsAt({ referrerRecords }: Pick<PushWorld, 'referrerRecords'>) {
  return (await referrerRecords.fallback(app, tag))?.image
}

describe('a tag that is derived from the digest of an image', () => {
  test.each<Levels>([
    {},
    { ofStream: 'true' },
    { ofProject: 'true' },
    { ofProject: '*' },
    { ofProject: 's*,v*' },
    { ofProject: '*.att' },
    { ofProject: 'sha512-*' },
    { ofProject: 'sha256-*', ofStream: 'true' },
    { ofProject: 'sha256-*', ofStream: 'false' },
  ])('moves where immutable is said as %j: cosign adds signatures so', async (levels) => {
    const world = await signed(levels)
    await world.sign(second)
    expect(await standsAt(world)).toBe(second.digest)
  })

  test.each<Levels>([
    { ofProject: 'sha256-*' },
    { ofStream: 'v*, *.sig' },
    { ofProject: 'false', ofStream: 'sha256-*.sig' },
    { ofStream: tag },
  ])('stays, and is not deleted, where a pattern means it: %j', async (levels) => {
    const world = await signed(levels)
    const denied = {
      code: 'DENIED',
      status: 403,
      message: expect.stringMatching(
        /^tag "sha256-.*\.sig" is immutable \(weir\.dev\/immutable: .* and stays at sha256:/,
      ),
    }
    await expect(world.sign(second)).rejects.toMatchObject(denied)
    expect(await world.links.get(app, second.digest)).toBeUndefined()
    const deletions = createDeletions({ ...world, forget: world.pullThrough.forget, log: silent })
    await expect(deletions.tag(app, tag, { by: 'bob' })).rejects.toMatchObject(denied)
    await world.sign(first)
    expect(await standsAt(world)).toBe(first.digest)
  })

  test('goes with its image also where a pattern means it', async () => {
    const world = await signed({ ofStream: 'sha256-*' })
    const deletions = createDeletions({ ...world, forget: world.pullThrough.forget, log: silent })
    await deletions.image(app, v1.manifest.digest, { by: 'bob' })
    expect(await standsAt(world)).toBeUndefined()
  })

  test('is put by one of two who push there first at the same time, where it is immutable', async () => {
    const world = await signed({ ofStream: '*.att' })
    const stream = (await world.reader.stream(app)) ?? expect.fail()
    const att = tag.replace('.sig', '.att')
    const put = (image: Digest) =>
      world.referrerRecords.putFallback(stream, { tag: att, image, mediaType: v1.manifest.mediaType, by: ann.name })
    const results = await Promise.allSettled([v1.manifest.digest, first.digest, second.digest].map(put))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('that was pushed is not what an upstream has there', async () => {
    const world = await signed({})
    const stream = (await world.reader.stream(app)) ?? expect.fail()
    const seen = { tag, image: v1.manifest.digest, mediaType: v1.manifest.mediaType, host: 'a.example' }
    await world.referrerRecords.putFallback(stream, seen)
    expect(await standsAt(world)).toBe(first.digest)
  })

  test('is no image stream tag, and none of the quota of these; its bytes count', async () => {
    const world = await signed({})
    const { bytes, tags } = await world.quotas.usage('demo')
    await world.objects.create('resourcequotas', 'demo', {
      metadata: { name: 'q' },
      spec: { hard: { 'count/imagestreamtags.image.openshift.io': '1' } },
    })
    await world.sign(second)
    expect(await world.quotas.usage('demo')).toEqual({ bytes: bytes + second.bytes.length, tags })
    expect(tags).toBe(1)
  })
})
