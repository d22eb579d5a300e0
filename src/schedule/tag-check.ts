import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { CheckFailure, Follower, Source } from './sources.ts'

/** What came of asking a tag's source. Times are milliseconds since the epoch. */
export interface LastCheck {
  at: number
  /**
   * `Unchanged`: it points where it pointed. `Moved`: the tag went along. `Candidate`: it points elsewhere, and the tag is held,
   * immutable or waits for the age of what it found. `New`: the stream got tags. `Failed`: nothing was learned; the tag stands
   * where it stood (I7).
   */
  result: 'Unchanged' | 'Moved' | 'Candidate' | 'New' | 'Failed'
  /** Where it points. */
  digest?: Digest
  /** The tag of a repository that a tracking policy chose. */
  chosen?: string
  /** Of a stream: how many tags of the repository it follows, how many of them are new, and how many more would fit. */
  tags?: number
  newTags?: number
  additionalTags?: number
  reason?: CheckFailure['reason']
  message?: string
  /** Checks that failed in a row. */
  failures: number
}

/**
 * One scheduled tag: what is known of its source, and when it is asked next. Of a stream that follows a whole repository too, with
 * `*` for the tag.
 */
export interface TagCheck extends StreamName {
  tag: string
  /** Its source in whole form: `docker.io/library/nginx:1.27`, of a tracking policy without a tag. */
  from: string
  /** Between two checks while they succeed. */
  intervalMs: number
  /** Undefined before the first that is known of. */
  last: LastCheck | undefined
  /** In the past when it waits for its turn. */
  nextAt: number
  /** What it waits for beyond its own time: a failure's pause, a registry's `Retry-After`, a budget. */
  delayedBy?: 'Backoff' | 'TooManyRequests' | 'Budget'
}

/** What is known of a follower of a source. */
export function tagCheck(source: Source, follower: Follower, intervalMs: number): TagCheck {
  const { project, stream, tag } = follower
  const { nextAt, delayedBy } = source
  const common = { project, stream, tag, from: source.key, intervalMs, last: lastOf(source, follower), nextAt }
  return delayedBy === undefined ? common : { ...common, delayedBy }
}

function lastOf({ last }: Source, follower: Follower): LastCheck | undefined {
  // What others were told is none of its business.
  if (last === undefined || follower.isNew) return undefined
  const { at, failures } = last
  const { record, chosen, found } = follower
  const ofSource = record.all === undefined ? (last.digest ?? follower.digest) : undefined
  const digest = record.track === undefined ? ofSource : chosen?.digest
  const failure = follower.failure ?? last.failure
  const result = failure === undefined ? (follower.result ?? 'Unchanged') : 'Failed'
  const known = { ...(digest === undefined ? {} : { digest }), ...(chosen && { chosen: chosen.tag }), ...found }
  return { at, result, ...known, ...failure, failures }
}
