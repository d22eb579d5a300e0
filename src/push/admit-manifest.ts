import type { Content, Location } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type Descriptor, namedContent } from '../oci/manifest.ts'
import type { StreamName } from '../oci/reference.ts'
import { imageRecord, linksOf } from '../streams/admission.ts'
import type { ImageConfiguration, ImageRecord } from '../streams/records.ts'
import type { Links, NewLink, Stream, StreamLink } from '../streams/streams.ts'
import { touchImage } from '../streams/touch-image.ts'
import type { ManifestBody } from './manifest-body.ts'

export interface AdmitOptions {
  links: Pick<Links, 'get' | 'add' | 'copy' | 'image' | 'putImage'>
  content: Pick<Content, 'manifest' | 'putManifest' | 'touch' | 'held'>
  /** The link of a blob that only manifests name which nobody read yet. Default: there is none. */
  findBlob?: (name: StreamName, digest: Digest) => Promise<StreamLink | undefined>
  /** What the API shows of an image's config, whose bytes are given. Default: nothing. */
  configurationOf?: (image: ImageRecord, config: Buffer) => ImageConfiguration | undefined
}

/** Gives streams manifests that clients send. */
export interface Admit {
  /**
   * Looks whether the stream has all that a manifest names, and has it kept for a while.
   *
   * @returns what it names and the stream has
   * @throws RegistryError MANIFEST_BLOB_UNKNOWN with each digest that is missing, MANIFEST_INVALID, SIZE_INVALID, NAME_UNKNOWN
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
/** Digests that are looked up at the same time. */
const concurrency = 16

export function createAdmit({ links, content, findBlob, configurationOf }: AdmitOptions): Admit {
  /** Only the stream's own links count, whatever is held (I5). */
  async function find(stream: Stream, { manifest }: ManifestBody): Promise<Named[]> {
    const descriptors = namedContent(manifest)
    const linked: (StreamLink | undefined)[] = []
    for (let start = 0; start < descriptors.length; start += concurrency) {
      const some = descriptors.slice(start, start + concurrency)
      linked.push(...(await Promise.all(some.map(({ digest }) => links.get(stream, digest)))))
    }
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
    if (manifest.kind === 'index') {
      // A child's own blobs would else be removed from under it.
      for (const { descriptor } of named) await links.copy(stream, stream, descriptor.digest)
    }
    const again = named.map(({ descriptor, link }): NewLink => {
      const { digest, mediaType } = descriptor
      // Who names what is known says nothing new of its size: a lie would make it doubtful to all others.
      return { digest, mediaType, size: link.size ?? descriptor.size, locations: link.locations }
    })
    await links.add(stream, stream.uid, again, { isReliedOn: true })
  }

  async function requireWhole(stream: Stream, named: readonly Named[]): Promise<void> {
    const lost: Digest[] = []
    for (const { descriptor, link } of named) {
      const { digest } = descriptor
      if (link.manifestType !== undefined) lost.push(...(await touchImage({ links, content }, stream, digest)))
      await content.touch(digest)
      const heldBytes = await content.held(link)
      // Only what is held after it was used is there to stay.
      if (heldBytes === undefined && isHereAlone(link)) lost.push(digest)
      if (heldBytes !== undefined && heldBytes !== descriptor.size) throw otherSize(descriptor, heldBytes)
    }
    requireNone(lost)
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
      await renew(stream, named, body)
      await requireWhole(stream, named)
      return named
    },

    async own(stream, body, named, location) {
      const { digest, mediaType, bytes, manifest } = body
      await content.putManifest(digest, bytes, location)
      await links.putImage(digest, await withConfiguration(stream, imageRecord(manifest, bytes.length)))
      const own = linksOf({ digest, mediaType, bytes }, manifest, [location]).filter((link) => link.digest === digest)
      await links.add(stream, stream.uid, own, { isReliedOn: true })
      // Who deletes a blob looks before for manifests that name it: this one may have come too late for that.
      const there = await Promise.all(named.map(({ descriptor }) => links.get(stream, descriptor.digest)))
      const deleted = named.filter((_, i) => there[i] === undefined)
      if (deleted.length > 0) await renew(stream, deleted, body)
      requireNone(await touchImage({ links, content }, stream, digest))
    },
  }
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
