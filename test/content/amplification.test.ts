/** What a few clients can make Weir ask of an upstream. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { readAll } from '../../src/content/reader.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { scriptedSource } from './scripted-source.ts'
import { contentWorld, first, linkTo, second } from './world.ts'

/** For what a busy machine takes longer to do. */
const soon = { timeout: 10_000 }

const mebibyte = 1024 * 1024
const huge = Buffer.alloc(20 * mebibyte, 'some text')
const far = (at: number) => ({ start: 17 * mebibyte + at, end: 17 * mebibyte + at })

test('of a location that ignores Range far parts come from the shared download, for ten minutes', async () => {
  const { content, source, clock } = await contentWorld({ finishBytes: 0 })
  source.put(first, linkTo(huge, first).digest, { bytes: huge, ignoresRange: true, chunkBytes: mebibyte })
  const link = linkTo(huge, first)
  expect(await readAll(await content.open(link, far(0)))).toHaveLength(1)
  const asked = source.asked.length
  const parts = await Promise.all(Array.from({ length: 20 }, (_, i) => content.open(link, far(i)).then(readAll)))
  for (const [i, part] of parts.entries()) expect(part).toEqual(huge.subarray(far(i).start, far(i).start + 1))
  expect(source.asked.slice(asked)).toEqual(['open a.example/lib/app whole'])

  const other = Buffer.alloc(20 * mebibyte, 'other text')
  source.put(first, linkTo(other, first).digest, { bytes: other, chunkBytes: mebibyte })
  clock.ahead += 11 * 60_000
  expect(await readAll(await content.open(linkTo(other, first), far(1)))).toHaveLength(1)
  expect(source.asked.at(-1)).toBe(`open a.example/lib/app ${far(1).start}-${far(1).start}`)
})

test('at most eight go upstream for parts of a blob at once; the others wait for the shared download', async () => {
  const source = scriptedSource(huge.length)
  const { content } = await contentWorld({ source })
  const link = linkTo(huge, first)
  const parts = Array.from({ length: 20 }, (_, i) => content.open(link, far(i)).then(readAll))
  const asks = [...Array(9)].map(() => source.next())
  const all = await Promise.all(asks)
  expect(all.filter(({ range }) => range === undefined)).toHaveLength(1)
  for (const ask of all) {
    const body = ask.answer()
    body.send(huge.subarray(ask.range?.start ?? 0, (ask.range?.end ?? huge.length) + 1))
    body.end()
  }
  for (const [i, part] of (await Promise.all(parts)).entries()) {
    expect(part).toEqual(huge.subarray(far(i).start, far(i).start + 1))
  }
  expect(source.asks).toHaveLength(9)
  const again = content.open(linkTo(Buffer.alloc(20 * mebibyte, 'x'), first), far(0))
  const ask = await source.next()
  expect(ask.range).toEqual(far(0))
  ask.answer().send(Buffer.from('x'))
  await readAll(await again)
})

test('those who leave, or fail, make place', async () => {
  const source = scriptedSource(huge.length)
  const { content } = await contentWorld({ source })
  const link = linkTo(huge, first)
  for (let i = 0; i < 20; i++) {
    const failed = expect(content.open(link, far(i))).rejects.toMatchObject({ code: 'DENIED' })
    const ask = await source.next()
    expect(ask.range).toEqual(far(i))
    ask.refuse(new RegistryError('DENIED'))
    await failed
  }
})

test('many who ask for a size at once are one question, for each way to the blob', async () => {
  const world = await contentWorld()
  const { records } = world
  const asked: string[] = []
  const answering = Promise.withResolvers<void>()
  let looked = 0
  const content = await world.reopen({
    source: {
      ...world.source,
      async size({ host }) {
        asked.push(host)
        await answering.promise
        if (host === second.host) throw new RegistryError('DENIED')
        return huge.length
      },
    },
    records: {
      ...records,
      async find(...link) {
        const found = await records.find(...link)
        looked += 1
        return found
      },
    },
  })
  const ask = (location: typeof first) =>
    Array.from({ length: 25 }, () => content.stat(linkTo(huge, location)).catch(({ code }) => code))
  const all = [...ask(first), ...ask(second)]
  await expect.poll(() => looked).toBe(50)
  await setImmediate()
  answering.resolve()
  expect(new Set(await Promise.all(all))).toEqual(new Set([huge.length, 'DENIED']))
  expect(asked.sort()).toEqual([first.host, second.host])
  await content.stat(linkTo(huge, first))
  expect(asked).toHaveLength(3)
})

const gibibyte = 1024 ** 3

test('a part of a cold blob ends its download when all of it is there, whether its client reads or not', async () => {
  const source = scriptedSource(huge.length)
  const { content, directory } = await contentWorld({ source, finishBytes: gibibyte })
  const part = { start: 0, end: 3 * mebibyte - 1 }
  const opening = content.open(linkTo(huge, first), part)
  const body = (await source.next()).answer()
  body.send(huge.subarray(0, 2 * mebibyte))
  const opened = await opening
  await body.awaited()
  body.send(huge.subarray(2 * mebibyte, 4 * mebibyte))
  await expect.poll(() => body.isClosed, soon).toBe(true)
  await expect.poll(() => readdir(join(directory, 'partial')), soon).toEqual([])
  expect((await readAll(opened)).equals(huge.subarray(0, 3 * mebibyte))).toBe(true)
  expect(source.asks).toHaveLength(1)
})

test('a part ends no download that somebody else wants', async () => {
  const source = scriptedSource(huge.length)
  const { content } = await contentWorld({ source, finishBytes: 0 })
  const fetched = content.fetch(linkTo(huge, first), { signal: AbortSignal.timeout(60_000) })
  const body = (await source.next()).answer()
  const opening = content.open(linkTo(huge, first), { start: 0, end: 0 })
  body.send(huge.subarray(0, mebibyte))
  expect(await readAll(await opening)).toHaveLength(1)
  body.send(huge.subarray(mebibyte))
  body.end()
  await fetched
  expect(source.asks).toHaveLength(1)
})

test('of a cold blob a part behind more than it is worth goes upstream alone', async () => {
  const source = scriptedSource(huge.length)
  const { content } = await contentWorld({ source, finishBytes: gibibyte })
  const range = { start: mebibyte + 1, end: mebibyte + 1 }
  const opening = content.open(linkTo(huge, first), range)
  const ask = await source.next()
  expect(ask.range).toEqual(range)
  ask.answer().send(huge.subarray(range.start, range.end + 1))
  expect(await readAll(await opening)).toEqual(huge.subarray(range.start, range.end + 1))
})

test('parts cost no more than twice what they are, until they come to the whole, which is kept then', async () => {
  const { content, source } = await contentWorld({ finishBytes: gibibyte })
  const link = linkTo(huge, first)
  source.put(first, link.digest, { bytes: huge, chunkBytes: 64 * 1024 })
  const part = (i: number) => ({ start: i * mebibyte, end: (i + 1) * mebibyte - 1 })
  for (let i = 0; i < 19; i++) {
    expect(await readAll(await content.open(link, part(i)))).toHaveLength(mebibyte)
    expect(content.counters.upstreamBytes).toBeLessThanOrEqual(2 * (i + 2) * mebibyte)
  }
  expect(await readAll(await content.open(link, part(0)))).toHaveLength(mebibyte)
  await expect.poll(() => content.held(link), soon).toBe(huge.length)
})

test('I5: what others ask of a blob changes nothing in what an upstream of mine is asked', async () => {
  const source = scriptedSource(huge.length)
  const { content } = await contentWorld({ source, finishBytes: gibibyte })
  const left = new AbortController()
  const others = expect(content.open(linkTo(huge, first), undefined, left.signal)).rejects.toThrow()
  await source.next()
  const parts = Array.from({ length: 12 }, (_, i) => content.open(linkTo(huge, first), far(i)).catch(() => undefined))
  for (let i = 0; i < 8; i++) await source.next()
  const range = { start: 2 * mebibyte, end: 2 * mebibyte }
  for (const mine of [range, far(1)]) {
    void content.open(linkTo(huge, second), mine).catch(() => undefined)
    expect(await source.next()).toMatchObject({ location: second, range: mine })
  }
  left.abort()
  await others
  await content.close()
  await Promise.all(parts)
})

test('what was asked of a blob that was fetched whole does not count when it begins anew', async () => {
  const source = scriptedSource(huge.length)
  const { content } = await contentWorld({ source, finishBytes: gibibyte })
  const link = linkTo(huge, first)
  const fetched = content.fetch(link, { signal: AbortSignal.timeout(60_000) })
  const whole = (await source.next()).answer()
  whole.send(huge)
  whole.end()
  await fetched
  await expect.poll(() => content.remove(link.digest, { unusedSince: Date.now() + 60_000 }), soon).toBe(huge.length)
  const opening = content.open(link, { start: 0, end: 0 })
  const body = (await source.next()).answer()
  body.send(huge.subarray(0, mebibyte))
  expect(await readAll(await opening)).toHaveLength(1)
  await expect.poll(() => body.isClosed, soon).toBe(true)
})
