import { describe, expect, test } from 'vitest'
import { immutableAnnotation } from '../../src/streams/immutable.ts'
import { ownHost } from '../support/flows.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { manifestOf, nameOf, pushWorld, refusalOf } from './manifest-world.ts'

const v1 = makeImage('v1')
const multi = makeIndex('multi')
const app = nameOf('demo/app')

test('a pushed image can be pulled at once by its tag', async () => {
  const world = await pushWorld()
  const pushed = await world.push('demo/app:prod', v1)
  expect(pushed).toEqual({ digest: v1.manifest.digest, subject: undefined, tags: ['prod'] })
  const served = await world.pullThrough.manifest(nameOf('demo/app'), 'prod', { head: false })
  expect(served.bytes).toEqual(v1.manifest.bytes)
})

test('a pushed image shows what its config says', async () => {
  const world = await pushWorld()
  await world.push('demo/app:prod', v1)
  const image = await world.images.get(app, v1.manifest.digest, v1.manifest.mediaType)
  expect(image?.configuration).toMatchObject({ architecture: 'amd64', config: { Env: ['SEED=v1'] } })
})

test('the images of a pushed index show what their configs say, also where the config is pushed again', async () => {
  const world = await pushWorld()
  await world.push('demo/app:prod', multi)
  await world.push('demo/app:prod', multi)
  for (const { manifest } of multi.children) {
    const image = await world.images.get(app, manifest.digest, manifest.mediaType)
    expect(image?.configuration?.os).toBe('linux')
  }
})

test('what is no image is taken with its type', async () => {
  const world = await pushWorld()
  const config = { ...v1.config, mediaType: 'application/vnd.oci.empty.v1+json' }
  await world.pushBlob('demo/app', config)
  const sbom = manifestOf(config, [], { artifactType: 'example/sbom' })
  await world.put('demo/app:sbom', sbom)
  const image = await world.images.get(app, sbom.digest, sbom.mediaType)
  expect(image).toMatchObject({ artifactType: 'example/sbom' })
  expect(image).not.toHaveProperty('configuration')
})

test('an index is taken with its children', async () => {
  const world = await pushWorld()
  await world.push('demo/app:prod', multi)
  expect(await world.pin('demo/app:prod')).toBe(multi.manifest.digest)
})

describe('tags', () => {
  test('move in one commit, a revision each, and say who pushed with what', async () => {
    const world = await pushWorld()
    const revisions = new Set<number>()
    await world.push(`demo/app@${v1.manifest.digest}`, v1, { tags: ['a', 'b', 'c'] })
    for (const tag of await world.reader.tags(app)) revisions.add(tag.storeRevision)
    expect(revisions.size).toBe(1)
    const [entry, ...others] = await world.reader.ledger(app, 'b')
    expect(others).toEqual([])
    expect(entry).toMatchObject({
      revision: 1,
      image: v1.manifest.digest,
      mediaType: v1.manifest.mediaType,
      dockerImageReference: `${ownHost}/demo/app@${v1.manifest.digest}`,
      cause: { kind: 'push', by: 'ann', client: 'docker/27.0' },
    })
  })

  test('a hundred of them are taken', async () => {
    const world = await pushWorld()
    const tags = Array.from({ length: 100 }, (_, i) => `t${i}`)
    await world.push(`demo/app@${v1.manifest.digest}`, v1, { tags })
    for (const tag of tags) expect(await world.pin(`demo/app:${tag}`)).toBe(v1.manifest.digest)
  })

  test('the same push again appends nothing', async () => {
    const world = await pushWorld()
    await world.push('demo/app:prod', v1)
    await world.push('demo/app:prod', v1)
    expect(await world.reader.ledger(app, 'prod')).toHaveLength(1)
  })

  test('move to another image, and those that follow with them', async () => {
    const world = await pushWorld()
    await world.push('demo/app:prod', v1)
    const from = { kind: 'ImageStreamTag', name: 'prod' } as const
    const spec = {
      name: 'live',
      annotations: null,
      from,
      importPolicy: {},
      referencePolicy: { type: 'Local' },
    } as const
    await world.writer.changeTag(app, 'live', () => ({ spec }))
    await world.push('demo/app:prod', multi)
    expect(await world.pin('demo/app:live')).toBe(multi.manifest.digest)
    expect((await world.reader.ledger(app, 'live'))[0]?.cause.kind).toBe('follow')
  })

  test('of a manifest without any stay without; it can be pulled, and tagged by a push of its own', async () => {
    const world = await pushWorld()
    await world.push(`demo/app@${v1.manifest.digest}`, v1)
    expect(await world.reader.tags(app)).toEqual([])
    expect((await world.pullThrough.manifest(app, v1.manifest.digest, { head: false })).bytes).toEqual(
      v1.manifest.bytes,
    )
    await world.put('demo/app:prod', v1.manifest)
    expect(await world.pin('demo/app:prod')).toBe(v1.manifest.digest)
  })
})

describe('a tag that may not move', () => {
  async function heldWorld() {
    const world = await pushWorld()
    await world.push('demo/app:prod', v1)
    await world.push('demo/app:prod', multi)
    await world.tagEvents.rollback(app, 'prod', { by: 'jane', reason: 'bad build' })
    return world
  }

  async function immutableWorld() {
    const world = await pushWorld()
    await world.push('demo/app:prod', v1)
    const annotations = { [immutableAnnotation]: 'p*' }
    await world.writer.changeStream(app, () => ({
      object: { labels: {}, annotations, lookupPolicy: { local: false } },
    }))
    return world
  }

  describe.each([
    ['held', heldWorld, ['bad build', 'weir resume demo/app:prod']],
    ['immutable', immutableWorld, ['weir.dev/immutable: p*', 'use another tag']],
  ])('(%s)', (_, make, words) => {
    test('refuses another image with what to do, and nothing is kept of it', async () => {
      const world = await make()
      const v2 = makeImage('v2')
      for (const push of [
        () => world.push('demo/app:prod', v2),
        () => world.push(`demo/app@${v2.manifest.digest}`, v2, { tags: ['free', 'prod'] }),
      ]) {
        const { code, message } = await refusalOf(push())
        expect(code).toBe('DENIED')
        for (const word of words) expect(message).toContain(word)
      }
      expect(await world.pin('demo/app:prod')).toBe(v1.manifest.digest)
      expect(await world.pin('demo/app:free')).toBeUndefined()
      expect(await world.links.get(app, v2.manifest.digest)).toBeUndefined()
    })

    test('takes the same image again', async () => {
      const world = await make()
      const before = await world.reader.tag(app, 'prod')
      await world.push('demo/app:prod', v1)
      await world.put(`demo/app@${v1.manifest.digest}`, v1.manifest, { tags: ['free', 'prod'] })
      expect((await world.reader.tag(app, 'prod'))?.record.hold).toEqual(before?.record.hold)
      expect(await world.pin('demo/app:free')).toBe(v1.manifest.digest)
    })
  })
})
