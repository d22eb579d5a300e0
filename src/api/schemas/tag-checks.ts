import { z } from 'zod'
import { integer, object, string, time } from './fields.ts'
import { metadata } from './metadata.ts'

const group = 'dev.weir.v1'

const lastCheck = z
  .object({
    time: time('When the source was asked.'),
    result: string(
      'Unchanged: it points where it pointed. Moved: the tag went along. Candidate: it points elsewhere, and the tag is held, immutable or waits for the age of what was found. New: the stream got tags of the repository that it follows. Failed: nothing was learned, or there is no room for what was; the tag stands where it stood.',
    ),
    image: string('The digest that the source pointed to when it last answered.'),
    chosen: string('The tag of the repository that a tracking policy chose.'),
    tags: integer('Of a stream that follows a whole repository: so many of its tags are listed there.'),
    newTags: integer('Of such a stream: so many of them came by this check.'),
    additionalTags: integer('Of such a stream: so many more fit, beyond the most that it wants.'),
    reason: string('Of a failure: why, as the conditions of tags have it.'),
    message: string('Of a failure: what happened.'),
    failures: integer('Checks that failed in a row.'),
  })
  .meta({ id: `${group}.LastCheck`, description: 'What came of asking the source of a tag.' })

const candidate = z
  .object({
    image: string('The digest that the tag does not move to by itself, or not yet.'),
    seenAt: time('When it was first seen at the source.'),
    dueAt: time(
      'When it is as old as the tag wants what it moves to (weir.dev/min-age); absent where it waits for no age.',
    ),
  })
  .meta({ id: `${group}.CheckCandidate`, description: 'Where a tag would have moved.' })

const importWaits = z
  .object({
    until: time('When its registry may be asked again in the background.'),
    reason: string('TooManyRequests.'),
    message: string('What keeps it, and until when.'),
  })
  .meta({ id: `${group}.ImportWaits`, description: 'Why the import of a tag waits.' })

export const tagCheckSchema = z
  .object({
    metadata,
    stream: string('The image stream of the tag.'),
    tag: string('The tag; * of a stream that follows a whole repository (weir.dev/follow).'),
    from: string('Its source in whole form; of a tracking policy without a tag.'),
    interval: string('Between two checks while they succeed, as 15m or 1h30m.'),
    lastCheck: object(lastCheck, 'What came of the last check; absent before the first that is known of.'),
    nextCheck: time('When the source is asked next; in the past while it waits for its turn.'),
    delayedBy: string('What it waits for beyond its own time: Backoff, TooManyRequests or Budget.'),
    candidate: object(candidate, 'Where the tag would have moved.'),
    importWaits: object(
      importWaits,
      "Of a tag whose import its registry's budget does not let through for now, scheduled or not; it goes on by itself.",
    ),
  })
  .meta({
    id: `${group}.TagCheck`,
    description:
      'How the upstream of a scheduled tag (importPolicy.scheduled) is looked at: what came of the last check, and when the next is. A tag that is not has one while its import waits for what its registry may be asked. Read-only.',
  })
