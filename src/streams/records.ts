import type { Location } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'

/** Records under a stream (DESIGN section 4), as JSON in the store. Wire fields keep their wire names. */

/** `image.openshift.io/v1` ObjectReference of a tag's source. */
export interface TagSource {
  kind: 'DockerImage' | 'ImageStreamTag' | 'ImageStreamImage'
  name: string
  namespace?: string
}

export interface ImportPolicy {
  insecure?: boolean
  scheduled?: boolean
  importMode?: 'Legacy' | 'PreserveOriginal'
}

/** What is wanted of a tag: one element of `spec.tags`. */
export interface TagReference {
  name: string
  annotations: Record<string, string> | null
  from?: TagSource
  reference?: boolean
  /** The stream generation at which this tag's identity last changed. */
  generation: number | null
  importPolicy: ImportPolicy
  referencePolicy: { type: 'Source' | 'Local' }
}

/** What happened: one element of `status.tags[].items`, newest first. `created` is RFC 3339, seconds, UTC. */
export interface TagEvent {
  created: string
  dockerImageReference: string
  /** A digest, or empty for a `reference: true` tag. */
  image: Digest | ''
  generation: number
}

export interface TagEventCondition {
  type: 'ImportSuccess'
  status: 'False'
  lastTransitionTime: string
  reason: string
  message: string
  generation: number
}

/** The registry that said it no longer has the image a tag stands at, and when it first said so, RFC 3339. */
export interface UpstreamGone {
  image: Digest
  /** It is a part of the image that is gone; its manifest may be there. */
  isPart?: true
  /** With its port, as image references have it. */
  host: string
  at: string
}

/** Why a tag moved. */
export interface Cause {
  kind: 'import' | 'scheduled' | 'push' | 'tag' | 'rollback' | 'delete' | 'follow'
  by: string
  reason?: string
  from?: { kind: string; name: string }
  /** Of a push: the client's `User-Agent`. */
  client?: string
  /** Of a rollback: the revision whose digest was restored. */
  restoredRevision?: number
}

/** A rolled-back tag stands still until it is resumed. */
export interface Hold {
  revision: number
  by: string
  at: string
  reason?: string
}

/** A move that waits for its content. `created` is that of a copy's source, `since` when the waiting began; RFC 3339. */
export interface AwaitedMove {
  image: Digest
  mediaType: string
  dockerImageReference: string
  created?: string
  cause: Cause
  since: string
}

/** Who let a tag follow one of another stream, as he was then. */
export interface FollowerIdentity {
  /** User name. */
  name: string
  groups: readonly string[]
  /** Of a service account: one that is made anew has another. */
  uid?: string
}

/** The one mutable record of a tag, `tag/<project>/<stream>/<tag>`. */
export interface TagRecord {
  /** The stream's uid; a record of another uid counts as absent, except for `revision`. */
  uid: string
  spec?: TagReference
  /** Number of the newest ledger entry; 0 when there is none yet. It goes on when the name is used again. */
  revision: number
  /** The newest 10 items, newest first; items[0].image is the pin. */
  items: TagEvent[]
  /** The ledger revision in force: that of items[0]. */
  current: number
  hold?: Hold
  /** What an automatic cause would have moved a held tag to. */
  candidate?: { image: Digest; mediaType: string; dockerImageReference: string; seenAt: string; cause: Cause }
  /** Where the tag moves as soon as all that its policy wants of this image is held (`weir.dev/move: when-held`). */
  awaits?: AwaitedMove
  /** Last digest seen at the upstream of `spec.from`, or at the tag of another stream that is followed. */
  lastSeen?: { digest: Digest; at: string }
  /** By whose right the tag follows a tag of another stream (`weir.dev/follow`); absent when it follows none. */
  followsAs?: FollowerIdentity
  condition?: TagEventCondition
  /** Of items[0].image alone. */
  upstreamGone?: UpstreamGone
  /** Number of the newest notice in the outbox; absent when there was none yet. It goes on like `revision`. */
  noticed?: number
  commitId: string
}

/** One entry of the ledger, `event/<project>/<stream>/<tag>!<revision>`, append-only (I3). */
export interface LedgerEntry {
  uid: string
  /** The project's uid: a tag can be rolled back to an earlier stream's entry only within the same project. */
  projectUid: string
  revision: number
  created: string
  /** Empty in the entry of a deletion, and of a `reference: true` tag. */
  image: Digest | ''
  previousImage?: Digest | ''
  mediaType: string
  dockerImageReference: string
  generation: number
  cause: Cause
}

/** `life/<project>/<stream>`. */
export interface LifeRecord {
  uid: string
  projectUid: string
}

/**
 * `index/followers/<project>/<stream>/<tag>`: the tags of the same stream whose spec names this one as their source. Every
 * move of the tag is conditioned on it, so that none who begins to follow at that moment is left behind.
 */
export interface FollowersRecord {
  uid: string
  followers: string[]
}

/**
 * `index/pending/<project>/<stream>/<tag>`: the tag's wish is newer than what was imported (okd.md 2.2, "pending import").
 * Written and removed by the commit that makes it so; whoever imports in the background follows this prefix.
 */
export interface PendingRecord {
  uid: string
  /** The generation of the wish. */
  generation: number
  by: string
  reason?: string
}

/**
 * `index/scheduled/<project>/<stream>/<tag>`: the tag's source is to be asked again and again (`importPolicy.scheduled`). Written and
 * removed by the commit that makes it so; whoever keeps the schedule follows this prefix.
 */
export interface ScheduledRecord {
  uid: string
  /** `spec.from.name`. */
  from: string
  /** Between two checks, in milliseconds (`weir.dev/import-interval`); default the upstream's. */
  intervalMs?: number
  /** The tracking policy as written (`weir.dev/track`). */
  track?: string
  /**
   * The record is of the stream itself, with `*` for the tag: it follows the whole repository that `from` names, or those of its tags
   * that the policy means, `most` of them.
   */
  all?: { most: number }
}

/**
 * `index/across/<source project>/<source stream>/<source tag>/<project>/<stream>/<tag>`: the tag follows a tag of another stream
 * (`weir.dev/follow`). Written and removed by the commit that makes it so; whoever lets tags follow mirrors this prefix.
 */
export interface AcrossRecord {
  uid: string
}

/**
 * `index/unheld/<project>/<stream>/<tag>`: it is not known that all is held which is wanted of the image that the tag stands at,
 * or awaits. Written by the commit that gives the tag the image, or by who finds something missing later; removed by whoever
 * found that everything is held, or that nothing is wanted.
 */
export interface UnheldRecord {
  uid: string
  image: Digest
  /** Tells one wish from the next for the same image. */
  id: string
  /** RFC 3339. */
  since: string
  /** Who asked for it by a prefetch. */
  by?: string
  /** It is wanted whatever the tag's policy keeps. */
  forced?: true
  progress?: HeldProgress
  failure?: HoldFailure
}

/**
 * `index/left-out/<project>/<stream>/<tag>`: what an index names and its registry did not have when all else of the tag's image
 * was fetched, the last time. Of no meaning once the tag needs another image.
 */
export interface LeftOutRecord {
  uid: string
  image: Digest
  /** Manifests. */
  digests: Digest[]
  /** RFC 3339. */
  at: string
}

/** Manifests and blobs that are wanted and known of, and how many of them are held. */
export interface HeldProgress {
  parts: number
  heldParts: number
  bytes: number
  heldBytes: number
}

/** Why an image's content could not be fetched the last time. */
export interface HoldFailure {
  reason: string
  message: string
  /** RFC 3339. */
  at: string
  /** How often it failed in a row. */
  attempts: number
  /** Before which nobody tries again, RFC 3339. */
  retryAt: string
}

/** `index/image/<digest>/<project>/<stream>`: the stream received this manifest; written with its link. */
export interface ImageIndexRecord {
  uid: string
}

/** `index/referrers/<project>/<stream>/<subject>/<digest>`: the stream received a manifest with that subject; goes with its link. */
export interface ReferrerRecord {
  uid: string
  mediaType: string
  /** Of the manifest, in bytes. */
  size: number
  /** Its own, or the media type of its config. */
  artifactType?: string
  annotations?: Record<string, string>
  /** Annotations or type are too long to be kept here: the manifest has them. */
  isCut?: true
}

/**
 * `index/fallback/<project>/<stream>/<tag>`: where a tag stands that is derived from the digest of an image of the stream; it is
 * none of the stream's tags.
 */
export interface FallbackRecord {
  uid: string
  image: Digest
  mediaType: string
  /** Who pushed it. */
  by?: string
  /** The registry, with its port, that had it there when it was last asked; absent for what was pushed. */
  host?: string
  /** RFC 3339. */
  at: string
}

/** `generation/<project>/<stream>`: `metadata.generation`, apart from the rest so that a move which leaves the spec as it is races with nobody. */
export interface GenerationRecord {
  uid: string
  generation: number
}

/** `stream/<project>/<stream>`: touched by every commit that changes what the API shows of the stream. */
export interface StreamRecord {
  uid: string
}

/** `link/<project>/<stream>/<digest>`. */
export interface LinkRecord {
  uid: string
  /** The project's uid: a rollback revives an earlier stream's link only within the same project. */
  projectUid: string
  mediaType: string
  size?: number
  locations: Location[]
  /** The manifest itself was received: media type, size and children are facts, and what others say of it is not. */
  received?: true
  /** Where some name it as a manifest and others as a blob: a media type of the kind that `mediaType` is not. */
  otherType?: string
  /** Its bytes came here whole: `size` is theirs, and what others say of it is not. */
  measured?: true
  /** Others disagree about the size: only the upstream can tell. */
  disputed?: true
  /** Of an index: the children, for the blobs that are asked for before their manifest was. */
  children?: Digest[]
  /** Of a manifest that was received and has one: the stream's index of referrers has it below this. */
  subject?: Digest
  createdAt: string
  /** When somebody last relied on it to move a tag, where that was long after it was made. */
  renewedAt?: string
}

/**
 * `image/<digest>/<sha256 of the media type>`: what the manifest tells of an image that is linked with that media type. It
 * follows from the two alone, so that nothing one stream was told shows in another (I5). No right follows from it.
 */
export interface ImageRecord {
  mediaType: string
  size: number
  /** What the config blob says, verified by the digest that the manifest names. Absent until it was read, and for what is no image. */
  configuration?: ImageConfiguration
  /** As the manifest says it. */
  artifactType?: string
  config?: { digest: Digest; mediaType: string; size: number }
  layers: { digest: Digest; mediaType: string; size: number }[]
  manifests: { digest: Digest; mediaType: string; size: number; architecture?: string; os?: string; variant?: string }[]
}

/** The parts of an image's config that the API shows. @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md */
export interface ImageConfiguration {
  created?: string
  author?: string
  architecture?: string
  os?: string
  variant?: string
  dockerVersion?: string
  config?: {
    User?: string
    ExposedPorts?: Record<string, Record<string, never>>
    Env?: string[]
    Entrypoint?: string[]
    Cmd?: string[]
    Volumes?: Record<string, Record<string, never>>
    WorkingDir?: string
    Labels?: Record<string, string>
    StopSignal?: string
  }
}

/** `outbox/<project>/<stream>/<tag>!<n>`: what is owed to others about one change of a tag record. */
export interface Notice {
  kind: 'moved' | 'held' | 'resumed' | 'failed' | 'recovered' | 'candidate' | 'gone'
  uid: string
  revision: number
  at: string
}

/** `held/<digest>/<proof>`: its bytes are held; they came whole and right through these locations together. */
export interface HeldProofRecord {
  size: number
  through: readonly string[]
  at: string
}

/** `upload/<id>`: bytes are being sent to a stream, there or to be; in no change log. The bytes are files of their own. */
export interface UploadRecord {
  project: string
  stream: string
  /** The user who sends them. */
  by: string
  /** RFC 3339. */
  createdAt: string
  /** All came, and are held; the stream does not have them yet. `at` is RFC 3339. */
  whole?: { digest: Digest; size: number; at: string }
}
