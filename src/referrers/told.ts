import type { Logger } from 'pino'
import type { UpstreamLocation } from '../content/content.ts'
import { upstreamsOf } from '../content/locations.ts'
import type { Digest } from '../oci/digest.ts'
import { failureOf, type RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Links, NewLink } from '../streams/streams.ts'
import type { ToldReferrer, Upstream } from '../upstream/upstream.ts'
import { createMemory, type LivingStream } from './memory.ts'
import type { OtherReferrers } from './page.ts'
import type { Question } from './questions.ts'

/** What upstreams tell of what refers to images. */
export interface Told {
  /** What the upstreams of an image told within a minute; where one fails now, also what they told before. */
  list(stream: LivingStream, subject: Digest): Promise<OtherReferrers>
  forget(name: StreamName): void
}

export interface ToldOptions {
  links: Pick<Links, 'get' | 'add'>
  upstream: Pick<Upstream, 'referrers'>
  question: Question
  now: () => number
  log?: Logger
}

const rememberedMs = 60_000
/** How soon an upstream that failed is asked again. */
export const failedMs = 10_000
const maxBytes = 16 * 1024 * 1024
/** Most upstreams that are asked about one image. */
export const maxLocations = 4

export function createTold({ links, upstream, question, now, log }: ToldOptions): Told {
  const memory = createMemory<OtherReferrers>({ maxBytes, now })

  async function ask(
    { name, uid }: LivingStream,
    subject: Digest,
    locations: readonly UpstreamLocation[],
    before: OtherReferrers | undefined,
  ): Promise<OtherReferrers> {
    const answers = await Promise.allSettled(
      locations.map((location) => question(location.host, () => upstream.referrers(location, subject))),
    )
    const told = new Map<Digest, ToldReferrer>()
    const added: NewLink[] = []
    let failure: RegistryError | undefined
    for (const [i, answer] of answers.entries()) {
      const location = locations[i]
      failure ??= answer.status === 'fulfilled' ? answer.value.problem : failureOf(answer.reason)
      if (answer.status === 'rejected' || location === undefined) continue
      for (const each of answer.value.referrers) {
        if (!told.has(each.digest)) told.set(each.digest, each)
        // Nobody vouches for the size.
        added.push({ digest: each.digest, mediaType: each.mediaType, size: undefined, locations: [location] })
      }
    }
    if (failure !== undefined) {
      log?.warn(
        { err: failure, subject, stream: `${name.project}/${name.stream}` },
        'referrers not told by an upstream',
      )
      for (const each of before?.referrers ?? []) if (!told.has(each.digest)) told.set(each.digest, each)
    }
    // Nobody removes them while they are listed.
    await links.add(name, uid, added, { isReliedOn: true })
    return { referrers: [...told.values()], ...(failure && { failure }) }
  }

  return {
    forget: memory.forget,
    async list(stream, subject) {
      const link = await links.get(stream.name, subject)
      const locations = link?.manifestType === undefined ? [] : upstreamsOf(link).slice(0, maxLocations)
      // Of an image that the stream does not have, nobody is asked.
      if (locations.length === 0) return { referrers: [] }
      return memory.get(stream, subject, async (before) => {
        const value = await ask(stream, subject, locations, before)
        const ms = value.failure === undefined ? rememberedMs : failedMs
        return { value, ms, bytes: JSON.stringify(value.referrers).length }
      })
    },
  }
}
