import { randomUUID } from 'node:crypto'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Commit, Entry, Operation, Store } from '../store/store.ts'
import { commitOnce, type Fate } from './commit-once.ts'
import { decode, encode, eventKey, generationKey, lifeKey, outboxKey, streamKey, tagKey } from './keys.ts'
import { type Birth, born, createStream, deleteStream, prepareBirth, streamNotFound } from './lives.ts'
import { standing } from './preconditions.ts'
import { presentTag, type ReadStream, readStream } from './reader.ts'
import type { GenerationRecord, TagRecord } from './records.ts'
import { type AppliedChange, applyChange, isAbsent } from './rules.ts'
import type { ChangeOptions, ChangeResult, CurrentTag, Stream, StreamWriter, TagChange } from './streams.ts'
import { createTurns } from './turns.ts'
import { requireValid, validateTagName, validateTagReference } from './validation.ts'

/** One call of `changeTag`. */
interface Request {
  name: StreamName
  tag: string
  decide: (current: CurrentTag) => TagChange | undefined
  options: ChangeOptions
  /** The tag record's revision that was first decided on. */
  firstRevision?: number
}

/** What a change is decided on and conditioned on. */
interface Base {
  stream: Stream
  /** The stream's records; undefined when the stream is born with this change. */
  read: ReadStream | undefined
  birth: Birth | undefined
  /** The tag's record, whoever's; undefined when there never was one. */
  entry: Entry | undefined
}

type Attempt = { result: ChangeResult | undefined } | { lostAt: string; base: Base }

/** Most times that one change is decided anew. A change that lost a race waits for its turn, so few need a second. */
const maxAttempts = 100

/** Writes streams and tags. `changeTag` is the one function that writes tag records. */
export function createStreamWriter({ store, now }: { store: Store; now: () => number }): StreamWriter {
  const inTurn = createTurns()
  return {
    changeStream: () => Promise.reject(new TypeError('not there yet')),
    create: (name, object = {}) => createStream(store, name, object, now()),
    delete: (name, preconditions = {}) => deleteStream(store, name, preconditions),
    async changeTag(name, tag, decide, options = {}) {
      requireValid('ImageStreamTag', `${name.stream}:${tag}`, validateTagName(tag, 'tag'))
      const request: Request = { name, tag, decide, options }
      const first = await attemptChange(store, now, request)
      if ('result' in first) return first.result
      // Losers of one stream go one after the other: each would otherwise lose to all others in turn.
      return inTurn(lifeKey(name), () => decideAnew(store, now, request, first))
    },
  }
}

async function decideAnew(
  store: Store,
  now: () => number,
  request: Request,
  first: Extract<Attempt, { lostAt: string }>,
): Promise<ChangeResult | undefined> {
  let lost = first
  for (let attempt = 1; attempt < maxAttempts; attempt++) {
    if (request.options.onConflict === 'drop' && lost.lostAt !== generationKey(request.name)) return undefined
    const next = await attemptChange(store, now, request)
    if ('result' in next) return next.result
    lost = next
  }
  throw tooManyRaces(request, lost.base)
}

async function attemptChange(store: Store, now: () => number, request: Request): Promise<Attempt> {
  const { name, tag, decide, options } = request
  const nowMs = now()
  const base = await readBase(store, request, nowMs)
  request.firstRevision ??= base.entry?.revision ?? 0
  if (options.onConflict === 'drop' && request.firstRevision !== (base.entry?.revision ?? 0)) {
    return { result: undefined }
  }
  const current = { stream: base.stream, tag: presentTag(tag, base.entry, base.stream.uid) }
  const change = decide(current)
  const applied = change && apply(request, base, change, nowMs)
  if (applied === undefined) {
    return { result: { changed: false, revision: base.stream.resourceVersion, ...current } }
  }
  const result = await commitOnce(store, {
    commit: commitOf(name, tag, base, applied),
    fate: () => fateOf(store, name, tag, base.entry?.revision ?? 0, applied),
    what: `tag ${JSON.stringify(tag)} of image stream ${name.project}/${name.stream}`,
  })
  return result.status === 'conflict'
    ? { lostAt: result.key, base }
    : { result: resultOf(tag, base, applied, result.revision) }
}

async function readBase(store: Store, { name, tag, options }: Request, nowMs: number): Promise<Base> {
  const read = await readStream(store, name)
  if (read === undefined && !options.create) throw streamNotFound('NAME_UNKNOWN', name)
  const birth = read === undefined ? await prepareBirth(store, name, {}, nowMs) : undefined
  const stream = read?.stream ?? birth?.stream
  if (stream === undefined) throw new TypeError('a stream is read or born')
  return { stream, read, birth, entry: await store.get(tagKey(name, tag)) }
}

function apply({ name, tag }: Request, base: Base, change: TagChange, nowMs: number): AppliedChange | undefined {
  if (change.spec) {
    if (change.spec.name !== tag) throw new TypeError(`the spec of tag ${tag} is named ${change.spec.name}`)
    requireValid('ImageStreamTag', `${name.stream}:${tag}`, validateTagReference(change.spec, 'tag'))
  }
  const { uid, projectUid, generation } = base.stream
  return applyChange(base.entry && decode<TagRecord>(base.entry), change, {
    ...name,
    tag,
    uid,
    projectUid,
    generation,
    // What a stream is born with is its generation 1.
    nextGeneration: base.birth === undefined ? generation + 1 : generation,
    nowMs,
    commitId: randomUUID(),
  })
}

/** Record, ledger entry and notices in one commit, conditioned on the tag record and the stream's life (I2). */
function commitOf(name: StreamName, tag: string, base: Base, applied: AppliedChange): Commit {
  const { record, entry, notices, generation } = applied
  const { uid } = base.stream
  const firstNotice = (record.noticed ?? 0) - notices.length + 1
  const operations: Operation[] = [
    put(tagKey(name, tag), record),
    ...(entry === undefined ? [] : [put(eventKey(name, tag, entry.revision), entry)]),
    ...notices.map((notice, i) => put(outboxKey(name, tag, firstNotice + i), notice)),
    ...(base.birth?.operations ?? [put(streamKey(name), { uid })]),
  ]
  const preconditions = [
    { key: tagKey(name, tag), revision: base.entry?.revision ?? 0 },
    ...(base.birth?.preconditions ?? [{ key: lifeKey(name), revision: base.read?.lifeRevision ?? 0 }]),
  ]
  if (base.read !== undefined && generation !== undefined) {
    operations.push(put(generationKey(name), { uid, generation } satisfies GenerationRecord))
    preconditions.push({ key: generationKey(name), revision: base.read.generationRevision })
  }
  return { operations, preconditions }
}

/** What became of a change whose commit was answered `unknown`. */
async function fateOf(
  store: Store,
  name: StreamName,
  tag: string,
  baseRevision: number,
  { record, entry }: AppliedChange,
): Promise<Fate> {
  const found = await store.get(tagKey(name, tag))
  if ((found?.revision ?? 0) === baseRevision) return 'open'
  if (found !== undefined && decode<TagRecord>(found).commitId === record.commitId) return { landed: found.revision }
  if (entry === undefined) return 'unknowable'
  // Somebody wrote over the record. Another entry under this revision, or none, shows that this change never landed.
  const told = await store.get(eventKey(name, tag, entry.revision))
  return told?.value === encode(entry) ? 'unknowable' : 'open'
}

function resultOf(
  tag: string,
  base: Base,
  { record, entry, generation }: AppliedChange,
  revision: number,
): ChangeResult {
  const stream = base.birth === undefined ? { ...base.stream, resourceVersion: revision } : born(base.stream, revision)
  return {
    changed: true,
    revision,
    stream: generation === undefined ? stream : { ...stream, generation },
    tag: isAbsent(record) ? undefined : { name: tag, record, storeRevision: revision },
    ...(entry === undefined ? {} : { entry }),
  }
}

function tooManyRaces({ name, tag }: Request, base: Base): RegistryError {
  const present = presentTag(tag, base.entry, base.stream.uid)
  const now = present === undefined ? 'is not there' : standing(present)
  return new RegistryError('CONFLICT', {
    message: `tag ${JSON.stringify(tag)} of image stream "${name.project}/${name.stream}" kept being changed by others and ${now}; try again`,
    subject: { name: `${name.stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}

function put(key: string, record: unknown): Operation {
  return { type: 'put', key, value: encode(record) }
}
