/** What refers to an image of a stream: signatures, attestations, bills of materials (OCI distribution 1.1, "Listing Referrers"). */
import type { Logger } from 'pino'
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'
import { createFallbackIndex } from './referrers/fallback-index.ts'
import { createFallbackTags, type FallbackTags } from './referrers/fallback-tags.ts'
import { type ListedReferrers, type ListOptions, listPage } from './referrers/page.ts'
import { createQuestions } from './referrers/questions.ts'
import { createTold } from './referrers/told.ts'
import type { ReferrerRecords } from './streams/referrer-records.ts'
import type { Links, Pins, StreamReader } from './streams/streams.ts'
import type { Upstream } from './upstream/upstream.ts'

export type { FallbackTags } from './referrers/fallback-tags.ts'
export type { ListedReferrers, ListOptions, Referrer } from './referrers/page.ts'

export interface Referrers extends FallbackTags {
  /**
   * Own ones and those that the upstreams of the image have (by their API, or the tag of the referrers tag schema), each once. What
   * an upstream tells is linked to the stream, so that it can be pulled, and kept for a minute. An upstream that fails takes nothing away from
   * the own ones. Empty for a stream that is not there.
   */
  list(name: StreamName, subject: Digest, options?: ListOptions): Promise<ListedReferrers>
  /** Forgets what was kept for a while of the stream's images: something was pushed or deleted. */
  forget(name: StreamName): void
}

export interface ReferrersOptions {
  reader: Pick<StreamReader, 'tag'>
  pins: Pick<Pins, 'uid' | 'pin'>
  links: Pick<Links, 'get' | 'list' | 'add'>
  referrerRecords: ReferrerRecords
  upstream: Pick<Upstream, 'referrers' | 'resolve'>
  /** A manifest of a stream by its digest; a RegistryError where it can not be had. */
  obtain(name: StreamName, digest: Digest): Promise<ObtainedManifest>
  /** Milliseconds since the epoch. */
  now: () => number
  log?: Logger
}

export interface ObtainedManifest {
  mediaType: string
  bytes: Buffer | undefined
}

/** Creates the listing of referrers, and the tags that are derived from digests. */
export function createReferrers(options: ReferrersOptions): Referrers {
  const { pins } = options
  const question = createQuestions()
  const told = createTold({ ...options, question })
  const index = createFallbackIndex(options)
  const { isOne, resolve, tags, forget } = createFallbackTags({ ...options, question })
  return {
    isOne,
    resolve,
    tags,
    async list(name, subject, asked = {}) {
      const uid = await pins.uid(name)
      if (uid === undefined) return { referrers: [] }
      const others = await Promise.all([index.list(name, subject), told.list({ name, uid }, subject)])
      return listPage(options, name, subject, { ...asked, others })
    },
    forget(name) {
      told.forget(name)
      forget(name)
    },
  }
}
