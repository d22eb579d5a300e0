import type { Logger } from 'pino'
import type { UpstreamLocation } from '../content/content.ts'
import { locationKey } from '../content/proof.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { fallbackTagOf } from '../oci/fallback-tag.ts'
import { maxManifestBytes, mediaTypes } from '../oci/media-types.ts'
import type { ReferrerFacts } from '../oci/referrer.ts'
import { createGate } from '../streams/gate.ts'
import type { Upstream } from '../upstream/upstream.ts'

export interface HomeReferrersOptions {
  upstream: Pick<Upstream, 'referrers' | 'manifest' | 'pushManifest'>
  log: Logger
}

/** A manifest that was pushed to a home, and what a listing of what refers to its subject tells of it. */
export interface PushedReferrer extends ReferrerFacts {
  digest: Digest
  mediaType: string
  size: number
}

/** Lets the registry itself tell what refers to an image there. */
export interface HomeReferrers {
  /**
   * Adds it to the index under the tag of its subject, unless the registry lists it already.
   *
   * @throws RegistryError what the registry answers
   * @see https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
   */
  list(location: UpstreamLocation, referrer: PushedReferrer): Promise<void>
}

/** Who reads an index and writes it anew is alone with it, as far as that is in our hands. */
const perSubject = { most: 1, mostWaiting: 1000 }

export function createHomeReferrers({ upstream, log }: HomeReferrersOptions): HomeReferrers {
  const enter = createGate(perSubject)

  /** The index there; undefined where there is none, or something else that is not ours to change. */
  async function indexAt(location: UpstreamLocation, tag: string): Promise<Record<string, unknown> | undefined> {
    try {
      const { bytes, mediaType } = await upstream.manifest(location, tag)
      if (mediaType !== mediaTypes.ociIndex) return undefined
      return JSON.parse(bytes.toString('utf8')) as Record<string, unknown>
    } catch (error) {
      if (!(error instanceof RegistryError) || error.upstream?.status !== 404) throw error
      return { schemaVersion: 2, mediaType: mediaTypes.ociIndex }
    }
  }

  async function add(location: UpstreamLocation, { subject, ...entry }: PushedReferrer): Promise<void> {
    const listed = await upstream.referrers(location, subject)
    if (listed.referrers.some(({ digest }) => digest === entry.digest)) return
    const tag = fallbackTagOf(subject)
    const index = await indexAt(location, tag)
    const manifests = Array.isArray(index?.manifests) ? (index.manifests as { digest?: unknown }[]) : []
    if (manifests.some((each) => each?.digest === entry.digest)) return
    const bytes = index && Buffer.from(JSON.stringify({ ...index, manifests: [...manifests, entry] }))
    if (bytes === undefined || bytes.length > maxManifestBytes) {
      const { host, repository } = location
      log.warn({ host, repository, tag, digest: entry.digest }, 'a home registry does not list what refers to an image')
      return
    }
    await upstream.pushManifest(location, tag, bytes, mediaTypes.ociIndex)
  }

  return {
    async list(location, referrer) {
      const leave = await enter(`${locationKey(location)} ${referrer.subject}`)
      try {
        await add(location, referrer)
      } finally {
        leave()
      }
    },
  }
}
