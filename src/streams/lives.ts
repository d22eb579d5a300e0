import { randomUUID } from 'node:crypto'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Operation, Precondition, Store } from '../store/store.ts'
import { commitOnce, type Fate } from './commit-once.ts'
import { requireStreamDeletable } from './deletable-stream.ts'
import { formatTime } from './events.ts'
import { decode, encode, generationKey, lifeKey, scheduledKey, streamKey, streamObjectKey } from './keys.ts'
import { openProject } from './open-project.ts'
import { requireStreamUnchanged, type Seen } from './preconditions.ts'
import type { GenerationRecord, LifeRecord, StreamRecord } from './records.ts'
import { type ObjectFields, objectOf } from './stream-object.ts'
import { newestRevision, readStream } from './stream-records.ts'
import type { Stream } from './streams.ts'
import { requireValid, validateObject, validateStreamName } from './validation.ts'
import { readSnapshot } from './whole.ts'
import { wholeRecord, wholeStream } from './whole-repository.ts'

/** A stream that is about to be, and on what condition. */
export interface Birth {
  /** As it will be; its revisions are 0. */
  stream: Stream
  preconditions: Precondition[]
}

const maxAttempts = 20

/**
 * Prepares a stream's first commit, which writes {@link firstRecords}: nobody else may have made it, and its project must
 * be there and stay.
 *
 * @throws RegistryError INVALID; NOT_FOUND naming the project; FORBIDDEN while that is being removed
 */
export async function prepareBirth(
  store: Store,
  name: StreamName,
  object: Partial<ObjectFields>,
  nowMs: number,
): Promise<Birth> {
  const causes = [...validateStreamName(name), ...validateObject(object)]
  requireValid('ImageStream', name.stream, causes)
  const project = await openProject(store, name.project, streamSubject(name))
  const stream: Stream = {
    project: name.project,
    stream: name.stream,
    uid: randomUUID(),
    projectUid: project.uid,
    creationTimestamp: formatTime(nowMs),
    generation: 1,
    resourceVersion: 0,
    objectRevision: 0,
    labels: {},
    annotations: {},
    lookupPolicy: { local: false },
    ...object,
  }
  return { stream, preconditions: [{ key: lifeKey(name), revision: 0 }, project.precondition] }
}

/** Creates an empty stream. @throws RegistryError ALREADY_EXISTS, INVALID, NOT_FOUND, UNAVAILABLE */
export async function createStream(
  store: Store,
  name: StreamName,
  object: Partial<ObjectFields>,
  nowMs: number,
): Promise<Stream> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const { stream, preconditions } = await prepareBirth(store, name, object, nowMs)
    if ((await store.get(lifeKey(name))) !== undefined) break
    const result = await commitOnce(store, {
      commit: { operations: firstRecords(stream), preconditions },
      fate: () => fateOfLife(store, name, stream.uid),
      what: `image stream ${name.project}/${name.stream}`,
    })
    if (result.status === 'committed') return born(stream, result.revision)
  }
  throw new RegistryError('ALREADY_EXISTS', {
    message: `imagestreams.image.openshift.io "${name.stream}" already exists`,
    subject: streamSubject(name),
  })
}

/** How a stream is deleted. */
export interface StreamDeletion {
  /** Refused where annotations say no, and where a tag is immutable; default false: it goes with its project, or was never wanted. */
  isAsked?: boolean
  /** Tells whether it could go, and deletes nothing; default false. */
  dryRun?: boolean
}

/**
 * Deletes a stream: a few keys, whatever it holds. What lies under it carries its uid and counts as absent from then on.
 *
 * @throws RegistryError NOT_FOUND, CONFLICT, UNAVAILABLE; FORBIDDEN, INVALID when it is refused
 */
export async function deleteStream(
  store: Store,
  name: StreamName,
  seen: Seen,
  { isAsked = false, dryRun = false }: StreamDeletion = {},
): Promise<Stream> {
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const { read, tags } = isAsked
      ? await readSnapshot(store, name, { withFollowers: false })
      : { read: await readStream(store, name), tags: [] }
    if (read === undefined) throw streamNotFound('NOT_FOUND', name)
    const { stream, lifeRevision, touchedRevision } = read
    requireStreamUnchanged(stream, seen, seen.resourceVersion ? await newestRevision(store) : undefined)
    if (isAsked) await requireStreamDeletable(store, stream, tags, streamSubject(name))
    if (dryRun) return stream
    const preconditions = [{ key: lifeKey(name), revision: lifeRevision }]
    // A tag that comes or becomes immutable meanwhile is seen too.
    if (isAsked || seen.resourceVersion) {
      preconditions.push({ key: streamKey(name), revision: touchedRevision })
      preconditions.push({ key: streamObjectKey(name), revision: stream.objectRevision })
    }
    const keys = [lifeKey(name), streamObjectKey(name), streamKey(name), generationKey(name)]
    if (wholeRecord(stream) !== undefined) keys.push(scheduledKey(name, wholeStream))
    const result = await commitOnce(store, {
      commit: { operations: keys.map((key) => ({ type: 'delete', key })), preconditions },
      fate: async () => {
        const life = await store.get(lifeKey(name))
        return life?.revision === lifeRevision ? 'open' : { landed: life?.revision ?? 0 }
      },
      what: `the deletion of image stream ${name.project}/${name.stream}`,
    })
    if (result.status === 'committed') return stream
  }
  throw new RegistryError('CONFLICT', {
    message: `image stream "${name.project}/${name.stream}" kept changing while it was to be deleted`,
    subject: streamSubject(name),
  })
}

/** A stream as it is after the commit that made it. */
export function born(stream: Stream, revision: number): Stream {
  return { ...stream, resourceVersion: revision, objectRevision: revision }
}

/** The error for a stream that is not there: NOT_FOUND on the API, NAME_UNKNOWN where images are meant. */
export function streamNotFound(code: 'NOT_FOUND' | 'NAME_UNKNOWN', name: StreamName): RegistryError {
  return new RegistryError(code, {
    message: `imagestreams.image.openshift.io "${name.stream}" not found in project ${name.project}`,
    detail: { name: `${name.project}/${name.stream}` },
    subject: streamSubject(name),
  })
}

/** All records of a stream without tags. */
export function firstRecords(stream: Stream): Operation[] {
  const { uid, projectUid } = stream
  const whole = wholeRecord(stream)
  return [
    { type: 'put', key: lifeKey(stream), value: encode({ uid, projectUid } satisfies LifeRecord) },
    { type: 'put', key: streamObjectKey(stream), value: encode(objectOf(stream)) },
    { type: 'put', key: streamKey(stream), value: encode({ uid } satisfies StreamRecord) },
    { type: 'put', key: generationKey(stream), value: encode({ uid, generation: 1 } satisfies GenerationRecord) },
    ...(whole ? [{ type: 'put', key: scheduledKey(stream, wholeStream), value: encode(whole) } as const] : []),
  ]
}

/** What became of the commit that gave a stream its life. */
async function fateOfLife(store: Store, name: StreamName, uid: string): Promise<Fate> {
  const life = await store.get(lifeKey(name))
  return life !== undefined && decode<LifeRecord>(life).uid === uid ? { landed: life.revision } : 'open'
}

function streamSubject(name: StreamName): { name: string; kind: string; group: string } {
  return { name: name.stream, kind: 'imagestreams', group: 'image.openshift.io' }
}
