import type { Logger } from 'pino'
import type { Content, UpstreamLocation } from './content/content.ts'
import type { Digest } from './oci/digest.ts'
import { RegistryError } from './oci/errors.ts'
import { parseManifest } from './oci/manifest.ts'
import { formatImageReference, type ImageReference, parseImageReference, type StreamName } from './oci/reference.ts'
import { imageRecord, linksOf } from './streams/admission.ts'
import { requireNotHeld } from './streams/hold.ts'
import { streamNotFound } from './streams/lives.ts'
import { requireTagUnchanged, type Seen } from './streams/preconditions.ts'
import type { Cause, ImageRecord, ImportPolicy, TagReference } from './streams/records.ts'
import type { CurrentTag, Links, Stream, StreamReader, StreamWriter, Tag } from './streams/streams.ts'
import { requireValid, validateTagName } from './streams/validation.ts'
import type { AllowList } from './upstream/allow-list.ts'
import type { FetchedManifest, Upstream } from './upstream/upstream.ts'

/** One image to import: `from` is a Docker reference, `to` the tag. */
export interface ImportImage {
  from: string
  to: string
  importPolicy: ImportPolicy
  /** Default: the tag's own, or `Local`. */
  referencePolicy?: TagReference['referencePolicy']
}

export interface ImportRequest extends StreamName {
  images: readonly ImportImage[]
  by: string
  reason?: string
  /** Look only; nothing is written. Default false. */
  dryRun?: boolean
  /** Of the client: conflicts when one of the tags written changed after it; a missing stream is then NOT_FOUND. */
  resourceVersion?: string
  uid?: string
}

/** What became of one image. */
export type ImportedImage =
  | { to: string; digest: Digest; mediaType: string; dockerImageReference: string; image: ImageRecord; bytes: Buffer }
  | { to: string; error: RegistryError }

/** The stream as it stands afterwards; undefined after a dry run for a stream that does not exist. */
export interface ImportResult {
  stream: Stream | undefined
  tags: readonly Tag[]
  images: readonly ImportedImage[]
  /** The newest store revision written; 0 when nothing was. */
  revision: number
}

export interface Importer {
  /**
   * Imports by hand: asks the upstreams where the references point now and moves the tags, or records conditions (I7).
   * A failed image does not fail the request.
   *
   * @throws RegistryError CONFLICT, NOT_FOUND, INVALID for the request as a whole
   */
  import(request: ImportRequest): Promise<ImportResult>
}

export interface ImporterOptions {
  reader: StreamReader
  writer: StreamWriter
  links: Links
  content: Content
  upstream: Upstream
  allowed: AllowList
  log: Logger
}

/** Most images of one request that are asked for at the same time. */
const concurrency = 4

/** How often an import by hand asks the upstream anew because the tag moved in between. */
const maxAttempts = 4

/** What one image of a request needs to know of the others' frame. */
interface Frame {
  request: ImportRequest
  /** undefined in a dry run of a stream that does not exist. */
  stream: Stream | undefined
}

/** Creates the importer. It never asks an upstream on behalf of a pull (I1). */
export function createImporter(options: ImporterOptions): Importer {
  const { reader, writer, links, content, upstream, allowed, log } = options

  async function openStream(request: ImportRequest): Promise<Stream | undefined> {
    const stream = await reader.stream(request)
    if (stream === undefined) {
      if (request.resourceVersion !== undefined || request.uid !== undefined) throw streamNotFound('NOT_FOUND', request)
      return request.dryRun === true ? undefined : await createOrRead(request)
    }
    if (request.uid !== undefined && request.uid !== stream.uid) throw streamNotFound('NOT_FOUND', request)
    return stream
  }

  async function createOrRead(name: StreamName): Promise<Stream> {
    try {
      return await writer.create(nameOf(name))
    } catch (error) {
      // Two imports of different tags may both be the first of a new stream.
      const stream =
        error instanceof RegistryError && error.code === 'ALREADY_EXISTS' ? await reader.stream(name) : undefined
      if (stream === undefined) throw error
      return stream
    }
  }

  /** The manifest where `reference` points now, from the upstream named: never from what another stream holds. */
  async function fetch(reference: ImageReference, project: string): Promise<FetchedManifest> {
    const from = { host: reference.host, repository: reference.repository, project }
    return upstream.manifest(from, reference.digest ?? reference.tag ?? 'latest')
  }

  /** Whether the upstream still points where the tag stands, by HEAD; then what Weir holds is the answer. */
  async function unchanged(
    reference: ImageReference,
    frame: Frame,
    tag: Tag | undefined,
  ): Promise<FetchedManifest | undefined> {
    const image = tag?.record.items[0]?.image
    const stream = frame.stream
    if (!image || stream === undefined) return undefined
    const link = await links.get(stream, image)
    const location = link?.locations.find(
      (at) =>
        at.kind === 'upstream' &&
        at.host === reference.host &&
        at.repository === reference.repository &&
        at.project === stream.project,
    )
    if (link === undefined || location === undefined) return undefined
    const bytes = await content.manifest(link)
    if (bytes === undefined) return undefined
    const from = { host: reference.host, repository: reference.repository, project: stream.project }
    const resolved = await upstream.resolve(from, reference.digest ?? reference.tag ?? 'latest')
    return resolved.digest === image ? { digest: image, mediaType: link.mediaType, bytes } : undefined
  }

  /** What was fetched, as the stream has it: the media type under which it linked the bytes first stays theirs. */
  async function asLinked(stream: Stream, fetched: FetchedManifest): Promise<FetchedManifest> {
    const link = await links.get(stream, fetched.digest)
    return link === undefined ? fetched : { ...fetched, mediaType: link.mediaType }
  }

  /** Keeps bytes and links, both before the tag may move. */
  async function admit(stream: Stream, reference: ImageReference, fetched: FetchedManifest): Promise<ImageRecord> {
    const manifest = parseManifest(fetched.bytes, fetched.mediaType)
    const image = imageRecord(manifest, fetched.bytes.length)
    const location: UpstreamLocation = {
      kind: 'upstream',
      host: reference.host,
      repository: reference.repository,
      project: stream.project,
    }
    await content.putManifest(fetched.digest, fetched.bytes, location)
    await links.putImage(fetched.digest, image)
    await links.add(stream, stream.uid, linksOf(fetched, manifest, [location]))
    return image
  }

  async function importOnce(
    frame: Frame,
    wanted: ImportImage,
    reference: ImageReference,
  ): Promise<ImportedImage | 'raced'> {
    const { request, stream } = frame
    const before = stream && (await reader.tag(stream, wanted.to))
    requireNotHeld(before?.record, 'import', request, wanted.to)
    const held = await unchanged(reference, frame, before)
    const answered = held ?? (await fetch(reference, request.project))
    const fetched = stream === undefined ? answered : await asLinked(stream, answered)
    const dockerImageReference = formatImageReference({
      host: reference.host,
      repository: reference.repository,
      digest: fetched.digest,
    })
    const told = {
      to: wanted.to,
      digest: fetched.digest,
      mediaType: fetched.mediaType,
      dockerImageReference,
      bytes: fetched.bytes,
    }
    if (stream === undefined || request.dryRun === true) {
      return { ...told, image: imageRecord(parseManifest(fetched.bytes, fetched.mediaType), fetched.bytes.length) }
    }
    // What the stream stands at already was admitted when the tag moved there.
    const known = held && (await links.image(fetched.digest, fetched.mediaType))
    const image = known ?? (await admit(stream, reference, fetched))
    let raced = false
    const moved = await writer.changeTag(stream, wanted.to, (current) => {
      raced = (current.tag?.storeRevision ?? 0) !== (before?.storeRevision ?? 0)
      if (raced) return undefined
      requireTagUnchanged(current, wanted.to, seenBy(request, stream))
      const event = {
        dockerImageReference,
        image: fetched.digest,
        mediaType: fetched.mediaType,
        cause: causeOf(request, wanted),
      }
      return { spec: specOf(current, wanted), reimport: true, event, lastSeen: fetched.digest }
    })
    if (moved?.entry !== undefined) {
      const { revision, cause } = moved.entry
      log.info({ ...nameOf(stream), tag: wanted.to, revision, image: fetched.digest, by: cause.by }, 'tag imported')
    }
    // What was asked of the upstream before another's move may be older than that move: asked again, decided anew.
    return raced ? 'raced' : { ...told, image }
  }

  async function importImage(frame: Frame, wanted: ImportImage): Promise<ImportedImage> {
    try {
      requireValid('ImageStreamTag', `${frame.request.stream}:${wanted.to}`, validateTagName(wanted.to, 'tag.name'))
      const reference = permitted(wanted.from)
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        const imported = await importOnce(frame, wanted, reference)
        if (imported !== 'raced') return imported
      }
      throw new RegistryError('CONFLICT', {
        message: `tag ${wanted.to} was changed by somebody else again and again; try once more`,
      })
    } catch (error) {
      return { to: wanted.to, error: await failed(frame, wanted, error) }
    }
  }

  /** Of one image alone: whatever went wrong, the others of the request go on (I7). */
  async function failed(frame: Frame, wanted: ImportImage, error: unknown): Promise<RegistryError> {
    const known = error instanceof RegistryError ? error : unexpected(frame, wanted, error)
    const { code, upstream } = known
    // A race, a hold or a bad field is the caller's news and says nothing about the upstream.
    if (code === 'CONFLICT' && frame.request.resourceVersion !== undefined) throw known
    if (upstream === undefined && code !== 'MANIFEST_INVALID' && code !== 'UNKNOWN') return known
    try {
      await recordFailure(frame, wanted, known)
    } catch (cause) {
      if (cause instanceof RegistryError && cause.code === 'CONFLICT') throw cause
      log.error({ ...nameOf(frame.request), tag: wanted.to, err: cause }, 'failed import not recorded')
    }
    return known
  }

  /** The client is told nothing of a programmer's mistake: the log has it. */
  function unexpected({ request }: Frame, wanted: ImportImage, error: unknown): RegistryError {
    log.error({ ...nameOf(request), tag: wanted.to, from: wanted.from, err: error }, 'import failed unexpectedly')
    return new RegistryError('UNKNOWN', { message: 'internal error while importing; the log of the server has it' })
  }

  async function recordFailure({ request, stream }: Frame, wanted: ImportImage, error: RegistryError): Promise<void> {
    if (stream === undefined || request.dryRun === true) return
    const reason = error.upstream?.reason ?? (error.code === 'UNKNOWN' ? 'InternalError' : 'Invalid')
    log.info({ ...nameOf(request), tag: wanted.to, from: wanted.from, reason }, 'import failed')
    await writer.changeTag(stream, wanted.to, (current) => {
      requireTagUnchanged(current, wanted.to, seenBy(request, stream))
      const condition = { reason, message: error.message }
      return current.tag?.record.spec === undefined
        ? { spec: specOf(current, wanted), reimport: true, condition }
        : { reimport: true, condition }
    })
  }

  function permitted(from: string): ImageReference {
    const reference = parseImageReference(from)
    if (reference === undefined) {
      throw new RegistryError('INVALID', {
        message: `"${from}" is not an image reference; write HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST`,
        causes: [{ field: 'from.name', reason: 'FieldValueInvalid', message: 'not an image reference' }],
      })
    }
    const refusal = allowed.refusalOf(reference.host)
    if (refusal === undefined) return reference
    throw new RegistryError('DENIED', {
      message: refusal,
      upstream: { host: reference.host, reason: 'NotAllowed' },
    })
  }

  return {
    import: async (request) => {
      const frame = { request, stream: await openStream(request) }
      const images: ImportedImage[] = []
      for (let start = 0; start < request.images.length; start += concurrency) {
        const some = request.images.slice(start, start + concurrency)
        images.push(...(await Promise.all(some.map((wanted) => importImage(frame, wanted)))))
      }
      const stream = frame.stream && (await reader.stream(frame.stream))
      const names = new Set(request.images.map(({ to }) => to))
      const tags =
        stream === undefined
          ? []
          : (await Promise.all([...names].map((tag) => reader.tag(stream, tag)))).filter((tag) => tag !== undefined)
      return { stream, tags, images, revision: Math.max(0, ...tags.map((tag) => tag.storeRevision)) }
    },
  }
}

function causeOf(request: ImportRequest, wanted: ImportImage): Cause {
  return {
    kind: 'import',
    by: request.by,
    from: { kind: 'DockerImage', name: wanted.from },
    ...(request.reason === undefined ? {} : { reason: request.reason }),
  }
}

function nameOf({ project, stream }: StreamName): StreamName {
  return { project, stream }
}

function specOf(current: CurrentTag, wanted: ImportImage): Omit<TagReference, 'generation'> {
  const spec = current.tag?.record.spec
  return {
    name: wanted.to,
    annotations: spec?.annotations ?? null,
    from: { kind: 'DockerImage', name: wanted.from },
    importPolicy: wanted.importPolicy,
    referencePolicy: wanted.referencePolicy ?? spec?.referencePolicy ?? { type: 'Local' },
  }
}

/** The uid of the stream at the start counts as seen: links were given to that stream and no other. */
function seenBy({ resourceVersion }: ImportRequest, { uid }: Stream): Seen {
  return { uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) }
}
