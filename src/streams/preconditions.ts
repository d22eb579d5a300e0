import { RegistryError } from '../oci/errors.ts'
import type { CurrentTag, Stream, Tag } from './streams.ts'

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
  if (version === undefined || current.tag === undefined || current.tag.storeRevision <= version) return
  throw new RegistryError('CONFLICT', {
    message: `tag ${JSON.stringify(tag)} of image stream "${stream.project}/${stream.stream}" ${standing(current.tag)}, after resource version ${version}: another caller has updated the resource version to ${current.tag.storeRevision}`,
    subject: { name: `${stream.stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}

/**
 * Refuses a change of the stream as a whole when anything of it changed after what the client saw.
 *
 * @throws RegistryError CONFLICT; BAD_REQUEST for a resourceVersion that is none
 */
export function requireStreamUnchanged(stream: Stream, seen: Seen): void {
  requireUid(stream, seen)
  const version = parseResourceVersion(seen.resourceVersion)
  if (version === undefined || stream.resourceVersion <= version) return
  throw new RegistryError('CONFLICT', {
    message: `the image stream "${stream.project}/${stream.stream}" was updated from "${version}" to "${stream.resourceVersion}"`,
    subject: { name: stream.stream, kind: 'imagestreams', group: 'image.openshift.io' },
  })
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

function requireUid(stream: Stream, { uid }: Seen): void {
  if (uid === undefined || uid === '' || uid === stream.uid) return
  throw new RegistryError('CONFLICT', {
    message: `the image stream "${stream.project}/${stream.stream}" was deleted and created again: its uid is ${stream.uid}, not ${uid.slice(0, 64)}`,
    subject: { name: stream.stream, kind: 'imagestreams', group: 'image.openshift.io' },
  })
}
