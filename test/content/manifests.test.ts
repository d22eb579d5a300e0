import { appendFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Content, Link, Location, UpstreamLocation } from '../../src/content/content.ts'
import { createContent } from '../../src/content/create-content.ts'
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { memorySource } from './memory-source.ts'

const bytes = Buffer.from('{"schemaVersion":2}')
const digest = digestOf(bytes)
const location: UpstreamLocation = { kind: 'upstream', host: 'a.example', repository: 'lib/app', project: 'demo' }
const other: UpstreamLocation = { ...location, repository: 'lib/other' }

interface World {
  directory: string
  content: Content
  /** Messages logged. */
  logged: string[]
  reopen(): Promise<Content>
}

async function world(): Promise<World> {
  const directory = join(await temporaryDirectory(), 'content')
  const logged: string[] = []
  const log = pino({}, { write: (line: string) => void logged.push(line) })
  const reopen = () => createContent({ directory, source: memorySource(), log })
  return { directory, content: await reopen(), logged, reopen }
}

function linkTo(target: Digest, ...locations: Location[]): Link {
  return { digest: target, mediaType: mediaTypes.ociManifest, size: undefined, locations }
}

function fileOf(directory: string, target: Digest): string {
  const hex = digestHex(target)
  return join(directory, target.slice(0, 6), hex.slice(0, 2), hex)
}

test('a manifest is given out through the location it came from', async () => {
  const { content } = await world()
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
  expect(await content.manifest(linkTo(digest, other, location))).toEqual(bytes)
})

test('I6: a manifest and its proof are there after a restart', async () => {
  const { content, reopen } = await world()
  await content.putManifest(digest, bytes, location)
  expect(await (await reopen()).manifest(linkTo(digest, location))).toEqual(bytes)
})

test.each([
  ['another repository', { ...location, repository: 'lib/evil' }],
  ['another host', { ...location, host: 'b.example' }],
  ['another project', { ...location, project: 'evil' }],
  ['fields that join to the same text', { ...location, host: 'a.example/lib', repository: 'app' }],
])('I5: held bytes are not given out through a link to %s', async (_, foreign) => {
  const { content, reopen } = await world()
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, foreign))).toBeUndefined()
  expect(await (await reopen()).manifest(linkTo(digest, foreign))).toBeUndefined()
})

test('I5: held bytes are not given out through a link without locations', async () => {
  const { content } = await world()
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest))).toBeUndefined()
})

test('bytes that came through a second location are given out through both', async () => {
  const { content, reopen } = await world()
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, other))).toBeUndefined()
  await content.putManifest(digest, bytes, other)
  for (const opened of [content, await reopen()]) {
    expect(await opened.manifest(linkTo(digest, other))).toEqual(bytes)
    expect(await opened.manifest(linkTo(digest, location))).toEqual(bytes)
  }
})

test('the same bytes coming through many locations at once are proven for each', async () => {
  const { content, reopen } = await world()
  const locations = Array.from({ length: 20 }, (_, i) => ({ ...location, repository: `lib/app-${i}` }))
  await Promise.all(locations.map((one) => content.putManifest(digest, bytes, one)))
  for (const opened of [content, await reopen()]) {
    for (const one of locations) expect(await opened.manifest(linkTo(digest, one))).toEqual(bytes)
  }
})

test('I5: what is held is written again, so that the time of a put tells nothing, and nothing grows', async () => {
  const { content, directory } = await world()
  await content.putManifest(digest, bytes, location)
  const path = fileOf(directory, digest)
  const state = () => Promise.all([path, `${path}.locations`].map((file) => stat(file, { bigint: true })))
  const [file, notes] = await state()
  await content.putManifest(digest, bytes, location)
  const [fileAfter, notesAfter] = await state()
  expect(fileAfter?.ino).not.toBe(file?.ino)
  expect(notesAfter?.mtimeNs).not.toBe(notes?.mtimeNs)
  expect(notesAfter?.size).toBe(notes?.size)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
})

test('bytes put here are given out through a link that says so, and through no location', async () => {
  const { content } = await world()
  await content.putManifest(digest, bytes, { kind: 'here' })
  expect(await content.manifest(linkTo(digest, { kind: 'here' }))).toEqual(bytes)
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
})

test('sha512 digests have files of their own', async () => {
  const { content } = await world()
  const long = digestOf(bytes, 'sha512')
  await content.putManifest(long, bytes, location)
  expect(await content.manifest(linkTo(long, location))).toEqual(bytes)
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
})

test('bytes that do not match the digest are refused and leave nothing', async () => {
  const { content, directory } = await world()
  const wrong = content.putManifest(digest, Buffer.from('other'), location)
  await expect(wrong).rejects.toMatchObject({ code: 'DIGEST_INVALID' })
  expect(await readdir(join(directory, 'sha256'))).toEqual([])
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
})

test('bytes that rotted on disk count as absent, are logged, and are mended by the next put', async () => {
  const { content, directory, logged } = await world()
  await content.putManifest(digest, bytes, location)
  await writeFile(fileOf(directory, digest), 'rotten')
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
  expect(logged.join()).toContain(digest)
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
})

test('a directory that can not be read is no failure of the pull: the bytes count as absent', async () => {
  const { content, directory, logged } = await world()
  await writeFile(join(directory, 'sha256', digestHex(digest).slice(0, 2)), 'a file where a directory should be')
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
  expect(logged.join()).toContain(digest)
  await expect(content.putManifest(digest, bytes, location)).rejects.toThrow()
})

test('what could not be put once can be put when the disk is well again', async () => {
  const { content, directory } = await world()
  const shard = join(directory, 'sha256', digestHex(digest).slice(0, 2))
  await writeFile(shard, 'a file where a directory should be')
  await expect(content.putManifest(digest, bytes, location)).rejects.toThrow()
  expect(await content.manifest(linkTo(digest, location))).toBeUndefined()
  await rm(shard)
  await content.putManifest(digest, bytes, location)
  expect(await content.manifest(linkTo(digest, location))).toEqual(bytes)
})

test('a put that fails leaves no piece behind', async () => {
  const { content, directory } = await world()
  await mkdir(join(fileOf(directory, digest), 'in the way'), { recursive: true })
  await expect(content.putManifest(digest, bytes, location)).rejects.toThrow()
  expect(await readdir(join(directory, 'tmp'))).toEqual([])
})

test('I6: pieces that a crash left are cleared away at the next start', async () => {
  const { content, directory, reopen } = await world()
  await content.putManifest(digest, bytes, location)
  expect(await readdir(join(directory, 'tmp'))).toEqual([])
  await writeFile(join(directory, 'tmp', 'unfinished'), 'half of it')
  await reopen()
  expect(await readdir(join(directory, 'tmp'))).toEqual([])
})

test('I6: a proof that a crash cut short proves nothing and spoils no later one', async () => {
  const { content, directory, reopen } = await world()
  await content.putManifest(digest, bytes, location)
  const file = `${fileOf(directory, digest)}.locations`
  const proof = (await readFile(file, 'ascii')).trim()
  await writeFile(file, proof.slice(0, 40))
  const cut = await reopen()
  expect(await cut.manifest(linkTo(digest, location))).toBeUndefined()
  await cut.putManifest(digest, bytes, location)
  await appendFile(file, proof.slice(0, 7))
  expect(await (await reopen()).manifest(linkTo(digest, location))).toEqual(bytes)
})

test('many manifests are kept side by side', async () => {
  const { content } = await world()
  const all = Array.from({ length: 300 }, (_, i) => Buffer.from(`{"n":${i}}`))
  await Promise.all(all.map((one) => content.putManifest(digestOf(one), one, location)))
  for (const one of all) expect(await content.manifest(linkTo(digestOf(one), location))).toEqual(one)
})
