/** The collector over a real store and real files; only the upstreams and the clock are replaced. */
import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { type Collector, type CollectorOptions, createCollector } from '../../src/collector.ts'
import type { Content, Location, UpstreamLocation } from '../../src/content/content.ts'
import { createContent } from '../../src/content/create-content.ts'
import { proofOf } from '../../src/content/proof.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { isManifestType } from '../../src/oci/media-types.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import { imageRecord, linksOf } from '../../src/streams/admission.ts'
import type { ContentPolicy } from '../../src/streams/content-policy.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import type { Cause, TagRecord } from '../../src/streams/records.ts'
import type { Stream, StreamLink } from '../../src/streams/streams.ts'
import { type MemorySource, memorySource } from '../content/memory-source.ts'
import { fileOf } from '../content/world.ts'
import { world as streamsWorld, type World } from '../streams/world.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { type Piece, piecesOf, type TestImage, type TestIndex } from '../support/images.ts'

export type AnyImage = TestImage | TestIndex

export interface CollectorWorld extends World {
  content: Content
  source: MemorySource
  collector: Collector
  /** Lets the clock run on. */
  later(ms: number): void
  /** The stream; made when it is not there. */
  stream(name: StreamName, annotations?: Record<string, string>): Promise<Stream>
  /** Receives an image as an import does, with its bytes held, and all that it names linked. */
  admit(name: StreamName, image: AnyImage, location?: Location): Promise<void>
  /** Admits an image and moves a tag there. */
  move(name: StreamName, tag: string, image: AnyImage, options?: MoveOptions): Promise<void>
  isHeld(digest: Digest): Promise<boolean>
  heldDigests(): Promise<Digest[]>
  link(name: StreamName, digest: Digest): Promise<StreamLink | undefined>
  /** Another collector on the same parts. */
  open(more?: Partial<CollectorOptions>): Collector
  /** Where the bytes of a digest are held. */
  fileOf(digest: Digest): string
  /** The uids whose links were removed. */
  unlinked: string[]
  log: string[]
}

export interface MoveOptions {
  location?: Location
  annotations?: Record<string, string>
  kind?: Cause['kind']
  candidate?: TagRecord['candidate']
}

export const hourMs = 3_600_000
export const dayMs = 86_400_000

export const policy: ContentPolicy = {
  retain: 'pinned',
  platforms: ['linux/amd64'],
  historyKeep: 1,
  historyKeepDays: 0,
  move: 'at-once',
}

export const upstream: UpstreamLocation = {
  kind: 'upstream',
  host: 'a.example',
  repository: 'lib/app',
  project: 'demo',
  projectUid: 'uid-of-demo',
}
export const here: Location = { kind: 'here' }

export async function collectorWorld(options: Partial<CollectorOptions> = {}): Promise<CollectorWorld> {
  const base = await streamsWorld()
  const { store, faults, clock, writer, links, reader } = base
  const { now } = clock
  const log: string[] = []
  const logger = pino({}, { write: (line: string) => void log.push(line) })
  const source = memorySource()
  const ending = new AbortController()
  const directory = join(await temporaryDirectory(), 'content')
  const records = createHeldRecords({ store, now })
  const content = await createContent({
    directory,
    source,
    records,
    acquireLease: (name, signal) => store.lease(name, signal),
    maxBytes: options.maxBytes ?? 1024 ** 3,
    finishBytes: 0,
    now,
  })
  const unlinked: string[] = []
  onTestFinished(async () => {
    ending.abort()
    await content.close()
  })
  const open = (other: Partial<CollectorOptions> = {}): Collector =>
    createCollector({
      store: faults,
      reader,
      writer,
      links,
      content,
      source,
      policy,
      maxBytes: 1024 ** 3,
      intervalMs: dayMs,
      firstMs: 10 * 365 * dayMs,
      onUnlinked: (uid, { project }, digests) => unlinked.push(...digests.map((each) => `${project} ${uid} ${each}`)),
      now,
      monotonic: now,
      signal: ending.signal,
      log: logger,
      ...options,
      ...other,
    })

  const made: CollectorWorld = {
    ...base,
    content,
    source,
    collector: open(),
    later: (ms) => clock.advance(ms),
    async stream(name, annotations) {
      const known = await reader.stream(name)
      if (known === undefined) return writer.create(name, annotations && { annotations })
      if (annotations === undefined) return known
      const { labels, lookupPolicy } = known
      const changed = await writer.changeStream(name, () => ({ object: { labels, annotations, lookupPolicy } }))
      return changed.whole.stream
    },
    async admit(name, image, location = upstream) {
      const stream = await made.stream(name)
      const held = new Set(await made.heldDigests())
      for (const { digest, bytes } of piecesOf(image)) {
        if (!held.has(digest)) await content.putManifest(digest, bytes, location)
        else await records.add(digest, bytes.length, proofOf(location.kind === 'upstream' ? [location] : []))
      }
      // An index comes before its children, as it does from an upstream.
      for (const piece of manifestsOf(image).reverse()) {
        const manifest = parseManifest(piece.bytes, piece.mediaType)
        await links.add(name, stream.uid, linksOf(piece, manifest, [location]), { isReliedOn: true })
        await links.putImage(piece.digest, imageRecord(manifest, piece.bytes.length))
      }
      if (location.kind === 'upstream') offer(location, image)
    },
    async move(name, tag, image, { location = upstream, annotations, kind = 'push', candidate } = {}) {
      await made.admit(name, image, location)
      const { digest, mediaType } = image.manifest
      const spec = annotations && {
        name: tag,
        annotations,
        from: { kind: 'DockerImage' as const, name: 'a.example/lib/app:v1' },
        importPolicy: {},
        referencePolicy: { type: 'Local' as const },
      }
      await writer.changeTag(name, tag, () => ({
        ...(spec && { spec }),
        ...(candidate && { candidate }),
        event: {
          image: digest,
          mediaType,
          dockerImageReference: `a.example/lib/app@${digest}`,
          cause: { kind, by: 'alice' },
        },
      }))
    },
    isHeld: async (digest) => {
      const [found] = await Array.fromAsync(held(content, digest))
      return found !== undefined
    },
    heldDigests: async () => (await Array.fromAsync(content.list())).map(({ digest }) => digest),
    link: (name, digest) => links.get(name, digest),
    open,
    fileOf: (digest) => fileOf(directory, digest),
    unlinked,
    log,
  }
  return made

  function offer(location: UpstreamLocation, image: AnyImage): void {
    for (const { digest, bytes } of piecesOf(image)) source.put(location, digest, { bytes })
  }
}

async function* held(content: Content, digest: Digest) {
  for await (const each of content.list()) if (each.digest === digest) yield each
}

export function manifestsOf(image: AnyImage): Piece[] {
  return piecesOf(image).filter(({ mediaType }) => isManifestType(mediaType))
}

/** The digests of all an image is made of. */
export function digestsOf(...images: AnyImage[]): Digest[] {
  return [...new Set(images.flatMap((image) => piecesOf(image).map(({ digest }) => digest)))].sort()
}

export function sizeOf(...images: AnyImage[]): number {
  const sizes = new Map(images.flatMap((image) => piecesOf(image).map(({ digest, bytes }) => [digest, bytes.length])))
  return [...sizes.values()].reduce((sum, size) => sum + size, 0)
}
