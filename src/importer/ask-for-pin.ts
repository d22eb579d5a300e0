import type { UpstreamLocation } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Links, TagChange } from '../streams/streams.ts'
import type { Upstream } from '../upstream/upstream.ts'

/**
 * Asks where the image that a tag stands at came from whether it is still there: a tag that is gone says nothing of what it
 * pointed to. Never throws.
 *
 * @returns what is to be recorded; undefined when it can not be known, or Weir has the image from nobody else
 */
export type AskForPin = (
  name: StreamName,
  image: Digest,
  options: { signal?: AbortSignal | undefined; isBackground?: boolean },
) => Promise<TagChange['upstreamGone']>

export interface AskForPinOptions {
  links: Pick<Links, 'get'>
  upstream: Pick<Upstream, 'onBehalf'>
  /** Longest time for all locations, in milliseconds; default 10 s. */
  timeoutMs?: number
}

/** Most locations that are asked: one that is not may have the image. */
const maxLocations = 8

export function createAskForPin({ links, upstream, timeoutMs = 10_000 }: AskForPinOptions): AskForPin {
  async function ask(
    asked: Pick<Upstream, 'resolve'>,
    location: UpstreamLocation,
    image: Digest,
    signal: AbortSignal,
  ): Promise<'there' | 'gone' | '?'> {
    try {
      await asked.resolve(location, image, signal)
      return 'there'
    } catch (error) {
      return error instanceof RegistryError && error.upstream?.reason === 'NotFound' ? 'gone' : '?'
    }
  }

  return async (name, image, { signal: left, isBackground = false }) => {
    const locations = (await links.get(name, image).catch(() => undefined))?.locations ?? []
    const upstreams = locations.filter((location) => location.kind === 'upstream')
    const [first] = upstreams
    if (first === undefined || upstreams.length < locations.length || upstreams.length > maxLocations) return undefined
    const deadline = AbortSignal.timeout(timeoutMs)
    const signal = left === undefined ? deadline : AbortSignal.any([left, deadline])
    const asked = upstream.onBehalf({ isBackground, stream: name })
    const answers = await Promise.all(upstreams.map((location) => ask(asked, location, image, signal)))
    if (answers.includes('there')) return null
    return answers.includes('?') ? undefined : { image, host: first.host }
  }
}
