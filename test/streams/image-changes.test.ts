import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Operation } from '../../src/store/store.ts'
import { createImageChanges, type ImageMoves } from '../../src/streams/image-changes.ts'
import type { ImageRecord } from '../../src/streams/records.ts'
import type { KnownImage, NewLink } from '../../src/streams/streams.ts'
import { digest, imageType, type World, world } from './world.ts'

const here = { kind: 'here' } as const
const names = ['app', 'app-2', 'web']
const otherType = 'application/vnd.docker.distribution.manifest.v2+json'

function link(character: string, mediaType: string, received: boolean): NewLink {
  return { digest: digest(character), mediaType, size: 5, locations: [here], ...(received && { received: true }) }
}

function record(mediaType: string, author?: string): ImageRecord {
  return { mediaType, size: 5, layers: [], manifests: [], ...(author !== undefined && { configuration: { author } }) }
}

const newest = async (w: World) => (await w.store.range({ prefix: '', limit: 0 })).revision

/** What is done to the images of a stream. */
async function act(w: World, { stream, image, what, type = imageType }: Act): Promise<void> {
  const name = { project: 'demo', stream }
  const living = await w.reader.stream(name)
  switch (what) {
    case 'delete':
      if (living !== undefined) await w.writer.delete(name)
      break
    case 'receive':
    case 'name': {
      const { uid } = living ?? (await w.writer.create(name))
      await w.links.add(name, uid, [link(image, type, what === 'receive')])
      break
    }
    case 'describe':
      await w.links.putImage(digest(image), record(type))
      break
    case 'configure':
      await w.links.putImage(digest(image), record(type, stream))
      break
    case 'revive':
      await w.links.revive(name, digest(image))
  }
}

interface Act {
  stream: string
  image: string
  what: 'delete' | 'receive' | 'name' | 'describe' | 'configure' | 'revive'
  type?: string
}

/** Follows up to the newest revision; what is there then, by its digest, after each revision that moved something. */
async function followed(w: World, since = 0, start: readonly KnownImage[] = []) {
  const until = await newest(w)
  const images = new Map(start.map((image) => [image.digest, image]))
  const states: [revision: number, images: KnownImage[]][] = []
  const moves: ImageMoves[] = []
  for await (const batch of w.imageChanges.follow({ since, signal: testSignal() })) {
    for (const { digest, before, after } of batch.moves) {
      expect(shown(before)).toEqual(shown(images.get(digest)))
      if (after === undefined) images.delete(digest)
      else images.set(digest, after)
    }
    if (batch.moves.length > 0) moves.push(batch)
    states.push([batch.revision, [...images.values()].toSorted((a, b) => (a.digest < b.digest ? -1 : 1))])
    if (batch.revision >= until) break
  }
  return { moves, states }
}

/** All that a list shows but since when. */
function shown(image: KnownImage | undefined) {
  return image && { digest: image.digest, image: image.image, stream: image.stream }
}

function testSignal(): AbortSignal {
  const controller = new AbortController()
  onTestFinished(() => controller.abort())
  return controller.signal
}

const what = fc.constantFrom<Act['what']>('delete', 'receive', 'receive', 'name', 'describe', 'configure', 'revive')
const acts = fc.array(
  fc.record({ stream: fc.constantFrom(...names), image: fc.constantFrom('a', 'b'), what }, { noNullPrototype: true }),
  { maxLength: 14 },
)

describe('following images', () => {
  test('tells at each revision what a list showed then, whoever had the image', async () => {
    const w = await world()
    const property = fc.asyncProperty(acts, fc.nat(13), async (drawn, from) => {
      const since = await newest(w)
      const listed: [number, KnownImage[]][] = [[since, await w.links.images()]]
      for (const each of drawn) {
        await act(w, each)
        listed.push([await newest(w), await w.links.images()])
      }
      // Followed afterwards, so that everything later has to be undone.
      const [beginning, start] = listed[Math.min(from, listed.length - 1)] ?? [since, []]
      const { states } = await followed(w, beginning, start)
      for (const [revision, images] of listed) {
        if (revision <= beginning) continue
        const state = states.findLast(([at]) => at <= revision)?.[1] ?? start
        expect(state.map(shown)).toEqual(images.map(shown))
        for (const [i, { revision: version }] of images.entries()) {
          expect(version).toBeLessThanOrEqual(state[i]?.revision ?? 0)
        }
      }
    })
    await fc.assert(property, { numRuns: 200 })
  })

  test('an image comes with its record, changes with it and with its first stream, and goes with the last', async () => {
    const w = await world()
    const since = await newest(w)
    const revisions: number[] = []
    const step = async (stream: string, what: Act['what']) => {
      await act(w, { stream, image: 'a', what })
      revisions.push(await newest(w))
    }
    await step('web', 'receive')
    await step('web', 'describe')
    await step('web', 'configure')
    await step('app', 'receive')
    await step('app-2', 'receive')
    await step('app', 'delete')
    await step('web', 'delete')
    await step('app-2', 'delete')
    const { moves } = await followed(w, since)
    const told = moves.map(({ revision, moves: [move] }) => [
      revision,
      move?.before?.stream.stream,
      move?.after?.stream.stream,
    ])
    expect(told).toEqual([
      [revisions[1], undefined, 'web'],
      [revisions[2], 'web', 'web'],
      [revisions[3], 'web', 'app'],
      [revisions[5], 'app', 'app-2'],
      [revisions[7], 'app-2', undefined],
    ])
    expect(moves.every(({ moves }) => moves.length === 1)).toBe(true)
    const [, configured] = moves
    expect(configured?.moves[0]?.before?.image.configuration).toBeUndefined()
    expect(configured?.moves[0]?.after?.image.configuration).toEqual({ author: 'web' })
    // But for a stream that is gone, the image itself says the same.
    await act(w, { stream: 'app', image: 'a', what: 'receive' })
    const last = await followed(w, revisions.at(-1))
    expect(last.moves.at(-1)?.moves[0]?.after).toEqual(await w.links.knownImage(digest('a')))
  })

  test('all images of a stream that is deleted go at once, also those that it has again since', async () => {
    const w = await world()
    for (const image of ['a', 'b', 'c', 'd']) {
      await act(w, { stream: 'app', image, what: 'receive' })
      await act(w, { stream: 'app', image, what: 'describe' })
    }
    await act(w, { stream: 'web', image: 'b', what: 'receive' })
    const start = await w.links.images()
    const since = await newest(w)
    await act(w, { stream: 'app', image: 'a', what: 'delete' })
    await act(w, { stream: 'app', image: 'a', what: 'receive' })
    await act(w, { stream: 'app', image: 'c', what: 'name' })
    const { moves } = await followed(w, since, start)
    expect(moves.map(({ moves }) => moves.map(({ digest, after }) => [digest[7], after?.stream.stream]))).toEqual([
      [
        ['a', undefined],
        ['b', 'web'],
        ['c', undefined],
        ['d', undefined],
      ],
      [['a', 'app']],
    ])
  })

  test('streams that say different media types are told with the record of theirs', async () => {
    const w = await world()
    await act(w, { stream: 'app', image: 'a', what: 'receive', type: otherType })
    await act(w, { stream: 'web', image: 'a', what: 'receive' })
    await act(w, { stream: 'web', image: 'a', what: 'describe' })
    await act(w, { stream: 'app', image: 'a', what: 'describe', type: otherType })
    const { moves } = await followed(w)
    expect(moves.map(({ moves }) => [moves[0]?.after?.stream.stream, moves[0]?.after?.image.mediaType])).toEqual([
      ['web', imageType],
      ['app', otherType],
    ])
  })

  test('what happens to other records is no move, and time goes on', async () => {
    const w = await world()
    const put: Operation = { type: 'put', key: 'tag/demo/app/x', value: '{}' }
    await w.store.commit({ operations: [put] })
    await w.writer.create({ project: 'demo', stream: 'app' })
    const { moves, states } = await followed(w)
    expect(moves).toEqual([])
    expect(states.at(-1)?.[0]).toBe(await newest(w))
  })

  test('what comes later is told as it comes, until the signal aborts', async () => {
    const w = await world()
    const left = new AbortController()
    const batches = w.imageChanges.follow({ since: await newest(w), signal: left.signal })[Symbol.asyncIterator]()
    await act(w, { stream: 'app', image: 'a', what: 'receive' })
    await act(w, { stream: 'app', image: 'a', what: 'describe' })
    for (let isTold = false; !isTold; ) isTold = ((await batches.next()).value?.moves.length ?? 0) > 0
    const next = batches.next()
    left.abort()
    for (let result = await next; !result.done; ) result = await batches.next()
  })

  test('a follower who is too far behind is told so', async () => {
    const w = await world()
    const { follow } = createImageChanges({ store: w.store, maxAheadSize: 100 })
    for (let i = 0; i < 20; i += 1) await act(w, { stream: 'app', image: i.toString(16).slice(-1), what: 'receive' })
    await expect(Array.fromAsync(follow({ since: 0, signal: testSignal() }))).rejects.toThrow('compacted')
  })
})
