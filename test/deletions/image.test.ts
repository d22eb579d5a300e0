import { describe, expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { linkKey } from '../../src/streams/keys.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import { bob, type DeletionsWorld, deletionsWorld, nameOf, refusalOf } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const app = nameOf('demo/app')

describe('an image', () => {
  test('goes with all tags that stand there, at once, and others stay', async () => {
    const world = await deletionsWorld()
    await world.push(`demo/app@${v1.manifest.digest}`, v1, { tags: ['stable', 'prod'] })
    await world.push('demo/app:next', v2)
    for (const at of ['demo/app:prod', `demo/app@${v1.manifest.digest}`])
      expect(await world.look(at)).toBe(v1.manifest.digest)
    expect(world.pullThrough.warm('demo', 'app', 'prod')).toBeDefined()
    const deleted = await world.deletions.image(app, v1.manifest.digest, bob)
    expect(deleted).toEqual({ tags: ['prod', 'stable'], manifests: [v1.manifest.digest] })
    for (const reference of ['prod', v1.manifest.digest])
      expect(world.pullThrough.warm('demo', 'app', reference)).toBeUndefined()
    for (const at of ['demo/app:prod', 'demo/app:stable', `demo/app@${v1.manifest.digest}`]) {
      expect(await world.look(at)).toBe('MANIFEST_UNKNOWN')
    }
    expect(await world.look('demo/app:next')).toBe(v2.manifest.digest)
    for (const tag of ['prod', 'stable'])
      expect(await world.newest(`demo/app:${tag}`)).toMatchObject({ cause: { kind: 'delete', by: 'bob' } })
  })

  test('that is not there, or no more, is unknown', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.deletions.image(app, v1.manifest.digest, bob)
    for (const { digest } of [v1.manifest, v2.manifest, v1.config]) {
      expect(await refusalOf(world.deletions.image(app, digest, bob))).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    }
  })

  test('that is an index leaves its children, which are images of their own', async () => {
    const world = await deletionsWorld()
    const index = makeIndex('multi')
    await world.push('demo/app:prod', index)
    await world.deletions.image(app, index.manifest.digest, bob)
    expect(await world.look(`demo/app@${index.manifest.digest}`)).toBe('MANIFEST_UNKNOWN')
    for (const { manifest } of index.children)
      expect(await world.look(`demo/app@${manifest.digest}`)).toBe(manifest.digest)
  })

  test('goes when nothing but an index names it, and nobody has read it', async () => {
    const world = await deletionsWorld()
    const index = makeIndex('imported')
    world.registry.put('lib/app', index, { tag: 'v1' })
    await world.importImage('app', 'prod', `${world.registry.host}/lib/app:v1`)
    const [child] = index.children
    const digest = child?.manifest.digest as Digest
    expect(await world.links.get(app, digest)).toBeDefined()
    await world.deletions.tag(app, 'prod', bob)
    await world.deletions.image(app, digest, bob)
    expect(await world.look(`demo/app@${digest}`)).toBe('MANIFEST_UNKNOWN')
  })

  test('that was imported is not imported again by itself, and comes back when somebody imports it', async () => {
    const world = await deletionsWorld()
    world.registry.put('lib/app', v1, { tag: 'v1' })
    const from = `${world.registry.host}/lib/app:v1`
    await world.importImage('app', 'prod', from)
    await world.deletions.image(app, v1.manifest.digest, bob)
    expect(await world.reader.tags(app)).toEqual([])
    await world.importImage('app', 'prod', from)
    expect(await world.look('demo/app:prod')).toBe(v1.manifest.digest)
  })

  test('can be pushed again', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.deletions.image(app, v1.manifest.digest, bob)
    await world.push('demo/app:prod', v1)
    expect(await world.look('demo/app:prod')).toBe(v1.manifest.digest)
    expect(await world.newest('demo/app:prod')).toMatchObject({ revision: 3, cause: { kind: 'push' } })
  })

  test('to which a history leads can be deleted; a rollback there is refused, and says why', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.push('demo/app:prod', v2)
    expect(await world.deletions.image(app, v1.manifest.digest, bob)).toMatchObject({ tags: [] })
    const refusal = await refusalOf(world.tagEvents.rollback(app, 'prod', { by: 'ann', to: 1 }))
    expect(refusal.message).toContain('deleted')
    expect(await world.look('demo/app:prod')).toBe(v2.manifest.digest)
  })
})

describe('I5: the digest of another project', () => {
  test('is answered as one that nobody has, and stays there', async () => {
    const world = await deletionsWorld()
    await world.objects.create('namespaces', '', { metadata: { name: 'other' } })
    await world.push('other/app:prod', v1)
    await world.push('demo/app:prod', v2)
    const refusals = []
    for (const digest of [v1.manifest.digest, makeImage('nowhere').manifest.digest]) {
      const { code, message } = await refusalOf(world.deletions.image(app, digest, bob))
      refusals.push({ code, message: message.replace(digest, 'DIGEST') })
    }
    expect(refusals[0]).toEqual(refusals[1])
    expect(refusals[0]).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
    expect(await world.look('other/app:prod')).toBe(v1.manifest.digest)
  })

  test('stays there also when this project deletes the same', async () => {
    const world = await deletionsWorld()
    await world.objects.create('namespaces', '', { metadata: { name: 'other' } })
    for (const to of ['other/app:prod', 'demo/app:prod', 'demo/twin:prod']) await world.push(to, v1)
    await world.deletions.image(app, v1.manifest.digest, bob)
    expect(await world.look('demo/app:prod')).toBe('MANIFEST_UNKNOWN')
    for (const at of ['other/app:prod', 'demo/twin:prod', `other/app@${v1.manifest.digest}`])
      expect(await world.look(at)).toBe(v1.manifest.digest)
  })
})

describe('a held tag', () => {
  test('keeps its image and all other tags of it', async () => {
    const world = await deletionsWorld()
    await world.push('demo/app:prod', v1)
    await world.push('demo/app:stable', v1)
    await world.push('demo/app:prod', v2)
    await world.tagEvents.rollback(app, 'prod', { by: 'ann', to: 1, reason: 'trouble' })
    const before = await world.reader.tags(app)
    for (const dryRun of [true, false]) {
      const refused = await refusalOf(world.deletions.image(app, v1.manifest.digest, { ...bob, dryRun }))
      expect(refused).toMatchObject({ code: 'DENIED' })
      expect(refused.message).toContain('weir resume demo/app:prod')
      expect(await refusalOf(world.deletions.tag(app, 'prod', { ...bob, dryRun }))).toMatchObject({ code: 'DENIED' })
    }
    expect(await world.reader.tags(app)).toEqual(before)
    expect(await world.look('demo/app:stable')).toBe(v1.manifest.digest)
  })
})

describe('an immutable tag', () => {
  test.each([
    ['of the stream', 'v*'],
    ['of the stream, in a twin', 'v1'],
  ])('%s keeps its image, and all other tags of it', async (_where, immutable) => {
    const world = await deletionsWorld()
    await world.writer.create(app, { annotations: { 'weir.dev/immutable': immutable } })
    await world.push(`demo/app@${v1.manifest.digest}`, v1, { tags: ['v1', 'prod'] })
    for (const dryRun of [true, false]) {
      for (const work of [
        () => world.deletions.image(app, v1.manifest.digest, { ...bob, dryRun }),
        () => world.deletions.tag(app, 'v1', { ...bob, dryRun }),
      ]) {
        const refused = await refusalOf(work())
        expect(refused).toMatchObject({ code: 'DENIED' })
        expect(refused.message).toContain('tag "v1" is immutable')
      }
    }
    for (const at of ['demo/app:v1', 'demo/app:prod', `demo/app@${v1.manifest.digest}`])
      expect(await world.look(at)).toBe(v1.manifest.digest)
    await world.deletions.tag(app, 'prod', bob)
    expect(await world.look('demo/app:prod')).toBe('MANIFEST_UNKNOWN')
  })
})

test('a dry run tells what would go, and writes nothing', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await world.push('demo/app:stable', v1)
  const wish = { ...bob, dryRun: true }
  const commits = countCommits(world)
  expect(await world.deletions.image(app, v1.manifest.digest, wish)).toEqual({
    tags: ['prod', 'stable'],
    manifests: [v1.manifest.digest],
  })
  expect(await world.deletions.tag(app, 'prod', wish)).toEqual({ tags: ['prod'], manifests: [] })
  expect(commits).toEqual([])
  expect(await world.look('demo/app:prod')).toBe(v1.manifest.digest)
  const unknown = world.deletions.image(app, v2.manifest.digest, wish)
  expect(await refusalOf(unknown)).toMatchObject({ code: 'MANIFEST_UNKNOWN' })
})

test('5,000 tags at one image go in commits of 100 operations at most', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:first', v1)
  const cause = { kind: 'push', by: 'ann' } as const
  const event = { image: v1.manifest.digest, mediaType: v1.manifest.mediaType, dockerImageReference: 'x', cause }
  const names = Array.from({ length: 4_999 }, (_, i) => `t${String(i).padStart(4, '0')}`)
  await world.writer.changeStream(app, () => ({
    tags: new Map(names.map((name): [string, TagChange] => [name, { event }])),
  }))
  const commits = countCommits(world)
  const { tags } = await world.deletions.image(app, v1.manifest.digest, bob)
  expect(tags).toEqual(['first', ...names])
  expect(Math.max(...commits)).toBeLessThanOrEqual(100)
  expect(commits.length).toBeLessThan(600)
  expect(await world.reader.tags(app)).toEqual([])
})

test('tags that follow one another go together', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  const following = Array.from({ length: 24 }, (_, i) => `f${String(i).padStart(2, '0')}`)
  for (const [i, name] of following.entries()) {
    const source = i === 0 ? 'prod' : i % 2 === 0 ? following[i - 1] : 'prod'
    const from = { kind: 'ImageStreamTag', name: String(source) } as const
    const spec = { name, annotations: null, from, importPolicy: {}, referencePolicy: { type: 'Local' } } as const
    await world.writer.changeTag(app, name, () => ({ spec, wantedBy: { by: 'ann' } }))
  }
  expect(await world.look('demo/app:f23')).toBe(v1.manifest.digest)
  const { tags } = await world.deletions.image(app, v1.manifest.digest, bob)
  expect(tags).toEqual([...following, 'prod'])
  expect(await world.reader.tags(app)).toEqual([])
})

describe('a deletion that breaks off', () => {
  async function standing(): Promise<DeletionsWorld> {
    const world = await deletionsWorld()
    await world.push(`demo/app@${v1.manifest.digest}`, v1, { tags: ['prod', 'stable'] })
    const from = { kind: 'ImageStreamTag', name: 'prod' } as const
    const spec = {
      name: 'twin',
      annotations: null,
      from,
      importPolicy: {},
      referencePolicy: { type: 'Local' },
    } as const
    await world.writer.changeTag(app, 'twin', () => ({ spec, wantedBy: { by: 'ann' } }))
    const stream = await world.reader.stream(app)
    if (stream === undefined) throw new TypeError('it was pushed')
    await world.push('demo/app:v2', v2)
    const signature = { tag: `sha256-${v1.manifest.digest.slice(7)}.sig`, image: v2.manifest.digest }
    await world.deletions.tag(app, 'v2', bob)
    await world.referrerRecords.putFallback(stream, { ...signature, mediaType: v2.manifest.mediaType, by: 'ann' })
    return world
  }

  test('is ended by the same again, wherever it broke, and no tag is left without its image', async () => {
    const usual = await standing()
    const all = countCommits(usual)
    await usual.deletions.image(app, v1.manifest.digest, bob)
    expect(all.length).toBeGreaterThanOrEqual(4)
    for (const [last] of all.entries()) {
      const world = await standing()
      const { store } = world
      const { commit } = store
      let count = 0
      store.commit = async (each) => {
        count += 1
        if (count > last) throw new RegistryError('UNAVAILABLE', { message: 'the disk is gone' })
        return commit(each)
      }
      await expect(world.deletions.image(app, v1.manifest.digest, bob)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      store.commit = commit
      for (const { record } of await world.reader.tags(app))
        expect(await world.links.get(app, record.items[0]?.image as Digest)).toMatchObject({ received: true })
      await world.deletions.image(app, v1.manifest.digest, bob)
      expect(await world.reader.tags(app)).toEqual([])
      expect(await world.referrerRecords.fallbacks(app)).toEqual([])
      for (const { manifest } of [v1, v2]) {
        expect(await store.get(linkKey(app, manifest.digest))).toBeUndefined()
        expect(await world.look(`demo/app@${manifest.digest}`)).toBe('MANIFEST_UNKNOWN')
      }
    }
  })
})

/** The operations of each commit from now on. */
function countCommits({ store }: DeletionsWorld): number[] {
  const counts: number[] = []
  const { commit } = store
  store.commit = (each) => {
    counts.push(each.operations.length)
    return commit(each)
  }
  return counts
}
