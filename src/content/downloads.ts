import type { BlobReader, Content, Link } from './content.ts'
import type { Extent } from './range.ts'

/** Blobs that are not held yet: fetched once for all who want them, kept as they come. */
export interface Downloads {
  /** Gives out `extent` of a blob of `size` bytes. Settles when its first byte is there. @throws as `Content.open` */
  open(link: Link, size: number, extent: Extent, signal: AbortSignal): Promise<BlobReader>
  fetch: Content['fetch']
  /** Ends all downloads. */
  close(): Promise<void>
}
