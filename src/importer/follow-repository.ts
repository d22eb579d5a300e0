import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import { formatImageReference, parseImageReference, type StreamName } from '../oci/reference.ts'
import type { ScheduledRecord, TagReference } from '../streams/records.ts'
import { intervalAnnotation } from '../streams/scheduled.ts'
import type { CurrentStream, StreamChange, StreamWriter, TagChange } from '../streams/streams.ts'
import { wholeRecord } from '../streams/whole-repository.ts'
import { nameOf } from './request.ts'
import { schedulerName } from './scheduled.ts'

/** What became of a stream that follows a repository. */
export type RepositoryOutcome =
  /** `error`: the project has no room for the others. */
  | { kind: 'followed'; newTags: number; error?: RegistryError }
  /** Somebody kept changing it: to be asked again. */
  | { kind: 'again'; newTags: number }
  /** It does not want that any more. */
  | { kind: 'gone' }

/** `Importer.followRepository`. */
export type FollowRepository = (
  name: StreamName,
  asked: {
    /** What the stream wants, as the index of scheduled sources says it. */
    record: ScheduledRecord
    /** Of the repository, those that are to be there; the first are the most wanted. */
    tags: readonly string[]
  },
  signal?: AbortSignal,
) => Promise<RepositoryOutcome>

/** Most tags of one change: others have their turn between two. */
const tagsAtOnce = 100
/** Most tags of a stream that gets more by itself: it has to be shown as one object. */
const mostTags = 5000

export function createFollowRepository({
  writer,
  log,
}: {
  writer: Pick<StreamWriter, 'changeStream'>
  log: Logger
}): FollowRepository {
  return async (name, { record, tags }, signal) => {
    let atOnce = tagsAtOnce
    let newTags = 0
    for (;;) {
      signal?.throwIfAborted()
      const made = await give(name, record, tags, atOnce).catch((error: unknown) => error)
      if (made === 'gone') return { kind: 'gone' }
      if (typeof made === 'number') {
        newTags += made
        if (made > 0) continue
        if (newTags > 0)
          log.info({ ...nameOf(name), from: record.from, newTags }, 'new tags of a repository are followed')
        return { kind: 'followed', newTags }
      }
      if (!(made instanceof RegistryError)) throw made
      const { code } = made
      if (code === 'NOT_FOUND') return { kind: 'gone' }
      if (code === 'CONFLICT' || code === 'UNAVAILABLE') return { kind: 'again', newTags }
      // There may be room for some of them.
      if (atOnce === 1) return { kind: 'followed', newTags, error: made }
      atOnce = atOnce >> 1
    }
  }

  /** Gives a stream some of those that it never had. @returns how many, 0 when it has all */
  async function give(
    name: StreamName,
    record: ScheduledRecord,
    tags: readonly string[],
    atOnce: number,
  ): Promise<number | 'gone'> {
    let isWanted = true
    let given = 0
    const decide = (current: CurrentStream): StreamChange | undefined => {
      isWanted = isDeepStrictEqual(wholeRecord(current.stream), record)
      const some = isWanted ? lacking(current, tags).slice(0, atOnce) : []
      given = some.length
      if (some.length === 0) return undefined
      requireRoom(current, some.length)
      return { tags: new Map(some.map((tag) => [tag, newTag(current, record, tag)])) }
    }
    const { changed } = await writer.changeStream(nameOf(name), decide)
    if (!isWanted) return 'gone'
    return changed ? given : 0
  }
}

/** Those of which the stream has no record: what somebody deleted does not come back, and what was pushed stays as it is. */
function lacking({ tags, gone }: CurrentStream, wanted: readonly string[]): string[] {
  const present = new Set(tags.map(({ name }) => name))
  return wanted.filter((tag) => !present.has(tag) && !gone.has(tag))
}

function newTag({ stream, tags }: CurrentStream, { from }: ScheduledRecord, tag: string): TagChange {
  const source = parseImageReference(from)
  if (source === undefined) throw new TypeError('a stream follows a repository that can be read')
  const { host, repository } = source
  const interval = stream.annotations[intervalAnnotation]
  const spec = {
    name: tag,
    annotations: interval === undefined ? null : { [intervalAnnotation]: interval },
    from: { kind: 'DockerImage', name: formatImageReference({ host, repository, tag }) },
    importPolicy: { scheduled: true },
    referencePolicy: { type: policyOf(tags) },
  } as const
  return { spec, wantedBy: { by: schedulerName } }
}

/** As all that come from registries have it. */
function policyOf(tags: CurrentStream['tags']): TagReference['referencePolicy']['type'] {
  const imported = tags.flatMap(({ record: { spec } }) => (spec?.from?.kind === 'DockerImage' ? [spec] : []))
  const isSource = imported.length > 0 && imported.every(({ referencePolicy }) => referencePolicy.type === 'Source')
  return isSource ? 'Source' : 'Local'
}

/** @throws RegistryError DENIED */
function requireRoom({ stream, tags }: CurrentStream, more: number): void {
  if (tags.length + more <= mostTags) return
  const message = `image stream ${stream.project}/${stream.stream} has ${tags.length} tags: it gets no more than ${mostTags} by following a repository`
  throw new RegistryError('DENIED', { message })
}
