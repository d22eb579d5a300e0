import type { Location } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Manifest, namedContent } from '../oci/manifest.ts'
import { referrerOf } from '../oci/referrer.ts'
import { commitLimits } from '../store/store.ts'
import type { ImageRecord } from './records.ts'
import type { NewLink } from './streams.ts'

/** Most bytes of what is kept of one manifest; leaves a commit room for its key and for a link's locations. */
const maxRecordBytes = commitLimits.maxBytes * 0.75

/**
 * The links that a stream gets when one of its manifests is first obtained: the manifest itself and what it names. Of an
 * index these are the children; a child's own blobs are linked when the child's manifest is obtained. The subject of a
 * referrer is not linked: naming an image gives no right to it; what refers to it is listed by it.
 *
 * @throws RegistryError MANIFEST_INVALID when the manifest names more than a record can hold
 */
export function linksOf(
  fetched: { digest: Digest; mediaType: string; bytes: Uint8Array },
  manifest: Manifest,
  locations: readonly Location[],
): NewLink[] {
  imageRecord(manifest, fetched.bytes.length)
  const { digest, mediaType } = fetched
  const own = { digest, mediaType, size: fetched.bytes.length, locations, received: true } as const
  const children = manifest.kind === 'index' ? { children: manifest.manifests.map(({ digest }) => digest) } : {}
  const named = namedContent(manifest).map(({ digest, mediaType, size }) => ({ digest, mediaType, size, locations }))
  const referrer = referrerOf(manifest, fetched.bytes)
  return [...named, { ...own, ...children, ...(referrer && { referrer }) }]
}

/**
 * What a manifest tells of its image, for the API; `size` is the manifest's own, in bytes.
 *
 * @throws RegistryError MANIFEST_INVALID when that is more than a record can hold
 */
export function imageRecord(manifest: Manifest, size: number): ImageRecord {
  const record = recordOf(manifest, size)
  if (Buffer.byteLength(JSON.stringify(record)) <= maxRecordBytes) return record
  const named = record.layers.length + record.manifests.length
  throw new RegistryError('MANIFEST_INVALID', {
    message: `the manifest names ${named} layers or manifests: what is kept of them would be larger than ${maxRecordBytes} bytes`,
  })
}

function recordOf(manifest: Manifest, size: number): ImageRecord {
  const { kind, mediaType, artifactType } = manifest
  const own = { mediaType, size, ...(artifactType ? { artifactType } : {}) }
  if (kind === 'index') return { ...own, layers: [], manifests: manifest.manifests.map(childRecord) }
  return {
    ...own,
    config: plain(manifest.config),
    layers: manifest.layers.map(plain),
    manifests: [],
  }
}

function plain({
  digest,
  mediaType,
  size,
}: {
  digest: Digest
  mediaType: string
  size: number
}): ImageRecord['layers'][number] {
  return { digest, mediaType, size }
}

function childRecord(
  child: Extract<Manifest, { kind: 'index' }>['manifests'][number],
): ImageRecord['manifests'][number] {
  const { architecture, os, variant } = child.platform ?? {}
  return {
    ...plain(child),
    ...(architecture === undefined ? {} : { architecture }),
    ...(os === undefined ? {} : { os }),
    ...(variant === undefined ? {} : { variant }),
  }
}
