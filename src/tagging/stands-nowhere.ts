import type { TagRecord } from '../streams/records.ts'
import { type StreamSource, sourceText } from '../streams/sources.ts'
import type { TagChange } from '../streams/streams.ts'

/** What a tag that follows does while there is nothing to follow. */
export function staysText(record: Pick<TagRecord, 'items'> | undefined): string {
  return record?.items[0] === undefined
    ? 'the tag follows it as soon as there is one'
    : 'the tag keeps what it stands at, and follows again when there is one'
}

/**
 * The condition of a tag whose source is a tag that stands at nothing. One that does not follow it takes it once: nobody would see
 * that there was nothing to take.
 */
export function standsNowhere(
  source: StreamSource,
  record: Pick<TagRecord, 'items'> | undefined,
  { isFollowing }: { isFollowing: boolean },
): NonNullable<TagChange['condition']> {
  const name = sourceText(source)
  const message = isFollowing
    ? `${name} stands at no image: ${staysText(record)}`
    : `${name} stands at nothing yet, and is taken once: set the tag again when it does, or let it follow (weir.dev/follow: "true")`
  return { reason: 'NotFound', message }
}
