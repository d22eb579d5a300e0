import { isDeepStrictEqual } from 'node:util'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import { parseResourceVersion } from '../../streams/preconditions.ts'
import type { Stream } from '../../streams/streams.ts'
import { forbiddenField, requireValid } from '../fields.ts'
import { imageGroup } from '../groups.ts'
import { withoutWrite } from '../image-objects.ts'
import type { SentMetadata } from '../metadata.ts'
import type { TagResource } from './tag-objects.ts'

/**
 * Refuses to change through a tag what it shows of its stream: it would be lost without a word (okd.md 1.12). What is not
 * sent is not changed.
 *
 * @throws RegistryError INVALID; CONFLICT where the stream changed after the version that the client saw
 */
export function requireStreamMetadata(
  stream: Stream,
  name: string,
  sent: SentMetadata | null | undefined,
  resource: TagResource,
): void {
  const { labels, annotations, resourceVersion } = sent ?? {}
  const causes: FieldCause[] = []
  if (labels && !isDeepStrictEqual(labels, stream.labels)) {
    causes.push(forbiddenField('metadata.labels', `are those of image stream "${stream.stream}"; label that`))
  }
  if (resource === 'imagetags' && annotations && !isSame(annotations, stream.annotations)) {
    const detail = `are those of image stream "${stream.stream}"; annotate that, or the tag in spec.annotations`
    causes.push(forbiddenField('metadata.annotations', detail))
  }
  if (causes.length === 0) return
  const subject = { name, kind: resource, group: imageGroup }
  const seen = parseResourceVersion(resourceVersion ?? undefined)
  if (seen !== undefined && stream.objectRevision > seen) throw new RegistryError('CONFLICT', { subject })
  requireValid(causes, subject)
}

function isSame(sent: Readonly<Record<string, string>>, own: Readonly<Record<string, string>>): boolean {
  return isDeepStrictEqual(withoutWrite(sent), withoutWrite(own))
}
