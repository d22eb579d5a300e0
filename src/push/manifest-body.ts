import { type Digest, digestAlgorithm, digestOf } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import {
  isSchema1Type,
  type Manifest,
  parseManifest,
  requireArtifactType,
  requireTrueData,
  writtenMediaType,
} from '../oci/manifest.ts'
import { readManifestTarget } from '../oci/manifest-target.ts'
import { isManifestType, manifestAccept, maxManifestBytes } from '../oci/media-types.ts'

const maxToldCharacters = 100

/** A manifest as a client sent it; `mediaType` is its `Content-Type`, parameters and all, `tags` those of the query. */
export interface SentManifest {
  bytes: Buffer
  mediaType: string | undefined
  tags: readonly string[]
}

/** A manifest that says of itself what its client said of it. */
export interface ManifestBody {
  digest: Digest
  mediaType: string
  bytes: Buffer
  manifest: Manifest
  /** Where it is to stand, each once. */
  tags: readonly string[]
}

/**
 * Reads what was sent to `reference`, a tag or a digest (OCI distribution 1.1, "Pushing Manifests").
 *
 * @throws RegistryError MANIFEST_INVALID, UNSUPPORTED_MEDIA_TYPE, DIGEST_INVALID, TOO_LARGE, and as {@link readManifestTarget}
 */
export function readManifestBody(
  reference: string,
  { bytes, mediaType: contentType, tags }: SentManifest,
): ManifestBody {
  const target = readManifestTarget(reference, tags)
  if (bytes.length > maxManifestBytes) {
    const message = `the manifest has ${bytes.length} bytes; at most ${maxManifestBytes} are taken`
    throw new RegistryError('TOO_LARGE', { message })
  }
  const digest = digestOf(bytes, target.digest && digestAlgorithm(target.digest))
  if (target.digest !== undefined && target.digest !== digest) {
    const message = `the manifest has the digest ${digest}, and was sent to ${target.digest}`
    throw new RegistryError('DIGEST_INVALID', { message, detail: { digest: target.digest } })
  }
  const mediaType = bareType(contentType) ?? writtenMediaType(bytes)
  if (mediaType === undefined) {
    throw invalid('the manifest says no mediaType; send its media type as Content-Type')
  }
  requireManifestType(mediaType)
  const manifest = parseManifest(bytes, mediaType)
  requireTrueData(manifest)
  requireArtifactType(manifest)
  return { digest, mediaType, bytes, manifest, tags: target.tags }
}

/** A media type without its parameters, in lower case; undefined where nothing was said. */
function bareType(contentType: string | undefined): string | undefined {
  const [type = ''] = (contentType ?? '').split(';', 1)
  return type.trim().toLowerCase() || undefined
}

/** What is pushed is of one of the types that clients pull; of old ones the parser says what to do. */
function requireManifestType(mediaType: string): void {
  if (isManifestType(mediaType) || isSchema1Type(mediaType)) return
  const written = JSON.stringify(mediaType.slice(0, maxToldCharacters))
  const message = `${written} is not the media type of a manifest that is taken: ${manifestAccept}; configs, layers and artifactType may have any`
  throw new RegistryError('UNSUPPORTED_MEDIA_TYPE', { message })
}

function invalid(message: string): RegistryError {
  return new RegistryError('MANIFEST_INVALID', { message })
}
