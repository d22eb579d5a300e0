import type { Content, Location } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Descriptor, namedContent } from '../oci/manifest.ts'
import type { StreamName } from '../oci/reference.ts'
import { imageRecord, linksOf } from '../streams/admission.ts'
import { closureOf, type Part } from '../streams/closure.ts'
import type { ImageConfiguration, ImageRecord } from '../streams/records.ts'
import type { Links, NewLink, Stream, StreamLink } from '../streams/streams.ts'
import { touchImage } from '../streams/touch-image.ts'
import type { ManifestBody } from './manifest-body.ts'

export interface AdmitOptions {
  links: Pick<Links, 'get' | 'add' | 'renew' | 'image' | 'putImage'>
  content: Pick<Content, 'manifest' | 'putManifest' | 'touch' | 'held'>
  /** The link of a blob that only manifests name which nobody read yet. Default: there is none. */
  findBlob?: (name: StreamName, digest: Digest) => Promise<StreamLink | undefined>
  /** What the API shows of an image's config, whose bytes are given. Default: nothing. */
  configurationOf?: (image: ImageRecord, config: Buffer) => ImageConfiguration | undefined
  /** Most manifests and blobs that the manifests named may be made of, each counted once; default 20,000. */
  maxParts?: number
}

/** Gives streams manifests that clients send. */
export interface Admit {
  /**
   * Looks whether the stream has all that a manifest names, and has it kept for a while.
   *
   * @returns what it names and the stream has
   * @throws RegistryError MANIFEST_BLOB_UNKNOWN with each digest that is missing, MANIFEST_INVALID, SIZE_INVALID, NAME_UNKNOWN;
   * TOO_LARGE when there are more than `maxParts` below it
   */
  named(stream: Stream, body: ManifestBody): Promise<readonly Named[]>
  /**
   * Keeps the manifest and gives it to the stream, after `named`, whose answer it takes; it can be had from `location`.
   *
   * @throws RegistryError as `named`
   */
  own(stream: Stream, body: ManifestBody, named: readonly Named[], location: Location): Promise<void>
}

/** What the manifest names, and how the stream has it. */
export interface Named {
  descriptor: Descriptor
  link: StreamLink
}

/** Most bytes of a config that is read. */
const maxConfigBytes = 4 * 1024 * 1024
/** Most manifests and blobs below an index, each once. Of an index that names 5,000 images, each of three layers of its own. */
const defaultMaxParts = 20_000
/** Digests that are looked up at the same time. */
const concurrency = 16

export function createAdmit(options: AdmitOptions): Admit {
  const { links, content, findBlob, configurationOf, maxParts = defaultMaxParts } = options

  /** Only the stream's own links count, whatever is held (I5). */
  async function find(stream: Stream, { manifest }: ManifestBody): Promise<Named[]> {
    const descriptors = namedContent(manifest)
    const linked = await someAtOnce(descriptors, ({ digest }) => links.get(stream, digest))
    const isNeeded = ({ foreign }: Descriptor): boolean => manifest.kind === 'image' && !foreign
    const search = createSearch(stream)
    const found: Named[] = []
    const missing: Digest[] = []
    for (const [i, descriptor] of descriptors.entries()) {
      const link = linked[i] ?? (isNeeded(descriptor) ? await search(descriptor.digest) : undefined)
      if (link !== undefined) found.push({ descriptor, link })
      else if (isNeeded(descriptor)) missing.push(descriptor.digest)
    }
    requireNone(missing)
    return found
  }

  /** A search that finds nothing has read all that there is: the next ones look at what it brought. */
  function createSearch(stream: Stream): (digest: Digest) => Promise<StreamLink | undefined> {
    let isOver = findBlob === undefined
    let hasSearched = false
    return async (digest) => {
      const link = hasSearched ? await links.get(stream, digest) : undefined
      if (link !== undefined || isOver) return link
      hasSearched = true
      const searched = await findBlob?.(stream, digest)
      isOver = searched === undefined
      return searched
    }
  }

  /**
   * Names what the stream has already, and nothing else: who names other content gets no right to it (I5). Each keeps the locations
   * that it has.
   */
  async function renew(stream: Stream, named: readonly Named[], { manifest }: ManifestBody): Promise<void> {
    // A child's own blobs would else be removed from under it.
    if (manifest.kind === 'index')
      await links.renew(
        stream,
        named.map(({ descriptor }) => descriptor.digest),
      )
    const again = named.map(({ descriptor, link }): NewLink => {
      const { digest, mediaType } = descriptor
      // Who names what is known says nothing new of its size: a lie would make it doubtful to all others.
      return { digest, mediaType, size: link.size ?? descriptor.size, locations: link.locations }
    })
    await links.add(stream, stream.uid, again, { isReliedOn: true })
  }

  /** What the named manifests are made of, themselves too; each once, however many of them name it. */
  async function partsOf(stream: Stream, named: readonly Named[]): Promise<Part[]> {
    const manifests = named.filter(({ link }) => link.manifestType !== undefined)
    const digests = manifests.map(({ descriptor }) => descriptor.digest)
    const parts = await closureOf(links, stream, digests, [], { maxParts })
    if (parts.length <= maxParts) return parts
    const message = `the manifest is of more than ${maxParts} manifests and layers, with all that its manifests name: split it`
    throw new RegistryError('TOO_LARGE', { message })
  }

  /** Counts all as just used, and looks whether it is there. */
  async function requireWhole(named: readonly Named[], parts: readonly Part[]): Promise<void> {
    const said = new Map(named.map(({ descriptor }) => [descriptor.digest, descriptor]))
    const linked = [...parts, ...named].flatMap(({ link }) => link ?? [])
    const each = new Map(linked.map((link) => [link.digest, link]))
    const lost = await someAtOnce([...each.values()], async (link) => {
      const { digest } = link
      await content.touch(digest)
      const descriptor = said.get(digest)
      if (descriptor === undefined && !isHereAlone(link)) return []
      const heldBytes = await content.held(link)
      if (descriptor && heldBytes !== undefined && heldBytes !== descriptor.size) throw otherSize(descriptor, heldBytes)
      // Only what is held after it was used is there to stay.
      return heldBytes === undefined && isHereAlone(link) ? [digest] : []
    })
    requireNone(lost.flat())
  }

  async function withConfiguration(stream: Stream, image: ImageRecord): Promise<ImageRecord> {
    const { config } = image
    if (configurationOf === undefined || config === undefined || config.size > maxConfigBytes) return image
    const link = await links.get(stream, config.digest)
    const bytes = link && (await content.manifest(link))
    const configuration = bytes && configurationOf(image, bytes)
    return configuration === undefined ? image : { ...image, configuration }
  }

  return {
    async named(stream, body) {
      imageRecord(body.manifest, body.bytes.length)
      const own = await links.get(stream, body.digest)
      if (own?.received && own.mediaType !== body.mediaType) {
        const message = `the stream has ${body.digest} as ${own.mediaType}: the same bytes can not be ${body.mediaType} too`
        throw new RegistryError('MANIFEST_INVALID', { message })
      }
      const named = await find(stream, body)
      const parts = await partsOf(stream, named)
      await renew(stream, named, body)
      await requireWhole(named, parts)
      return named
    },

    async own(stream, body, named, location) {
      const { digest, mediaType, bytes, manifest } = body
      await content.putManifest(digest, bytes, location)
      await links.putImage(digest, await withConfiguration(stream, imageRecord(manifest, bytes.length)))
      const own = linksOf({ digest, mediaType, bytes }, manifest, [location]).filter((link) => link.digest === digest)
      await links.add(stream, stream.uid, own, { isReliedOn: true })
      // Who deletes a blob looks before for manifests that name it: this one may have come too late for that.
      const there = await someAtOnce(named, ({ descriptor }) => links.get(stream, descriptor.digest))
      const deleted = named.filter((_, i) => there[i] === undefined)
      if (deleted.length > 0) await renew(stream, deleted, body)
      requireNone(await touchImage({ links, content }, stream, digest))
    },
  }
}

/** So many at the same time that others have their turn in between. */
async function someAtOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let start = 0; start < items.length; start += concurrency)
    results.push(...(await Promise.all(items.slice(start, start + concurrency).map(work))))
  return results
}

function isHereAlone({ locations }: StreamLink): boolean {
  return locations.every(({ kind }) => kind === 'here')
}

/** @throws RegistryError MANIFEST_BLOB_UNKNOWN */
export function requireNone(missing: readonly Digest[]): void {
  if (missing.length === 0) return
  const digests = [...new Set(missing)]
  throw new RegistryError('MANIFEST_BLOB_UNKNOWN', {
    message: 'the manifest names content that this repository does not have: push it first',
    detail: digests.map((digest) => ({ digest })),
  })
}

function otherSize({ digest, size }: Descriptor, heldBytes: number): RegistryError {
  const message = `the manifest says that ${digest} has ${size} bytes, but it has ${heldBytes}`
  return new RegistryError('SIZE_INVALID', { message, detail: { digest } })
}
