import type { Link } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { ReferrerFacts } from '../oci/referrer.ts'
import type {
  Cause,
  FollowerIdentity,
  Hold,
  ImageRecord,
  LedgerEntry,
  TagEventCondition,
  TagRecord,
  TagReference,
  UpstreamGone,
} from './records.ts'

/** A stream's metadata and the rest of its spec; its tags are records of their own. */
export interface Stream extends StreamName {
  uid: string
  /** The uid of the project it was created in. */
  projectUid: string
  creationTimestamp: string
  /** `metadata.generation`: one counter for the whole stream. */
  generation: number
  /** The revision of the newest change that the API shows. */
  resourceVersion: number
  /** The revision of the newest change of metadata or of the spec outside its tags. */
  objectRevision: number
  labels: Record<string, string>
  annotations: Record<string, string>
  lookupPolicy: { local: boolean }
  dockerImageRepository?: string
  /** Who set which field by server-side apply, as the API machinery keeps it. */
  managedFields?: readonly unknown[]
}

/** A stream with all its tags, of one moment. */
export interface WholeStream {
  stream: Stream
  tags: readonly Tag[]
}

/** A tag record and the store revision of its newest write. */
export interface Tag {
  name: string
  record: TagRecord
  storeRevision: number
}

export interface StreamReader {
  stream(name: StreamName): Promise<Stream | undefined>
  /** Streams by name, of one project or of all; `after` is exclusive. */
  streams(project: string | undefined, options?: { after?: StreamName; limit?: number }): Promise<Stream[]>
  /** A stream with all its tags, of one snapshot: that of `revision` as `wholes` has it. */
  whole(name: StreamName, options?: { revision?: number }): Promise<WholeStream | undefined>
  /**
   * Streams with all their tags, of one snapshot whose revision is told; `after` is exclusive. A page ends early once it
   * has `maxTags` (default 10,000) or 16 MiB of them; `more` tells that it is not the last. It shows `revision` where the store can still tell
   * that state; by default, and otherwise, the newest.
   */
  wholes(
    project: string | undefined,
    options?: { after?: StreamName; limit?: number; maxTags?: number; revision?: number },
  ): Promise<{ streams: WholeStream[]; revision: number; more: boolean }>
  /** undefined when there is no such stream or tag; a deleted tag's record (no spec, no items) counts as absent too. */
  tag(name: StreamName, tag: string): Promise<Tag | undefined>
  /** Tags in byte order; `after` is exclusive and need not exist. */
  tags(name: StreamName, options?: { after?: string; limit?: number }): Promise<Tag[]>
  /** The ledger of a tag, newest first; `before` is exclusive. Entries of earlier streams of the name are told too. */
  ledger(name: StreamName, tag: string, options?: { before?: number; limit?: number }): Promise<LedgerEntry[]>
}

/** What a decision is made on. */
export interface CurrentTag {
  stream: Stream
  /** undefined for a tag that has neither spec nor items. */
  tag: Tag | undefined
  /** The revision of the newest change of the tag, also of one that is gone; 0 when there never was one. */
  tagRevision?: number
  /** The store's newest revision when this was read. */
  storeRevision?: number
}

/** What a decision about a whole stream is made on; `tags` are of one snapshot. */
export interface CurrentStream extends WholeStream {
  /** The revisions of the newest changes of tags that are gone. */
  gone: ReadonlyMap<string, number>
  /** The revision of the snapshot. */
  storeRevision: number
}

/** Where a tag is to stand and why. */
export interface TagMove {
  /** Empty for a `reference: true` tag. */
  image: Digest | ''
  mediaType: string
  dockerImageReference: string
  cause: Cause
  /** Since when status shows it there, RFC 3339; default now. A copy keeps that of its source (okd.md 2.4). */
  created?: string
}

/** A decided change of one tag; what is left out stays. */
export interface TagChange {
  /** What is wanted from now on; null removes it. Its `generation` is the writer's business. */
  spec?: Omit<TagReference, 'generation'> | null
  /** Gives the spec tag a new generation although its identity did not change (an import by hand). */
  reimport?: boolean
  /**
   * Who wants the spec, for what follows from it: the copy of a source within the stream, which the writer makes and keeps
   * following, and the import in the background of a `DockerImage`.
   */
  wantedBy?: { by: string; reason?: string }
  /** Moves the tag (or, for the same digest, renews its head: okd.md 2.3) and clears the condition. */
  event?: TagMove
  /**
   * All that the tag's policy wants of the event's image is held. Without it a tag with `weir.dev/move: when-held` only notes that it
   * awaits the image, whoever imports, tags, or is followed; a push and a rollback move it at once.
   */
  isHeld?: boolean
  /** Empties the tag's status and spec; an entry of the ledger. */
  remove?: { cause: Cause }
  hold?: Omit<Hold, 'revision' | 'at'> | null
  candidate?: TagRecord['candidate'] | null
  lastSeen?: Digest
  /** Who lets the tag follow a tag of another stream from now on. What its spec does not follow has none. */
  followsAs?: FollowerIdentity
  /** A failed attempt; null clears. Its time and generation are the writer's business. */
  condition?: Pick<TagEventCondition, 'reason' | 'message'> | null
  /**
   * That no upstream has the image any more; says nothing when the tag stands at another one. null: an upstream has what the
   * tag stands at. So does `lastSeen`, when it is that image.
   */
  upstreamGone?: Omit<UpstreamGone, 'at'> | null
  /** Takes items out of what status shows, by their index; never the head, and never out of the ledger. */
  hide?: readonly number[]
}

/** A decided change of a stream; what is left out stays. */
export interface StreamChange {
  /** Replaces metadata and the rest of the spec. */
  object?: Pick<Stream, 'labels' | 'annotations' | 'lookupPolicy' | 'dockerImageRepository' | 'managedFields'>
  tags?: ReadonlyMap<string, TagChange>
}

export interface ChangeOptions {
  /** Creates the stream when it is absent; the default is NAME_UNKNOWN. */
  create?: boolean
  /** After a race on the tag record: decide anew on what is there now (default), or give up (background work). */
  onConflict?: 'decide' | 'drop'
  /** Checks everything and answers what would come of it, but writes nothing; default false. */
  dryRun?: boolean
  /** Path of the tag reference in what was sent, for causes; default `tag`. */
  field?: string
  /** Which other streams a refusal may name; default none. */
  maySee?(stream: StreamName): boolean
}

/** A ledger entry of a tag that moved because it follows another. */
export interface FollowedEntry extends LedgerEntry {
  tag: string
}

/** What a change came to. `changed` is false when nothing needed writing. */
export interface ChangeResult {
  changed: boolean
  /** The store revision at which this holds. */
  revision: number
  stream: Stream
  tag: Tag | undefined
  /** The ledger entry that was appended. */
  entry?: LedgerEntry
  /** Other tags of the stream that moved in the same commit because they follow this one. */
  followed?: readonly FollowedEntry[]
}

/** What a change of a stream came to. */
export interface StreamChangeResult {
  changed: boolean
  revision: number
  whole: WholeStream
}

export interface StreamWriter {
  /** Creates an empty stream. @throws RegistryError ALREADY_EXISTS, INVALID */
  create(
    name: StreamName,
    object?: {
      labels?: Record<string, string>
      annotations?: Record<string, string>
      lookupPolicy?: { local: boolean }
      dockerImageRepository?: string
      managedFields?: readonly unknown[]
    },
  ): Promise<Stream>
  /**
   * Deletes a stream in one small commit. One that somebody asks for (`isAsked`) is refused where annotations say no, and where a tag
   * is immutable.
   *
   * @throws RegistryError NOT_FOUND, CONFLICT; FORBIDDEN, INVALID when it is refused
   */
  delete(
    name: StreamName,
    preconditions?: { uid?: string; resourceVersion?: string },
    options?: { isAsked?: boolean; dryRun?: boolean },
  ): Promise<Stream>
  /**
   * The one function that writes tag records (I2): reads, asks `decide`, applies the rules, commits record, ledger entry
   * and notice together. `decide` may be asked again after a race and may throw; undefined means nothing to do.
   *
   * @returns undefined when a race was lost under `onConflict: 'drop'`
   * @throws RegistryError NAME_UNKNOWN, INVALID, CONFLICT, DENIED (held)
   */
  changeTag(
    name: StreamName,
    tag: string,
    decide: (current: CurrentTag) => TagChange | undefined,
    options?: ChangeOptions,
  ): Promise<ChangeResult | undefined>
  /**
   * Changes a stream as a whole (PUT, PATCH): its object and any of its tags, decided on one snapshot. As many tags as fit go
   * into the first commit with the object; the others follow in commits of their own under the same new generation, each
   * safe alone. Only what is changed is conditioned on: changes of other tags meanwhile do not conflict.
   * `decide` may be asked again after a race and may throw; undefined means nothing to do.
   *
   * @throws RegistryError NOT_FOUND, INVALID, CONFLICT
   */
  changeStream(
    name: StreamName,
    decide: (current: CurrentStream) => StreamChange | undefined,
    options?: {
      /** Creates the stream when it is absent: `decide` then sees one without tags and with resourceVersion 0. */
      create?: boolean
      /** Checks everything and answers what would come of it, but writes nothing; default false. */
      dryRun?: boolean
      /** Which other streams a refusal may name; default none. */
      maySee?(stream: StreamName): boolean
    },
  ): Promise<StreamChangeResult>
}

/** A link as read, with what only the links' owner needs. */
export interface StreamLink extends Link {
  children: readonly Digest[]
  /** The manifest was received: media type and size are facts. Else they are what other manifests say, and may be lies. */
  received: boolean
  /** The media type under which it is a manifest of the stream; undefined when nobody names it as one. */
  manifestType: string | undefined
  /** Whether somebody names it as something other than a manifest. */
  isBlob: boolean
  /** Since when the stream has it, RFC 3339. */
  createdAt: string
  /** Of a manifest that was received and has one. */
  subject?: Digest
  /** Its bytes came whole to the stream it is from: the size is a fact too. */
  measured?: true
}

/**
 * A link to be added: of a manifest that was `received`, of a blob whose size was `measured` when its bytes came, or of what a
 * manifest names. `children` of an index; `referrer` of a manifest with a subject: it is listed from then on.
 */
export type NewLink = Link & {
  children?: readonly Digest[]
  received?: true
  measured?: true
  referrer?: ReferrerFacts
}

export interface Links {
  /** What this stream may have of a digest. Links of an earlier stream of the name count as absent. */
  get(name: StreamName, digest: Digest): Promise<StreamLink | undefined>
  /**
   * Adds links, or locations to links that are there; in steps of at most 100, each safe alone. What was received or measured
   * beats what others say, whichever came first; of two of those that say different sizes neither is believed. `isReliedOn`: a tag is about to
   * move to what they lead to, so that nobody removes them for a day. `whileThere` is one of them that is only changed, not added:
   * the stream had it, and it may have been deleted since.
   *
   * @throws RegistryError NAME_UNKNOWN when the stream of that `uid` does not live
   */
  add(
    name: StreamName,
    uid: string,
    links: readonly NewLink[],
    options?: { isReliedOn?: boolean; whileThere?: Digest },
  ): Promise<void>
  /**
   * The link of a digest; where only an earlier stream of the name had it, within the same project, the link and those of
   * everything it is known to name, and of what refers to it, are taken over first. For a rollback to a revision from before the stream was made
   * anew.
   */
  revive(name: StreamName, digest: Digest): Promise<StreamLink | undefined>
  /** A stream's links in the order of their digests; `after` is exclusive. For its layers, and for digests by prefix. */
  list(name: StreamName, options?: { prefix?: string; after?: Digest; limit?: number }): Promise<StreamLink[]>
  /**
   * Gives the stream `to` what `from` may have of `digest`, of all that it is known to name and of the first 1,000 that refer to it,
   * locations included: whoever promotes was entitled to it. In steps, what is named first. `to` may be the same stream: nobody removes those links for a day,
   * so that a tag can move there.
   *
   * @returns the copied link; undefined when `from` has none
   * @throws RegistryError NAME_UNKNOWN; DENIED beyond the quota of another project
   */
  copy(from: StreamName, to: StreamName & { uid: string }, digest: Digest): Promise<StreamLink | undefined>
  /**
   * Sees to it that nobody removes for a day what a stream has of digests, of all that they are known to name, and of the first 1,000 that
   * refer to those; each is looked at once, and written only where it is not young.
   *
   * @throws RegistryError NAME_UNKNOWN when something is to be written and the stream of that `uid` does not live
   */
  renew(stream: StreamName & { uid: string }, digests: readonly Digest[]): Promise<void>
  /** Whether the quota of a project has room for what `copy` would bring there now. @throws RegistryError DENIED */
  requireRoom(from: StreamName, project: string, digest: Digest): Promise<void>
  /** The record of an image as linked with this media type; undefined when its manifest was never seen as that. */
  image(digest: Digest, mediaType: string): Promise<ImageRecord | undefined>
  /**
   * Keeps the record of an image under its own media type. It is written whether or not it is there: the time that it
   * takes must not tell that another stream has the image (I5).
   */
  putImage(digest: Digest, image: ImageRecord): Promise<void>
  /**
   * Every image that is known, in the order of digests, with one living stream that has it; `after` is exclusive. For those who
   * may read images of the whole cluster.
   */
  images(options?: { after?: Digest; limit?: number }): Promise<KnownImage[]>
  /** One of {@link images}; undefined when no living stream has it. */
  knownImage(digest: Digest): Promise<KnownImage | undefined>
}

/** An image as it is known to the whole cluster, and one of the streams that have it. */
export interface KnownImage {
  digest: Digest
  image: ImageRecord
  stream: StreamName
  /** The revision since when this stream has it, or since when it is known so. */
  revision: number
}

/** Where a tag stands, for the pull path. */
export interface Pin {
  uid: string
  digest: Digest
  /** Ledger revision in force. */
  revision: number
  /** Why the newest import failed, when it did: the pull goes on from the pin (I7, I8). */
  condition: TagEventCondition | undefined
  hold?: Hold | undefined
  /** That no upstream has the image any more. */
  upstreamGone?: UpstreamGone | undefined
}

/** Pins in memory, kept right by the store's watch. */
export interface Pins {
  /** The pin when memory has it; null when memory knows that there is none; undefined when the store must be asked. */
  peek(project: string, stream: string, tag: string): Pin | null | undefined
  pin(name: StreamName, tag: string): Promise<Pin | undefined>
  /** The uid of a living stream. */
  peekUid(project: string, stream: string): string | null | undefined
  uid(name: StreamName): Promise<string | undefined>
  /** Settles when changes up to the store's `revision` are known here. */
  reached(revision: number): Promise<void>
}
