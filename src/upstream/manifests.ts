import { parseDigest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { manifestAccept } from '../oci/media-types.ts'
import { type Exchange, subjectOf, type Want } from './exchange.ts'
import { badDigest } from './failure.ts'
import { headerOf, lengthOf, manifestTypeOf } from './headers.ts'
import { readManifest } from './manifest-body.ts'
import type { FetchedManifest, ResolvedManifest } from './upstream.ts'

/** Answers to HEAD after which a GET may still succeed. */
const headRefusals = new Set([400, 403, 405, 406, 500, 501])

type WantedManifest = Pick<Want, 'from' | 'reference' | 'signal'>

/** GETs a manifest, asking for every type that Weir reads, and verifies it. */
export async function fetchManifest(exchange: Exchange, wanted: WantedManifest): Promise<FetchedManifest> {
  const want: Want = { ...wanted, kind: 'manifest', method: 'GET', headers: { accept: manifestAccept } }
  const answer = await exchange.whole(want)
  if (answer.status !== 200) throw exchange.unexpected(want, answer)
  return readManifest(subjectOf(want), answer.headers, answer.bytes)
}

/** Asks by HEAD what a tag or digest stands for, which registries count for less than a GET; by GET where HEAD does not do. */
export async function resolveManifest(exchange: Exchange, wanted: WantedManifest): Promise<ResolvedManifest> {
  const told = await headManifest(exchange, wanted).catch((error: unknown) => {
    if (error instanceof RegistryError && headRefusals.has(error.upstream?.status ?? 0)) return undefined
    throw error
  })
  if (told !== undefined) return told
  const { digest, mediaType, bytes } = await fetchManifest(exchange, wanted)
  return { digest, mediaType, size: bytes.length }
}

/** undefined when the answer does not tell enough. */
async function headManifest(exchange: Exchange, wanted: WantedManifest): Promise<ResolvedManifest | undefined> {
  const headers = { accept: manifestAccept }
  const want: Want = { ...wanted, kind: 'manifest', method: 'HEAD', headers, isBodyHarmless: true }
  const answer = await exchange.whole(want)
  if (answer.status !== 200) throw exchange.unexpected(want, answer)
  const asked = parseDigest(want.reference)
  const told = parseDigest(headerOf(answer.headers, 'docker-content-digest') ?? '')
  if (asked !== undefined && told !== undefined && told !== asked) throw badDigest(subjectOf(want), told)
  const digest = asked ?? told
  const mediaType = manifestTypeOf(answer.headers)
  if (digest === undefined || mediaType === undefined) return undefined
  const size = lengthOf(answer.headers)
  return { digest, mediaType, ...(size === undefined ? {} : { size }) }
}
