import { pino } from 'pino'
import { onTestFinished, vi } from 'vitest'
import { createRetention, type Retention, type RetentionOptions } from '../../src/retention.ts'
import type { UnheldRecord } from '../../src/streams/records.ts'
import type { Tag } from '../../src/streams/streams.ts'
import { type FlowsOptions, type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { type Piece, piecesOf, type TestImage, type TestIndex } from '../support/images.ts'

export const app = { project: 'demo', stream: 'app' }

/** What fetches in the background, until `stop` or the end of the test. */
export interface Running {
  stop(): Promise<void>
}

export interface RetentionWorld extends FlowsWorld {
  /** `host/lib/app`. */
  repository: string
  /** The pauses that were asked for, in milliseconds. */
  pauses: number[]
  /** Moves the clock on and ends the pauses that are over then. */
  goOn(ms: number): void
  start(): Running
  /** What is said of a tag in the index of unheld tags. */
  unheld(tag?: string): Promise<UnheldRecord | undefined>
  tagOf(tag?: string): Promise<Tag | undefined>
  pin(tag?: string): Promise<string | undefined>
  /** Waits until nothing is in the index. */
  settled(): Promise<void>
  /** The digests of blobs that the upstream was asked for by GET, in order. */
  fetched(): string[]
  annotate(level: 'project' | 'stream', annotations: Record<string, string>): Promise<void>
  /** Sets a tag's annotations, its source as it is. */
  annotateTag(annotations: Record<string, string>, tag?: string): Promise<void>
  /** Whether a pull of everything that an image is made of needs no upstream. */
  isHeld(image: TestImage | TestIndex): Promise<boolean>
}

/** The flows with `retain: pinned`, and a stream `demo/app`. */
export async function retentionWorld({ policy, retention, ...options }: FlowsOptions = {}): Promise<RetentionWorld> {
  const waiting = new Set<{ endsAt: number; end: () => void }>()
  const pauses: number[] = []
  let now = (): number => 0
  const pause = async (ms: number, signal: AbortSignal): Promise<void> => {
    pauses.push(ms)
    if (ms <= 0) return
    await new Promise<void>((resolve) => {
      waiting.add({ endsAt: now() + ms, end: resolve })
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }
  const flows = await flowsWorld({
    ...options,
    policy: { retain: 'pinned', ...policy },
    retention: { pause, ...retention },
  })
  now = flows.clock.now
  await flows.writer.create(app)
  const { store, reader, content, links, registry, objects } = flows

  const world: RetentionWorld = {
    ...flows,
    repository: `${registry.host}/lib/app`,
    pauses,
    goOn(ms) {
      flows.clock.advance(ms)
      for (const one of waiting) {
        if (one.endsAt > now()) continue
        waiting.delete(one)
        one.end()
      }
    },
    start() {
      const stopping = new AbortController()
      const ended = flows.retention.run(stopping.signal)
      const stop = (): Promise<void> => {
        stopping.abort()
        return ended
      }
      onTestFinished(stop)
      return { stop }
    },
    async unheld(tag = 'prod') {
      const entry = await store.get(`index/unheld/demo/app/${tag}`)
      return entry && (JSON.parse(entry.value) as UnheldRecord)
    },
    tagOf: (tag = 'prod') => reader.tag(app, tag),
    pin: async (tag = 'prod') => (await reader.tag(app, tag))?.record.items[0]?.image,
    async settled() {
      await vi.waitFor(
        async () => {
          const keys: string[] = []
          for await (const { key } of await store.range({ prefix: 'index/unheld/' })) keys.push(key)
          if (keys.length > 0) throw new Error(`still there: ${keys}`)
        },
        { timeout: 10_000, interval: 5 },
      )
    },
    fetched: () =>
      registry
        .matching(/\/blobs\//)
        .filter(({ method }) => method === 'GET')
        .map(({ path }) => path.slice(path.lastIndexOf('/') + 1)),
    async annotate(level, annotations) {
      if (level === 'stream') {
        await flows.writer.changeStream(app, ({ stream }) => ({ object: { ...stream, annotations } }))
        return
      }
      await objects.update('namespaces', '', 'demo', (current) => ({
        ...current,
        metadata: { ...current.metadata, annotations },
      }))
    },
    async annotateTag(annotations, tag = 'prod') {
      await flows.writer.changeTag(app, tag, ({ tag: current }) => {
        const spec = current?.record.spec
        if (spec === undefined) throw new Error(`tag ${tag} has no spec`)
        const { generation: _generation, ...same } = spec
        return { spec: { ...same, annotations } }
      })
    },
    async isHeld(image) {
      const held = await Promise.all(
        piecesOf(image).map(async ({ digest }: Piece) => {
          const link = await links.get(app, digest)
          return link !== undefined && (await content.held(link)) !== undefined
        }),
      )
      return !held.includes(false)
    },
  }
  return world
}

/** Retention that works in the background, over a content that is as `change` says. */
export function over(
  there: RetentionWorld,
  change: Partial<RetentionWorld['content']>,
  options: Partial<RetentionOptions> = {},
): Running & { retention: Retention; pauses: number[]; goOn(): void } {
  const pauses: number[] = []
  const ends = new Set<() => void>()
  const retention = createRetention({
    mayFollow: () => false,
    ...there,
    content: { ...there.content, ...change },
    policy: { retain: 'pinned', platforms: [], historyKeep: 1, historyKeepDays: 0, move: 'at-once' },
    keepManifest: (name, digest) => there.pullThrough.manifest(name, digest, { head: false }),
    backgroundDownloads: 4,
    backgroundDownloadsPerHost: 2,
    reviewIntervalMs: 24 * 3_600_000,
    now: there.clock.now,
    log: pino({ level: 'silent' }),
    pause: async (ms, signal) => {
      pauses.push(ms)
      await new Promise<void>((resolve) => {
        ends.add(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    },
    ...options,
  })
  const stopping = new AbortController()
  const ended = retention.run(stopping.signal)
  const stop = (): Promise<void> => {
    stopping.abort()
    return ended
  }
  onTestFinished(stop)
  const goOn = () => {
    there.clock.advance(10 * 60_000)
    for (const end of ends) end()
    ends.clear()
  }
  return { retention, pauses, goOn, stop }
}
