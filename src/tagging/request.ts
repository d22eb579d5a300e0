/** What is asked of tags: the words of {@link Tagging}. */
import type { StreamName } from '../oci/reference.ts'
import type { Seen } from '../streams/preconditions.ts'
import type { FollowerIdentity, TagReference } from '../streams/records.ts'
import type { Stream } from '../streams/streams.ts'

/**
 * A tag reference as a person sends it, its shape checked and nothing else: `generation` 0 asks for an import anew, any other
 * means "as it is" (okd.md 2.2).
 */
export type WantedTag = Omit<TagReference, 'generation'> & { generation?: number | null }

/** Who asks, and what he may see of other streams. */
export interface Asking {
  by: string
  /** As whom a tag that he lets follow another stream goes on; default `by` alone, in no group. */
  as?: FollowerIdentity
  /** `kubernetes.io/change-cause`, for the ledger. */
  reason?: string
  /** Whether he may pull from a stream: `get imagestreams/layers`. Asked for every source in another stream. */
  mayPull(source: StreamName): boolean
  /** Check everything, write nothing. Default false. */
  dryRun?: boolean
}

/** One tag by itself: an ImageStreamTag or ImageTag. */
export interface TagRequest extends StreamName, Asking {
  tag: string
  /** Null takes the spec tag away and leaves history and pin (okd.md 1.7). */
  wanted: WantedTag | null
  /** resourceVersion and uid as the client saw them. A stream that is missing is then NOT_FOUND. */
  seen: Seen
  /** Waits some seconds for a tag that moves only when its content is held, unless it aborts before. Absent: does not wait. */
  wait?: AbortSignal
  /** `create`: ALREADY_EXISTS when the spec tag is there; `put` (default): creates stream and tag when they are absent. */
  mode?: 'create' | 'put'
  /** Path of the tag in the object sent, for causes: `tag` of an ImageStreamTag, `spec` of an ImageTag. */
  field: string
}

/** A stream as a whole. */
export interface StreamRequest extends StreamName, Asking {
  object: Pick<Stream, 'labels' | 'annotations' | 'lookupPolicy' | 'dockerImageRepository' | 'managedFields'>
  /** All spec tags; the last of a name counts. One that is missing loses its spec and keeps its status. */
  tags: readonly WantedTag[]
  /** The tags that are meant: all others stay as they are, whatever `tags` says of them. Default all. */
  meant?: ReadonlySet<string>
  seen: Seen
}
