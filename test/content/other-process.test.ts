/** Two processes on one content directory; which of them writes a blob is decided by leases. */
import { randomBytes } from 'node:crypto'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { AcquireLease, Content, HeldRecords, Link } from '../../src/content/content.ts'
import { createContent } from '../../src/content/create-content.ts'
import { proofOf } from '../../src/content/proof.ts'
import { readAll } from '../../src/content/reader.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { given } from '../support/given.ts'
import { type ScriptedSource, scriptedSource } from './scripted-source.ts'
import { fileOf, first, linkTo, second } from './world.ts'

/** For what a busy machine takes longer to do. */
const soon = { timeout: 10_000 }

const bytes = randomBytes(3 * 1024 * 1024 + 12_345)
const heldBack = 64 * 1024

interface Process {
  content: Content
  source: ScriptedSource
  /** Its leases go to others, as when it does not answer for long. */
  lose(): void
  /** How often it has paused. */
  readonly pauses: number
  /** From when it settles the process pauses until it learns something. */
  rest(): Promise<void>
}

/** Leases as a store grants them: each to one process at a time. */
function leases(): () => { acquire: AcquireLease; lose(): void } {
  const holders = new Map<string, { process: symbol; count: number; lost: AbortController }>()
  let news = Promise.withResolvers<void>()
  const tell = (): void => {
    news.resolve()
    news = Promise.withResolvers()
  }
  return () => {
    const process = Symbol('process')
    return {
      async acquire(name, signal) {
        for (;;) {
          signal.throwIfAborted()
          const holder = holders.get(name) ?? { process, count: 0, lost: new AbortController() }
          if (holder.process === process) {
            holders.set(name, holder)
            holder.count += 1
            return {
              lost: holder.lost.signal,
              async release() {
                holder.count -= 1
                if (holder.count === 0 && holders.get(name) === holder) holders.delete(name)
                tell()
              },
            }
          }
          const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
          await Promise.race([news.promise, aborted])
        }
      },
      lose() {
        for (const [name, holder] of holders) {
          if (holder.process !== process) continue
          holders.delete(name)
          holder.lost.abort()
        }
        tell()
      },
    }
  }
}

interface Processes {
  one: Process
  two: Process
  /** As if a third one asked. */
  acquire: AcquireLease
  records: HeldRecords
  directory: string
  link: Link
}

async function processes(): Promise<Processes> {
  const temporary = await temporaryDirectory()
  const store = await createLevelStore({ directory: join(temporary, 'store'), logged: [] })
  onTestFinished(() => store.close())
  const directory = join(temporary, 'content')
  const grant = leases()
  const records = createHeldRecords({ store, now: Date.now })
  const start = async (): Promise<Process> => {
    const { acquire, lose } = grant()
    const source = scriptedSource(bytes.length)
    let resting: PromiseWithResolvers<void> | undefined
    let pauses = 0
    const content = await createContent({
      directory,
      source,
      records,
      acquireLease: acquire,
      maxBytes: 1024 ** 3,
      finishBytes: 0,
      async pause(milliseconds, signal) {
        pauses++
        resting?.resolve()
        await setTimeout(resting === undefined ? Math.min(milliseconds, 5) : 2 ** 31 - 1, undefined, { signal })
      },
    })
    onTestFinished(() => content.close())
    const rest = (): Promise<void> => {
      resting = Promise.withResolvers()
      return resting.promise
    }
    return {
      content,
      source,
      lose,
      rest,
      get pauses() {
        return pauses
      },
    }
  }
  const { acquire } = grant()
  return { one: await start(), two: await start(), acquire, records, directory, link: linkTo(bytes, first) }
}

/** Begins a download of which `there` bytes are in the file. */
async function begin({ content, source }: Process, link: Link, there: number) {
  const opening = content.open(link)
  const body = (await source.next()).answer()
  body.send(bytes.subarray(0, there))
  const { reader } = await opening
  return { body, reader }
}

test('a process reads what another one writes, and asks no upstream', async () => {
  const { one, two, link, directory } = await processes()
  const { body, reader } = await begin(one, link, 1_500_000)
  const own = given(reader)
  const { reader: other } = await two.content.open(link)
  const followed = given(other)
  const fetched = two.content.fetch(link, { signal: AbortSignal.timeout(60_000) })
  body.send(bytes.subarray(1_500_000))
  body.end()
  expect((await own).bytes.equals(bytes)).toBe(true)
  expect((await followed).bytes.equals(bytes)).toBe(true)
  await fetched
  expect(two.source.asks).toEqual([])
  expect(await two.content.held(link)).toBe(bytes.length)
  expect(await readdir(join(directory, 'partial'))).toEqual([])
})

test('when the writer ends, the other one goes on where it was, verified, and keeps it', async () => {
  const { one, two, link } = await processes()
  const { reader } = await begin(one, link, 1_500_000)
  const own = given(reader)
  const { reader: other } = await two.content.open(link)
  const followed = given(other)
  await expect.poll(() => two.content.counters.deliveredBytes, soon).toBe(1_500_000)
  await one.content.close()
  expect((await own).error).toBeDefined()
  const ask = await two.source.next()
  expect(ask.range).toEqual({ start: 1_500_000 })
  const rest = ask.answer()
  rest.send(bytes.subarray(1_500_000))
  rest.end()
  expect((await followed).bytes.equals(bytes)).toBe(true)
  await expect.poll(() => two.content.held(link), soon).toBe(bytes.length)
})

test('I4: wrong bytes that another process wrote never come whole', async () => {
  const { one, two, link } = await processes()
  const wrong = Buffer.from(bytes)
  wrong[7] = (wrong[7] ?? 0) ^ 1
  const opening = one.content.open(link)
  const body = (await one.source.next()).answer()
  body.send(wrong.subarray(0, 1_500_000))
  const own = given((await opening).reader)
  const followed = given((await two.content.open(link)).reader)
  await expect.poll(() => two.content.counters.deliveredBytes, soon).toBe(1_500_000)
  await one.content.close()
  await own
  const rest = (await two.source.next()).answer()
  rest.send(bytes.subarray(1_500_000))
  rest.end()
  const got = await followed
  expect(got.error).toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(got.bytes.length).toBeLessThanOrEqual(bytes.length - heldBack)
  expect(await two.content.held(link)).toBeUndefined()
})

test('I4: a whole file that another process wrote is verified before its end is given out', async () => {
  const { one, two, link } = await processes()
  const wrong = Buffer.from(bytes)
  wrong[7] = (wrong[7] ?? 0) ^ 1
  const opening = one.content.open(link)
  const body = (await one.source.next()).answer()
  body.send(wrong.subarray(0, 1_500_000), wrong.subarray(1_500_000))
  const own = given((await opening).reader)
  const got = await two.content.open(link).then(
    ({ reader }) => given(reader),
    (error: unknown) => ({ bytes: Buffer.alloc(0), error }),
  )
  expect(got.error).toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(got.bytes.length).toBeLessThanOrEqual(bytes.length - heldBack)
  expect(two.source.asks).toEqual([])
  body.end()
  expect((await own).error).toMatchObject({ upstream: { reason: 'BadDigest' } })
  const again = two.content.open(link)
  const right = (await two.source.next()).answer()
  right.send(bytes)
  right.end()
  expect((await readAll(await again)).equals(bytes)).toBe(true)
})

test('I5: who has another location gets nothing of what another process writes, and does not wait for it', async () => {
  const { one, two, link } = await processes()
  const { body, reader } = await begin(one, link, 1_500_000)
  const own = given(reader)
  const apart = two.content.open({ ...link, locations: [second] })
  const ask = await two.source.next()
  expect(ask).toMatchObject({ location: second, range: undefined })
  const answer = ask.answer()
  answer.send(bytes)
  answer.end()
  expect((await readAll(await apart)).equals(bytes)).toBe(true)
  body.send(bytes.subarray(1_500_000))
  body.end()
  expect((await own).bytes.equals(bytes)).toBe(true)
})

test('I5: who has not all locations that another process may read from does not follow it', async () => {
  const { one, two, link } = await processes()
  const both = { ...link, locations: [first, second] }
  const { body, reader } = await begin(one, both, 1_500_000)
  const own = given(reader)
  const followed = given((await two.content.open(both)).reader)
  const apart = two.content.open(link)
  const ask = await two.source.next()
  expect(ask).toMatchObject({ location: first, range: undefined })
  const answer = ask.answer()
  answer.send(bytes)
  answer.end()
  expect((await readAll(await apart)).equals(bytes)).toBe(true)
  body.send(bytes.subarray(1_500_000))
  body.end()
  for (const got of [own, followed]) expect((await got).bytes.equals(bytes)).toBe(true)
})

test('a process that lost its lease goes on for its readers alone, and leaves the file to the other', async () => {
  const { one, two, link, directory } = await processes()
  const { body, reader } = await begin(one, link, 1_500_000)
  const own = given(reader)
  await expect.poll(() => one.content.counters.deliveredBytes, soon).toBe(1_500_000)
  one.lose()
  const ask = await one.source.next()
  expect(ask.range).toEqual({ start: 1_500_000 })
  expect(body.isClosed).toBe(true)
  const { body: taken, reader: other } = await begin(two, link, 1000)
  const theirs = given(other)
  const rest = ask.answer()
  rest.send(bytes.subarray(1_500_000))
  rest.end()
  expect((await own).bytes.equals(bytes)).toBe(true)
  taken.send(bytes.subarray(1000))
  taken.end()
  expect((await theirs).bytes.equals(bytes)).toBe(true)
  await expect.poll(() => two.content.held(link), soon).toBe(bytes.length)
  expect(await readdir(join(directory, 'partial'))).toEqual([])
})

test('what another process has kept meanwhile is read from there', async () => {
  const { one, two, link } = await processes()
  const both = { ...link, locations: [first, second] }
  const { body, reader } = await begin(one, both, 1000)
  const own = given(reader)
  // It follows another file than the one that is there.
  const waiting = two.content.fetch(
    { ...both, locations: [second, first, { ...first, repository: 'lib/more' }] },
    {
      signal: AbortSignal.timeout(60_000),
    },
  )
  body.cut(new RegistryError('DENIED'))
  const rest = (await one.source.next()).answer()
  rest.send(bytes.subarray(1000))
  rest.end()
  expect((await own).bytes.equals(bytes)).toBe(true)
  await waiting
  expect(two.source.asks).toEqual([])
})

test('who reads what another process keeps between two looks gets it whole', async () => {
  const { one, two, link } = await processes()
  const { body, reader } = await begin(one, link, 1_500_000)
  const own = given(reader)
  const followed = given((await two.content.open(link)).reader)
  await expect.poll(() => two.content.counters.deliveredBytes, soon).toBe(1_500_000)
  await two.rest()
  body.send(bytes.subarray(1_500_000))
  body.end()
  expect((await own).bytes.equals(bytes)).toBe(true)
  expect((await followed).bytes.equals(bytes)).toBe(true)
  expect(two.source.asks).toEqual([])
})

/** Two reads what one writes of `start`, and misses that one begins anew and keeps it. */
async function missing(start: Buffer) {
  const { one, two, link } = await processes()
  const both = { ...link, locations: [first, second] }
  const kept = one.content.fetch(both, { signal: AbortSignal.timeout(60_000) })
  const short = (await one.source.next()).answer()
  short.send(start)
  const followed = given((await two.content.open(both)).reader)
  await expect.poll(() => two.content.counters.deliveredBytes, soon).toBe(start.length)
  await two.rest()
  short.end()
  const right = (await one.source.next()).answer()
  right.send(bytes)
  right.end()
  await kept
  return { two, followed }
}

test('who reads a file that another process gave up goes on in the one that it kept instead', async () => {
  const { two, followed } = await missing(bytes.subarray(0, 1_500_000))
  expect((await followed).bytes.equals(bytes)).toBe(true)
  expect(two.source.asks).toEqual([])
})

test('I4: nobody goes on in a held file that begins otherwise', async () => {
  const start = Buffer.from(bytes.subarray(0, 1_500_000))
  start[7] = (start[7] ?? 0) ^ 1
  const got = await (await missing(start)).followed
  expect(got.error).toMatchObject({ upstream: { reason: 'BadDigest' } })
  expect(got.bytes).toHaveLength(1_500_000)
})

test('a fetch waits until another process is no longer busy with the blob, and then gets it', async () => {
  const { one, two, link } = await processes()
  const { body, reader } = await begin(one, link, 1000)
  const own = given(reader)
  const others = { ...link, locations: [second] }
  const fetched = two.content.fetch(others, { signal: AbortSignal.timeout(60_000) })
  const apart = expect(two.content.open(others)).rejects.toMatchObject({ code: 'DENIED' })
  // There is nothing for it to follow: who reads goes on alone.
  ;(await two.source.next()).refuse(new RegistryError('DENIED'))
  await apart
  body.cut(new RegistryError('DENIED'))
  await own
  const ask = await two.source.next()
  expect(ask).toMatchObject({ location: second, range: undefined })
  const answer = ask.answer()
  answer.send(bytes)
  answer.end()
  await fetched
  expect(await two.content.held(others)).toBe(bytes.length)
})

test('a fetch goes on when its process lost the lease, and got it again', async () => {
  const { one, link } = await processes()
  const fetched = one.content.fetch(link, { signal: AbortSignal.timeout(60_000) })
  const body = (await one.source.next()).answer()
  body.send(bytes.subarray(0, 1000))
  await body.awaited()
  one.lose()
  const again = (await one.source.next()).answer()
  again.send(bytes)
  again.end()
  await fetched
  expect(await one.content.held(link)).toBe(bytes.length)
})

test('I10: who waits for the answer of an upstream is waited for, however long it takes', async () => {
  const { one, two, link } = await processes()
  const opening = one.content.open(link)
  const ask = await one.source.next()
  const followed = two.content.open(link)
  await expect.poll(() => two.pauses, soon).toBeGreaterThan(100)
  const body = ask.answer()
  body.send(bytes)
  body.end()
  expect((await readAll(await opening)).equals(bytes)).toBe(true)
  expect((await readAll(await followed)).equals(bytes)).toBe(true)
  expect(two.source.asks).toEqual([])
})

test('who has a lease for some moments is waited for, and the blob is kept then', async () => {
  const { two, acquire, link } = await processes()
  const lease = await acquire(`content/${link.digest}`, AbortSignal.timeout(60_000))
  const opening = two.content.open(link)
  await expect.poll(() => two.pauses, soon).toBeGreaterThan(8)
  await lease.release()
  const body = (await two.source.next()).answer()
  body.send(bytes)
  body.end()
  expect((await readAll(await opening)).equals(bytes)).toBe(true)
  await expect.poll(() => two.content.held(link), soon).toBe(bytes.length)
})

test('who has a lease and writes nothing is not waited for longer', async () => {
  const { two, acquire, link } = await processes()
  await acquire(`content/${link.digest}`, AbortSignal.timeout(60_000))
  const opening = two.content.open(link)
  const body = (await two.source.next()).answer()
  body.send(bytes)
  body.end()
  expect((await readAll(await opening)).equals(bytes)).toBe(true)
})

test.each([
  ['the rest', 2_000_000, 'CorruptError'],
  ['nothing', undefined, undefined],
])(
  'I4: who goes on in a held file of which %s is wrong gets it whole only when it is right',
  async (_what, at, name) => {
    const { one, two, records, link, directory } = await processes()
    const { reader } = await begin(one, link, 1_500_000)
    const own = given(reader)
    const followed = given((await two.content.open(link)).reader)
    await expect.poll(() => two.content.counters.deliveredBytes, soon).toBe(1_500_000)
    const held = Buffer.from(bytes)
    if (at !== undefined) held[at] = (held[at] ?? 0) ^ 1
    await writeFile(fileOf(directory, link.digest), held)
    await records.add(link.digest, bytes.length, proofOf([first]))
    await one.content.close()
    await own
    const got = await followed
    expect((got.error as Error | undefined)?.name).toBe(name)
    expect(got.bytes.equals(bytes)).toBe(name === undefined)
    expect(two.source.asks).toEqual([])
  },
)
