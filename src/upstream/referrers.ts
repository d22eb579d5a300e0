import { type Digest, parseDigest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { fallbackTagOf } from '../oci/fallback-tag.ts'
import { isManifestType, maxManifestBytes, mediaTypes } from '../oci/media-types.ts'
import { stringMap } from '../oci/referrer.ts'
import { within } from './deadline.ts'
import type { Exchange, Want } from './exchange.ts'
import { upstreamFailure } from './failure.ts'
import { headerOf } from './headers.ts'
import { decodings, jsonObject } from './json-body.ts'
import { fetchManifest } from './manifests.ts'
import { nextPage } from './next-page.ts'
import type { WholeAnswer } from './transport.ts'
import type { ToldReferrer, ToldReferrers, UpstreamRepository } from './upstream.ts'

/** A list of referrers to read. */
export interface WantedReferrers {
  from: UpstreamRepository
  digest: Digest
  /** Longest time for all pages, in milliseconds. */
  timeoutMs: number
  signal?: AbortSignal | undefined
}

/** Most of what refers to one image that is read. */
const maxReferrers = 1000
const maxPages = 32
/** Of all pages together. */
const maxBytes = maxManifestBytes
/** Longest type that is one (RFC 6838 4.2). */
const typePattern = /^[!-~]{1,255}$/

/** Answers of registries that do not know the API: some hide what they do not know behind a refusal. */
const withoutApi = new Set([400, 401, 403, 404, 405, 406, 410, 501])

/**
 * Lists what a repository has that refers to a digest: by the API, or where it has none by the tag of the referrers tag schema (OCI
 * distribution spec, "Listing Referrers" and "Unavailable Referrers API").
 */
export async function fetchReferrers(exchange: Exchange, wanted: WantedReferrers): Promise<ToldReferrers> {
  const { from, digest, timeoutMs, signal: left } = wanted
  const late = () => {
    const message = `${from.host} did not list what refers to ${digest} within ${timeoutMs / 1000} s`
    return upstreamFailure(from.host, 'Unreachable', message)
  }
  return within(timeoutMs, left, late, async (signal) => {
    const want: Want = { from, kind: 'referrers', reference: digest, method: 'GET', signal }
    return (await byApi(exchange, want, digest)) ?? byTag(exchange, { from, digest, signal })
  })
}

/** undefined when the registry has no such API. */
async function byApi(exchange: Exchange, want: Want, subject: Digest): Promise<ToldReferrers | undefined> {
  const found = new Map<Digest, ToldReferrer>()
  const stopped = (why: string): ToldReferrers => ({
    referrers: [...found.values()],
    problem: invalidList(want.from, subject, why),
  })
  let bytes = 0
  let query: string | undefined
  for (let page = 0; page < maxPages; page++) {
    const answer = await ask(exchange, query === undefined ? want : { ...want, query })
    const entries = answer?.status === 200 ? entriesOf(answer) : undefined
    if (page === 0 && entries === undefined) {
      if (answer === undefined || answer.status === 200 || withoutApi.has(answer.status)) return undefined
      throw exchange.unexpected(want, answer)
    }
    if (answer === undefined || entries === undefined) return stopped('breaks off')
    const known = found.size
    bytes += answer.bytes.length
    for (const each of referrersIn(entries, subject)) {
      if (found.size >= maxReferrers) return stopped(`has more than ${maxReferrers} entries`)
      if (!found.has(each.digest)) found.set(each.digest, each)
    }
    const next = nextPage(answer)
    // A page that tells nothing new is the last: a registry may name another after it for ever.
    if (next === undefined || found.size === known) return { referrers: [...found.values()] }
    if ('elsewhere' in next) return stopped(`goes on at ${next.elsewhere}: not followed`)
    if (bytes > maxBytes) return stopped(`is larger than ${maxBytes} bytes`)
    query = next.query
  }
  return stopped(`has more than ${maxPages} pages`)
}

/** undefined when no login is let at it. */
async function ask(exchange: Exchange, want: Want): Promise<WholeAnswer | undefined> {
  try {
    return await exchange.whole({ ...want, headers: { accept: mediaTypes.ociIndex } })
  } catch (error) {
    if (error instanceof RegistryError && withoutApi.has(error.upstream?.status ?? 0)) return undefined
    throw error
  }
}

async function byTag(
  exchange: Exchange,
  { from, digest, signal }: { from: UpstreamRepository; digest: Digest; signal: AbortSignal },
): Promise<ToldReferrers> {
  try {
    const { bytes, mediaType } = await fetchManifest(exchange, { from, reference: fallbackTagOf(digest), signal })
    const entries = mediaType === mediaTypes.ociIndex ? jsonObject(bytes)?.manifests : undefined
    if (!Array.isArray(entries)) return { referrers: [] }
    const found = new Map(referrersIn(entries, digest).map((each) => [each.digest, each]))
    const referrers = [...found.values()].slice(0, maxReferrers)
    if (referrers.length === found.size) return { referrers }
    return { referrers, problem: invalidList(from, digest, `has more than ${maxReferrers} entries`) }
  } catch (error) {
    const isNone = error instanceof RegistryError && (error.status === 404 || error.code === 'MANIFEST_INVALID')
    if (isNone) return { referrers: [] }
    throw error
  }
}

/** What a page lists; undefined for what is no OCI index. `null`, which Go writes for an empty list, counts as that. */
function entriesOf({ headers, bytes }: WholeAnswer): unknown[] | undefined {
  const document = decodings(headers, bytes)
    .map(jsonObject)
    .find((each) => each !== undefined)
  const type = headerOf(headers, 'content-type')?.split(';')[0]?.trim()
  if (type !== mediaTypes.ociIndex && document?.mediaType !== mediaTypes.ociIndex) return undefined
  if (document?.manifests === null) return []
  return Array.isArray(document?.manifests) ? document.manifests : undefined
}

/** Descriptors of manifests that can be pulled; what is none is left out. */
function referrersIn(entries: readonly unknown[], subject: Digest): ToldReferrer[] {
  return entries.flatMap((entry) => {
    if (typeof entry !== 'object' || entry === null) return []
    const { digest: written, mediaType, size, artifactType, annotations } = entry as Record<string, unknown>
    const digest = typeof written === 'string' ? parseDigest(written) : undefined
    if (digest === undefined || digest === subject) return []
    if (typeof mediaType !== 'string' || !isManifestType(mediaType)) return []
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || size > maxManifestBytes) return []
    const told = stringMap(annotations)
    return {
      mediaType,
      digest,
      size,
      ...(typeof artifactType === 'string' && typePattern.test(artifactType) ? { artifactType } : {}),
      ...(told === undefined ? {} : { annotations: told }),
    }
  })
}

function invalidList({ host, repository }: UpstreamRepository, digest: Digest, why: string): RegistryError {
  return upstreamFailure(host, 'Invalid', `the list of what refers to ${digest} in ${host}/${repository} ${why}`)
}
