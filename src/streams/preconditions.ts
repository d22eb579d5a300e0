import { isDeepStrictEqual } from 'node:util'
import { RegistryError } from '../oci/errors.ts'
import { wouldChange } from './rules.ts'
import { type ObjectFields, objectOf } from './stream-object.ts'
import type { CurrentStream, CurrentTag, Stream, StreamChange, Tag } from './streams.ts'

/** Most of what changed that a conflict names. */
const maxNamed = 5

/** What a client says it has seen of an object: `metadata.resourceVersion` and `metadata.uid`. */
export interface Seen {
  resourceVersion?: string
  uid?: string
}

/**
 * Refuses a change of one tag when the tag, or the stream's life, changed after what the client saw. Changes of other tags
 * do not count (DESIGN section 4, resourceVersion). For the `decide` of a change.
 *
 * @throws RegistryError CONFLICT that says what changed; BAD_REQUEST for a resourceVersion that is none
 */
export function requireTagUnchanged(current: CurrentTag, tag: string, seen: Seen): void {
  const { stream } = current
  requireUid(stream, seen)
  const version = parseResourceVersion(seen.resourceVersion)
  if (version === undefined) return
  requireSeenPast(stream, version, current.storeRevision)
  const changed = current.tag?.storeRevision ?? current.tagRevision ?? 0
  if (changed <= version) return
  const now = current.tag === undefined ? 'was deleted' : standing(current.tag)
  throw new RegistryError('CONFLICT', {
    message: `tag ${JSON.stringify(tag)} of image stream "${stream.project}/${stream.stream}" ${now}, after resource version ${version}: another caller has updated the resource version to ${changed}`,
    subject: { name: `${stream.stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}

/**
 * Refuses a change of a stream when something that it would change has changed after what the client saw: judged for each
 * tag by itself, and once for the object. What the change leaves as it is does not count. For the `decide` of a change.
 *
 * @throws RegistryError CONFLICT that says what changed; BAD_REQUEST for a resourceVersion that is none
 */
export function requireChangeUnchanged(current: CurrentStream, change: StreamChange, seen: Seen): void {
  const { stream } = current
  requireUid(stream, seen)
  const version = parseResourceVersion(seen.resourceVersion)
  if (version === undefined || stream.resourceVersion === 0) return
  requireSeenPast(stream, version, current.storeRevision)
  const present = new Map(current.tags.map((tag) => [tag.name, tag]))
  const changed: string[] = []
  if (change.object !== undefined && stream.objectRevision > version && isObjectChanged(stream, change.object)) {
    changed.push(`its metadata or spec was changed (${stream.objectRevision})`)
  }
  for (const [name, asked] of change.tags ?? []) {
    const tag = present.get(name)
    const revision = tag?.storeRevision ?? current.gone.get(name) ?? 0
    if (revision <= version || !wouldChange(tag?.record, asked, { ...stream, tag: name })) continue
    changed.push(`tag ${JSON.stringify(name)} ${tag === undefined ? 'was deleted' : standing(tag)}`)
  }
  if (changed.length === 0) return
  const more = changed.length > maxNamed ? `, and ${changed.length - maxNamed} more` : ''
  throw conflict(
    stream,
    `the image stream "${stream.project}/${stream.stream}" was updated from "${version}" to "${stream.resourceVersion}": ${changed.slice(0, maxNamed).join(', ')}${more}`,
  )
}

/**
 * Refuses a change of the stream as a whole when anything of it changed after what the client saw.
 *
 * @param storeRevision the store's newest revision when the stream was read
 * @throws RegistryError CONFLICT; BAD_REQUEST for a resourceVersion that is none
 */
export function requireStreamUnchanged(stream: Stream, seen: Seen, storeRevision?: number): void {
  requireUid(stream, seen)
  const version = parseResourceVersion(seen.resourceVersion)
  if (version === undefined) return
  requireSeenPast(stream, version, storeRevision)
  if (stream.resourceVersion <= version) return
  throw conflict(
    stream,
    `the image stream "${stream.project}/${stream.stream}" was updated from "${version}" to "${stream.resourceVersion}"`,
  )
}

/** Whether what a client wants of a stream besides its tags is not as it is. */
export function isObjectChanged(stream: Stream, object: ObjectFields): boolean {
  return !isDeepStrictEqual(objectOf(stream), objectOf({ ...withoutFields(stream), ...object }))
}

/** A stream with what a client sets taken away, so that what he leaves out goes. */
export function withoutFields(stream: Stream): Stream {
  const { dockerImageRepository: _repository, managedFields: _managed, ...rest } = stream
  return rest
}

/** Nobody has seen the future: such a version is of another server, or of one that was restored. */
function requireSeenPast(stream: Stream, version: number, storeRevision: number | undefined): void {
  if (storeRevision === undefined || version <= Math.max(storeRevision, stream.resourceVersion)) return
  throw conflict(
    stream,
    `resource version ${version} of the image stream "${stream.project}/${stream.stream}" is not there yet: the newest of this server is ${storeRevision}; read it again`,
  )
}

/** What a tag is at now, for the message of a conflict. */
export function standing({ record }: Tag): string {
  const [head] = record.items
  if (record.condition !== undefined) return `has a failed import of ${record.condition.lastTransitionTime}`
  return head === undefined
    ? 'was changed'
    : `is now at ${head.image || head.dockerImageReference} (revision ${record.current})`
}

/** A client's resourceVersion as a store revision; undefined when it sent none. @throws RegistryError BAD_REQUEST */
export function parseResourceVersion(value: string | undefined): number | undefined {
  if (value === undefined || value === '') return undefined
  if (/^[0-9]{1,15}$/.test(value)) return Number(value)
  throw new RegistryError('BAD_REQUEST', {
    message: `metadata.resourceVersion: ${JSON.stringify(value.slice(0, 64))} is no resource version of this server`,
  })
}

function conflict(stream: Stream, message: string): RegistryError {
  const subject = { name: stream.stream, kind: 'imagestreams', group: 'image.openshift.io' }
  return new RegistryError('CONFLICT', { message, subject })
}

function requireUid(stream: Stream, { uid }: Seen): void {
  if (uid === undefined || uid === '' || uid === stream.uid) return
  throw conflict(
    stream,
    `the image stream "${stream.project}/${stream.stream}" was deleted and created again: its uid is ${stream.uid}, not ${uid.slice(0, 64)}`,
  )
}
