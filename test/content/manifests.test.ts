import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Location, UpstreamLocation } from '../../src/content/content.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { contentWorld, fileOf, linkTo, first as location } from './world.ts'

const bytes = Buffer.from('{"schemaVersion":2}')
const digest = digestOf(bytes)
const other: UpstreamLocation = { ...location, repository: 'lib/other' }
const here: Location = { kind: 'here' }

test('a manifest is given out through the location it came from', async () => {
  const { content } = await contentWorld()
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
  expect(await content.manifest(linkTo(digest, other, location))).toEqual(bytes)
})

test('I6: a manifest and its proof are there after a restart', async () => {
  const { content, reopen } = await contentWorld()
  await content.putManifest(digest, bytes, location)
  expect(await (await reopen()).manifest(linkTo(digest, location))).toEqual(bytes)
})

test.each([
  ['another repository', { ...location, repository: 'lib/evil' }],
  ['another host', { ...location, host: 'b.example' }],
  ['another project', { ...location, project: 'evil' }],
  ['fields that join to the same text', { ...location, host: 'a.example/lib', repository: 'app' }],
])('I5: held bytes are not given out through a link to %s', async (_, foreign) => {
  const { content, reopen } = await contentWorld()
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, foreign))).toBeUndefined()
  expect(await (await reopen()).manifest(linkTo(digest, foreign))).toBeUndefined()
})

test('I5: held bytes are not given out through a link without locations', async () => {
  const { content } = await contentWorld()
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest))).toBeUndefined()
})

test('bytes that came through a second location are given out through both', async () => {
  const { content, reopen } = await contentWorld()
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, other))).toBeUndefined()
  await content.putManifest(digest, bytes, other)
  for (const opened of [content, await reopen()]) {
    expect(await opened.manifest(linkTo(digest, other))).toEqual(bytes)
    expect(await opened.manifest(linkTo(digest, location))).toEqual(bytes)
  }
})

test('the same bytes coming through many locations at once are proven for each', async () => {
  const { content, reopen } = await contentWorld()
  const locations = Array.from({ length: 20 }, (_, i) => ({ ...location, repository: `lib/app-${i}` }))
  await Promise.all(locations.map((one) => content.putManifest(digest, bytes, one)))
  for (const opened of [content, await reopen()]) {
    for (const one of locations) expect(await opened.manifest(linkTo(digest, one))).toEqual(bytes)
  }
})

test('I5: what is held is written again, so that the time of a put tells nothing, and nothing grows', async () => {
  const { content, directory, store, records } = await contentWorld()
  await content.putManifest(digest, bytes, location)
  const state = async () => {
    const { ino } = await stat(fileOf(directory, digest))
    const { revision } = await store.range({ prefix: '' })
    return { ino, revision }
  }
  const before = await state()
  await content.putManifest(digest, bytes, location)
  const after = await state()
  expect(after.ino).not.toBe(before.ino)
  expect(after.revision).toBeGreaterThan(before.revision)
  expect((await records.get(digest))?.proofs).toHaveLength(1)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
})

test('bytes put here are given out through a link that says so, and through no location', async () => {
  const { content } = await contentWorld()
  await content.putManifest(digest, bytes, here)
  expect(await content.manifest(linkTo(digest, here))).toEqual(bytes)
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
})

test('sha512 digests have files of their own', async () => {
  const { content } = await contentWorld()
  const long = digestOf(bytes, 'sha512')
  await content.putManifest(long, bytes, location)
  expect(await content.manifest(linkTo(long, location))).toEqual(bytes)
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
})

test('bytes that do not match the digest are refused and leave nothing', async () => {
  const { content, directory } = await contentWorld()
  const wrong = content.putManifest(digest, Buffer.from('other'), location)
  await expect(wrong).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
  expect(await readdir(join(directory, 'blobs', 'sha256'))).toEqual([])
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
})

test('bytes that rotted on disk are put aside, are logged, and are mended by the next put', async () => {
  const { content, directory, logged, records } = await contentWorld()
  await content.putManifest(digest, bytes, location)
  await writeFile(fileOf(directory, digest), Buffer.alloc(bytes.length))
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
  expect(logged.join()).toContain(digest)
  expect(await records.get(digest)).toBeUndefined()
  expect(await readdir(join(directory, 'quarantine'))).toHaveLength(1)
  expect(content.counters).toMatchObject({ quarantined: 1, heldBytes: 0 })
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
})

test('a directory that can not be read is no failure of the pull: the bytes count as absent', async () => {
  const { content, directory, logged } = await contentWorld()
  await content.putManifest(digest, bytes, location)
  const blobs = join(directory, 'blobs', 'sha256')
  await rm(blobs, { recursive: true })
  await writeFile(blobs, 'a file where a directory should be')
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
  expect(logged.join()).toContain(digest)
  await expect(content.putManifest(digest, bytes, location)).rejects.toThrow()
  expect(content.counters.problem).toBe('disk failed')
})

test('what could not be put once can be put when the disk is well again', async () => {
  const { content, directory } = await contentWorld()
  const blobs = join(directory, 'blobs', 'sha256')
  await rm(blobs, { recursive: true })
  await expect(content.putManifest(digest, bytes, location)).rejects.toThrow()
  expect(await readdir(join(directory, 'partial'))).toEqual([])
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
  await mkdir(blobs)
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
  expect(content.counters.problem).toBeUndefined()
})

test('what stands in the way of a file and is none is put aside', async () => {
  const { content, directory } = await contentWorld()
  await mkdir(join(fileOf(directory, digest), 'in the way'), { recursive: true })
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
  expect(await readdir(join(directory, 'quarantine'))).toHaveLength(1)
})

test('what is larger than a manifest may be is not read into memory', async () => {
  const { content } = await contentWorld()
  const huge = Buffer.alloc(32 * 1024 * 1024 + 1)
  await content.putManifest(digestOf(huge), huge, location)
  expect(await content.manifest(linkTo(digestOf(huge), location))).toBeUndefined()
  expect(await content.held(linkTo(digestOf(huge), location))).toBe(huge.length)
})

test('many manifests are kept side by side', async () => {
  const { content } = await contentWorld()
  const all = Array.from({ length: 300 }, (_, i) => Buffer.from(`{"n":${i}}`))
  await Promise.all(all.map((one) => content.putManifest(digestOf(one), one, location)))
  for (const one of all) expect(await content.manifest(linkTo(digestOf(one), location))).toEqual(one)
})

test('closing waits for what is being put', async () => {
  const { content, records } = await contentWorld()
  const put = content.putManifest(digest, bytes, location)
  await content.close()
  expect(await records.get(digest)).toBeDefined()
  await put
})
