import { expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { descriptorOf, indexOf, manifestOf } from '../push/manifest-world.ts'
import { makeImage, type Piece } from '../support/images.ts'
import { bob, type DeletionsWorld, deletionsWorld, nameOf } from './world.ts'

const v1 = makeImage('v1')
const v2 = makeImage('v2')
const app = nameOf('demo/app')

/** A manifest that refers to another; told apart by `what`. */
function referring(what: string, subject: Piece): Piece {
  return manifestOf(v1.config, [], { subject: descriptorOf(subject), annotations: { what } })
}

async function pushAll(world: DeletionsWorld, ...manifests: readonly Piece[]): Promise<void> {
  await world.pushBlob('demo/app', v1.config)
  for (const manifest of manifests) await world.put(`demo/app@${manifest.digest}`, manifest)
}

async function putDerived(world: DeletionsWorld, of: Piece, suffix: string, at: Piece): Promise<string> {
  const stream = await world.reader.stream(app)
  if (stream === undefined) throw new TypeError('it was pushed')
  const tag = `sha256-${of.digest.slice(7)}${suffix}`
  await world.referrerRecords.putFallback(stream, { tag, image: at.digest, mediaType: at.mediaType, by: 'ann' })
  return tag
}

async function left(world: DeletionsWorld, ...manifests: readonly Piece[]): Promise<boolean[]> {
  return Promise.all(manifests.map(async ({ digest }) => (await world.look(`demo/app@${digest}`)) === digest))
}

const signature = referring('signature', v1.manifest)
const sbom = referring('sbom', v1.manifest)
const ofSbom = referring('signature of the sbom', sbom)
const other = referring('signature', v2.manifest)

test('what refers to an image goes with it, and what refers to that; a dry run shows it', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await world.push('demo/app:next', v2)
  await pushAll(world, signature, sbom, ofSbom, other)
  const [told, deleted] = [
    await world.deletions.image(app, v1.manifest.digest, { ...bob, dryRun: true }),
    await world.deletions.image(app, v1.manifest.digest, bob),
  ]
  expect(told).toEqual(deleted)
  expect(deleted.manifests[0]).toBe(v1.manifest.digest)
  expect([...deleted.manifests].sort()).toEqual(
    [v1.manifest, signature, sbom, ofSbom].map(({ digest }) => digest).sort(),
  )
  expect(await left(world, v1.manifest, signature, sbom, ofSbom)).toEqual([false, false, false, false])
  expect(await left(world, v2.manifest, other)).toEqual([true, true])
  expect(await world.referrerRecords.list(app, v1.manifest.digest)).toEqual([])
  expect(await world.referrerRecords.list(app, v2.manifest.digest)).toMatchObject([{ digest: other.digest }])
})

test('what refers to an image can be deleted alone', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await pushAll(world, signature, sbom, ofSbom)
  expect((await world.deletions.image(app, sbom.digest, bob)).manifests).toEqual([sbom.digest, ofSbom.digest])
  expect(await left(world, v1.manifest, signature, sbom, ofSbom)).toEqual([true, true, false, false])
  expect(await world.referrerRecords.list(app, v1.manifest.digest)).toHaveLength(1)
})

test('what a tag of the stream stands at stays, and what refers to it', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await pushAll(world, signature, ofSbom)
  await world.put('demo/app:bom', sbom)
  expect((await world.deletions.image(app, v1.manifest.digest, bob)).manifests).toEqual([
    v1.manifest.digest,
    signature.digest,
  ])
  expect(await left(world, sbom, ofSbom, signature)).toEqual([true, true, false])
})

test('what an index of the stream names stays', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await pushAll(world, signature, sbom)
  await world.put('demo/app:bundle', indexOf([sbom]))
  await world.deletions.image(app, v1.manifest.digest, bob)
  expect(await left(world, v1.manifest, signature, sbom)).toEqual([false, false, true])
})

test('tags that are derived from the digest of an image go with it, and what they stand at', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await world.push('demo/app:next', v2)
  await pushAll(world, signature, sbom, other)
  const plain = indexOf([signature, sbom])
  await pushAll(world, plain)
  await putDerived(world, v1.manifest, '', plain)
  const cosign = manifestOf(v1.config, [], { annotations: { what: 'cosign' } })
  await pushAll(world, cosign)
  await putDerived(world, v1.manifest, '.sig', cosign)
  const kept = await putDerived(world, v2.manifest, '.sig', other)
  const { manifests } = await world.deletions.image(app, v1.manifest.digest, bob)
  expect([...manifests].sort()).toEqual(
    [v1.manifest, plain, signature, sbom, cosign].map(({ digest }) => digest).sort(),
  )
  expect(await left(world, plain, signature, sbom, cosign, other)).toEqual([false, false, false, false, true])
  expect((await world.referrerRecords.fallbacks(app)).map(({ tag }) => tag)).toEqual([kept])
})

test('what such a tag of another image stands at stays', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await world.push('demo/app:next', v2)
  await pushAll(world, signature)
  const kept = await putDerived(world, v2.manifest, '.sig', signature)
  await putDerived(world, v1.manifest, '.sig', signature)
  await world.deletions.image(app, v1.manifest.digest, bob)
  expect(await left(world, v1.manifest, signature)).toEqual([false, true])
  expect((await world.referrerRecords.fallbacks(app)).map(({ tag }) => tag)).toEqual([kept])
})

test('a hostile tag of that kind takes no image along that is used', async () => {
  const world = await deletionsWorld()
  const child = makeImage('child')
  await world.push('demo/app:prod', v1)
  await world.push('demo/app:next', v2)
  await world.push(`demo/app@${child.manifest.digest}`, child)
  await world.put('demo/app:multi', indexOf([child.manifest]))
  await putDerived(world, v1.manifest, '.sig', v2.manifest)
  await putDerived(world, v1.manifest, '.att', child.manifest)
  await world.deletions.image(app, v1.manifest.digest, bob)
  expect(await left(world, v1.manifest, v2.manifest, child.manifest)).toEqual([false, true, true])
})

test('tags of that kind that lead in a circle come to an end', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await pushAll(world, other)
  await putDerived(world, v1.manifest, '.sig', other)
  await putDerived(world, other, '.sig', v1.manifest)
  await pushAll(world, sbom)
  await putDerived(world, other, '.att', sbom)
  await putDerived(world, sbom, '.att', other)
  const told = await world.deletions.image(app, v1.manifest.digest, { ...bob, dryRun: true })
  const { tags, manifests } = await world.deletions.image(app, v1.manifest.digest, bob)
  expect(told.tags).toEqual(tags)
  expect([...told.manifests].sort()).toEqual([...manifests].sort())
  expect(manifests[0]).toBe(v1.manifest.digest)
  expect([...manifests].sort()).toEqual([v1.manifest, other, sbom].map(({ digest }) => digest).sort())
  expect(tags).toEqual(['prod', `sha256-${other.digest.slice(7)}.sig`].sort())
  expect(await world.referrerRecords.fallbacks(app)).toEqual([])
})

test('a tag of that kind is deleted alone, and one that stands at a deleted image goes', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await pushAll(world, signature)
  const [sig, att] = [
    await putDerived(world, v1.manifest, '.sig', signature),
    await putDerived(world, v1.manifest, '.att', signature),
  ]
  expect(await world.deletions.tag(app, sig, { ...bob, dryRun: true })).toEqual({ tags: [sig], manifests: [] })
  expect(await world.deletions.tag(app, sig, bob)).toEqual({ tags: [sig], manifests: [] })
  await expect(world.deletions.tag(app, sig, bob)).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
  expect(await left(world, v1.manifest, signature)).toEqual([true, true])
  expect(await world.deletions.image(app, signature.digest, bob)).toEqual({
    tags: [att],
    manifests: [signature.digest],
  })
  expect(await left(world, v1.manifest)).toEqual([true])
})

test('more than are looked for at once go in rounds, and what stays among them stays', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  const many = Array.from({ length: 7 }, (_, i) => referring(`number ${i}`, v1.manifest))
  const [first, ...others] = many as [Piece, ...Piece[]]
  await pushAll(world, ...others, referring('of the last', others.at(-1) ?? first))
  await world.put('demo/app:bom', first)
  await world.put('demo/app:bundle', indexOf([others[2] ?? first]))
  const deletions = world.deletionsWith({ maxReferrers: 2 })
  await deletions.image(app, v1.manifest.digest, bob)
  expect(await left(world, ...many)).toEqual([true, false, false, true, false, false, false])
  expect(await world.look(`demo/app@${v1.manifest.digest}`)).toBe('MANIFEST_UNKNOWN')
})

test('where an upstream has such a tag can not be deleted', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  await pushAll(world, signature)
  const stream = await world.reader.stream(app)
  if (stream === undefined) throw new TypeError('it was pushed')
  const tag = `sha256-${v1.manifest.digest.slice(7)}.sig`
  const { digest: image, mediaType } = signature
  await world.referrerRecords.putFallback(stream, { tag, image, mediaType, host: 'registry.example.com' })
  for (const dryRun of [true, false])
    await expect(world.deletions.tag(app, tag, { ...bob, dryRun })).rejects.toMatchObject({ code: 'MANIFEST_UNKNOWN' })
})

test('hundreds that refer to an image, one to the other too, go in commits of 100 operations at most', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:prod', v1)
  const stream = await world.reader.stream(app)
  if (stream === undefined) throw new TypeError('it was pushed')
  const locations = [{ kind: 'here' }] as const
  const digests = Array.from({ length: 700 }, (_, i) => `sha256:${String(i).padStart(64, '0')}` as Digest)
  const links = digests.map((digest, i) => {
    const subject = i < 300 ? v1.manifest.digest : (digests[i - 1] ?? v1.manifest.digest)
    const { mediaType } = v1.manifest
    return { digest, mediaType, size: 2, locations, received: true, referrer: { subject } } as const
  })
  await world.links.add(app, stream.uid, links)
  const commits: number[] = []
  const { commit } = world.store
  world.store.commit = (each) => {
    commits.push(each.operations.length)
    return commit(each)
  }
  const { manifests } = await world.deletions.image(app, v1.manifest.digest, bob)
  expect([...manifests].sort()).toEqual([v1.manifest.digest, ...digests].sort())
  expect(Math.max(...commits)).toBeLessThanOrEqual(100)
  for (const digest of digests) expect(await world.links.get(app, digest)).toBeUndefined()
})
