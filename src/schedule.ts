/** Keeping up with upstreams: the source of every scheduled tag is asked again and again, at times that follow from its name alone. */
import type { Digest } from './oci/digest.ts'
import type { UpstreamReason } from './oci/errors.ts'
import type { StreamName } from './oci/reference.ts'

/** What came of asking a tag's source. Times are milliseconds since the epoch. */
export interface LastCheck {
  at: number
  /**
   * `Unchanged`: it points where it pointed. `Moved`: the tag went along. `Candidate`: it points elsewhere, and the tag is held,
   * immutable or waits for the age of what it found. `Failed`: nothing was learned; the tag stands where it stood (I7).
   */
  result: 'Unchanged' | 'Moved' | 'Candidate' | 'Failed'
  /** Where it points. */
  digest?: Digest
  /** The tag of a repository that a tracking policy chose. */
  chosen?: string
  reason?: UpstreamReason | 'InternalError'
  message?: string
  /** Checks that failed in a row. */
  failures: number
}

/** One scheduled tag: what is known of its source, and when it is asked next. */
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

/** A source that somebody says has changed; without a tag every tag of the repository. */
export interface ToldChange {
  host: string
  repository: string
  tag?: string
}

export interface Schedule {
  /** The checks of the scheduled tags of a project or a stream, in the order of their names. Reads memory alone. */
  checks(of: { project: string; stream?: string }): readonly TagCheck[]
  /**
   * Has the sources that a notification names checked at once, as far as tags of `project` follow them; the same again before
   * that was done changes nothing.
   *
   * @returns how many tags follow them
   */
  checkNow(project: string, changes: readonly ToldChange[]): number
  /** Checks until `signal` aborts; one process of several does. Never throws. */
  run(signal: AbortSignal): Promise<void>
}
