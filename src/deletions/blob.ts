/** The deletion of a blob that no manifest of the stream names. */
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import { streamLink } from '../streams/link-records.ts'
import type { Links, Stream } from '../streams/streams.ts'
import { manifestNaming } from './blob-use.ts'
import { type ReadLink, readLink, restoreLink, type Unlink, unwritten } from './links.ts'

export interface BlobRemovalOptions {
  store: Store
  links: Pick<Links, 'image'>
  /** Most manifests of a stream that are looked through for one that names a blob. */
  maxManifests: number
  unlink: Unlink
  /** Drops what memory has of a stream, links of which were written. */
  forget(stream: Stream, links: readonly ReadLink[]): void
}

/** How often a link that changed meanwhile is looked at anew. */
const maxAttempts = 20

/** @throws RegistryError BLOB_UNKNOWN; UNSUPPORTED while it is named; UNAVAILABLE when its link kept being changed */
export async function removeBlob(options: BlobRemovalOptions, stream: Stream, digest: Digest): Promise<void> {
  const { store, unlink, forget } = options
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const link = await readLink(store, stream, digest)
    const told = link && streamLink(digest, link.record)
    if (link === undefined || !told?.isBlob) throw new RegistryError('BLOB_UNKNOWN', { detail: { digest } })
    if (told.manifestType !== undefined) throw inUse(digest, digest)
    await requireUnused(options, stream, digest)
    if (!(await unlink(stream, [link]))) continue
    try {
      // A manifest may have come meanwhile, by whoever saw the link.
      await requireUnused(options, stream, digest)
    } catch (error) {
      await restoreLink(store, stream, link).finally(() => forget(stream, [link]))
      throw error
    }
    return
  }
  throw unwritten(stream)
}

/** @throws RegistryError UNSUPPORTED */
async function requireUnused(options: BlobRemovalOptions, stream: Stream, digest: Digest): Promise<void> {
  const naming = await manifestNaming(options, stream, digest)
  if (naming !== undefined) throw inUse(digest, naming)
}

function inUse(digest: Digest, manifest: Digest): RegistryError {
  const what = manifest === digest ? 'it is a manifest of this repository too' : `the manifest ${manifest} names it`
  return new RegistryError('UNSUPPORTED', {
    message: `the blob is in use, ${what}: delete that manifest before`,
    detail: { digest, manifest },
  })
}
