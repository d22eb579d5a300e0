import type { Digest } from '../oci/digest.ts'

/** Gives an upload's bytes piece by piece, in order; a request's body is one. It fails when the client breaks off. */
export type UploadBody = AsyncIterable<Buffer>

/** Bytes of an upload as a client said them: `start` is where they go, `length` how many come. */
export interface UploadRange {
  start: number
  length: number
}

/** As `randomUUID` makes it (RFC 9562, version 4). */
const uploadId = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** Whether it can be the id of an upload: nothing else is ever looked for. */
export function isUploadId(id: string): boolean {
  return uploadId.test(id)
}

/** An upload that lies on the disk. */
export interface UploadOnDisk {
  id: string
  /** Bytes that are durable. */
  offset: number
  /** Of the newest byte, milliseconds since the epoch. */
  usedAt: number
}

/**
 * Bytes that come from clients, each upload a file of its own in `<directory>/uploads`, until they are named by their digest. One
 * request writes to an upload at a time, whatever the process; what is acknowledged is on the disk (I6). What is no UUID of version 4 is
 * BLOB_UPLOAD_UNKNOWN.
 */
export interface Uploads {
  /** How many bytes of it are durable; 0 while there is no file. */
  offset(id: string): Promise<number>
  /**
   * Appends what comes, at `range.start` when that is said. Durable when it returns; when the client breaks off, what came until
   * then stays, and the failure is the body's. Room is taken as the bytes come. A piece is kept for a while and must not change.
   *
   * @param options.maxBytes most that the upload may have in all
   * @returns the new offset
   * @throws RegistryError UPLOAD_OFFSET_INVALID (416, `detail.offset`) when `range.start` is not the offset, or when another request
   * is writing: nothing was read of the body then; SIZE_INVALID when other than `range.length` bytes came, TOO_LARGE beyond `maxBytes`,
   * UNAVAILABLE when there is no room: the upload is then as before
   */
  append(id: string, body: UploadBody, options?: { range?: UploadRange; maxBytes?: number }): Promise<number>
  /**
   * Makes what came the held bytes of `digest`, sha256 or sha512: verified, fsync, rename, fsync of the directory, then the record
   * of a proof without locations (I4, I6). The upload ends, also when the digest is another; while nothing can be kept it stays.
   *
   * @returns its size
   * @throws RegistryError DIGEST_INVALID; UPLOAD_OFFSET_INVALID when another request is writing; UNAVAILABLE
   */
  finish(id: string, digest: Digest): Promise<number>
  /** Removes what came. @throws RegistryError UPLOAD_OFFSET_INVALID when a request is writing */
  cancel(id: string): Promise<void>
  /** Those that have a file. */
  list(): AsyncIterable<UploadOnDisk>
}
