import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Uploads } from './uploads.ts'

/** Where bytes can be had again: an upstream repository, and the project whose credential fetches there. */
export interface UpstreamLocation {
  kind: 'upstream'
  host: string
  repository: string
  project: string
  /** Of that project: a later one of its name gives this location no login. Absent in records that do not know it. */
  projectUid?: string
  /** For which stream it is asked now, as {@link Link.askedFor}; never recorded. */
  askedFor?: StreamName
}

/** Bytes that were pushed, mounted or promoted into this stream by somebody entitled to them. */
export interface HereLocation {
  kind: 'here'
}

export type Location = UpstreamLocation | HereLocation

/** What one stream may have of one digest: the right and the way to its bytes (DESIGN section 4, Links). */
export interface Link {
  digest: Digest
  mediaType: string
  /** Bytes; undefined when no manifest told the size yet. */
  size: number | undefined
  locations: readonly Location[]
  /** For which stream its upstreams are asked, where something has to be fetched: for the account of who asked for how much. */
  askedFor?: StreamName
}

/** A byte range as asked for: `start` absent means the last `end` bytes; `end` (inclusive) absent means to the end. */
export interface RangeRequest {
  start?: number
  end?: number
}

/** Gives a blob's bytes out piece by piece. */
export interface BlobReader {
  /**
   * The next piece, never empty; undefined at the end. A piece is good until the next call, which uses its memory again.
   * Fails when the bytes turn out wrong or can not be had: what was given out until then is not the whole.
   */
  read(): Promise<Buffer | undefined>
  /** Lets go of everything. A read that is under way fails. */
  close(): void
}

/** An open blob: `length` bytes of it, from `offset` of `size`, come through `reader`, which whoever opened it closes. */
export interface OpenBlob {
  size: number
  offset: number
  length: number
  reader: BlobReader
}

/** What an upstream answered. `offset` is where its bytes begin: one that ignores ranges answers from 0. */
export interface FetchedBytes {
  /** The whole blob's; undefined when the upstream did not tell. */
  size: number | undefined
  offset: number
  /** Its ETag, when it is a strong one: for `If-Range`. */
  etag?: string
  /** Fails, and never just ends, when they break off. */
  body: BlobReader
}

/** A part of a blob, both ends inclusive. With `ifRange` an upstream whose blob has another ETag answers from 0. */
export interface FetchRange {
  start: number
  end?: number
  ifRange?: string
}

/** Fetches a blob's bytes from one location; given by the composition root, so that content/ knows no network. */
export interface BlobSource {
  size(location: UpstreamLocation, digest: Digest, signal?: AbortSignal): Promise<number>
  open(
    location: UpstreamLocation,
    digest: Digest,
    range: FetchRange | undefined,
    signal: AbortSignal,
  ): Promise<FetchedBytes>
}

/**
 * Locations that together gave bytes whole: the keys of `locationKey`, sorted. Held bytes may be given out through a link that
 * has all of them (I5).
 */
export type Proof = readonly string[]

/** What is recorded of held bytes; written after the file is durable, removed before the file is. */
export interface HeldRecord {
  digest: Digest
  size: number
  proofs: readonly Proof[]
}

/** The records of held bytes; given by the composition root, so that content/ knows no store. */
export interface HeldRecords {
  get(digest: Digest): Promise<HeldRecord | undefined>
  /**
   * The size of bytes that may be given out to whoever has all locations `through`; of any that are recorded when it `isHere`.
   * What others have proved is not looked at: it must not change how long this takes (I5).
   */
  find(digest: Digest, link: { through: Proof; isHere: boolean }): Promise<number | undefined>
  /** As much work whether or not it is there already (I5). An empty proof records bytes that are `here` alone. */
  add(digest: Digest, size: number, proof: Proof): Promise<void>
  remove(digest: Digest): Promise<void>
  /** In the order of digests, after `after`. */
  list(options?: { after?: Digest }): AsyncIterable<HeldRecord>
}

/**
 * Waits for the right to be the only process that does `name`, until it is released or `lost`: the store decides. Within a
 * process it may be granted more than once.
 */
export type AcquireLease = (
  name: string,
  signal: AbortSignal,
) => Promise<{ readonly lost: AbortSignal; release(): Promise<void> }>

/** Bytes that are held, whoever may have them. */
export interface HeldContent {
  digest: Digest
  size: number
  /** When they were last asked for, or kept; milliseconds since the epoch, to the minute. */
  usedAt: number
}

/** Counts since the start, and the state of now. */
export interface ContentCounters {
  readonly heldBytes: number
  /** On the disk, of uploads that are not finished. */
  readonly uploadBytes: number
  /** Received from upstreams, of blobs, whatever became of them. */
  readonly upstreamBytes: number
  /** Given out, of blobs. */
  readonly deliveredBytes: number
  /** Shared downloads under way. */
  readonly downloads: number
  /** Downloads that went on after their upstream broke off or stalled. */
  readonly resumes: number
  /** Blobs that were given out without being kept, since there was no room. */
  readonly streamedThrough: number
  /** Files whose bytes were not those of their digest. */
  readonly quarantined: number
  /** Why nothing can be kept now; undefined when all is well. */
  readonly problem: 'disk full' | 'maxBytes reached' | 'disk failed' | undefined
}

/** What a sweep found and cleared away. */
export interface SweepReport {
  /** Of downloads that nobody goes on with. */
  unfinished: number
  /** Files without records, and records without files. */
  orphanFiles: number
  orphanRecords: number
  bytes: number
}

/**
 * Bytes by digest. Held bytes are given out through a link only when they were received whole and verified through its
 * locations, or are `here` for it; otherwise they are fetched again through the link's own locations (invariant I5: a
 * manifest that merely names another project's layer opens nothing).
 */
export interface Content {
  /** A whole small object (a manifest) that is held and may be given out through `link`; undefined otherwise. */
  manifest(link: Link): Promise<Buffer | undefined>
  /** Keeps a manifest that was received whole through `location`; durable when it returns. @throws RegistryError DIGEST_INVALID */
  putManifest(digest: Digest, bytes: Buffer, location: Location): Promise<void>
  /** What clients send, until it is held. */
  readonly uploads: Uploads
  /**
   * Records that held bytes were just sent to `location`, whole: a link that names it may be given them, and have them again from
   * there. Nothing where they are not held.
   */
  prove(digest: Digest, location: UpstreamLocation): Promise<void>
  /** The size of what is held and may be given out through `link`; asks nobody. */
  held(link: Link): Promise<number | undefined>
  /**
   * The size of what `open` would give, without opening it: of bytes that are not held a location is asked, since what a
   * manifest merely names need not be there.
   *
   * @throws RegistryError BLOB_UNKNOWN, or the upstream's failure
   */
  stat(link: Link): Promise<number>
  /**
   * Opens a blob through `link`: from disk, or from a download that all who want it share. A whole body is verified while it
   * passes: the last piece is held back until the digest matches, and on a mismatch the reader fails (I4). A part of what is
   * held is not: wrong bytes on the disk are found when the whole is read for the first time since the start. `signal` ends the
   * waiting for its first byte, which the upstream may never send; later the reader is closed instead.
   *
   * @throws RegistryError RANGE_INVALID with `detail.size`, or the upstream's failure
   */
  open(link: Link, range?: RangeRequest, signal?: AbortSignal): Promise<OpenBlob>
  /**
   * Fetches a blob, so that it is held; joins a download that is under way. Durable when it returns. `onProgress` is told how
   * many bytes of it are there.
   *
   * @throws RegistryError as `open`; UNAVAILABLE when there is no room for it
   */
  fetch(link: Link, options: { signal: AbortSignal; onProgress?: (bytes: number) => void }): Promise<void>
  /** Counts held bytes as just used: for some minutes nobody removes them. What is `held` after that is there to stay. */
  touch(digest: Digest): Promise<void>
  /**
   * Everything that is held, in the order of digests, after `after`; `withMissing` also what is recorded as held though the disk
   * has no file of it.
   */
  list(options?: { after?: Digest; withMissing?: boolean }): AsyncIterable<HeldContent>
  /**
   * Removes held bytes, unless they were used after `unusedSince` (milliseconds since the epoch) or are being read or written.
   *
   * @returns the bytes that came free; 0 when they stay
   */
  remove(digest: Digest, options: { unusedSince: number }): Promise<number>
  /**
   * Hashes held bytes again; what is wrong is put aside, counts as absent from then on, and is told in the log. Missing is what is
   * recorded as held though somebody else took its file away.
   */
  verify(digest: Digest, signal?: AbortSignal): Promise<'whole' | 'corrupt' | 'missing' | 'absent'>
  /** Clears away what crashes left: safe at any time, beside other processes on the same directory. */
  sweep(): Promise<SweepReport>
  readonly counters: ContentCounters
  close(): Promise<void>
}
