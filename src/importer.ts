import type { Digest } from './oci/digest.ts'
import type { RegistryError } from './oci/errors.ts'
import type { StreamName } from './oci/reference.ts'
import type { ImageRecord, ImportPolicy, TagReference } from './streams/records.ts'
import type { Stream, Tag } from './streams/streams.ts'

/** One image to import: `from` is a Docker reference, `to` the tag. */
export interface ImportImage {
  from: string
  to: string
  importPolicy: ImportPolicy
  referencePolicy?: TagReference['referencePolicy']
}

export interface ImportRequest extends StreamName {
  images: readonly ImportImage[]
  by: string
  reason?: string
  /** Look only; nothing is written. */
  dryRun?: boolean
  /** Of the client: conflicts when one of the tags written, or the stream's life, changed after it. */
  resourceVersion?: string
  uid?: string
}

/** What became of one image. */
export type ImportedImage =
  | { to: string; digest: Digest; mediaType: string; dockerImageReference: string; image: ImageRecord; bytes: Buffer }
  | { to: string; error: RegistryError }

export interface ImportResult {
  stream: Stream | undefined
  tags: readonly Tag[]
  images: readonly ImportedImage[]
}

export interface Importer {
  /**
   * Imports by hand: asks the upstreams where the references point now and moves the tags, or records conditions (I7).
   * A failed image does not fail the request.
   *
   * @throws RegistryError CONFLICT, NOT_FOUND, INVALID for the request as a whole
   */
  import(request: ImportRequest): Promise<ImportResult>
}
