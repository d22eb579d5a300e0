import type { Link } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Cause, Hold, ImageRecord, LedgerEntry, TagEventCondition, TagRecord, TagReference } from './records.ts'

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
}

/** A decided change of one tag; what is left out stays. */
export interface TagChange {
  /** What is wanted from now on; null removes it. Its `generation` is the writer's business. */
  spec?: Omit<TagReference, 'generation'> | null
  /** Gives the spec tag a new generation although its identity did not change (an import by hand). */
  reimport?: boolean
  /** Moves the tag (or, for the same digest, renews its head: okd.md 2.3) and clears the condition. */
  event?: { image: Digest | ''; mediaType: string; dockerImageReference: string; cause: Cause }
  /** Empties the tag's status and spec; an entry of the ledger. */
  remove?: { cause: Cause }
  hold?: Omit<Hold, 'revision' | 'at'> | null
  candidate?: TagRecord['candidate'] | null
  lastSeen?: Digest
  /** A failed attempt; null clears. Its time and generation are the writer's business. */
  condition?: Pick<TagEventCondition, 'reason' | 'message'> | null
}

export interface ChangeOptions {
  /** Creates the stream when it is absent; the default is NAME_UNKNOWN. */
  create?: boolean
  /** After a race on the tag record: decide anew on what is there now (default), or give up (background work). */
  onConflict?: 'decide' | 'drop'
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
}

export interface StreamWriter {
  /** Creates an empty stream. @throws RegistryError ALREADY_EXISTS, INVALID */
  create(
    name: StreamName,
    object?: {
      labels?: Record<string, string>
      annotations?: Record<string, string>
      lookupPolicy?: { local: boolean }
    },
  ): Promise<Stream>
  /** Deletes a stream in one small commit. @throws RegistryError NOT_FOUND, CONFLICT */
  delete(name: StreamName, preconditions?: { uid?: string; resourceVersion?: string }): Promise<Stream>
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
}

/** A link to be added: of a manifest that was `received`, or of what one names. `children` of an index. */
export type NewLink = Link & { children?: readonly Digest[]; received?: true }

export interface Links {
  /** What this stream may have of a digest. Links of an earlier stream of the name count as absent. */
  get(name: StreamName, digest: Digest): Promise<StreamLink | undefined>
  /**
   * Adds links, or locations to links that are there; in steps of at most 100, each safe alone. What was received beats
   * what others say, whichever came first; of two that say different sizes neither is believed.
   *
   * @throws RegistryError NAME_UNKNOWN when the stream of that `uid` does not live
   */
  add(name: StreamName, uid: string, links: readonly NewLink[]): Promise<void>
  /**
   * The link of a digest; where only an earlier stream of the name had it, within the same project, the link and those of
   * everything it is known to name are taken over first. For a rollback to a revision from before the stream was made
   * anew.
   */
  revive(name: StreamName, digest: Digest): Promise<StreamLink | undefined>
  /** The record of an image as linked with this media type; undefined when its manifest was never seen as that. */
  image(digest: Digest, mediaType: string): Promise<ImageRecord | undefined>
  /**
   * Keeps the record of an image under its own media type. It is written whether or not it is there: the time that it
   * takes must not tell that another stream has the image (I5).
   */
  putImage(digest: Digest, image: ImageRecord): Promise<void>
}

/** Where a tag stands, for the pull path. */
export interface Pin {
  uid: string
  digest: Digest
  /** Ledger revision in force. */
  revision: number
  /** Why the newest import failed, when it did: the pull goes on from the pin (I7, I8). */
  condition: TagEventCondition | undefined
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
