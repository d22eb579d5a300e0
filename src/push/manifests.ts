import type { Logger } from 'pino'
import type { HereLocation } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { namedContent } from '../oci/manifest.ts'
import type { StreamName } from '../oci/reference.ts'
import { deniedMove } from '../streams/immutable.ts'
import { streamNotFound } from '../streams/lives.ts'
import type {
  CurrentStream,
  CurrentTag,
  Links,
  Pins,
  Stream,
  StreamReader,
  StreamWriter,
  TagChange,
} from '../streams/streams.ts'
import { type AdmitOptions, createAdmit, requireNone } from './admit-manifest.ts'
import type { Homes } from './home.ts'
import { type ManifestBody, readManifestBody, type SentManifest } from './manifest-body.ts'
import type { ReserveBytes } from './reservations.ts'

export interface PutManifestOptions extends AdmitOptions {
  reader: Pick<StreamReader, 'stream'>
  writer: Pick<StreamWriter, 'create' | 'changeTag' | 'changeStream'>
  links: AdmitOptions['links'] & Pick<Links, 'get'>
  pins: Pick<Pins, 'reached'>
  /** Host, with its port, as which clients write this Weir in image names. */
  registryHost: string
  /** Default: every tag is one of the stream. */
  fallbackTags?: FallbackTags
  /** Drops what is kept for a while of what refers to a stream's images. */
  forgetReferrers?: (name: StreamName) => void
  /** Reserves bytes in the quotas of the project; default: there are none. The writer of streams counts tags. */
  reserveBytes?: ReserveBytes
  homes?: Homes
  log: Logger
}

/** Tags that are derived from the digest of an image of the stream, and are none of the stream's. */
export interface FallbackTags {
  /** Whether `tag` is such a tag of an image that the stream has, and none of its own already: pulls look there first. */
  isOne(name: StreamName, tag: string): Promise<boolean>
  /**
   * Puts such a tag somewhere, wherever it stood.
   *
   * @throws RegistryError NAME_UNKNOWN when the stream of that `uid` does not live
   */
  putFallback(
    stream: StreamName & { uid: string },
    to: { tag: string; image: Digest; mediaType: string; by: string },
  ): Promise<void>
}

/** Who pushes a manifest, as `Pusher` has it. */
export interface ManifestPusher {
  name: string
  client: string
  mayCreate: boolean
}

/** `Push.manifest`. */
export type PutManifest = (
  name: StreamName,
  reference: string,
  by: ManifestPusher,
  sent: SentManifest,
) => Promise<{ digest: Digest; subject: Digest | undefined; tags: readonly string[] }>

const here: HereLocation = { kind: 'here' }

/** How often a manifest is given anew to a stream from which somebody deletes it meanwhile. */
const maxAttempts = 4

/** Creates what takes manifests; see `Push.manifest`. Whatever breaks off: links come first, tags last, each step is safe alone. */
export function createPutManifest(options: PutManifestOptions): PutManifest {
  const { reader, writer, links, pins, registryHost, fallbackTags, homes, log } = options
  const admit = createAdmit(options)

  return async (name, reference, by, sent) => {
    const body = readManifestBody(reference, sent)
    const { digest, manifest, tags } = body
    const stream = await streamFor(name, by, body)
    const revision = await put(stream, body, by)
    await pins.reached(Math.max(revision, stream.resourceVersion))
    options.forgetReferrers?.(name)
    log.info({ ...name, digest, tags, by: by.name, client: by.client }, 'manifest pushed')
    return { digest, subject: manifest.subject?.digest, tags }
  }

  /** @returns the revision at which its tags stand there */
  async function put(stream: Stream, body: ManifestBody, by: ManifestPusher): Promise<number> {
    const { digest } = body
    const tags = await sorted(stream, body.tags)
    const move: Move = { tags: tags.own, change: changeOf(stream, body, by) }
    // What would be refused in the end is neither kept nor pushed on.
    await moveTags(stream, move, { dryRun: true })
    const release = await reserved(stream, body)
    try {
      const home = await homes?.of(stream)
      for (let attempt = 0; attempt < maxAttempts; attempt++) {
        const named = await admit.named(stream, body)
        await home?.pushManifest(digest, body.bytes, body.mediaType, body.tags)
        await admit.own(stream, body, named, home?.location ?? here)
        for (const tag of tags.fallback)
          await fallbackTags?.putFallback(stream, { tag, image: digest, mediaType: body.mediaType, by: by.name })
        const revision = await moveTags(stream, move, {})
        // Who deletes an image looks at its tags before: this one may have come too late for that.
        if ((await links.get(stream, digest))?.received) return revision
      }
    } finally {
      release?.()
    }
    throw new RegistryError('UNAVAILABLE', {
      message: `${digest} was deleted again and again while it was pushed; try again`,
      retryAfterSeconds: 1,
    })
  }

  /** The stream, made where it is not there and nothing that has to be there before is missing. */
  async function streamFor(name: StreamName, by: ManifestPusher, { manifest }: ManifestBody): Promise<Stream> {
    const stream = await reader.stream(name)
    if (stream !== undefined) return stream
    if (!by.mayCreate) {
      const message = `there is no image stream ${name.project}/${name.stream}, and you may not create it`
      throw new RegistryError('DENIED', { message })
    }
    const needed = manifest.kind === 'index' ? [] : namedContent(manifest).filter(({ foreign }) => !foreign)
    requireNone(needed.map(({ digest }) => digest))
    try {
      return await writer.create(name)
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'ALREADY_EXISTS') throw error
    }
    const other = await reader.stream(name)
    if (other === undefined) throw streamNotFound('NAME_UNKNOWN', name)
    return other
  }

  async function sorted(stream: Stream, tags: readonly string[]): Promise<{ own: string[]; fallback: string[] }> {
    const own: string[] = []
    const fallback: string[] = []
    for (const tag of tags) {
      const kind = (await fallbackTags?.isOne(stream, tag)) ? fallback : own
      kind.push(tag)
    }
    return { own, fallback }
  }

  /** @returns what gives it back */
  async function reserved(stream: Stream, { digest, bytes }: ManifestBody): Promise<(() => void) | undefined> {
    if (options.reserveBytes === undefined || (await links.get(stream, digest)) !== undefined) return undefined
    return options.reserveBytes(stream.project, bytes.length)
  }

  function changeOf(stream: Stream, { digest, mediaType }: ManifestBody, by: ManifestPusher): TagChange {
    const dockerImageReference = `${registryHost}/${stream.project}/${stream.stream}@${digest}`
    const cause = { kind: 'push', by: by.name, ...(by.client === '' ? {} : { client: by.client }) } as const
    return { event: { image: digest, mediaType, dockerImageReference, cause }, isHeld: true }
  }

  /**
   * Moves all tags in one commit, as far as they fit.
   *
   * @throws RegistryError NAME_UNKNOWN, DENIED
   */
  async function moveTags(stream: Stream, { tags, change }: Move, { dryRun = false }): Promise<number> {
    const [first, ...others] = tags
    const requireSame = (current: CurrentTag | CurrentStream) => {
      if (current.stream.uid !== stream.uid) throw streamNotFound('NAME_UNKNOWN', stream)
    }
    try {
      if (first === undefined) return 0
      if (others.length === 0) {
        const moved = await writer.changeTag(stream, first, decideOne, { dryRun })
        return moved?.revision ?? 0
      }
      return (await writer.changeStream(stream, decideAll, { dryRun })).revision
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'NOT_FOUND') throw streamNotFound('NAME_UNKNOWN', stream)
      throw deniedMove(error)
    }

    function decideOne(current: CurrentTag): TagChange {
      requireSame(current)
      return change
    }

    function decideAll(current: CurrentStream): { tags: Map<string, TagChange> } {
      requireSame(current)
      return { tags: new Map(tags.map((tag) => [tag, change])) }
    }
  }
}

interface Move {
  tags: readonly string[]
  change: TagChange
}
