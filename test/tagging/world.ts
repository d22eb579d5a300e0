import { readAll } from '../../src/content/reader.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import type { StreamName } from '../../src/oci/reference.ts'
import { createPullThrough } from '../../src/pull-through.ts'
import { createObjects } from '../../src/store/objects.ts'
import type { TagSource } from '../../src/streams/records.ts'
import type { ChangeResult, Links, StreamChangeResult, StreamReader, Tag } from '../../src/streams/streams.ts'
import { createTagging, type StreamRequest, type Tagging, type TagRequest, type WantedTag } from '../../src/tagging.ts'
import { createAllowList } from '../../src/upstream/allow-list.ts'
import { type FlowsWorld, flowsWorld, ownHost } from '../support/flows.ts'
import type { Piece, TestImage, TestIndex } from '../support/images.ts'

/** What is wanted of a tag, without its name. */
export type Wanted = Partial<Omit<WantedTag, 'name'>>

export interface TaggingWorld extends FlowsWorld {
  project(name: string): Promise<void>
  /** Puts content into `repository` of the registry and imports it, as an admin does. */
  importTo(to: string, content: TestImage | TestIndex | Piece, repository?: string): Promise<void>
  /** `setTag` of `project/stream:tag` by ann, who may pull everything. */
  set(to: string, wanted: Wanted | null, more?: Partial<TagRequest>): Promise<ChangeResult & { created: boolean }>
  createStream(to: string, tags: Record<string, Wanted>, more?: Partial<StreamRequest>): Promise<StreamChangeResult>
  updateStream(to: string, tags: Record<string, Wanted>, more?: Partial<StreamRequest>): Promise<StreamChangeResult>
  tagOf(at: string): Promise<Tag | undefined>
  /** The digest that a tag stands at. */
  pin(at: string): Promise<string | undefined>
  /** Everything that a client gets of `project/stream:tag` or `project/stream@digest`, from a Weir with nothing in memory. */
  pullAll(at: string): Promise<Digest[]>
}

/** The flows with projects `demo` and `prod`. */
export async function taggingWorld(options: Parameters<typeof flowsWorld>[0] = {}): Promise<TaggingWorld> {
  const flows = await flowsWorld(options)
  const { store, clock, registry, importer, tagging, reader } = flows
  const objects = createObjects({ store, now: clock.now })
  const asking = { by: 'ann', mayPull: () => true, seen: {} }
  const world: TaggingWorld = {
    ...flows,
    async project(name) {
      await objects.create('namespaces', '', { metadata: { name } })
    },
    async importTo(to, content, repository = 'lib/app') {
      const { tag, ...name } = parse(to)
      registry.put(repository, content, { tag })
      const images = [{ from: `${registry.host}/${repository}:${tag}`, to: tag, importPolicy: {} }]
      const { images: results } = await importer.import({ ...name, by: 'admin', images })
      for (const result of results) if ('error' in result) throw result.error
    },
    set(to, wanted, more = {}) {
      const { tag, ...name } = parse(to)
      return tagging.setTag({
        ...name,
        ...asking,
        tag,
        wanted: wanted && wantedTag(tag, wanted),
        field: 'tag',
        ...more,
      })
    },
    createStream: (to, tags, more = {}) => tagging.createStream(streamRequest(to, tags, more)),
    updateStream: (to, tags, more = {}) => tagging.updateStream(streamRequest(to, tags, more)),
    async tagOf(at) {
      const { tag, ...name } = parse(at)
      return reader.tag(name, tag)
    },
    async pin(at) {
      return (await world.tagOf(at))?.record.items[0]?.image
    },
    async pullAll(at) {
      const { tag: reference, ...name } = parse(at)
      const pull = createPullThrough({ ...flows, now: clock.now })
      const got: Digest[] = []
      const manifest = async (which: string): Promise<void> => {
        const { bytes, mediaType, digest } = await pull.manifest(name, which, { head: false })
        got.push(digest)
        const parsed = parseManifest(bytes ?? Buffer.alloc(0), mediaType)
        if (parsed.kind === 'index') {
          for (const child of parsed.manifests) await manifest(child.digest)
          return
        }
        for (const blob of [parsed.config, ...parsed.layers]) {
          await readAll(await pull.blob(name, blob.digest))
          got.push(blob.digest)
        }
      }
      await manifest(reference)
      return got
    },
  }
  await world.project('prod')
  return world

  function streamRequest(to: string, tags: Record<string, Wanted>, more: Partial<StreamRequest>): StreamRequest {
    const { tag: _tag, ...name } = parse(to)
    const object = { labels: {}, annotations: {}, lookupPolicy: { local: false } }
    const wanted = Object.entries(tags).map(([tag, one]) => wantedTag(tag, one))
    return { ...name, ...asking, object, tags: wanted, ...more }
  }
}

/** Tagging over the world's parts, some of them in the test's hand. */
export function taggingWith(
  world: FlowsWorld,
  parts: { copy?: Links['copy']; readTag?: StreamReader['tag'] },
): Tagging {
  const { reader, links, content, writer, pullThrough, registry } = world
  const { copy = links.copy, readTag = reader.tag } = parts
  return createTagging({
    reader: { ...reader, tag: readTag },
    writer,
    links: { ...links, copy },
    content,
    allowed: createAllowList({ patterns: [], named: [registry.host], own: [] }),
    registryHost: ownHost,
    obtain: (name, digest) => pullThrough.manifest(name, digest, { head: false }),
    log: { info() {}, warn() {} } as never,
  })
}

/** A tag as `oc` sends it, but for what is given. */
export function wantedTag(name: string, wanted: Wanted): WantedTag {
  return { name, annotations: null, importPolicy: {}, referencePolicy: { type: 'Local' }, ...wanted }
}

/** `demo/app:prod` or `demo/app@sha256:...` as a source, with its project as namespace. */
export function from(source: string, kind?: TagSource['kind']): Wanted {
  const [namespace = '', name = ''] = source.split('/')
  return { from: { kind: kind ?? (name.includes('@') ? 'ImageStreamImage' : 'ImageStreamTag'), name, namespace } }
}

export function fromRegistry(name: string): Wanted {
  return { from: { kind: 'DockerImage', name } }
}

/** The right to pull from these streams alone, `project/stream` each. */
export function mayPullOnly(...streams: string[]): (source: StreamName) => boolean {
  return ({ project, stream }) => streams.includes(`${project}/${stream}`)
}

/** The causes of a refusal, `field: reason` each; the error itself when it is another. */
export async function causesOf(work: Promise<unknown>): Promise<string[]> {
  try {
    await work
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'INVALID') throw error
    return error.causes.map(({ field, reason }) => `${field}: ${reason}`)
  }
  return []
}

/** All digests of an image or index. */
export function digestsOf(content: TestImage | TestIndex): Digest[] {
  if ('children' in content) return [content.manifest.digest, ...content.children.flatMap(digestsOf)]
  return [content.manifest, content.config, ...content.layers].map(({ digest }) => digest)
}

/** Splits `project/stream`, `project/stream:tag` or `project/stream@digest`. */
export function parse(at: string): StreamName & { tag: string } {
  const [, project = '', stream = '', tag = ''] = /^([^/]+)\/([^:@]+)(?:[:@](.+))?$/.exec(at) ?? []
  return { project, stream, tag }
}
