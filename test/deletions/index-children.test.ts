import { expect, test } from 'vitest'
import type { Digest } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { descriptorOf } from '../push/manifest-world.ts'
import { makeImage, makeIndex, type Piece, piece } from '../support/images.ts'
import { bob, type DeletionsWorld, deletionsWorld, nameOf, refusalOf } from './world.ts'

const app = nameOf('demo/app')
const index = makeIndex('multi')
const child = index.children[0]?.manifest.digest as Digest

function indexOf(...manifests: Piece[]): Piece {
  const body = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: manifests.map(descriptorOf) }
  return piece(mediaTypes.ociIndex, JSON.stringify(body))
}

async function refusedFor(world: DeletionsWorld, digest: Digest, ...words: string[]): Promise<void> {
  for (const dryRun of [true, false]) {
    const refusal = await refusalOf(world.deletions.image(app, digest, { ...bob, dryRun }))
    expect(refusal.code).toBe('DENIED')
    for (const word of ['nothing was deleted', ...words]) expect(refusal.message).toContain(word)
  }
  expect(await world.look(`demo/app@${digest}`)).toBe(digest)
}

test('an image that an index names is refused while a tag stands at the index, and its own tags stay', async () => {
  const world = await deletionsWorld()
  await world.push('demo/app:idx', index)
  const [own] = index.children
  if (own === undefined) throw new TypeError('the index has children')
  await world.push('demo/app:a', own)
  await refusedFor(world, child, index.manifest.digest, 'tag "idx"')
  expect(await world.look('demo/app:a')).toBe(child)
  expect(await world.look('demo/app:idx')).toBe(index.manifest.digest)
})

test('the tag goes first, or the index: then so does what it names', async () => {
  const byTag = await deletionsWorld()
  await byTag.push('demo/app:idx', index)
  await byTag.deletions.tag(app, 'idx', bob)
  await byTag.deletions.image(app, child, bob)
  expect(await byTag.look(`demo/app@${child}`)).toBe('MANIFEST_UNKNOWN')
  const byIndex = await deletionsWorld()
  await byIndex.push('demo/app:idx', index)
  await byIndex.push('demo/app:other', makeImage('other'))
  await byIndex.deletions.image(app, index.manifest.digest, bob)
  await byIndex.deletions.image(app, child, bob)
  expect(await byIndex.look(`demo/app@${child}`)).toBe('MANIFEST_UNKNOWN')
})

test('an image in an index of an index is refused while a tag stands at the outer one', async () => {
  const world = await deletionsWorld()
  await world.push(`demo/app@${index.manifest.digest}`, index)
  const outer = indexOf(index.manifest)
  await world.put('demo/app:all', outer)
  await refusedFor(world, child, outer.digest, 'tag "all"')
  await refusedFor(world, index.manifest.digest, outer.digest, 'tag "all"')
})

test('an image in indexes that are nested too deep to look through is refused', async () => {
  const world = await deletionsWorld()
  await world.push(`demo/app@${index.manifest.digest}`, index)
  let top = index.manifest
  for (let depth = 0; depth < 12; depth++) {
    top = indexOf(top)
    await world.put(`demo/app@${top.digest}`, top)
  }
  await world.push('demo/app:other', makeImage('other'))
  await refusedFor(world, child, 'nested')
})

test('an index that names itself in a circle of records ends the search', async () => {
  const world = await deletionsWorld()
  await world.push(`demo/app@${index.manifest.digest}`, index)
  await world.push('demo/app:other', makeImage('other'))
  const { uid } = (await world.reader.stream(app)) ?? { uid: '' }
  const { digest, mediaType, bytes } = index.manifest
  const link = {
    digest,
    mediaType,
    size: bytes.length,
    locations: [{ kind: 'here' }],
    children: [child, digest],
  } as const
  await world.links.add(app, uid, [link])
  await world.deletions.image(app, child, bob)
  expect(await world.look(`demo/app@${child}`)).toBe('MANIFEST_UNKNOWN')
})

test('an index of another stream keeps nothing here', async () => {
  const world = await deletionsWorld()
  await world.push('demo/twin:idx', index)
  const [own] = index.children
  if (own === undefined) throw new TypeError('the index has children')
  await world.push('demo/app:a', own)
  await world.push('demo/app:other', makeImage('other'))
  await world.deletions.image(app, child, bob)
  expect(await world.look('demo/app:a')).toBe('MANIFEST_UNKNOWN')
  expect(await world.look(`demo/twin@${child}`)).toBe(child)
})
