/** What a manifest claims of a blob's size takes nothing from others before an upstream answers with such a blob. */
import { expect, test } from 'vitest'
import type { UpstreamLocation } from '../../src/content/content.ts'
import { readAll } from '../../src/content/reader.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { scriptedSource } from './scripted-source.ts'
import { contentWorld, first, linkTo } from './world.ts'

const maxBytes = 10_000
const good = Buffer.alloc(3000, 'good')
const large = Buffer.alloc(9900, 'large')
const theirs: UpstreamLocation = { ...first, host: 'their.example', project: 'their' }
const soon = () => ({ signal: AbortSignal.timeout(60_000) })

async function pressedWorld() {
  const pressed: number[] = []
  const world = await contentWorld({ maxBytes, onPressure: (bytes) => void pressed.push(bytes) })
  world.source.put(first, digestOf(good), { bytes: good })
  await world.content.fetch(linkTo(good, first), soon())
  return { ...world, pressed }
}

test('a claim of a blob that is not there presses nobody out', async () => {
  const { content, pressed } = await pressedWorld()
  await expect(content.open(linkTo(large, theirs))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  expect(pressed).toEqual([])
  expect(content.counters.problem).toBeUndefined()
})

test('a claim of another size than the upstream tells presses nobody out', async () => {
  const { content, source, pressed } = await pressedWorld()
  source.put(theirs, digestOf(large), { bytes: large.subarray(0, 10) })
  await expect(content.open(linkTo(large, theirs))).rejects.toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(pressed).toEqual([])
  expect(content.counters.problem).toBeUndefined()
})

test('a blob that the upstream has presses others out, and is streamed through', async () => {
  const { content, source, pressed } = await pressedWorld()
  source.put(theirs, digestOf(large), { bytes: large })
  expect((await readAll(await content.open(linkTo(large, theirs)))).equals(large)).toBe(true)
  expect(pressed).toEqual([large.length])
  expect(content.counters).toMatchObject({ problem: 'maxBytes reached', streamedThrough: 1 })
})

test('while an upstream does not answer, a claim takes no room', async () => {
  const source = scriptedSource(large.length)
  const { content } = await contentWorld({ maxBytes, source })
  const claimed = expect(content.open(linkTo(large, theirs))).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' })
  const asked = await source.next()
  const fetched = content.fetch(linkTo(good, first), soon())
  const body = (await source.next()).answer({ size: good.length })
  body.send(good)
  body.end()
  await fetched
  expect(await content.held(linkTo(good, first))).toBe(good.length)
  asked.refuse(new RegistryError('BLOB_UNKNOWN'))
  await claimed
})
