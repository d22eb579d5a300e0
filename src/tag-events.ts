import type { Logger } from 'pino'
import type { Content } from './content/content.ts'
import type { Importer } from './importer.ts'
import { type Digest, parseDigest } from './oci/digest.ts'
import { RegistryError } from './oci/errors.ts'
import { type Manifest, parseManifest } from './oci/manifest.ts'
import type { StreamName } from './oci/reference.ts'
import type { PullThrough } from './pull-through.ts'
import { followedAcross } from './streams/followed-across.ts'
import { streamNotFound } from './streams/lives.ts'
import type { Cause, LedgerEntry } from './streams/records.ts'
import { findRollbackEntry, type RollbackTarget } from './streams/rollback.ts'
import type { ChangeResult, CurrentTag, Links, StreamReader, StreamWriter } from './streams/streams.ts'
import { touchImage } from './streams/touch-image.ts'
import { undefinedWhenUnlinked } from './streams/unlinking.ts'

export interface RollbackRequest {
  /** A revision, a digest, or absent: see {@link TagEvents.rollback}. */
  to?: number | string
  by: string
  reason?: string
}

export interface ResumeRequest {
  by: string
  reason?: string
}

/** What a person does to a tag's history: roll back, resume. `POST .../tagevents` of weir.dev/v1. */
export interface TagEvents {
  /**
   * Puts the tag at an earlier revision and holds it. `to` is a revision, a digest (its newest revision) or absent (the
   * newest revision older than the one in force, of a rolled-back tag older than the one it restored, with another digest).
   *
   * @throws RegistryError NAME_UNKNOWN, INVALID (no such revision, nothing to go back to, bytes not obtainable), CONFLICT
   */
  rollback(name: StreamName, tag: string, request: RollbackRequest): Promise<ChangeResult & { entry: LedgerEntry }>
  /**
   * Ends the hold and checks the source at once; a failed check is a condition of the tag, not of the request.
   *
   * @throws RegistryError NAME_UNKNOWN, NOT_FOUND, INVALID (not held)
   */
  resume(name: StreamName, tag: string, request: ResumeRequest): Promise<ChangeResult>
}

export interface TagEventsOptions {
  reader: StreamReader
  writer: StreamWriter
  links: Links
  content: Content
  pullThrough: PullThrough
  importer: Importer
  /** Lets a tag that follows a tag of another stream go there now; default: whoever lets tags follow does it later. */
  follow?(name: StreamName, tag: string, options: { asked: ResumeRequest }): Promise<{ kind: string }>
  log: Logger
}

/** Ledger entries read at a time while a target is looked for. */
const ledgerPage = 100

/** How often a rollback chooses its target anew because the tag moved in between. */
const maxAttempts = 4

/** Most blobs of one image that are asked for at the same time. */
const concurrency = 8

/** Creates what rolls back and resumes. */
export function createTagEvents(options: TagEventsOptions): TagEvents {
  const { reader, writer, links, content, pullThrough, importer, log } = options

  async function rollbackOnce(name: StreamName, tag: string, to: RollbackTarget, request: RollbackRequest) {
    const stream = await reader.stream(name)
    if (stream === undefined) throw streamNotFound('NAME_UNKNOWN', name)
    const before = await reader.tag(name, tag)
    const read = (bound: number | undefined) =>
      reader.ledger(name, tag, { limit: ledgerPage, ...(bound === undefined ? {} : { before: bound }) })
    if (before === undefined && (await read(undefined)).length === 0)
      throw new RegistryError('NOT_FOUND', tagSubject(name, tag))
    const target = await findRollbackEntry(read, to, {
      name,
      tag,
      record: before?.record,
      projectUid: stream.projectUid,
    })
    if (target.image === '') throw new TypeError('a rollback needs an image')
    await requireObtainable(name, tag, target.image)
    return writer.changeTag(name, tag, (current) => {
      const moved = (current.tag?.storeRevision ?? 0) !== (before?.storeRevision ?? 0)
      if (moved || current.stream.uid !== stream.uid) return undefined
      const { image, mediaType, dockerImageReference, revision } = target
      const cause: Cause = { kind: 'rollback', by: request.by, ...reasonOf(request), restoredRevision: revision }
      return { event: { image, mediaType, dockerImageReference, cause } }
    })
  }

  /** Refuses a rollback to bytes that are neither held nor obtainable: the pulls after it would fail. */
  async function requireObtainable(name: StreamName, tag: string, digest: Digest): Promise<void> {
    if ((await links.revive(name, digest)) === undefined) throw deletedImage(name, tag, digest)
    try {
      // What is held is not removed from here on; what was removed before is missed below.
      await touchImage({ links, content }, name, digest)
      const manifest = await obtain(name, digest)
      await (manifest.kind === 'image' ? obtainBlobs(name, manifest) : obtainChildren(name, manifest))
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      const why = `the content of ${digest} is neither held nor obtainable: ${error.message}`
      throw new RegistryError('INVALID', {
        message: `tag ${JSON.stringify(tag)} of image stream ${name.project}/${name.stream} can not be rolled back: ${why}; a rollback needs the upstream to answer for what Weir does not keep`,
        causes: [{ field: 'to', reason: 'FieldValueInvalid', message: why }],
        subject: { name: `${name.stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
        ...(error.upstream === undefined ? {} : { upstream: error.upstream }),
        cause: error,
      })
    }
  }

  async function obtain(name: StreamName, digest: Digest): Promise<Manifest> {
    const { bytes, mediaType } = await pullThrough.manifest(name, digest, { head: false })
    if (bytes === undefined) throw new TypeError('a GET has bytes')
    return parseManifest(bytes, mediaType)
  }

  async function obtainBlobs(name: StreamName, manifest: Extract<Manifest, { kind: 'image' }>): Promise<void> {
    // A layer with `urls` is fetched by the client from there, never from Weir.
    const blobs = [manifest.config, ...manifest.layers.filter((layer) => !layer.foreign)]
    for (let start = 0; start < blobs.length; start += concurrency) {
      await Promise.all(blobs.slice(start, start + concurrency).map(({ digest }) => probe(name, digest)))
    }
  }

  async function probe(name: StreamName, digest: Digest): Promise<void> {
    const link = await links.get(name, digest)
    if (link === undefined) throw new RegistryError('BLOB_UNKNOWN', { message: `blob ${digest} is not known here` })
    await content.stat(link)
  }

  /** Of an index the children that the upstream has must be whole, and it must have one: sparse indexes are legal. */
  async function obtainChildren(name: StreamName, index: Extract<Manifest, { kind: 'index' }>): Promise<void> {
    let absent: RegistryError | undefined
    let obtained = 0
    for (const { digest } of index.manifests) {
      try {
        const child = await obtain(name, digest)
        if (child.kind === 'image') await obtainBlobs(name, child)
        obtained += 1
      } catch (error) {
        if (!(error instanceof RegistryError) || error.code !== 'MANIFEST_UNKNOWN') throw error
        absent = error
      }
    }
    if (obtained === 0 && absent !== undefined) throw absent
  }

  /** Asks the source of a tag that was just let go. */
  async function checkSource(name: StreamName, { tag }: CurrentTag, request: ResumeRequest): Promise<void> {
    const spec = tag?.record.spec
    if (tag !== undefined && followedAcross(spec, name) !== undefined) return followSource(name, tag.name, request)
    if (tag === undefined || spec?.from?.kind !== 'DockerImage' || spec.reference === true) return
    const { importPolicy, referencePolicy } = spec
    const image = { from: spec.from.name, to: tag.name, importPolicy, referencePolicy }
    const { images } = await importer.import({ ...name, images: [image], by: request.by, ...reasonOf(request) })
    for (const imported of images) {
      if ('error' in imported)
        log.info({ ...name, tag: tag.name, reason: imported.error.upstream?.reason }, 'resumed, source failed')
    }
  }

  async function followSource(name: StreamName, tag: string, { by, reason }: ResumeRequest): Promise<void> {
    const asked = { by, ...(reason === undefined ? {} : { reason }) }
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      if ((await options.follow?.(name, tag, { asked }))?.kind !== 'again') return
    }
  }

  return {
    async rollback(name, tag, request) {
      const to = parseTarget(request.to)
      for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
        // What was deleted in the last moment is found out by the next look at it.
        const result = await rollbackOnce(name, tag, to, request).catch(undefinedWhenUnlinked)
        if (result?.entry === undefined) continue
        const { revision, image } = result.entry
        log.info({ ...name, tag, revision, image, by: request.by, ...reasonOf(request) }, 'tag rolled back and held')
        return { ...result, entry: result.entry }
      }
      throw new RegistryError('CONFLICT', {
        message: `tag ${JSON.stringify(tag)} of image stream ${name.project}/${name.stream} kept being changed by others; try again`,
        subject: { name: `${name.stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
      })
    },

    async resume(name, tag, request) {
      const resumed = await writer.changeTag(name, tag, (current) => {
        if (current.tag === undefined) throw new RegistryError('NOT_FOUND', tagSubject(name, tag))
        if (current.tag.record.hold === undefined) throw notHeld(name, tag)
        // A follower goes to its source at once, by whoever lets it go.
        return { hold: null, wantedBy: { by: request.by, ...reasonOf(request) } }
      })
      if (resumed === undefined) throw new TypeError('a change by hand is decided anew, never dropped')
      log.info({ ...name, tag, by: request.by, ...reasonOf(request) }, 'tag resumed')
      await checkSource(name, resumed, request)
      const now = await reader.tag(name, tag)
      return { ...resumed, tag: now, revision: Math.max(resumed.revision, now?.storeRevision ?? 0) }
    },
  }
}

/** @throws RegistryError INVALID */
function parseTarget(to: number | string | undefined): RollbackTarget {
  if (to === undefined || (typeof to === 'number' && Number.isSafeInteger(to) && to > 0)) return to
  const target = typeof to === 'string' && /^[1-9][0-9]{0,11}$/.test(to) ? Number(to) : parseDigest(String(to))
  if (target !== undefined) return target
  const message = `"${to}" is neither a revision (1, 2, ...) nor a digest (sha256:...)`
  throw new RegistryError('INVALID', {
    message: `to: ${message}`,
    causes: [{ field: 'to', reason: 'FieldValueInvalid', message }],
  })
}

function reasonOf({ reason }: { reason?: string }): { reason?: string } {
  return reason === undefined ? {} : { reason }
}

/** What a ledger leads to stays linked: only a deletion takes it away. */
function deletedImage({ project, stream }: StreamName, tag: string, digest: Digest): RegistryError {
  const why = `${digest} was deleted from the stream; push or import that image again, then roll back`
  return new RegistryError('INVALID', {
    message: `tag ${JSON.stringify(tag)} of image stream ${project}/${stream} can not be rolled back: ${why}`,
    causes: [{ field: 'to', reason: 'FieldValueInvalid', message: why }],
    subject: { name: `${stream}:${tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}

function notHeld(name: StreamName, tag: string): RegistryError {
  const message = `tag ${JSON.stringify(tag)} of image stream ${name.project}/${name.stream} is not held: there is nothing to resume`
  return new RegistryError('INVALID', {
    ...tagSubject(name, tag),
    message,
    causes: [{ field: 'tag', reason: 'FieldValueInvalid', message }],
  })
}

function tagSubject({ stream }: StreamName, tag: string) {
  const name = `${stream}:${tag}`
  return {
    message: `imagestreamtags.image.openshift.io "${name}" not found`,
    subject: { name, kind: 'imagestreamtags', group: 'image.openshift.io' },
  }
}
