import { pino } from 'pino'
import type { UploadBody } from '../../src/content/uploads.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import { createPutManifest } from '../../src/push/manifests.ts'
import { createPush, type Pusher, type PushOptions, type UploadLimits } from '../../src/push.ts'
import type { Commit, CommitResult, Store } from '../../src/store/store.ts'
import { createStreams } from '../../src/streams/create-streams.ts'
import { type FlowsWorld, flowsWorld, ownHost } from '../support/flows.ts'

export const app: StreamName = { project: 'demo', stream: 'app' }
export const other: StreamName = { project: 'demo', stream: 'other' }

export const ann: Pusher = { name: 'ann', client: 'docker/27.0', mayCreate: true, mayPull: () => true }
export const bob: Pusher = { ...ann, name: 'bob' }

export const limits: UploadLimits = {
  expireAfterMs: 24 * 3_600_000,
  maxPerUser: 1000,
  max: 10_000,
  maxBytes: 1024 ** 3,
}

type CreatedPush = ReturnType<typeof createPush>

/** What the flows read and write of the store. */
export interface Observed extends Store {
  /** Keys and prefixes, in the order in which they were asked for. */
  reads: string[]
  /** Asked before each commit; what it gives is the answer. */
  onCommit: ((commit: Commit) => Promise<CommitResult | undefined>) | undefined
}

export interface BlobWorld extends FlowsWorld {
  observed: Observed
  push: CreatedPush
  /** Pushes as a Weir that was just started has them, with some parts in the test's hand. */
  pushWith(changes?: Partial<PushOptions>): CreatedPush
  /** Pushes a blob to a stream in one piece. */
  pushBlob(to: StreamName, bytes: Buffer, by?: Pusher): Promise<Digest>
  /** What a stream may have of a digest, read whole; undefined when it does not have it. */
  blob(of: StreamName, digest: Digest): Promise<Buffer | undefined>
  /** Ids of uploads that have a record, and of those that have a file. */
  uploads(): Promise<{ records: string[]; files: string[] }>
}

/** Pushes over real content and a real store. */
export async function blobWorld(options: Partial<PushOptions> = {}): Promise<BlobWorld> {
  const flows = await flowsWorld()
  const { store, content, clock } = flows
  const observed = observe(store)
  const log = pino({ level: 'silent' })
  const streams = createStreams({ store: observed, now: clock.now, signal: new AbortController().signal })
  const pushWith = (changes: Partial<PushOptions> = {}): CreatedPush => {
    const parts = { ...streams, store: observed, content, pins: flows.pins, now: clock.now, log }
    const putManifest = createPutManifest({ ...parts, registryHost: ownHost })
    return createPush({ ...parts, putManifest, limits, ...options, ...changes })
  }
  const push = pushWith()
  return {
    ...flows,
    observed,
    push,
    pushWith,
    async pushBlob(to, bytes, by = ann) {
      const digest = digestOf(bytes)
      const id = await begun(push, to, by)
      await push.finish(to, id, by, digest, { body: sent(bytes) })
      return digest
    },
    async blob(of, digest) {
      const link = await streams.links.get(of, digest)
      if (link === undefined) return undefined
      const { reader } = await flows.pullThrough.blob(of, digest)
      const pieces: Buffer[] = []
      for (let piece = await reader.read(); piece !== undefined; piece = await reader.read())
        pieces.push(Buffer.from(piece))
      reader.close()
      return Buffer.concat(pieces)
    },
    async uploads() {
      const records = await Array.fromAsync(await store.range({ prefix: 'upload/' }))
      const files = await Array.fromAsync(content.uploads.list())
      return { records: records.map(({ key }) => key.slice('upload/'.length)), files: files.map(({ id }) => id) }
    },
  }
}

function observe(store: Store): Observed {
  const observed: Observed = {
    ...store,
    reads: [],
    onCommit: undefined,
    get(key) {
      observed.reads.push(key)
      return store.get(key)
    },
    range(query, options) {
      observed.reads.push(query.prefix)
      return store.range(query, options)
    },
    commit: async (commit) => (await observed.onCommit?.(commit)) ?? store.commit(commit),
  }
  return observed
}

/** Begins an upload, and answers its id. */
export async function begun(push: Pick<CreatedPush, 'begin'>, name: StreamName, by: Pusher = ann): Promise<string> {
  const answer = await push.begin(name, by)
  if ('mounted' in answer) throw new Error('it was mounted')
  return answer.upload.id
}

/** A request's body in pieces. */
export async function* sent(...pieces: (Buffer | string)[]): UploadBody {
  for (const piece of pieces) yield Buffer.from(piece)
}

export const unknown = { code: 'BLOB_UPLOAD_UNKNOWN', status: 404 }
