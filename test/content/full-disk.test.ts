/** Downloads whose disk becomes full under them: `/dev/full` takes no byte. */
import { randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { createBuffers } from '../../src/content/buffers.ts'
import type { BlobReader, Link } from '../../src/content/content.ts'
import { type Counters, createCounters } from '../../src/content/counters.ts'
import { createDownloads, type Downloads } from '../../src/content/downloads.ts'
import type { HeldFiles } from '../../src/content/held-files.ts'
import { openHeldFiles } from '../../src/content/open-held-files.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { given } from '../support/given.ts'
import { type ScriptedSource, scriptedSource } from './scripted-source.ts'
import { first, linkTo } from './world.ts'

/** For what a busy machine takes longer to do. */
const soon = { timeout: 10_000 }

const bytes = randomBytes(3 * 1024 * 1024 + 12_345)
const never = new AbortController().signal

interface FullWorld {
  downloads: Downloads
  files: HeldFiles
  source: ScriptedSource
  counters: Counters
  /** Why nothing could be kept. */
  problems: string[]
  link: Link & { size: number }
}

async function fullWorld(): Promise<FullWorld> {
  const temporary = await temporaryDirectory()
  const store = await createLevelStore({ directory: join(temporary, 'store'), logged: [] })
  const closing = new AbortController()
  const counters = createCounters()
  const common = {
    acquireLease: (name: string, signal: AbortSignal) => store.lease(name, signal),
    buffers: createBuffers(),
    counters,
    now: Date.now,
    log: pino({ level: 'silent' }),
  }
  const files = await openHeldFiles({
    ...common,
    directory: join(temporary, 'content'),
    records: createHeldRecords({ store, now: Date.now }),
    maxBytes: 1024 ** 3,
    onPressure: () => undefined,
    signal: closing.signal,
  })
  const full = await open('/dev/full', 'w')
  const source = scriptedSource(bytes.length)
  const problems: string[] = []
  const downloads = createDownloads({
    ...common,
    files: {
      ...files,
      begin: async (...blob) => ({ ...(await files.begin(...blob)), handle: full }),
      refuse(error) {
        const refused = files.refuse(error)
        problems.push(refused.problem)
        return refused
      },
    },
    source,
    finishBytes: 0,
    pause: async () => undefined,
  })
  onTestFinished(async () => {
    await downloads.close()
    closing.abort()
    await full.close()
    await store.close()
  })
  return { downloads, files, source, counters, problems, link: { ...linkTo(bytes, first), size: bytes.length } }
}

function opening({ downloads, link }: FullWorld, offset = 0, length = bytes.length - offset): Promise<BlobReader> {
  return downloads.open(link, link.size, { offset, length }, never)
}

test('readers go on from upstream where the disk became full, verified, and nothing is kept', async () => {
  const world = await fullWorld()
  const { source, counters, problems, files, link, downloads } = world
  const readers = [opening(world), opening(world), opening(world, 1000, 2_000_000)]
  const fetched = downloads.fetch(link, { signal: never })
  const refused = expect(fetched).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    message: expect.stringContaining('full'),
  })
  const body = (await source.next()).answer()
  body.send(bytes.subarray(0, 1_200_000))
  const rests = (await Promise.all(readers)).map(given)
  body.send(bytes.subarray(1_200_000, 1_300_000))
  await refused
  for (let i = 0; i < 3; i++) {
    const ask = await source.next()
    const start = ask.range?.start ?? 0
    expect(start).toBeGreaterThanOrEqual(1_200_000)
    const rest = ask.answer()
    rest.send(bytes.subarray(start, (ask.range?.end ?? bytes.length - 1) + 1))
    rest.end()
  }
  const [one, two, part] = await Promise.all(rests)
  expect(one?.bytes.equals(bytes)).toBe(true)
  expect(two?.bytes.equals(bytes)).toBe(true)
  expect(part?.bytes.equals(bytes.subarray(1000, 2_001_000))).toBe(true)
  expect(counters).toMatchObject({ streamedThrough: 3, downloads: 0 })
  expect(problems).toEqual(['disk full'])
  expect(await files.held(link)).toBeUndefined()
})

test.each([0, 1_000_000, bytes.length - 1])(
  'I4: a bit that is wrong at byte %i never comes whole, whoever verifies it',
  async (at) => {
    const world = await fullWorld()
    const wrong = Buffer.from(bytes)
    wrong[at] = (wrong[at] ?? 0) ^ 1
    const reader = opening(world)
    const body = (await world.source.next()).answer()
    body.send(wrong.subarray(0, 1_200_000))
    const got = given(await reader)
    body.send(wrong.subarray(1_200_000, 1_300_000))
    const ask = await world.source.next()
    const rest = ask.answer()
    rest.send(wrong.subarray(ask.range?.start))
    rest.end()
    expect(await got).toMatchObject({ error: { upstream: { reason: 'BadDigest' } } })
    expect((await got).bytes.length).toBeLessThanOrEqual(bytes.length - 64 * 1024)
  },
)

test('what was held back when the disk became full comes with the rest', async () => {
  const world = await fullWorld()
  const readers = [opening(world), opening(world, bytes.length - 20_000)]
  const body = (await world.source.next()).answer()
  body.send(bytes.subarray(0, bytes.length - 1000))
  const rests = readers.map(async (reader) => given(await reader))
  for (let i = 0; i < 2; i++) {
    const ask = await world.source.next()
    const rest = ask.answer()
    rest.send(bytes.subarray(ask.range?.start))
    rest.end()
  }
  const [whole, end] = await Promise.all(rests)
  expect(whole?.bytes.equals(bytes)).toBe(true)
  expect(end?.bytes.equals(bytes.subarray(-20_000))).toBe(true)
})

test('a blob that was all there when the disk became full comes whole', async () => {
  const world = await fullWorld()
  const readers = [opening(world), opening(world, bytes.length - 10)]
  const body = (await world.source.next()).answer()
  body.send(bytes)
  body.end()
  const [whole, end] = await Promise.all(readers.map(async (reader) => given(await reader)))
  expect(whole?.bytes.equals(bytes)).toBe(true)
  expect(end?.bytes.equals(bytes.subarray(-10))).toBe(true)
  expect(world.source.asks).toHaveLength(1)
  await expect.poll(() => world.problems, soon).toEqual(['disk full'])
  expect(await world.files.held(world.link)).toBeUndefined()
})
