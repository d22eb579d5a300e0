import type { Logger } from 'pino'
import { upstreamsOf } from '../content/locations.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { failureOf, type RegistryError } from '../oci/errors.ts'
import { type FallbackTag, parseFallbackTag } from '../oci/fallback-tag.ts'
import type { StreamName } from '../oci/reference.ts'
import type { FallbackTagRecord, ReferrerRecords } from '../streams/referrer-records.ts'
import type { Links, Pins, StreamLink, StreamReader } from '../streams/streams.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { createMemory, type Found, type LivingStream } from './memory.ts'
import type { Question } from './questions.ts'
import { failedMs, maxLocations } from './told.ts'

/** Tags that are derived from the digests of images. */
export interface FallbackTags {
  /**
   * Where a tag like `sha256-<hex>`, or with `.sig`, `.att` or `.sbom` after it, stands: what was pushed under it, else what the
   * image's upstream has under it, or last had. Linked to the stream, so that it can be pulled by digest.
   *
   * @returns undefined when it is no such tag of an image that the stream has, or nobody has it
   * @throws RegistryError the upstream's failure, when nothing is known of it
   */
  resolve(name: StreamName, tag: string): Promise<Digest | undefined>
  /**
   * Whether it is such a tag of an image that the stream has: who pushes by it puts it somewhere in the records. One that the stream
   * has as a tag already is a tag like any other.
   */
  isOne(name: StreamName, tag: string): Promise<boolean>
  /** The tags of that kind that were pushed, in byte order; `after` is exclusive. */
  tags(name: StreamName, options?: { after?: string; limit?: number }): Promise<string[]>
  /** Forgets what was kept for a while: something was pushed or deleted. */
  forget(name: StreamName): void
}

export interface FallbackTagsOptions {
  reader: Pick<StreamReader, 'tag'>
  pins: Pick<Pins, 'uid'>
  links: Pick<Links, 'get' | 'list' | 'add'>
  referrerRecords: Pick<ReferrerRecords, 'fallback' | 'fallbacks' | 'putFallback'>
  upstream: Pick<Upstream, 'resolve'>
  question: Question
  now: () => number
  log?: Logger
}

/** What asking the upstreams came to. */
interface Asked {
  digest: Digest | undefined
  failure: RegistryError | undefined
}

const rememberedMs = 60_000
const maxBytes = 4 * 1024 * 1024
const readAtOnce = 200

/**
 * Creates the tags that are derived from the digests of images. They are none of the stream's: what is pushed under one is recorded
 * apart, and for others the upstream of the image is asked by tag. What it had there is kept like a pin: it is given out while
 * the upstream fails, and when it has nothing there any more.
 */
export function createFallbackTags(options: FallbackTagsOptions): FallbackTags {
  const { reader, pins, links, referrerRecords, upstream, question, now, log } = options
  const memory = createMemory<Asked>({ maxBytes, now })

  /** The stream's link of the image that a tag is derived from. */
  async function imageOf(name: StreamName, { algorithm, hex }: FallbackTag): Promise<StreamLink | undefined> {
    const digest = parseDigest(`${algorithm}:${hex}`)
    const [link] =
      digest === undefined
        ? await links.list(name, { prefix: `${algorithm}:${hex}`, limit: 1 })
        : [await links.get(name, digest)]
    return link?.manifestType === undefined ? undefined : link
  }

  async function ask(stream: LivingStream, image: StreamLink, tag: string): Promise<Found<Asked>> {
    const { name, uid } = stream
    let failure: RegistryError | undefined
    for (const location of upstreamsOf(image).slice(0, maxLocations)) {
      try {
        const { digest, mediaType } = await question(location.host, () => upstream.resolve(location, tag))
        await links.add(name, uid, [{ digest, mediaType, size: undefined, locations: [location] }], {
          isReliedOn: true,
        })
        const seen = { tag, image: digest, mediaType, host: location.host }
        await keepSeen(stream, seen)
        return { value: { digest, failure: undefined }, ms: rememberedMs, bytes: 0 }
      } catch (error) {
        const failed = failureOf(error)
        if (failed.status !== 404 && failed.code !== 'MANIFEST_INVALID') failure ??= failed
      }
    }
    if (failure)
      log?.warn({ err: failure, tag, stream: `${name.project}/${name.stream}` }, 'tag not told by an upstream')
    return { value: { digest: undefined, failure }, ms: failure ? failedMs : rememberedMs, bytes: 0 }
  }

  async function keepSeen({ name, uid }: LivingStream, seen: Omit<FallbackTagRecord, 'at'>): Promise<void> {
    const before = await referrerRecords.fallback(name, seen.tag)
    // What was pushed meanwhile stays.
    if (before?.by !== undefined || before?.image === seen.image) return
    await referrerRecords.putFallback({ ...name, uid }, seen)
  }

  /** Where a tag is recorded to stand, if the stream has that still. */
  async function recorded(name: StreamName, tag: string): Promise<FallbackTagRecord | undefined> {
    const record = await referrerRecords.fallback(name, tag)
    const link = record && (await links.get(name, record.image))
    return link?.manifestType === undefined ? undefined : record
  }

  return {
    forget: memory.forget,
    async isOne(name, tag) {
      const parsed = parseFallbackTag(tag)
      if (parsed === undefined || (await imageOf(name, parsed)) === undefined) return false
      return (await reader.tag(name, tag)) === undefined
    },
    async resolve(name, tag) {
      const parsed = parseFallbackTag(tag)
      const uid = parsed && (await pins.uid(name))
      const image = uid && (await imageOf(name, parsed))
      if (!image) return undefined
      const known = await recorded(name, tag)
      if (known?.by !== undefined) return known.image
      const stream = { name, uid }
      const { digest, failure } = await memory.get(stream, tag, () => ask(stream, image, tag))
      if (digest === undefined && known === undefined && failure !== undefined) throw failure
      return digest ?? known?.image
    },
    async tags(name, { after, limit = Number.POSITIVE_INFINITY } = {}) {
      const names: string[] = []
      for (let last = after; names.length < limit; ) {
        const some = await referrerRecords.fallbacks(name, { ...(last && { after: last }), limit: readAtOnce })
        for (const { tag, by } of some) if (by !== undefined) names.push(tag)
        if (some.length < readAtOnce) break
        last = some.at(-1)?.tag
      }
      return names.slice(0, limit)
    },
  }
}
