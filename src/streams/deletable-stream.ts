/** Whether somebody who asks for it may delete a whole stream. */
import type { ErrorSubject } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import { requireNotDenied } from './delete-policy.ts'
import { type Immutability, immutableAnnotation } from './immutable.ts'
import type { Stream, Tag } from './streams.ts'
import { immutableTags } from './tag-policy.ts'
import { requireValid } from './validation.ts'

/** Most tags that a refusal names. */
const maxNamed = 5

/**
 * Refuses where annotations deny deletions, and where a tag that stands at an image is immutable.
 *
 * @throws RegistryError FORBIDDEN, INVALID
 */
export async function requireStreamDeletable(
  store: Pick<Store, 'get'>,
  stream: Stream,
  tags: readonly Tag[],
  subject: ErrorSubject,
): Promise<void> {
  await requireNotDenied(store, stream, subject)
  const immutableBy = await immutableTags((key) => store.get(key), stream)
  const names: string[] = []
  const levels = new Set<Immutability['level']>()
  for (const { name, record } of tags) {
    const by = record.items[0]?.image ? immutableBy(name, record.spec?.annotations) : undefined
    if (by === undefined) continue
    names.push(name)
    levels.add(by.level)
  }
  if (names.length === 0) return
  const places = {
    project: `project ${stream.project}`,
    stream: `image stream ${stream.project}/${stream.stream}`,
    tag: 'the tags',
  }
  const where = [...levels].map((level) => places[level]).join(' and ')
  const more = names.length > maxNamed ? ` and ${names.length - maxNamed} more` : ''
  const called = `${names.slice(0, maxNamed).join(', ')}${more}`
  const text = `the stream has immutable tags, which are not deleted: ${called}; change ${immutableAnnotation} on ${where} before`
  const cause = { field: 'metadata.name', reason: 'FieldValueForbidden', message: `Forbidden: ${text}` }
  requireValid('ImageStream', stream.stream, [cause])
}
