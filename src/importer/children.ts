import type { Logger } from 'pino'
import type { UpstreamLocation } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import { maxManifestBytes } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import { imageRecord } from '../streams/admission.ts'
import type { ImageRecord } from '../streams/records.ts'
import type { Links, Stream } from '../streams/streams.ts'
import { unlessAborted } from '../upstream/abort.ts'
import type { FetchedManifest, Upstream } from '../upstream/upstream.ts'
import type { Configurations } from './configurations.ts'
import { hasReadableConfig } from './image-configuration.ts'
import { asking, type Frame, isDry, nameOf } from './request.ts'
import type { StreamImages } from './stream-images.ts'

/** A child of an index. `bytes` of its manifest are left out where those of its siblings are too many already. */
export interface ChildImage {
  digest: Digest
  mediaType: string
  image: ImageRecord
  bytes?: Buffer
}

/** Obtains a manifest that a stream has a link to, so that it is kept and what it names is linked; in the background it can wait. */
export type KeepManifest = (
  name: StreamName,
  digest: Digest,
  options?: { isBackground?: boolean },
) => Promise<{ mediaType: string; bytes: Buffer | undefined }>

/** The images that an index names. */
export interface Children {
  /**
   * Obtains the children of an index with their configs, so that pulls go on without the upstream. An index may name some that
   * nobody has: they are left out. Of what is here already the upstream is asked nothing.
   *
   * @returns the children, when `tell` asks for them, as far as the request has room for them
   */
  obtain(frame: Frame, index: ImageRecord, location: UpstreamLocation, tell: boolean): Promise<ChildImage[]>
}

export interface ChildrenOptions {
  links: Pick<Links, 'putImage'>
  upstream: Pick<Upstream, 'onBehalf'>
  images: StreamImages
  configurations: Configurations
  /** Absent: children are obtained when they are first pulled. */
  keepManifest: KeepManifest | undefined
  log: Logger
}

type Descriptor = ImageRecord['manifests'][number]

/** Most children of an index that are obtained with it; the others are when they are first pulled. */
const maxChildren = 64
/** Most children of an index that are asked for at the same time. */
const concurrency = 4
/** Most bytes of manifests that are told of the children of one index. */
const maxToldBytes = maxManifestBytes

export function createChildren(options: ChildrenOptions): Children {
  const { links, upstream, images, configurations, keepManifest, log } = options

  async function lookAt(frame: Frame, child: Descriptor, location: UpstreamLocation): Promise<ChildImage> {
    const { signal } = frame
    const fetched = await asking(upstream, frame).manifest(location, child.digest, signal)
    const image = recordOf(fetched)
    const configuration = hasConfig(child, image)
      ? await configurations.read(image, location, { keep: false, askedFor: nameOf(frame.request), signal })
      : undefined
    return { ...fetched, image: configuration === undefined ? image : { ...image, configuration } }
  }

  async function keep(
    { signal, background: isBackground = false }: Frame,
    stream: Stream,
    child: Descriptor,
    location: UpstreamLocation,
    tell: boolean,
  ): Promise<ChildImage | undefined> {
    if (keepManifest === undefined) return undefined
    const { digest } = child
    const known = await images.get(stream, digest, child.mediaType)
    const isComplete = known !== undefined && (known.configuration !== undefined || !hasConfig(child, known))
    if (isComplete && !tell) return undefined
    const { bytes, mediaType } = await unlessAborted(keepManifest(stream, digest, { isBackground }), signal)
    if (bytes === undefined) throw new TypeError('a GET has bytes')
    if (isComplete) return { digest, mediaType: known.mediaType, image: known, bytes }
    const image = recordOf({ bytes, mediaType })
    const configuration = hasConfig(child, image)
      ? await configurations.read(image, location, { askedFor: nameOf(stream), signal })
      : undefined
    const whole = configuration === undefined ? image : { ...image, configuration }
    if (known === undefined || configuration !== undefined) await links.putImage(digest, whole)
    return { digest, mediaType, image: whole, bytes }
  }

  function one(
    frame: Frame,
    child: Descriptor,
    location: UpstreamLocation,
    tell: boolean,
  ): Promise<ChildImage | undefined> {
    const { stream } = frame
    return stream === undefined || isDry(frame)
      ? lookAt(frame, child, location)
      : keep(frame, stream, child, location, tell)
  }

  return {
    async obtain(frame, index, location, tell) {
      if (isDry(frame) && !tell) return []
      const unique = [...new Map(index.manifests.map((child) => [child.digest, child])).values()]
      const wanted = unique.slice(0, maxChildren)
      const children: ChildImage[] = []
      let roomBytes = maxToldBytes
      const isOver = () => frame.signal?.aborted === true || (isDry(frame) && frame.room?.isFull === true)
      for (let start = 0; start < wanted.length && !isOver(); start += concurrency) {
        const some = wanted.slice(start, start + concurrency)
        const results = await Promise.allSettled(some.map((child) => one(frame, child, location, tell)))
        for (const result of results) {
          if (result.status === 'rejected') {
            log.info({ ...nameOf(frame.request), err: result.reason }, 'child of an index not kept')
            continue
          }
          if (!tell || result.value === undefined) continue
          const { bytes, ...child } = result.value
          if (frame.room?.take(byteLength(child.image)) !== true) continue
          const fits = bytes !== undefined && bytes.length <= roomBytes && frame.room.take(bytes.length)
          children.push(fits ? { ...child, bytes } : child)
          if (fits) roomBytes -= bytes.length
        }
      }
      return children
    },
  }
}

function byteLength(image: ImageRecord): number {
  return Buffer.byteLength(JSON.stringify(image))
}

function recordOf({ bytes, mediaType }: Pick<FetchedManifest, 'bytes' | 'mediaType'>): ImageRecord {
  return imageRecord(parseManifest(bytes, mediaType), bytes.length)
}

/** Whether there is a config to be read: what BuildKit attests has one that says nothing. */
function hasConfig({ os, architecture }: Descriptor, image: ImageRecord): boolean {
  return hasReadableConfig(image) && !(os === 'unknown' && architecture === 'unknown')
}
