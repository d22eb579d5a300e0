import type { Logger } from 'pino'
import type { Content } from './content/content.ts'
import { createAskForPin } from './importer/ask-for-pin.ts'
import { createChildren, type KeepManifest } from './importer/children.ts'
import { createChoose } from './importer/choose.ts'
import { createConfigurations } from './importer/configurations.ts'
import { createRecordFailure } from './importer/failures.ts'
import { createFollowRepository, type FollowRepository } from './importer/follow-repository.ts'
import { createImportImage, type ImageOutcome } from './importer/import-image.ts'
import { createObtain } from './importer/obtain.ts'
import { type Frame, type ImportImage, type ImportRequest, nameOf, permittedRepository } from './importer/request.ts'
import { createRoom } from './importer/room.ts'
import { createImportScheduled, type ImportScheduled } from './importer/scheduled.ts'
import { createStreamImages } from './importer/stream-images.ts'
import { prioritizeTags } from './importer/tag-order.ts'
import { createWaitingImports, type WaitingImport } from './importer/waiting.ts'
import type { Digest } from './oci/digest.ts'
import { RegistryError } from './oci/errors.ts'
import type { StreamName } from './oci/reference.ts'
import { createGate } from './streams/gate.ts'
import { streamNotFound } from './streams/lives.ts'
import { isPending } from './streams/pending.ts'
import { requireTagUnchanged } from './streams/preconditions.ts'
import type { ImportPolicy, PendingRecord, TagReference } from './streams/records.ts'
import type { Links, Stream, StreamReader, StreamWriter, Tag } from './streams/streams.ts'
import { requireValid } from './streams/validation.ts'
import type { AllowList } from './upstream/allow-list.ts'
import type { Upstream } from './upstream/upstream.ts'

/** What became of one image. */
export type ImportedImage = ImageOutcome

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
   * A failed image does not fail the request. A tag that moves only when its content is held is waited for as long as the request
   * says; then its image has failed, and the tag moves later.
   *
   * @throws RegistryError CONFLICT, NOT_FOUND, INVALID for the request as a whole; TOOMANYREQUESTS when the project asks too often
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
   * meanwhile, or the tag changes while the upstream is asked. A failure is a condition of the tag. `signal` ends the
   * asking, and nothing is recorded.
   *
   * @throws RegistryError UNAVAILABLE when the store failed: to be tried again
   */
  importPending(name: StreamName, tag: string, pending: Omit<PendingRecord, 'uid'>, signal?: AbortSignal): Promise<void>
  /** Whether a tag waits for an import: it was not looked yet for what is wanted of it. */
  isPending(name: StreamName, tag: string): Promise<boolean>
  /** The imports of a project or a stream that {@link importPending} left since a budget did not let them through. */
  waiting(where: { project: string; stream?: string }): readonly WaitingImport[]
  /**
   * Lets a scheduled tag follow what its source was just seen to point to, in the background: nothing is read of the upstream, and
   * nothing written, where the tag saw that before. The manifest comes through the login of the tag's own project. A failure is a
   * condition of the tag.
   *
   * @throws whatever `signal` aborted with
   */
  importScheduled: ImportScheduled
  /**
   * Gives a stream that follows a whole repository the tags of it that it never had, as scheduled ones which are imported in the
   * background: as many as its project has room for. A tag that was deleted, or only pushed, does not come.
   *
   * @throws whatever `signal` aborted with
   */
  followRepository: FollowRepository
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
  keepManifest?: KeepManifest
  /**
   * Waits until a tag that moves only when its content is held (`weir.dev/move: when-held`) has moved to the image that it awaits,
   * or until `signal` aborts; the background goes on. Absent: nobody waits.
   *
   * @throws RegistryError UNAVAILABLE saying why it has not
   */
  awaitMove?: (stream: Stream, tag: string, image: Digest, options: { signal: AbortSignal }) => Promise<void>
  /** Longest time that an image's config is waited for, in milliseconds; default 15 s. An image is imported without it. */
  configTimeoutMs?: number
  /** Default the system's clock. */
  now?: () => number
  log: Logger
}

/** Most images of one request that are asked for at the same time. */
const concurrency = 4

/** Requests of one project that import at the same time, and that wait for those: each holds what it is to tell. */
const requests = { most: 8, mostWaiting: 64 }

/** Default most tags of a repository that are imported at once, as OKD's `maxImagesBulkImportedPerRepository`. */
const defaultMaxTags = 50

/** Most tags of a repository that are put in order; registries list more only by mistake. */
const maxListedTags = 50_000

/** Creates the importer. It never asks an upstream on behalf of a pull (I1). */
export function createImporter(options: ImporterOptions): Importer {
  const { reader, writer, links, content, upstream, allowed, keepManifest, configTimeoutMs = 15_000, log } = options
  const images = createStreamImages({ links, content })
  const configurations = createConfigurations({ content, timeoutMs: configTimeoutMs, log })
  const obtain = createObtain({ links, content, upstream, images, configurations })
  const children = createChildren({ links, upstream, images, configurations, keepManifest, log })
  const recordFailure = createRecordFailure({ writer, askForPin: createAskForPin({ links, upstream }), log })
  const choose = createChoose(upstream)
  const waiting = createWaitingImports(options.now ?? Date.now)
  const importImage = createImportImage({ reader, writer, allowed, choose, obtain, children, recordFailure, log })

  // What many ask for at once is more than memory holds, and one project must not keep the others waiting.
  const enter = createGate(requests)

  async function inGate<T>(project: string, work: () => Promise<T>): Promise<T> {
    const leave = await enter(project)
    return work().finally(leave)
  }

  async function openStream(request: Omit<ImportRequest, 'images'>): Promise<Stream | undefined> {
    const stream = await requireStream(request)
    return stream ?? (request.dryRun === true ? undefined : await createOrRead(request))
  }

  /** The stream, if there is one. @throws RegistryError NOT_FOUND when the client has seen one that is not there */
  async function requireStream(request: Omit<ImportRequest, 'images'>): Promise<Stream | undefined> {
    const { resourceVersion, uid } = request
    const stream = await reader.stream(request)
    const isMissing = stream === undefined && (resourceVersion !== undefined || uid !== undefined)
    if (isMissing || (stream !== undefined && uid !== undefined && uid !== stream.uid)) {
      throw streamNotFound('NOT_FOUND', request)
    }
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

  /** Before anything is asked or moved: a client that is late is told so with nothing half done. */
  async function requireUnchanged({ request, stream }: Frame): Promise<void> {
    const { resourceVersion, images: wanted } = request
    if (stream === undefined || resourceVersion === undefined) return
    for (const { to } of wanted) {
      requireTagUnchanged({ stream, tag: await reader.tag(stream, to) }, to, { resourceVersion })
    }
  }

  async function importAll(asked: Frame): Promise<ImportResult> {
    const frame = { ...asked, room: createRoom() }
    const { request } = frame
    await requireUnchanged(frame)
    const images: ImportedImage[] = []
    for (let start = 0; start < request.images.length; start += concurrency) {
      const some = request.images.slice(start, start + concurrency)
      images.push(...(await Promise.all(some.map((wanted) => importImage.byHand(frame, wanted)))))
    }
    return asItStands(request, frame.stream, images)
  }

  /** What is answered of images that were imported, with the stream and its tags as they are now. */
  async function asItStands(
    request: ImportRequest,
    before: StreamName | undefined,
    images: readonly ImportedImage[],
  ): Promise<ImportResult> {
    const stream = before && (await reader.stream(before))
    const names = new Set(request.images.map(({ to }) => to))
    const tags =
      stream === undefined
        ? []
        : (await Promise.all([...names].map((tag) => reader.tag(stream, tag)))).filter((tag) => tag !== undefined)
    return { stream, tags, images, revision: Math.max(0, ...tags.map((tag) => tag.storeRevision)) }
  }

  /** Waits for the tags that move only when their content is held, outside the gate: that may take long. */
  async function whenHeld(request: ImportRequest, imported: ImportResult): Promise<ImportResult> {
    const { awaitMove } = options
    const { wait } = request
    const { stream, tags, images } = imported
    if (awaitMove === undefined || wait === undefined || stream === undefined || request.dryRun === true)
      return imported
    const awaited = new Map(tags.map(({ name, record }) => [name, record.awaits?.image]))
    if (images.every((image) => 'error' in image || awaited.get(image.to) !== image.digest)) return imported
    const waited = images.map(async (image): Promise<ImportedImage> => {
      if ('error' in image || awaited.get(image.to) !== image.digest) return image
      try {
        await awaitMove(stream, image.to, image.digest, { signal: wait })
        return image
      } catch (error) {
        if (error instanceof RegistryError) return { to: image.to, error }
        throw error
      }
    })
    return asItStands(request, stream, await Promise.all(waited))
  }

  /** The tags of a repository in the order of import. */
  async function listTags(request: RepositoryImportRequest): Promise<string[]> {
    const { host, repository } = permittedRepository(request.from, allowed)
    const from = { host, repository, project: request.project }
    return prioritizeTags(await upstream.tags(from, { maxTags: maxListedTags }))
  }

  async function importRepository(
    request: RepositoryImportRequest,
  ): Promise<RepositoryImportResult & { request?: ImportRequest }> {
    const { from, importPolicy, referencePolicy, maxTags = defaultMaxTags, ...common } = request
    const before = await requireStream(request)
    const listed = await listTags(request).catch((error: unknown) => {
      if (error instanceof RegistryError) return error
      throw error
    })
    if (listed instanceof RegistryError) {
      log.info({ ...nameOf(request), from, err: listed }, 'repository not listed')
      return { stream: before, tags: [], images: [], revision: 0, additionalTags: [], error: listed }
    }
    const images = listed.slice(0, maxTags).map((tag): ImportImage => {
      return { from: `${from}:${tag}`, to: tag, importPolicy, ...(referencePolicy && { referencePolicy }) }
    })
    const whole = { ...common, images }
    const result = await importAll({ request: whole, stream: await openStream(whole) })
    return { ...result, request: whole, additionalTags: listed.slice(maxTags) }
  }

  return {
    importScheduled: createImportScheduled({ reader, writer, importImage, recordFailure, log }),
    followRepository: createFollowRepository({ writer, log }),

    async import(request) {
      requireEachTagOnce(request)
      const imported = inGate(request.project, async () => importAll({ request, stream: await openStream(request) }))
      return whenHeld(request, await imported)
    },

    async importRepository(request) {
      const { request: whole, ...imported } = await inGate(request.project, () => importRepository(request))
      return whole === undefined ? imported : { ...imported, ...(await whenHeld(whole, imported)) }
    },

    async isPending(name, tag) {
      const stream = await reader.stream(name)
      return stream !== undefined && isPending((await reader.tag(stream, tag))?.record)
    },

    async importPending(name, tag, { generation, by, reason }, signal) {
      const stream = await reader.stream(name)
      const before = stream && (await reader.tag(stream, tag))
      const spec = before?.record.spec
      const isWanted = spec?.generation === generation && isPending(before?.record)
      if (stream === undefined || spec?.from === undefined || !isWanted) return waiting.ended(name, tag)
      const { importPolicy, referencePolicy } = spec
      const wanted: ImportImage = { from: spec.from.name, to: tag, importPolicy, referencePolicy }
      const request = { ...nameOf(name), images: [wanted], by, ...(reason === undefined ? {} : { reason }) }
      const frame = { request, stream, background: true, signal }
      const refusal = await importImage.inBackground(frame, wanted, before)
      if (refusal === undefined) waiting.ended(name, tag)
      else waiting.waits(name, tag, generation, refusal)
    },

    waiting: waiting.of,
  }
}

/** @throws RegistryError INVALID that names the second image for a tag: which of the two should stand would be chance */
function requireEachTagOnce({ stream, images }: ImportRequest): void {
  const tags = images.map(({ to }) => to)
  requireValid(
    'ImageStream',
    stream,
    tags.flatMap((tag, i) => {
      const message = `Duplicate value: ${JSON.stringify(tag.slice(0, 128))}`
      return tags.indexOf(tag) === i
        ? []
        : [{ field: `spec.images[${i}].to.name`, reason: 'FieldValueDuplicate', message }]
    }),
  )
}
