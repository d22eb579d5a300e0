import type { Content, Location, UpstreamLocation } from '../content/content.ts'
import { parseManifest } from '../oci/manifest.ts'
import { formatImageReference, type ImageReference } from '../oci/reference.ts'
import { imageRecord, linksOf } from '../streams/admission.ts'
import type { ImageRecord } from '../streams/records.ts'
import type { Links, Stream, Tag } from '../streams/streams.ts'
import { touchImage } from '../streams/touch-image.ts'
import type { FetchedManifest, Upstream } from '../upstream/upstream.ts'
import type { Configurations } from './configurations.ts'
import { hasReadableConfig } from './image-configuration.ts'
import { asking, type Frame, isDry, nameOf } from './request.ts'
import type { StreamImages } from './stream-images.ts'

/** What an upstream has, kept and linked, so that a tag may move there. */
export interface Obtained extends FetchedManifest {
  dockerImageReference: string
  image: ImageRecord
  location: UpstreamLocation
}

/**
 * Asks the upstream where a reference points now: by HEAD while it may still be where the tag stands, then from the upstream
 * named, never from what another stream holds. A dry run keeps nothing.
 *
 * @throws RegistryError the upstream's failure; MANIFEST_INVALID; NAME_UNKNOWN when the stream is gone
 */
export type Obtain = (frame: Frame, reference: ImageReference, before: Tag | undefined) => Promise<Obtained>

export interface ObtainOptions {
  links: Links
  content: Content
  upstream: Pick<Upstream, 'onBehalf'>
  images: StreamImages
  configurations: Configurations
}

export function createObtain({ links, content, upstream, images, configurations }: ObtainOptions): Obtain {
  /** The manifest that the tag stands at, when the upstream still points there. */
  async function unchanged(
    frame: Frame,
    reference: ImageReference,
    location: UpstreamLocation,
    before: Tag | undefined,
  ): Promise<FetchedManifest | undefined> {
    const { stream, signal } = frame
    const image = before?.record.items[0]?.image
    if (!image || stream === undefined) return undefined
    const link = await links.get(stream, image)
    if (link === undefined || !link.locations.some((each) => isSame(each, location))) return undefined
    const bytes = await content.manifest(link)
    if (bytes === undefined) return undefined
    const seen = frame.seen ?? (await asking(upstream, frame).resolve(location, wantedOf(reference), signal)).digest
    return seen === image ? { digest: image, mediaType: link.mediaType, bytes } : undefined
  }

  /** What was fetched, as the stream has it: the media type under which it first received the bytes stays theirs. */
  async function asLinked(stream: Stream, fetched: FetchedManifest): Promise<FetchedManifest> {
    const link = await links.get(stream, fetched.digest)
    return link?.received ? { ...fetched, mediaType: link.mediaType } : fetched
  }

  /** Keeps bytes and links, both before the tag may move. */
  async function admit(stream: Stream, location: UpstreamLocation, fetched: FetchedManifest): Promise<ImageRecord> {
    const manifest = parseManifest(fetched.bytes, fetched.mediaType)
    const image = imageRecord(manifest, fetched.bytes.length)
    await content.putManifest(fetched.digest, fetched.bytes, location)
    await links.add(stream, stream.uid, linksOf(fetched, manifest, [location]), { isReliedOn: true })
    return image
  }

  /** The record of what the stream has, complete as far as it can be had. */
  async function keep(
    stream: Stream,
    location: UpstreamLocation,
    { fetched, held, signal }: { fetched: FetchedManifest; held: boolean; signal: AbortSignal | undefined },
  ): Promise<ImageRecord> {
    // What the stream stands at already was admitted when the tag moved there.
    const known = held ? await images.get(stream, fetched.digest, fetched.mediaType) : undefined
    if (known !== undefined && (known.configuration !== undefined || !hasReadableConfig(known))) return known
    const image = known ?? (await admit(stream, location, fetched))
    const configuration = await configurations.read(image, location, { askedFor: nameOf(stream), signal })
    const whole = configuration === undefined ? image : { ...image, configuration }
    if (known === undefined || configuration !== undefined) await links.putImage(fetched.digest, whole)
    return whole
  }

  return async (frame, reference, before) => {
    const { request, stream, signal } = frame
    const { host, repository } = reference
    const location: UpstreamLocation = {
      kind: 'upstream',
      host,
      repository,
      project: request.project,
      ...(stream && { projectUid: stream.projectUid }),
    }
    const held = await unchanged(frame, reference, location, before)
    const answered = held ?? (await asking(upstream, frame).manifest(location, wantedOf(reference), signal))
    const fetched = stream === undefined ? answered : await asLinked(stream, answered)
    const dockerImageReference = formatImageReference({ host, repository, digest: fetched.digest })
    if (stream === undefined || isDry(frame)) {
      const image = imageRecord(parseManifest(fetched.bytes, fetched.mediaType), fetched.bytes.length)
      const options = { keep: false, askedFor: nameOf(request), signal }
      const configuration = await configurations.read(image, location, options)
      return { ...fetched, dockerImageReference, location, image: configuration ? { ...image, configuration } : image }
    }
    const image = await keep(stream, location, { fetched, held: held !== undefined, signal })
    if (held === undefined) await touchImage({ links, content }, stream, fetched.digest)
    return { ...fetched, dockerImageReference, location, image }
  }
}

function wantedOf({ digest, tag }: ImageReference): string {
  return digest ?? tag ?? 'latest'
}

function isSame(a: Location, b: UpstreamLocation): boolean {
  if (a.kind !== b.kind || a.host !== b.host || a.repository !== b.repository) return false
  return a.project === b.project && a.projectUid === b.projectUid
}
