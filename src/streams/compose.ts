import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { commitLimits, type Operation, type Precondition } from '../store/store.ts'
import { type Draft, type DraftedTag, maxDraftOperations } from './draft.ts'
import { encode, generationKey, lifeKey, scheduledKey, streamKey, streamObjectKey } from './keys.ts'
import { type Birth, firstRecords } from './lives.ts'
import type { GenerationRecord, StreamRecord } from './records.ts'
import { objectOf } from './stream-object.ts'
import type { ReadStream } from './stream-records.ts'
import type { Stream } from './streams.ts'
import { nextWhole, wholeStream } from './whole-repository.ts'

/** What a change is made on: a stream that was read, or one that is born with it. */
export type Base = { read: ReadStream; birth?: undefined } | { birth: Birth; read?: undefined }

/** One commit of a change, without its condition on the stream's life. */
export interface Step {
  operations: Operation[]
  preconditions: Precondition[]
  tags: DraftedTag[]
}

/** Most of a commit; leaves room for the condition on the stream's life and for what the engine adds. */
const maxStep: Size = { operations: commitLimits.maxOperations - 1, bytes: commitLimits.maxBytes - 16 * 1024 }
/** Most that belongs together; leaves room for what a first step writes besides. */
const maxDraft: Size = { operations: maxDraftOperations, bytes: maxStep.bytes - 4096 }

/**
 * Makes the commits of a change: `stream` is how its object is to be, `drafts` are the changes of tags that each belong
 * together. As many as fit go into the first commit with the object, the life and the generation; the others follow.
 * Each is safe alone.
 *
 * @throws RegistryError INVALID when what belongs together does not fit one commit
 */
export function composeSteps(
  base: Base,
  { stream, isChanged }: { stream: Stream; isChanged: boolean },
  drafts: readonly Draft[],
): Step[] {
  const first = firstStep(base, stream, { isChanged, isOfSpec: isNewSpec(base, stream, drafts) })
  const steps = [first]
  let room = roomIn(first)
  for (const draft of drafts) {
    const needs = sizeOf(draft)
    if (!fits(needs, maxDraft)) throw tooLarge(stream, draft)
    if (!fits(needs, room)) {
      const another: Step = { operations: [touch(stream)], preconditions: [], tags: [] }
      steps.push(another)
      room = roomIn(another)
    }
    const step = steps.at(-1) ?? first
    step.operations.unshift(...draft.operations)
    step.preconditions.push(...draft.preconditions)
    step.tags.push(...draft.tags)
    room = { operations: room.operations - needs.operations, bytes: room.bytes - needs.bytes }
  }
  return steps
}

/** The stream's generation after the change. */
export function nextGeneration({ birth, read }: Base): number {
  // What a stream is born with is its generation 1.
  return birth === undefined ? read.stream.generation + 1 : birth.stream.generation
}

/** Whether the change is one of the spec. */
export function isNewSpec({ read }: Base, stream: Stream, drafts: readonly Draft[]): boolean {
  if (read === undefined) return false
  const before = read.stream
  const isSameRest =
    before.lookupPolicy.local === stream.lookupPolicy.local &&
    (before.dockerImageRepository ?? '') === (stream.dockerImageRepository ?? '')
  return !isSameRest || drafts.some(({ isOfSpec }) => isOfSpec)
}

function firstStep(
  base: Base,
  stream: Stream,
  { isChanged, isOfSpec }: { isChanged: boolean; isOfSpec: boolean },
): Step {
  if (base.read === undefined) {
    const operations = firstRecords(stream)
    return {
      operations,
      preconditions: base.birth.preconditions.filter(({ key }) => key !== lifeKey(stream)),
      tags: [],
    }
  }
  const operations = [touch(stream)]
  const preconditions: Precondition[] = []
  if (isChanged) {
    operations.push(put(streamObjectKey(stream), objectOf(stream)))
    preconditions.push({ key: streamObjectKey(stream), revision: base.read.stream.objectRevision })
    operations.push(...wholeOperations(base.read.stream, stream))
  }
  if (isOfSpec) {
    const counted: GenerationRecord = { uid: stream.uid, generation: nextGeneration(base) }
    operations.push(put(generationKey(stream), counted))
    preconditions.push({ key: generationKey(stream), revision: base.read.generationRevision })
  }
  return { operations, preconditions, tags: [] }
}

/** What the index of scheduled sources says of the stream itself, as far as that changes. */
function wholeOperations(before: Stream, after: Stream): Operation[] {
  const next = nextWhole(before, after)
  if (next === undefined) return []
  const key = scheduledKey(after, wholeStream)
  return [next === null ? { type: 'delete', key } : put(key, next)]
}

interface Size {
  operations: number
  bytes: number
}

function roomIn({ operations, preconditions }: Step): Size {
  const used = sizeOf({ operations, preconditions })
  return { operations: maxStep.operations - used.operations, bytes: maxStep.bytes - used.bytes }
}

/** `operations` counts whichever there are more of: operations or preconditions. */
function sizeOf({ operations, preconditions }: Pick<Draft, 'operations' | 'preconditions'>): Size {
  const ofKeys = [...operations, ...preconditions].reduce((sum, { key }) => sum + Buffer.byteLength(key), 0)
  const ofValues = operations.reduce((sum, each) => sum + (each.type === 'put' ? Buffer.byteLength(each.value) : 0), 0)
  return { operations: Math.max(operations.length, preconditions.length), bytes: ofKeys + ofValues }
}

function fits(needs: Size, room: Size): boolean {
  return needs.operations <= room.operations && needs.bytes <= room.bytes
}

function touch(stream: StreamName & { uid: string }): Operation {
  return put(streamKey(stream), { uid: stream.uid } satisfies StreamRecord)
}

function put(key: string, record: unknown): Operation {
  return { type: 'put', key, value: encode(record) }
}

function tooLarge({ project, stream }: StreamName, { tags }: Draft): RegistryError {
  const names = tags.map(({ tag }) => tag)
  const listed = `${names.slice(0, 5).join(', ')}${names.length > 5 ? `, ... (${names.length} in all)` : ''}`
  const why =
    names.length === 1
      ? `what is kept of tag ${listed} would be too large: give it less annotations`
      : `tags ${listed} follow one another and have to change at once, which is more than one commit takes: change them in several steps, or give them less annotations`
  return new RegistryError('INVALID', {
    message: `ImageStream.image.openshift.io "${stream}" is invalid: spec.tags: ${why}`,
    causes: [{ field: 'spec.tags', reason: 'FieldValueInvalid', message: why }],
    subject: { name: stream, kind: 'imagestreams', group: 'image.openshift.io' },
    detail: { name: `${project}/${stream}` },
  })
}
