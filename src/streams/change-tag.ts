import { randomUUID } from 'node:crypto'
import type { ErrorSubject } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { commitSteps } from './commit-steps.ts'
import { type Base, composeSteps, isNewSpec, nextGeneration } from './compose.ts'
import type { ContentPolicy } from './content-policy.ts'
import { requireNotDenied } from './delete-policy.ts'
import { type Draft, draftChanges, type Frame } from './draft.ts'
import { tagKey } from './keys.ts'
import { born, prepareBirth, streamNotFound } from './lives.ts'
import { standing } from './preconditions.ts'
import { createMemory } from './reads.ts'
import { isAbsent } from './rules.ts'
import { newestRevision, presentTag, readStream } from './stream-records.ts'
import type { StreamSizes } from './stream-sizes.ts'
import type { ChangeOptions, ChangeResult, CurrentTag, Stream, Tag, TagChange } from './streams.ts'
import { immutableTags, tagPolicies } from './tag-policy.ts'
import { requireValid, validateTagReference } from './validation.ts'

/** One call of `changeTag`. */
export interface TagRequest {
  name: StreamName
  tag: string
  decide: (current: CurrentTag) => TagChange | undefined
  options: ChangeOptions
  /** What holds of tags where no annotation says otherwise. */
  defaults: ContentPolicy
  /** What was first decided on: the stream's uid and the tag record's revision. */
  first?: { uid: string; revision: number }
}

/** What became of one attempt; after a lost race, what the tag is at. */
export type TagAttempt = { result: ChangeResult | undefined } | { lostAt: string; standing: string }

/** Decides on a change of one tag, works it out, and tries once to commit it. */
export async function attemptTag(
  store: Store,
  sizes: StreamSizes,
  request: TagRequest,
  nowMs: number,
): Promise<TagAttempt> {
  const { name, tag, decide, options } = request
  const base = await readBase(store, request, nowMs)
  const { stream } = base.read ?? base.birth
  const get = createMemory((key) => store.get(key))
  const entry = await get(tagKey(name, tag))
  const present = presentTag(tag, entry, stream.uid)
  const tagRevision = entry?.revision ?? 0
  request.first ??= { uid: stream.uid, revision: tagRevision }
  const isFirst = request.first.uid === stream.uid && request.first.revision === tagRevision
  if (options.onConflict === 'drop' && !isFirst) return { result: undefined }

  const nothing = { changed: false, revision: stream.resourceVersion, stream, tag: present }
  const change = decide({ stream, tag: present, tagRevision, storeRevision: await newestRevision(store) })
  if (change === undefined) return { result: nothing }
  if (change.remove) await requireNotDenied({ get }, stream, tagSubject(`${name.stream}:${tag}`))
  const draft = await draftTag(request, base, change, nowMs, get)
  if (draft.tags.length === 0) return { result: nothing }
  const steps = composeSteps(base, { stream, isChanged: false }, [draft])
  const resultAt = (revision: number) => ({ result: resultOf(tag, base, draft, revision) })
  if (options.dryRun === true) {
    await sizes.within(stream, [draft])
    return resultAt(stream.resourceVersion)
  }
  const what = `tag ${JSON.stringify(tag)} of image stream ${name.project}/${name.stream}`
  const committed = await sizes.within(stream, [draft], () => commitSteps(store, { name, base, steps, what }))
  if ('lostAt' in committed) {
    return { lostAt: committed.lostAt, standing: present === undefined ? 'is not there' : standing(present) }
  }
  return resultAt(committed.revisions.at(-1) ?? 0)
}

function tagSubject(name: string): ErrorSubject {
  return { name, kind: 'imagestreamtags', group: 'image.openshift.io' }
}

async function readBase(store: Store, { name, options }: TagRequest, nowMs: number): Promise<Base> {
  const read = await readStream(store, name)
  if (read !== undefined) return { read }
  if (!options.create) throw streamNotFound('NAME_UNKNOWN', name)
  return { birth: await prepareBirth(store, name, {}, nowMs) }
}

/** @throws RegistryError INVALID */
async function draftTag(
  { name, tag, options, defaults }: TagRequest,
  base: Base,
  change: TagChange,
  nowMs: number,
  get: ReturnType<typeof createMemory>,
): Promise<Draft> {
  const { field = 'tag' } = options
  const shown = `${name.stream}:${tag}`
  if (change.spec) {
    if (change.spec.name !== tag) throw new TypeError(`the spec of tag ${tag} is named ${change.spec.name}`)
    requireValid('ImageStreamTag', shown, validateTagReference(change.spec, field))
  }
  const { stream } = base.read ?? base.birth
  const { dryRun, maySee } = options
  const frame = { ...(await frameOf(name, base, nowMs, { get, defaults, stream, dryRun })), maySee }
  const draft = await draftChanges(frame, get, new Map([[tag, { change, field }]]))
  if (!('causes' in draft)) return draft
  if (draft.held !== undefined) throw draft.held
  requireValid('ImageStreamTag', shown, draft.causes)
  throw new TypeError('a refusal has causes')
}

/** What the changes of one attempt share. The policies of tags are those of `stream`, as it is to be; which are immutable says the stream as it is. */
export async function frameOf(
  { project, stream }: StreamName,
  base: Base,
  nowMs: number,
  policies: {
    get: ReturnType<typeof createMemory>
    defaults: ContentPolicy
    stream: Stream
    dryRun?: boolean | undefined
  },
): Promise<Frame> {
  const before = (base.read ?? base.birth).stream
  const { uid, projectUid, generation } = before
  const commitId = randomUUID()
  const policyOf = await tagPolicies(policies.get, policies.defaults, policies.stream)
  return {
    project,
    stream,
    uid,
    projectUid,
    generation,
    nextGeneration: nextGeneration(base),
    nowMs,
    commitId,
    needsLinks: base.read !== undefined && policies.dryRun !== true,
    isMovedWhenHeld: (annotations) => policyOf(annotations).move === 'when-held',
    // Who takes the annotation away moves the tag by another change.
    immutableBy: await immutableTags(policies.get, before),
  }
}

function resultOf(tag: string, base: Base, draft: Draft, revision: number): ChangeResult {
  const { stream } = base.read ?? base.birth
  const drafted = draft.tags.find((each) => each.tag === tag)
  const entry = drafted?.entries.at(-1)
  const others = draft.tags.filter((each) => each !== drafted)
  const followed = others.flatMap(({ tag, entries }) => entries.map((entry) => ({ ...entry, tag })))
  const present: Tag | undefined =
    drafted === undefined || isAbsent(drafted.record)
      ? undefined
      : { name: tag, record: drafted.record, storeRevision: revision }
  return {
    changed: true,
    revision,
    stream: streamAfter(base, stream, [draft], revision),
    tag: present,
    ...(entry === undefined ? {} : { entry }),
    ...(followed.length === 0 ? {} : { followed }),
  }
}

/** A stream as it is after a change at `revision`; `wanted` has the object as it was to be. */
export function streamAfter(base: Base, wanted: Stream, drafts: readonly Draft[], revision: number): Stream {
  if (base.read === undefined) return born(wanted, revision)
  const generation = isNewSpec(base, wanted, drafts) ? nextGeneration(base) : wanted.generation
  return { ...wanted, generation, resourceVersion: revision }
}
