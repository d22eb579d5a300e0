/** Whoever moves a tag while the collector passes: each step of one is a moment at which all of the other happens. */
import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { imageStreamMappings } from '../../src/api/kinds/image-stream-mappings.ts'
import type { Content } from '../../src/content/content.ts'
import { createImporter } from '../../src/importer.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { createPullThrough } from '../../src/pull-through.ts'
import type { Store } from '../../src/store/store.ts'
import { createStreams } from '../../src/streams/create-streams.ts'
import { createTagEvents } from '../../src/tag-events.ts'
import { createTagging } from '../../src/tagging.ts'
import { createAllowList } from '../../src/upstream/allow-list.ts'
import type { Upstream } from '../../src/upstream/upstream.ts'
import { makeImage, makeIndex } from '../support/images.ts'
import {
  type AnyImage,
  type CollectorWorld,
  collectorWorld,
  dayMs,
  digestsOf,
  here,
  upstream as location,
  manifestsOf,
} from './world.ts'

const app = { project: 'demo', stream: 'app' }
const web = { project: 'demo', stream: 'web' }
const image = makeImage('raced', { layers: [Buffer.from('first layer'), Buffer.from('second layer')] })
const index = makeIndex('raced')
const other = makeImage('other')
const log = pino({ level: 'silent' })
/** Each step begins with a world as it was. */
const timeout = 180_000

/** What moves tags, over a store and a content store that may be watched. */
type Flows = ReturnType<typeof flowsOn>

function flowsOn(world: CollectorWorld, store: Store, content: Content) {
  const ending = new AbortController()
  const streams = createStreams({ store, now: world.clock.now, signal: ending.signal })
  const manifests = new Map([image, index, other].flatMap(manifestsOf).map((piece) => [piece.digest as string, piece]))
  const upstream: Pick<Upstream, 'manifest' | 'resolve' | 'onBehalf'> = {
    onBehalf: () => upstream as Upstream,
    async manifest(_from, reference) {
      const found = manifests.get(reference.startsWith('sha256:') ? reference : tagged(reference).manifest.digest)
      if (found === undefined) throw new RegistryError('MANIFEST_UNKNOWN')
      return { digest: found.digest, mediaType: found.mediaType, bytes: found.bytes }
    },
    async resolve(_from, reference) {
      const { digest, mediaType } = tagged(reference).manifest
      return { digest, mediaType }
    },
  }
  const parts = { ...streams, content, upstream: upstream as Upstream, log }
  const pullThrough = createPullThrough({ ...parts, now: world.clock.now })
  const obtain = (name: typeof app, digest: string) => pullThrough.manifest(name, digest, { head: false })
  const allowed = createAllowList({ patterns: ['*'], named: [], own: [] })
  const importer = createImporter({ ...parts, allowed, keepManifest: obtain })
  const tagging = createTagging({ ...parts, allowed, registryHost: 'weir.test:5000', obtain })
  const tagEvents = createTagEvents({ ...parts, pullThrough, importer })
  return { ...streams, importer, tagging, tagEvents, pullThrough, end: () => ending.abort() }
}

function tagged(reference: string): AnyImage {
  return reference === 'index' ? index : reference === 'image' ? image : other
}

interface Move {
  name: string
  /** What there is before: long ago. */
  before(world: CollectorWorld): Promise<void>
  move(flows: Flows): Promise<unknown>
  /** Where the tag stands when it moved. */
  at: { stream: typeof app; tag: string; image: AnyImage }
  /** No upstream has the bytes: they are all there when it moved. */
  isHere: boolean
}

const asking = { by: 'ann', mayPull: () => true, seen: {}, field: 'tag' } as const

function taggedAs(flows: Flows, to: typeof app, tag: string, digest: string): Promise<unknown> {
  const from = { kind: 'ImageStreamImage' as const, name: `app@${digest}`, namespace: 'demo' }
  const wanted = { name: tag, annotations: null, from, importPolicy: {}, referencePolicy: { type: 'Local' as const } }
  return flows.tagging.setTag({ ...to, ...asking, tag, wanted })
}

function mappedTo(flows: Flows, digest: string): Promise<unknown> | undefined {
  const image = { metadata: { name: digest }, dockerImageReference: `weir.test:5000/demo/app@${digest}` }
  const call = { project: 'demo', subject: { name: 'ann', groups: [] }, options: { dryRun: false } } as never
  const { handlers } = imageStreamMappings({ ...flows, pins: { reached: async () => undefined } })
  return handlers.create?.(call, { metadata: { name: 'app' }, image, tag: 'prod' })
}

const importOf = (reference: string) => async (flows: Flows) => {
  const images = [{ from: `a.example/lib/app:${reference}`, to: 'prod', importPolicy: {} }]
  const { images: outcomes } = await flows.importer.import({ ...app, by: 'ann', images })
  for (const outcome of outcomes) if ('error' in outcome) throw outcome.error
}

const moves: Move[] = [
  {
    name: 'an import of an image that was imported long ago for nothing',
    before: (world) => world.admit(app, image),
    move: importOf('image'),
    at: { stream: app, tag: 'prod', image },
    isHere: false,
  },
  {
    name: 'an import of an index that was imported long ago for nothing',
    before: (world) => world.admit(app, index),
    move: importOf('index'),
    at: { stream: app, tag: 'prod', image: index },
    isHere: false,
  },
  {
    name: 'a tag of an image by its digest',
    before: (world) => world.admit(app, image, here),
    move: (flows) => taggedAs(flows, app, 'prod', image.manifest.digest),
    at: { stream: app, tag: 'prod', image },
    isHere: true,
  },
  {
    name: 'a mapping to an image of the stream',
    before: (world) => world.admit(app, image, here),
    move: async (flows) => mappedTo(flows, image.manifest.digest),
    at: { stream: app, tag: 'prod', image },
    isHere: true,
  },
  {
    name: 'a promotion of an image by its digest',
    before: (world) => world.admit(app, image, here),
    move: (flows) => taggedAs(flows, web, 'prod', image.manifest.digest),
    at: { stream: web, tag: 'prod', image },
    isHere: true,
  },
  {
    name: 'a rollback to a revision that keeps no bytes',
    async before(world) {
      await world.move(app, 'prod', image, { location: here })
      await world.move(app, 'prod', other, { location: here })
    },
    move: (flows) => flows.tagEvents.rollback(app, 'prod', { by: 'ann' }),
    at: { stream: app, tag: 'prod', image },
    isHere: true,
  },
]

describe('a tag that moves while the collector passes', () => {
  test.each(moves)('$name: moved at each step of the pass', { timeout }, async (move) => {
    const world = await collectorWorld()
    let moved = 0
    let refused = 0
    const steps = await atEachStep(world, move, async ({ store, content }, atStep) => {
      const flows = flowsOn(world, world.store, world.content)
      let result: boolean | undefined
      const watched = watch({ store, content }, async () => {
        if (atStep()) result = await succeeds(move.move(flows))
      })
      await world.open({ ...watched, onUnlinked: (uid) => flows.pullThrough.forget(uid) }).prune({ dryRun: false })
      if (result !== undefined) {
        await expectWhole(world, flows, move, result)
        if (result) moved += 1
        else refused += 1
      }
      flows.end()
      return result !== undefined
    })
    expect(steps).toBeGreaterThan(10)
    expect(moved).toBeGreaterThan(2)
    // Bytes and links that were removed before nobody can move to.
    if (move.isHere) expect(refused).toBeGreaterThan(0)
    else expect(refused).toBe(0)
  })

  test.each(moves)('$name: passed at each step of the move', { timeout }, async (move) => {
    const world = await collectorWorld()
    const steps = await atEachStep(world, move, async ({ store, content }, atStep) => {
      let passed = false
      let result = false
      const watched = watch({ store, content }, async () => {
        if (!atStep()) return
        passed = true
        await world.open({ onUnlinked: (uid) => flows.pullThrough.forget(uid) }).prune({ dryRun: false })
      })
      const flows: Flows = flowsOn(world, watched.store, watched.content)
      result = await succeeds(move.move(flows))
      if (passed) await expectWhole(world, flows, move, result)
      flows.end()
      return passed
    })
    expect(steps).toBeGreaterThan(8)
  })
})

/** Does `run` again and again on a world that is as it was, once for each step; it answers whether it came to that step. */
async function atEachStep(
  world: CollectorWorld,
  { before }: Move,
  run: (parts: { store: Store; content: Content }, atStep: () => boolean) => Promise<boolean>,
): Promise<number> {
  for (let step = 0; ; step += 1) {
    await clear(world)
    await before(world)
    world.later(30 * dayMs)
    let count = 0
    if (!(await run(world, () => count++ === step))) return step
  }
}

/** Forgets all records; bytes that are held are as good as new. */
async function clear({ store, project }: CollectorWorld): Promise<void> {
  const keys = (await Array.fromAsync(await store.range({ prefix: '' }))).map(({ key }) => key)
  const records = keys.filter((key) => !key.startsWith('held/'))
  for (let start = 0; start < records.length; start += 100) {
    const some = records.slice(start, start + 100)
    await store.commit({ operations: some.map((key) => ({ type: 'delete', key })) })
  }
  await project('demo')
}

/** Calls `onStep` before each call that reads or writes anything. */
function watch(parts: { store: Store; content: Content }, onStep: () => Promise<void>) {
  const stepped = <T extends object>(object: T, names: readonly (keyof T)[]): T => {
    const copy = { ...object }
    for (const name of names) {
      const original = object[name] as (...args: unknown[]) => unknown
      copy[name] = (async (...args: unknown[]) => {
        await onStep()
        return original(...args)
      }) as T[keyof T]
    }
    return copy
  }
  return {
    store: stepped(parts.store, ['get', 'range', 'ranges', 'commit']),
    content: stepped(parts.content, ['touch', 'held', 'remove', 'manifest', 'putManifest', 'stat']),
  }
}

async function succeeds(work: Promise<unknown>): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (error instanceof RegistryError && error.status < 500) return false
    throw error
  }
}

/** Where the tag moved, it stands at an image with all its links, and with its bytes where nobody else has them. */
async function expectWhole(world: CollectorWorld, flows: Flows, move: Move, moved: boolean): Promise<void> {
  const { stream, tag, image: wanted } = move.at
  const pin = (await world.reader.tag(stream, tag))?.record.items[0]?.image
  if (!moved) return expect(pin).not.toBe(wanted.manifest.digest)
  expect(pin).toBe(wanted.manifest.digest)
  // As a client does: each manifest is read before what it names.
  for (const { digest } of manifestsOf(wanted).reverse()) {
    expect((await flows.pullThrough.manifest(stream, digest, { head: false })).digest).toBe(digest)
  }
  for (const digest of digestsOf(wanted)) {
    const link = await world.link(stream, digest)
    expect(link, `link of ${digest}`).toBeDefined()
    if (link && move.isHere) expect(await world.content.held(link), `bytes of ${digest}`).toBeDefined()
    if (link && !move.isHere) expect(link.locations).toEqual([location])
  }
}
