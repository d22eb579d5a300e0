import { onTestFinished } from 'vitest'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'
import { createLevelStore } from '../../src/store/level.ts'
import { objectKey } from '../../src/store/objects.ts'
import type { Commit, CommitResult, Entry, RangeQuery, Store } from '../../src/store/store.ts'
import { createStreams, type Streams } from '../../src/streams/create-streams.ts'
import type { Cause, TagReference } from '../../src/streams/records.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { anywhereWriter } from '../support/anywhere-writer.ts'
import { type TestClock, testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'

/** The stream that most tests are about. */
export const app = { project: 'demo', stream: 'app' }

export interface World extends Streams {
  /** Moves tags to images whether or not their streams have links of them. */
  writer: Streams['writer']
  /** The real store. */
  store: Store
  /** What the streams use: the real store, whose commits a test may answer otherwise. */
  faults: FaultyStore
  clock: TestClock
  /** Makes a project, or makes it anew with another uid. */
  project(name: string, uid?: string): Promise<void>
  dump(prefix: string): Promise<Entry[]>
}

/** Streams over a real store in an empty directory, with the project `demo`. */
export async function world(): Promise<World> {
  const index = ['index/pending/', 'index/image/']
  const logged = ['object/', 'life/', 'stream/', 'generation/', 'tag/', ...index, 'image/', 'outbox/', 'key/']
  const store = await createLevelStore({ directory: await temporaryDirectory(), logged })
  const clock = testClock()
  const closing = new AbortController()
  onTestFinished(async () => {
    closing.abort()
    await store.close()
  })
  const faults = faultyStore(store)
  const streams = createStreams({ store: faults, now: clock.now, signal: closing.signal })
  const made: World = {
    ...streams,
    writer: anywhereWriter({ store: faults, now: clock.now }),
    store,
    faults,
    clock,
    project: async (name, uid = `uid-of-${name}`) => {
      const value = JSON.stringify({ metadata: { name, uid, creationTimestamp: '2026-01-01T00:00:00Z' } })
      await store.commit({ operations: [{ type: 'put', key: objectKey('namespaces', '', name), value }] })
    },
    dump: (prefix) => entriesOf(store, { prefix }),
  }
  await made.project('demo')
  return made
}

/** How a commit is answered. `lands` says whether it is written although the answer is `unknown`. */
export type Fault =
  | { status: 'conflict'; key: string }
  | { status: 'unknown'; lands: boolean; after?: () => Promise<unknown> }
  | { status: 'committed'; first: () => Promise<unknown> }

export interface FaultyStore extends Store {
  /** Answers the next commits in this order; then the store answers by itself. */
  next: Fault[]
  /** Every commit that was asked for. */
  commits: Commit[]
  /** Called after each read of a key, before its value is handed on. */
  afterGet: ((key: string) => Promise<void>) | undefined
  /** Called before each range, or several of one snapshot, are opened. */
  beforeRange: ((queries: readonly RangeQuery[]) => Promise<void>) | undefined
  gets: string[]
  rangeQueries: RangeQuery[]
}

function faultyStore(store: Store): FaultyStore {
  const faulty: FaultyStore = {
    ...store,
    next: [],
    commits: [],
    gets: [],
    rangeQueries: [],
    afterGet: undefined,
    beforeRange: undefined,
    async get(key) {
      faulty.gets.push(key)
      const entry = await store.get(key)
      await faulty.afterGet?.(key)
      return entry
    },
    async range(query, options) {
      faulty.rangeQueries.push(query)
      await faulty.beforeRange?.([query])
      return store.range(query, options)
    },
    async ranges(queries, options) {
      faulty.rangeQueries.push(...queries)
      await faulty.beforeRange?.(queries)
      return store.ranges(queries, options)
    },
    async commit(commit): Promise<CommitResult> {
      faulty.commits.push(commit)
      const fault = faulty.next.shift()
      if (fault === undefined) return store.commit(commit)
      if (fault.status === 'conflict') return fault
      if (fault.status === 'committed') {
        await fault.first()
        return store.commit(commit)
      }
      if (fault.lands) await store.commit(commit)
      await fault.after?.()
      return { status: 'unknown', cause: new Error('the disk went away') }
    },
  }
  return faulty
}

async function entriesOf(store: Store, query: RangeQuery): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const entry of await store.range(query)) entries.push(entry)
  return entries
}

/** A digest that is easy to tell: 64 times the same character, of `0-9a-f`. */
export function digest(character: string): Digest {
  const parsed = parseDigest(`sha256:${character.repeat(64)}`)
  if (parsed === undefined) throw new TypeError(`${character} is no hexadecimal digit`)
  return parsed
}

export const imageType = 'application/vnd.oci.image.manifest.v1+json'

/** What is wanted of a tag that comes from an upstream. */
export function wanted(name: string, from = 'quay.io/org/app:v1'): Omit<TagReference, 'generation'> {
  return {
    name,
    annotations: null,
    from: { kind: 'DockerImage', name: from },
    importPolicy: {},
    referencePolicy: { type: 'Local' },
  }
}

/** A move of a tag to the digest of one character, as an event of the given kind. */
export function event(
  character: string,
  kind: Cause['kind'] = 'push',
  more: { repository?: string; reference?: string; restoredRevision?: number; reason?: string } = {},
): NonNullable<TagChange['event']> {
  const image = digest(character)
  const { repository = 'quay.io/org/app', reference = `${repository}@${image}`, ...cause } = more
  return {
    image,
    mediaType: imageType,
    dockerImageReference: reference,
    cause: { kind, by: 'alice', ...cause },
  }
}

/** An import by hand that found the digest of one character, as the importer asks for it. */
export function imported(character: string, from = 'quay.io/org/app:v1', tag = 'prod'): TagChange {
  const repository = from.slice(0, from.lastIndexOf(':'))
  return {
    spec: wanted(tag, from),
    reimport: true,
    event: event(character, 'import', { repository }),
    lastSeen: digest(character),
  }
}
