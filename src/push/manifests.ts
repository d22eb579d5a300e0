import type { Logger } from 'pino'
import type { HereLocation } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Manifest, namedContent } from '../oci/manifest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Links, Pins, Stream, StreamReader, StreamWriter } from '../streams/streams.ts'
import { undefinedWhenUnlinked } from '../streams/unlinking.ts'
import { type Admit, type AdmitOptions, createAdmit, requireNone } from './admit-manifest.ts'
import type { Homes } from './home.ts'
import { type ManifestBody, readManifestBody, type SentManifest } from './manifest-body.ts'
import type { Pusher } from './pusher.ts'
import type { ReserveBytes } from './reservations.ts'
import { createTagMoves, type TagMoves } from './tag-moves.ts'
import { streamFor } from './targets.ts'

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
   * Puts such a tag somewhere, wherever it stood. `dryRun` only looks whether it may stand there.
   *
   * @throws RegistryError NAME_UNKNOWN when the stream of that `uid` does not live; DENIED when it is immutable
   */
  putFallback(
    stream: Pick<Stream, 'project' | 'stream' | 'uid' | 'annotations'>,
    to: { tag: string; image: Digest; mediaType: string; by: string },
    options?: { dryRun?: boolean },
  ): Promise<void>
}

export type ManifestPusher = Omit<Pusher, 'mayPull'>

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
  const { pins, forgetReferrers, log } = options
  const parts: Parts = { ...options, admit: createAdmit(options), tags: createTagMoves(options) }
  return async (name, reference, by, sent) => {
    const body = readManifestBody(reference, sent)
    const { digest, manifest, tags } = body
    const stream = await streamFor(options, name, by, () => requireNone(neededBy(manifest)))
    const revision = await put(parts, stream, body, by)
    await pins.reached(Math.max(revision, stream.resourceVersion))
    forgetReferrers?.(name)
    log.info({ ...name, digest, tags, by: by.name, client: by.client }, 'manifest pushed')
    return { digest, subject: manifest.subject?.digest, tags }
  }
}

interface Parts extends PutManifestOptions {
  admit: Admit
  tags: TagMoves
}

/** @returns the revision at which its tags stand there */
async function put(parts: Parts, stream: Stream, body: ManifestBody, by: ManifestPusher): Promise<number> {
  const { digest } = body
  const { own, fallback } = await sorted(parts, stream, body.tags)
  const move = parts.tags.to(stream, own, body, by)
  // What would be refused in the end is neither kept nor pushed on.
  await move({ dryRun: true })
  await derive({ dryRun: true })
  const release = await reserved(parts, stream, body)
  try {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      await give(parts, stream, body)
      await derive()
      const revision = await move().catch(undefinedWhenUnlinked)
      // Tags move only while it is there; what has none, or derived ones, may have lost it meanwhile.
      if (revision !== undefined && (await parts.links.get(stream, digest))?.received) return revision
    }
  } finally {
    release?.()
  }
  throw new RegistryError('UNAVAILABLE', {
    message: `${digest} was deleted again and again while it was pushed; try again`,
    retryAfterSeconds: 1,
  })

  async function derive(options = {}): Promise<void> {
    for (const tag of fallback) {
      const to = { tag, image: digest, mediaType: body.mediaType, by: by.name }
      await parts.fallbackTags?.putFallback(stream, to, options)
    }
  }
}

/** Makes the manifest the stream's, and that of the project's home where it has one. */
async function give({ homes, admit }: Parts, stream: Stream, body: ManifestBody): Promise<void> {
  const home = await homes?.of(stream)
  const named = await admit.named(stream, body)
  await home?.pushManifest(body.digest, body.bytes, body.mediaType, body.tags)
  await admit.own(stream, body, named, home?.location ?? here)
}

/** What has to be there before. */
function neededBy(manifest: Manifest): Digest[] {
  if (manifest.kind === 'index') return []
  return namedContent(manifest).flatMap(({ digest, foreign }) => (foreign ? [] : [digest]))
}

/** The stream's own tags, and those that are derived from digests. */
async function sorted(
  { fallbackTags }: Pick<Parts, 'fallbackTags'>,
  stream: Stream,
  tags: readonly string[],
): Promise<{ own: string[]; fallback: string[] }> {
  const own: string[] = []
  const fallback: string[] = []
  for (const tag of tags) {
    const kind = (await fallbackTags?.isOne(stream, tag)) ? fallback : own
    kind.push(tag)
  }
  return { own, fallback }
}

/** @returns what gives it back */
async function reserved(
  { links, reserveBytes }: Pick<Parts, 'links' | 'reserveBytes'>,
  stream: Stream,
  { digest, bytes }: ManifestBody,
): Promise<(() => void) | undefined> {
  if (reserveBytes === undefined || (await links.get(stream, digest)) !== undefined) return undefined
  return reserveBytes(stream.project, bytes.length)
}
