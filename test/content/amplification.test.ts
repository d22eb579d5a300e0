/** What a few clients can make Weir ask of an upstream. */
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { readAll } from '../../src/content/reader.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { scriptedSource } from './scripted-source.ts'
import { contentWorld, first, linkTo, second } from './world.ts'

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
