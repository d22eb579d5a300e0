import type { IncomingHttpHeaders } from 'node:http'
import { digestAlgorithm, digestOf, parseDigest } from '../oci/digest.ts'
import { isManifestType, mediaTypes } from '../oci/media-types.ts'
import { badDigest, type Subject, upstreamFailure } from './failure.ts'
import { manifestTypeOf } from './headers.ts'
import { decodings, jsonObject } from './json-body.ts'
import type { FetchedManifest } from './upstream.ts'

/**
 * Makes sure that an answer's bytes are the manifest asked for and finds out its media type: from `Content-Type`, else from
 * the body's `mediaType`, else from what the body has. By tag, the digest is that of the bytes, whatever a header says.
 *
 * @throws RegistryError UNAVAILABLE (reason BadDigest or Invalid), or MANIFEST_INVALID for a document that is no manifest
 */
export function readManifest(subject: Subject, headers: IncomingHttpHeaders, body: Buffer): FetchedManifest {
  const wanted = parseDigest(subject.reference)
  const candidates = decodings(headers, body)
  const bytes =
    wanted === undefined
      ? (candidates.find((candidate) => jsonObject(candidate) !== undefined) ?? body)
      : candidates.find((candidate) => digestOf(candidate, digestAlgorithm(wanted)) === wanted)
  if (bytes === undefined) throw badDigest(subject, digestOf(body))
  return { digest: wanted ?? digestOf(bytes), mediaType: mediaTypeOf(subject, headers, bytes), bytes }
}

function mediaTypeOf(subject: Subject, headers: IncomingHttpHeaders, bytes: Buffer): string {
  const { host, repository, reference } = subject
  const invalid = (why: string): Error =>
    upstreamFailure(host, 'Invalid', `${reference} of ${host}/${repository} ${why}`, { code: 'MANIFEST_INVALID' })
  const document = jsonObject(bytes)
  if (document === undefined) throw invalid('is not a JSON object')
  const told = manifestTypeOf(headers)
  const written = document.mediaType
  if (told !== undefined && written !== undefined && written !== told) {
    throw invalid(`came as ${told} and says that it is something else (CVE-2021-41190)`)
  }
  if (told !== undefined) return told
  const found = typeof written === 'string' ? written : sniffed(document)
  if (found !== undefined && isManifestType(found)) return found
  throw invalid('is not a manifest that Weir can read: only OCI and Docker schema 2 images and indexes are')
}

/** What a document without any media type is: only the OCI formats may leave it out. */
function sniffed(document: Record<string, unknown>): string | undefined {
  const isIndex = 'manifests' in document
  const isImage = 'config' in document && 'layers' in document
  if (document.schemaVersion !== 2 || isIndex === isImage) return undefined
  return isIndex ? mediaTypes.ociIndex : mediaTypes.ociManifest
}
