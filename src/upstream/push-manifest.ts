import { type Digest, digestAlgorithm, digestOf, parseDigest } from '../oci/digest.ts'
import type { Exchange, Want } from './exchange.ts'
import { headerOf } from './headers.ts'
import { checkTaken, toldDigest, unlessUnsure } from './push-answers.ts'
import type { UpstreamRepository } from './upstream.ts'

export interface ManifestToPush {
  to: UpstreamRepository
  /** A tag, or its digest. */
  reference: string
  bytes: Buffer
  mediaType: string
  signal: AbortSignal | undefined
}

/** Pushes a manifest, unless it stands there; see `Upstream.pushManifest`. @throws RegistryError; TypeError when `reference` is the digest of something else */
export async function pushManifest(exchange: Exchange, manifest: ManifestToPush): Promise<{ subject?: Digest }> {
  const { to, reference, bytes, mediaType, signal } = manifest
  const named = parseDigest(reference)
  const digest = digestOf(bytes, named && digestAlgorithm(named))
  if (named !== undefined && named !== digest) throw new TypeError(`${reference} is not the digest of what is pushed`)
  const want: Want = { from: to, kind: 'manifest', reference, method: 'PUT', isPush: true, signal }
  if (await stands(exchange, { ...want, method: 'HEAD', headers: { accept: mediaType } }, digest)) return {}
  const headers = { 'content-type': mediaType }
  const answer = await exchange.pushed({ ...want, headers }, (ask, push) => push({ ...ask, content: bytes }))
  checkTaken(exchange, want, answer, digest)
  const subject = parseDigest(headerOf(answer.headers, 'oci-subject') ?? '')
  return subject === undefined ? {} : { subject }
}

async function stands(exchange: Exchange, want: Want, digest: Digest): Promise<boolean> {
  const answer = await unlessUnsure(exchange.whole(want))
  if (answer === undefined) return false
  if (answer.status === 429 || answer.status === 408 || answer.status >= 500) throw exchange.unexpected(want, answer)
  return answer.status === 200 && (toldDigest(answer) ?? want.reference) === digest
}
