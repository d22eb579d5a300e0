import { isDeepStrictEqual } from 'node:util'
import type { Digest } from '../oci/digest.ts'
import type { UpstreamReason } from '../oci/errors.ts'
import { formatImageReference, type ImageReference, parseImageReference, type StreamName } from '../oci/reference.ts'
import { createMirror } from '../store/mirror.ts'
import type { Change, Store } from '../store/store.ts'
import { decode, lifePrefix, scheduledKey, scheduledPrefix, streamOfKey } from '../streams/keys.ts'
import type { LifeRecord, ScheduledRecord } from '../streams/records.ts'
import { phaseOf } from './times.ts'

/** Something at a registry that tags follow: it is asked once for all of them. */
export interface Source {
  /** In whole form: `docker.io/library/nginx:1.27`; of tags with a tracking policy their repository: `docker.io/library/nginx`. */
  readonly key: string
  /** Of a repository without tag and digest. */
  readonly reference: ImageReference
  /** Where in each interval its time is, from 0 to below 1. */
  readonly phase: number
  /** By `project/stream/tag`. */
  readonly followers: Map<string, Follower>
  /** When it is asked next, in milliseconds since the epoch. */
  nextAt: number
  /** For when it was planned last since somebody said that it changed, by `''`; since a project began to follow it, by its name. */
  soonAt?: Map<string, number>
  /** How often in a row it was to be asked again soon. */
  agains?: number
  delayedBy?: 'Backoff' | 'TooManyRequests' | 'Budget'
  /** While it was brought forward for `told`: when it is asked for all. */
  dueAt?: number
  /** Projects that were told that it changed. */
  told?: Set<string>
  /** Those that failed where others did not, by the names of logins. */
  logins?: Map<string, Resting>
  last?: SourceCheck
}

/** Who is left alone for a while; times are milliseconds since the epoch. */
export interface Resting {
  failures: number
  untilMs: number
}

/** Why something was not learned. */
export interface CheckFailure {
  reason: UpstreamReason | 'QuotaExceeded' | 'InternalError'
  message: string
}

/** What came of asking it the last time. */
export interface SourceCheck {
  at: number
  /** Of followers that all log in alike. */
  digest?: Digest
  /** Where nobody learned anything. */
  failure?: CheckFailure
  failures: number
}

/** A tag that follows a source; of a stream that follows a whole repository the stream itself, with `*` for the tag. */
export interface Follower extends StreamName {
  readonly tag: string
  readonly record: ScheduledRecord
  /** What it was last told, where nothing is left to be done about that; a failure by its message. */
  settled?: Digest | string
  /** By its tracking policy: what it chose the last time, and where that stood. */
  chosen?: { tag: string; digest: Digest }
  result?: 'Moved' | 'Candidate' | 'Unchanged' | 'New'
  /** By a stream itself: which tags it found the last time. */
  found?: FoundTags
  /** What its login was told where others log in otherwise. */
  digest?: Digest
  /** Its own failure. */
  failure?: CheckFailure
  /** After a failure of its own to follow what its source was good for, of which `of` tells. */
  resting?: Resting & { of: string }
  /** It follows since the last check. */
  isNew?: true
}

/** How many tags of a repository a stream follows, how many it got by the last check, and how many fit beyond those. */
export interface FoundTags {
  tags: number
  newTags: number
  additionalTags: number
}

/** The sources of all scheduled tags, in memory. */
export interface Sources {
  /** Settles when those that were there at the start are known. */
  readonly ready: Promise<void>
  get(key: string): Source | undefined
  /** Those that tags of a project follow. */
  ofProject(project: string): ReadonlySet<Source>
  /** The tags of a project, or of one of its streams, in the order of their names, with what they follow. */
  followersOf(project: string, stream?: string): Iterable<readonly [Follower, Source]>
  all(): Iterable<Source>
}

export interface SourcesOptions {
  /** Must log the prefix `index/scheduled/`, and the lives of streams. */
  store: Store
  /** A source has followers of a project that it did not have; `isNew` when they came after the start. */
  onFollowed(source: Source, project: string, isNew: boolean): void
  /** Nobody follows it any more. */
  onLeft(source: Source): void
  signal: AbortSignal
}

export function createSources({ store, onFollowed, onLeft, signal }: SourcesOptions): Sources {
  const sources = new Map<string, Source>()
  const projects = new Map<string, Map<string, StreamTags>>()
  let isStarted = false

  function apply(changes: readonly Change[]): void {
    for (const { key, value } of changes) {
      const path = key.slice(scheduledPrefix.length)
      const follower = value === undefined ? undefined : followerOf(path, value)
      if (follower === undefined) leave(path)
      else follow(path, follower)
    }
  }

  function follow(path: string, follower: Follower): void {
    const reference = referenceOf(follower.record)
    const key = reference && keyOf(reference)
    const before = tagsOf(follower)?.sources.get(path)
    if (before !== undefined && before.key !== key) leave(path)
    if (reference === undefined || key === undefined) return
    const source = sources.get(key) ?? { key, reference, phase: phaseOf(key), followers: new Map(), nextAt: 0 }
    const tags = tagsOf(follower) ?? addStream(follower)
    sources.set(key, source)
    tags.sources.set(path, source)
    source.followers.set(path, { ...sharing(follower, tags, source), ...(isStarted && { isNew: true }) })
    onFollowed(source, follower.project, isStarted)
  }

  function leave(path: string): void {
    const [project = '', stream = ''] = path.split('/')
    const tags = tagsOf({ project, stream })
    const source = tags?.sources.get(path)
    if (tags === undefined || source === undefined) return
    tags.sources.delete(path)
    source.followers.delete(path)
    if (tags.sources.size === 0) removeStream(tags)
    if (source.followers.size > 0) return
    sources.delete(source.key)
    onLeft(source)
  }

  function tagsOf({ project, stream }: StreamName): StreamTags | undefined {
    return projects.get(project)?.get(stream)
  }

  function addStream({ project, stream, record: { uid } }: Follower): StreamTags {
    const tags = { project, stream, uid, sources: new Map() }
    const streams = projects.get(project) ?? new Map<string, StreamTags>()
    projects.set(project, streams.set(stream, tags))
    return tags
  }

  function removeStream({ project, stream }: StreamName): void {
    const streams = projects.get(project)
    streams?.delete(stream)
    if (streams?.size === 0) projects.delete(project)
  }

  function* followersOf(project: string, stream?: string): Generator<readonly [Follower, Source]> {
    const streams = projects.get(project)
    for (const name of stream === undefined ? [...(streams?.keys() ?? [])].sort() : [stream]) {
      const tags = streams?.get(name)
      for (const path of [...(tags?.sources.keys() ?? [])].sort()) {
        const source = tags?.sources.get(path)
        const follower = source?.followers.get(path)
        if (source !== undefined && follower !== undefined) yield [follower, source]
      }
    }
  }

  function reset(): void {
    const paths = [...projects.values()].flatMap((streams) =>
      [...streams.values()].flatMap((tags) => [...tags.sources.keys()]),
    )
    for (const path of paths) leave(path)
  }

  /** A stream that is deleted leaves the records of its tags: they are asked once more, and go. */
  function unsettle({ project, stream }: StreamName, uid: string): void {
    for (const [follower, source] of followersOf(project, stream)) {
      if (follower.record.uid !== uid) continue
      delete follower.settled
      onFollowed(source, project, isStarted)
    }
  }

  createMirror(store, {
    prefix: lifePrefix,
    preload: false,
    apply(changes) {
      for (const { key, previous } of changes)
        if (previous !== undefined) unsettle(streamOfKey(key), decode<LifeRecord>(previous).uid)
    },
    reset() {
      for (const source of sources.values()) for (const follower of source.followers.values()) delete follower.settled
    },
    signal,
  })

  const mirror = createMirror(store, { prefix: scheduledPrefix, apply, reset, signal })
  const ready = mirror.ready.then(() => {
    isStarted = true
  })
  // Whoever does not wait is not asking to be told.
  ready.catch(() => undefined)
  return {
    ready,
    get: (key) => sources.get(key),
    ofProject: (project) => new Set([...followersOf(project)].map(([, source]) => source)),
    followersOf,
    all: () => sources.values(),
  }
}

/** The sources of a stream's tags, by `project/stream/tag`; its own uid, and names. */
interface StreamTags extends StreamName {
  uid: string
  sources: Map<string, Source>
}

/** A follower whose strings are those that are in memory already: its stream's, and its source's. */
function sharing({ tag, record }: Follower, { project, stream, uid }: StreamTags, { key }: Source): Follower {
  const known = { ...(record.uid === uid && { uid }), ...(record.from === key && { from: key }) }
  return { project, stream, tag, record: { ...record, ...known } }
}

/** Brings all times to come of a source forward: its clock was put back by so much. */
export function putBack(source: Source, backMs: number): void {
  source.nextAt -= backMs
  if (source.dueAt !== undefined) source.dueAt -= backMs
  for (const resting of source.logins?.values() ?? []) resting.untilMs -= backMs
  for (const { resting } of source.followers.values()) if (resting !== undefined) resting.untilMs -= backMs
}

/** The key of the source that a reference names. */
export function keyOf(reference: ImageReference): string {
  const { host, repository, tag, digest } = reference
  return tag === undefined && digest === undefined ? `${host}/${repository}` : formatImageReference(reference)
}

function referenceOf({ from, track, all }: ScheduledRecord): ImageReference | undefined {
  const reference = parseImageReference(from)
  const isWhole = track !== undefined || all !== undefined
  return reference && isWhole ? { host: reference.host, repository: reference.repository } : reference
}

/** undefined for what is no record of a scheduled tag. */
function followerOf(path: string, value: string): Follower | undefined {
  const [project, stream, tag, ...more] = path.split('/')
  if (project === undefined || stream === undefined || tag === undefined || more.length > 0) return undefined
  return { project, stream, tag, record: JSON.parse(value) as ScheduledRecord }
}

/** Takes the record of a tag out of the index that wants no checks any more, unless it was written anew: its stream was deleted. */
export async function dropFollower(store: Pick<Store, 'get' | 'commit'>, follower: Follower): Promise<void> {
  const key = scheduledKey(follower, follower.tag)
  const entry = await store.get(key)
  if (entry === undefined || !isDeepStrictEqual(JSON.parse(entry.value), follower.record)) return
  await store.commit({ operations: [{ type: 'delete', key }], preconditions: [{ key, revision: entry.revision }] })
}
