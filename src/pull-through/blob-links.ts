import { LRUCache } from 'lru-cache'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { isManifestType } from '../oci/media-types.ts'
import type { Links, StreamLink, StreamReader } from '../streams/streams.ts'
import type { LivingStream, Manifests } from './manifests.ts'
import { createSingleFlight } from './single-flight.ts'

/** Finds what a stream may have of a blob, also where no client has read yet the manifest that names it. */
export interface BlobLinks {
  /**
   * The stream's link. While there is none, the unread children of the indexes that its pins name are read first.
   *
   * @throws RegistryError UNAVAILABLE or an upstream's failure while it can not be known whether the stream has the blob
   */
  find(stream: LivingStream, digest: Digest): Promise<StreamLink | undefined>
}

export interface BlobLinksOptions {
  reader: Pick<StreamReader, 'stream' | 'tags'>
  links: Pick<Links, 'get'>
  manifests: Pick<Manifests, 'load'>
  now: () => number
  /** Most manifests read for one answer. */
  maxReads: number
}

const concurrentReads = 8
/** How long a child that an upstream does not have is not asked for again. */
const goneMs = 60_000

export function createBlobLinks({ reader, links, manifests, now, maxReads }: BlobLinksOptions): BlobLinks {
  const clock = { perf: { now }, ttlResolution: 0 }
  /** The children of manifests whose content is linked, by stream and digest. */
  const read = new LRUCache<string, readonly Digest[]>({ max: 20_000, ...clock })
  /** The resourceVersion up to which everything that a stream's pins name was read. */
  const searched = new LRUCache<string, number>({ max: 5_000, ...clock })
  const searching = createSingleFlight<StreamLink | undefined>()

  /** Manifests that the stream's pins name, directly or through indexes, and that were not read yet. */
  async function unreadOf(stream: LivingStream): Promise<Digest[]> {
    const tags = await reader.tags(stream.name)
    const pinned = tags.flatMap(({ record }) => record.items.flatMap(({ image }) => (image === '' ? [] : [image])))
    const known = new Set<Digest>()
    for (const digest of new Set(pinned)) for (const child of await childrenOf(stream, digest)) known.add(child)
    const unread: Digest[] = []
    // The set grows while it is walked.
    for (const digest of known) {
      const children = read.get(keyOf(stream, digest))
      if (children === undefined) unread.push(digest)
      else for (const child of children) known.add(child)
    }
    return unread
  }

  /** Of a manifest that is linked already: what a pin names directly is, since the pin was admitted. */
  async function childrenOf(stream: LivingStream, digest: Digest): Promise<readonly Digest[]> {
    const key = keyOf(stream, digest)
    const children = read.get(key) ?? (await links.get(stream.name, digest))?.children ?? []
    read.set(key, children)
    return children
  }

  /** Reads a manifest, so that what it names is linked. @returns its children, and why it could not be read */
  async function readOne(
    stream: LivingStream,
    digest: Digest,
  ): Promise<{ children: readonly Digest[]; error?: unknown }> {
    const link = await links.get(stream.name, digest)
    if (link === undefined || !isManifestType(link.mediaType)) return { children: await childrenOf(stream, digest) }
    try {
      await manifests.load(stream, link)
      return { children: await childrenOf(stream, digest) }
    } catch (error) {
      if (!namesNothing(error)) return { children: [], error }
      read.set(keyOf(stream, digest), [], { ttl: goneMs })
      return { children: [] }
    }
  }

  async function search(stream: LivingStream, digest: Digest): Promise<StreamLink | undefined> {
    const version = (await reader.stream(stream.name))?.resourceVersion
    if (version === undefined || searched.get(stream.uid) === version) return undefined
    const unread = await unreadOf(stream)
    const seen = new Set(unread)
    const errors: unknown[] = []
    for (let reads = 0; reads < unread.length; ) {
      if (reads >= maxReads) throw unfinished()
      const some = unread.slice(reads, reads + concurrentReads)
      reads += some.length
      const results = await Promise.all(some.map((child) => readOne(stream, child)))
      const found = await links.get(stream.name, digest)
      if (found !== undefined) return found
      for (const { children, error } of results) {
        if (error !== undefined) errors.push(error)
        unread.push(...children.filter((child) => !seen.has(child)))
        for (const child of children) seen.add(child)
      }
    }
    if (errors.length > 0) throw errors[0]
    searched.set(stream.uid, version, { ttl: goneMs })
    return undefined
  }

  return {
    async find(stream, digest) {
      const link = await links.get(stream.name, digest)
      return link ?? searching(keyOf(stream, digest), () => search(stream, digest))
    },
  }
}

function keyOf({ uid }: LivingStream, digest: Digest): string {
  return `${uid} ${digest}`
}

/** Not there, or no manifest: in either case nothing is reached through it. */
function namesNothing(error: unknown): boolean {
  return error instanceof RegistryError && (error.status === 404 || error.code === 'MANIFEST_INVALID')
}

function unfinished(): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: 'not all images of this stream were read yet, try again',
    retryAfterSeconds: 1,
  })
}
