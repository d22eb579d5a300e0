import type { Logger } from 'pino'
import type { Content, UpstreamLocation } from './content/content.ts'
import { createRecordFailure } from './importer/failures.ts'
import {
  causeOf,
  type Frame,
  type ImportImage,
  type ImportRequest,
  nameOf,
  permitted,
  seenBy,
  specOf,
} from './importer/request.ts'
import type { Digest } from './oci/digest.ts'
import { RegistryError } from './oci/errors.ts'
import { parseManifest } from './oci/manifest.ts'
import { formatImageReference, type ImageReference, type StreamName } from './oci/reference.ts'
import { imageRecord, linksOf } from './streams/admission.ts'
import { requireNotHeld } from './streams/hold.ts'
import { streamNotFound } from './streams/lives.ts'
import { requireTagUnchanged } from './streams/preconditions.ts'
import type { ImageRecord, ImportPolicy, PendingRecord, TagReference } from './streams/records.ts'
import type { Links, Stream, StreamReader, StreamWriter, Tag } from './streams/streams.ts'
import { requireValid, validateTagName } from './streams/validation.ts'
import type { AllowList } from './upstream/allow-list.ts'
import type { FetchedManifest, Upstream } from './upstream/upstream.ts'

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
  /**
   * Imports the tags of a whole repository, by hand: all pages are listed, `latest` and versions first, the first `maxTags`
   * imported, the others named (okd.md 2.7, "Repository import"). A repository that can not be listed is the `error`.
   *
   * @throws RegistryError as {@link import}
   */
  importRepository(request: RepositoryImportRequest): Promise<RepositoryImportResult>
  /**
   * Imports what a tag's spec wants, in the background: nothing happens when the wish is no longer of `generation`, was met
   * meanwhile, or the tag changes while the upstream is asked. A failure is a condition of the tag.
   */
  importPending(name: StreamName, tag: string, pending: Omit<PendingRecord, 'uid'>): Promise<void>
}

/** What is asked of the import of a repository; `from` has neither tag nor digest. */
export interface RepositoryImportRequest extends Omit<ImportRequest, 'images'> {
  from: string
  importPolicy: ImportPolicy
  referencePolicy?: TagReference['referencePolicy']
  /** Default 50. */
  maxTags?: number
}

export type RepositoryImportResult = ImportResult & {
  /** Tags that the repository has beyond `maxTags`, in the order of import. */
  additionalTags: readonly string[]
  error?: RegistryError
}

export interface ImporterOptions {
  reader: StreamReader
  writer: StreamWriter
  links: Links
  content: Content
  upstream: Upstream
  allowed: AllowList
  /** Obtains a child of an index, so that it is kept; default: children are obtained when they are first pulled. */
  keepManifest?: (name: StreamName, digest: Digest) => Promise<unknown>
  log: Logger
}

/** Most images of one request that are asked for at the same time. */
const concurrency = 4

/** Most children of an index that are obtained with it; the others are when they are first pulled. */
const maxKeptChildren = 64

/** How often an import by hand asks the upstream anew because the tag moved in between. */
const maxAttempts = 4

/** Creates the importer. It never asks an upstream on behalf of a pull (I1). */
export function createImporter(options: ImporterOptions): Importer {
  const { reader, writer, links, content, upstream, allowed, keepManifest, log } = options
  const recordFailure = createRecordFailure({ writer, log })

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

  /** What was fetched, as the stream has it: the media type under which it first received the bytes stays theirs. */
  async function asLinked(stream: Stream, fetched: FetchedManifest): Promise<FetchedManifest> {
    const link = await links.get(stream, fetched.digest)
    return link?.received ? { ...fetched, mediaType: link.mediaType } : fetched
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
    before: Tag | undefined,
  ): Promise<ImportedImage | 'raced'> {
    const { request, stream } = frame
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
    if (known === undefined && !raced) await keepChildren(stream, image)
    if (moved?.entry !== undefined) {
      const { revision, cause } = moved.entry
      log.info({ ...nameOf(stream), tag: wanted.to, revision, image: fetched.digest, by: cause.by }, 'tag imported')
    }
    // What was asked of the upstream before another's move may be older than that move: asked again, decided anew.
    return raced ? 'raced' : { ...told, image }
  }

  /** Pulls of an index go on without its upstream once its children are here; an index may name some that nobody has. */
  async function keepChildren(stream: Stream, image: ImageRecord): Promise<void> {
    if (keepManifest === undefined) return
    const children = image.manifests.slice(0, maxKeptChildren)
    for (let start = 0; start < children.length; start += concurrency) {
      const some = children.slice(start, start + concurrency).map(({ digest }) => keepManifest(stream, digest))
      const failures = (await Promise.allSettled(some)).filter((result) => result.status === 'rejected')
      if (failures.length > 0) log.info({ ...nameOf(stream), err: failures[0]?.reason }, 'child of an index not kept')
    }
  }

  async function importImage(frame: Frame, wanted: ImportImage): Promise<ImportedImage> {
    let before: Tag | undefined
    try {
      requireValid('ImageStreamTag', `${frame.request.stream}:${wanted.to}`, validateTagName(wanted.to, 'tag.name'))
      before = frame.stream && (await reader.tag(frame.stream, wanted.to))
      const reference = permitted(wanted.from, allowed)
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        if (attempt > 0) before = frame.stream && (await reader.tag(frame.stream, wanted.to))
        const imported = await importOnce(frame, wanted, reference, before)
        if (imported !== 'raced') return imported
      }
      throw new RegistryError('CONFLICT', {
        message: `tag ${wanted.to} was changed by somebody else again and again; try once more`,
      })
    } catch (error) {
      return { to: wanted.to, error: await recordFailure({ frame, wanted, before }, error) }
    }
  }

  return {
    importRepository: () => Promise.reject(new TypeError('not there yet')),
    importPending: () => Promise.reject(new TypeError('not there yet')),
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
