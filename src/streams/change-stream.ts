import type { FieldCause, RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { frameOf, streamAfter } from './change-tag.ts'
import { commitSteps } from './commit-steps.ts'
import { type Base, composeSteps } from './compose.ts'
import type { ContentPolicy } from './content-policy.ts'
import { type Draft, draftChanges } from './draft.ts'
import type { AskedChange } from './follow-graph.ts'
import { isMoveRefusal } from './immutable.ts'
import { decode, followersKey, tagKey, tagOfKey } from './keys.ts'
import { prepareBirth, streamNotFound } from './lives.ts'
import { isObjectChanged, withoutFields } from './preconditions.ts'
import { createMemory } from './reads.ts'
import type { TagRecord } from './records.ts'
import { isAbsent, wouldChange } from './rules.ts'
import { followedTag } from './sources.ts'
import type { StreamSizes } from './stream-sizes.ts'
import type { CurrentStream, Stream, StreamChange, StreamChangeResult, Tag, TagChange, WholeStream } from './streams.ts'
import { requireValid, validateObject, validateTagName, validateTagReference } from './validation.ts'
import { readSnapshot, readWhole, type StreamSnapshot } from './whole.ts'

/** One call of `changeStream`. */
export interface StreamRequest {
  name: StreamName
  decide: (current: CurrentStream) => StreamChange | undefined
  options: { create?: boolean; dryRun?: boolean; maySee?(stream: StreamName): boolean }
  /** What holds of tags where no annotation says otherwise. */
  defaults: ContentPolicy
}

/** Decides on a change of a stream, works it out, and tries once to commit it, in steps. */
export async function attemptStream(
  store: Store,
  sizes: StreamSizes,
  { name, decide, options, defaults }: StreamRequest,
  nowMs: number,
): Promise<StreamChangeResult | 'lost'> {
  const snapshot = await readSnapshot(store, name, { withFollowers: true })
  const { read, tags, storeRevision } = snapshot
  if (read === undefined && !options.create) throw streamNotFound('NOT_FOUND', name)
  const base: Base = read === undefined ? { birth: await prepareBirth(store, name, {}, nowMs) } : { read }
  const { stream } = base.read ?? base.birth
  const unchanged = { changed: false, revision: stream.resourceVersion, whole: { stream, tags } }
  const change = decide({ stream, tags, gone: goneTags(snapshot, stream.uid), storeRevision })
  if (change === undefined) return unchanged

  requireFormValid(name, change)
  const wanted = change.object === undefined ? stream : { ...withoutFields(stream), ...change.object }
  const isChanged = change.object !== undefined && isObjectChanged(stream, change.object)
  const changes = change.tags ?? new Map()
  const drafts = await draftTags(store, { name, base, snapshot, changes, wanted, defaults, options }, nowMs)
  if (base.read !== undefined && !isChanged && drafts.length === 0) return unchanged
  const steps = composeSteps(base, { stream: wanted, isChanged }, drafts)
  const after = (revisions?: readonly number[]): StreamChangeResult => {
    const revision = revisions?.at(-1) ?? stream.resourceVersion
    const whole = {
      stream: streamAfter(base, wanted, drafts, revision),
      tags: tagsAfter(tags, steps, revisions),
    }
    return { changed: true, revision, whole }
  }
  if (options.dryRun === true) {
    await sizes.within(stream, drafts)
    return after()
  }
  const what = `image stream ${name.project}/${name.stream}`
  const committed = await sizes.within(stream, drafts, () => commitSteps(store, { name, base, steps, what }))
  if ('lostAt' in committed) return 'lost'
  // Others may have changed other tags meanwhile: whoever goes on from this revision has to see that too.
  const now = await readWhole(store, name)
  const result = after(committed.revisions)
  return now?.stream.uid === stream.uid ? { ...result, whole: now } : result
}

interface Asked {
  name: StreamName
  base: Base
  snapshot: StreamSnapshot
  changes: ReadonlyMap<string, TagChange>
  /** The stream as it is to be. */
  wanted: Stream
  defaults: ContentPolicy
  options: StreamRequest['options']
}

/** Works out what changes of tags come to; each draft is of tags that follow one another. @throws RegistryError INVALID */
async function draftTags(
  store: Store,
  { name, base, snapshot, changes, wanted, defaults, options }: Asked,
  nowMs: number,
): Promise<Draft[]> {
  const { stream } = base.read ?? base.birth
  const present = new Map(snapshot.tags.map((tag) => [tag.name, tag.record]))
  const asked = new Map<string, AskedChange>()
  for (const [tag, change] of changes) {
    if (isEffective(present.get(tag), change, stream, tag)) asked.set(tag, { change, field: fieldOf(tag) })
  }
  if (asked.size === 0) return []
  const get = createMemory((key) => store.get(key), snapshot.entries, [tagKey(name, ''), followersKey(name, '')])
  const { dryRun, maySee } = options
  const frame = { ...(await frameOf(name, base, nowMs, { get, defaults, stream: wanted, dryRun })), maySee }
  const drafts: Draft[] = []
  const causes: FieldCause[] = []
  let held: RegistryError | undefined
  for (const group of connected(name, asked, present)) {
    const draft = await draftChanges(frame, get, group, asked)
    if ('causes' in draft) {
      causes.push(...draft.causes)
      held ??= draft.held
    } else if (draft.tags.length > 0) drafts.push(draft)
  }
  requireValid('ImageStream', name.stream, causes, held?.detail)
  return drafts
}

function isEffective(record: TagRecord | undefined, change: TagChange, stream: Stream, tag: string): boolean {
  try {
    return wouldChange(record, change, { ...stream, tag })
  } catch (error) {
    // It is refused, with all other refusals, when it is worked out.
    if (isMoveRefusal(error)) return true
    throw error
  }
}

/** @throws RegistryError INVALID with the causes of all fields */
function requireFormValid({ stream }: StreamName, { object, tags = new Map() }: StreamChange): void {
  const causes = object === undefined ? [] : validateObject(object)
  for (const [tag, { spec }] of tags) {
    if (spec && spec.name !== tag) throw new TypeError(`the spec of tag ${tag} is named ${spec.name}`)
    causes.push(...(spec ? validateTagReference(spec, fieldOf(tag)) : validateTagName(tag, `${fieldOf(tag)}.name`)))
  }
  requireValid('ImageStream', stream, causes)
}

function fieldOf(tag: string): string {
  return `spec.tags[${tag.slice(0, 128)}]`
}

/** Changes in groups that have nothing to do with one another: no tag follows one of another group, before or after. */
function connected(
  own: StreamName,
  changes: ReadonlyMap<string, AskedChange>,
  present: ReadonlyMap<string, TagRecord>,
): ReadonlyMap<string, AskedChange>[] {
  const parents = new Map<string, string>()
  const rootOf = (tag: string): string => {
    let root = tag
    for (let parent = parents.get(root); parent !== undefined; parent = parents.get(root)) root = parent
    // The way is made short for all on it: of thousands in a row each would else be walked again and again.
    for (let at = tag; at !== root; ) {
      const parent = parents.get(at) ?? root
      parents.set(at, root)
      at = parent
    }
    return root
  }
  const join = (tag: string, source: string | undefined) => {
    if (source === undefined) return
    const [a, b] = [rootOf(tag), rootOf(source)]
    if (a !== b) parents.set(a, b)
  }
  for (const [tag, { spec }] of present) join(tag, followedTag(spec, own))
  for (const [tag, { change }] of changes) join(tag, followedTag(change.spec ?? undefined, own))
  const groups = new Map<string, Map<string, AskedChange>>()
  for (const [tag, change] of changes) {
    const root = rootOf(tag)
    const group = groups.get(root) ?? new Map<string, AskedChange>()
    groups.set(root, group.set(tag, change))
  }
  return [...groups.values()]
}

function goneTags({ entries, tags }: StreamSnapshot, uid: string): Map<string, number> {
  const present = new Set(tags.map(({ name }) => name))
  const gone = new Map<string, number>()
  for (const entry of entries) {
    if (!entry.key.startsWith('tag/')) continue
    const tag = tagOfKey(entry.key)
    if (!present.has(tag) && decode<TagRecord>(entry).uid === uid) gone.set(tag, entry.revision)
  }
  return gone
}

/** The tags with those that were changed in their places, in the order of their names. */
function tagsAfter(
  before: readonly Tag[],
  steps: readonly { tags: Draft['tags'] }[],
  revisions: readonly number[] | undefined,
): WholeStream['tags'] {
  const tags = new Map(before.map((tag) => [tag.name, tag]))
  for (const [i, step] of steps.entries()) {
    for (const { tag, record, baseRevision } of step.tags) {
      if (isAbsent(record)) tags.delete(tag)
      else tags.set(tag, { name: tag, record, storeRevision: revisions?.[i] ?? baseRevision })
    }
  }
  return [...tags.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}
