import { type Logger, pino } from 'pino'
import { onTestFinished } from 'vitest'
import { negotiate } from '../../../src/api/negotiate.ts'
import { parseQuery } from '../../../src/api/query.ts'
import type { ApiObject, Call, Follow, Page, Resource } from '../../../src/api/resource.ts'
import { followObjects } from '../../../src/api/watch/follow-objects.ts'
import type { Timers } from '../../../src/api/watch/timers.ts'
import { createWatches, type WatchesOptions } from '../../../src/api/watch/watches.ts'
import { createLevelStore } from '../../../src/store/level.ts'
import { createObjects, objectKey } from '../../../src/store/objects.ts'
import type { Operation } from '../../../src/store/store.ts'
import { testClock } from '../../support/clock.ts'
import { temporaryDirectory } from '../../support/directory.ts'

/** An event as a client reads it. */
export interface Event {
  type: string
  object: Record<string, unknown> & { metadata: Record<string, unknown> & { name: string; resourceVersion: string } }
}

/** One client's watch. */
export interface Client {
  response: Response
  /** The next event; undefined at the end. */
  next(): Promise<Event | undefined>
  /** So many events. */
  take(count: number): Promise<Event[]>
  /** The next chunk as it came; undefined at the end. */
  chunk(): Promise<Uint8Array | undefined>
  leave(): Promise<void>
}

export interface Opening {
  query?: string
  project?: string
  accept?: string
  call?: Partial<Call>
  mayGoOn?: () => boolean
  signal?: AbortSignal
}

/** Timers that a test lets pass. */
export interface ManualTimers extends Timers {
  pass(ms: number): void
  readonly running: number
  /** What `after` was asked for. */
  readonly asked: number[]
}

export function manualTimers(): ManualTimers {
  interface Timer {
    at: number
    every: number | undefined
    run: () => void
  }
  const timers = new Set<Timer>()
  const asked: number[] = []
  let now = 0
  const add = (timer: Timer) => {
    timers.add(timer)
    return () => void timers.delete(timer)
  }
  return {
    asked,
    get running() {
      return timers.size
    },
    after(ms, run) {
      asked.push(ms)
      return add({ at: now + ms, every: undefined, run })
    },
    every: (ms, run) => add({ at: now + ms, every: ms, run }),
    pass(ms) {
      now += ms
      for (const timer of [...timers]) {
        if (timer.at > now) continue
        if (timer.every === undefined) timers.delete(timer)
        else timer.at = now + timer.every
        timer.run()
      }
    },
  }
}

/** Reads the lines of a stream as a client does, in whatever pieces they come. */
export function clientOf(response: Response): Client {
  const reader = (response.body ?? new ReadableStream<Uint8Array>()).getReader()
  const decoder = new TextDecoder()
  const lines: string[] = []
  let rest = ''
  const client: Client = {
    response,
    async chunk() {
      const { done, value } = await reader.read()
      return done ? undefined : value
    },
    async next() {
      while (lines.length === 0) {
        const piece = await client.chunk()
        if (piece === undefined) {
          if (rest !== '') throw new Error(`the stream ends within a line: ${rest}`)
          return undefined
        }
        const parts = (rest + decoder.decode(piece, { stream: true })).split('\n')
        rest = parts.pop() ?? ''
        lines.push(...parts)
      }
      return JSON.parse(lines.shift() ?? '')
    },
    async take(count) {
      const events: Event[] = []
      while (events.length < count) {
        const event = await client.next()
        if (event === undefined) throw new Error(`the stream ended after ${events.length} of ${count} events`)
        events.push(event)
      }
      return events
    },
    leave: () => reader.cancel(),
  }
  return client
}

/** `ADDED a@7`, for short. */
export function told({ type, object }: Event): string {
  return `${type} ${object.metadata.name}@${object.metadata.resourceVersion}`
}

/** Watches of config maps over a real store, with a row that a test may change. */
export async function watchWorld({
  retainRevisions = 100_000,
  row: changedRow = () => ({}),
  log = pino({ level: 'silent' }),
  watches: changedOptions = {},
}: {
  retainRevisions?: number
  row?: (real: { follow: Follow; list: (call: Call) => Promise<Page> }) => Partial<Resource>
  log?: Logger
  watches?: Partial<WatchesOptions>
} = {}) {
  const store = await createLevelStore({
    directory: await temporaryDirectory(),
    logged: ['object/'],
    retainRevisions,
    progressIntervalMs: 20,
  })
  const stopping = new AbortController()
  onTestFinished(async () => {
    stopping.abort()
    await store.close()
  })
  const objects = createObjects({ store, now: testClock().now })
  const timers = manualTimers()
  const newest = async () => (await store.range({ prefix: '', limit: 0 })).revision
  let follows = 0
  let following = 0
  const real = followObjects(store, 'configmaps')
  const follow: Follow = async function* (options) {
    follows += 1
    following += 1
    try {
      yield* real(options)
    } finally {
      following -= 1
    }
  }
  const list = async (call: Call): Promise<Page> => objects.list('configmaps', call.project || undefined, call.options)
  const row: Resource = {
    group: '',
    version: 'v1',
    resource: 'configmaps',
    singular: 'configmap',
    kind: 'ConfigMap',
    namespaced: true,
    follow,
    ...changedRow({ follow, list }),
    handlers: { list, ...changedRow({ follow, list }).handlers },
  }
  const watches = createWatches({
    isBornAfter: async () => false,
    newestRevision: newest,
    now: testClock().now,
    log,
    signal: stopping.signal,
    timers,
    retryMs: 1,
    ...changedOptions,
  })

  async function open(opening: Opening = {}): Promise<Client> {
    const { query = '', project = '', accept, call: more = {}, mayGoOn = () => true, signal } = opening
    const parsed = new URLSearchParams(query)
    const call: Call = {
      subject: { name: 'alice', groups: [] },
      client: { address: '', userAgent: '' },
      project,
      name: '',
      options: parseQuery(parsed, ['metadata.name', 'metadata.namespace']),
      signal: new AbortController().signal,
      can: () => true,
      require: () => undefined,
      ...more,
    }
    const form = negotiate(accept ?? null, new URLSearchParams(`watch=1&${query}`))
    const type = { kind: 'ConfigMap', apiVersion: 'v1' }
    const rendering = { form, type, columns: row.columns, nowMs: 0 }
    const gone = new AbortController()
    const answer = await watches.watch({
      mayGoOn,
      row,
      call,
      query: parsed,
      rendering,
      signal: signal ?? gone.signal,
    })
    return clientOf(answer)
  }

  async function commit(...operations: Operation[]): Promise<number> {
    const result = await store.commit({ operations })
    if (result.status !== 'committed') throw new Error(result.status)
    return result.revision
  }

  return {
    store,
    objects,
    timers,
    stopping,
    open,
    newest,
    commit,
    follows: () => follows,
    /** How many follow the store now. */
    following: () => following,
    /** Writes a config map, of project `demo` and without labels unless told; answers the revision. */
    set: (name: string, { project = 'demo', ...fields }: { project?: string } & Record<string, unknown> = {}) =>
      commit(putOf(name, project, fields)),
    /** Deletes one; answers the revision. */
    unset: (name: string, project = 'demo') => commit({ type: 'delete', key: objectKey('configmaps', project, name) }),
    /** Something else happens in the store. */
    elsewhere: () => commit({ type: 'put', key: 'other/x', value: '1' }),
  }
}

export function putOf(name: string, project: string, { labels, ...fields }: Record<string, unknown> = {}): Operation {
  const metadata = {
    name,
    namespace: project,
    uid: `uid-of-${name}`,
    creationTimestamp: '2026-01-01T00:00:00Z',
    ...(labels === undefined ? {} : { labels }),
  }
  return { type: 'put', key: objectKey('configmaps', project, name), value: JSON.stringify({ metadata, ...fields }) }
}

export function named(name: string): ApiObject {
  return { metadata: { name, namespace: 'demo' } }
}
