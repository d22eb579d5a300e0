import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
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
  /** Forgets what it knows of the stream with this uid, or of all: links of it were removed. */
  forget(uid?: string): void
}

export interface BlobLinksOptions {
  reader: Pick<StreamReader, 'stream' | 'tags'>
  links: Pick<Links, 'get'>
  manifests: Pick<Manifests, 'load'>
  now: () => number
  /** Most manifests read for one answer. */
  maxReads: number
}

/** What became of reading one manifest: its children, or why they are not known. */
interface ReadManifest {
  children: readonly Digest[]
  error?: unknown
}

/** What became of reading many. */
interface Reading {
  link: StreamLink | undefined
  tried: readonly Digest[]
  errors: readonly unknown[]
}

const concurrentReads = 8
/** How long a child that an upstream does not have is not asked for again. */
const goneMs = 60_000
/** How long a manifest that could not be read is not asked for again: else each lookup would ask for each of them. */
const failedMs = 5_000

export function createBlobLinks({ reader, links, manifests, now, maxReads }: BlobLinksOptions): BlobLinks {
  /** The children of manifests whose content is linked, by stream and digest. */
  const read = new LRUCache<string, readonly Digest[]>(atMost(20_000))
  /** Manifests that are not to be had, by stream and digest. */
  const gone = new LRUCache<string, true>({ ...atMost(5_000), ttl: goneMs, ttlResolution: 0, perf: { now } })
  /** Why manifests could not be read, by stream and digest. */
  const failed = new LRUCache<string, { error: unknown }>({
    ...atMost(5_000),
    ttl: failedMs,
    ttlResolution: 0,
    perf: { now },
  })
  /** The resourceVersion up to which everything that a stream's pins name was read. */
  const searched = new LRUCache<string, number>(atMost(5_000))
  const searching = createSingleFlight<StreamLink | undefined>()
  /** What was looked up before it changed is not remembered: links may be gone since. */
  let forgotten = 0

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
    const before = forgotten
    const children = read.get(key) ?? (await links.get(stream.name, digest))?.children ?? []
    if (before === forgotten) read.set(key, children)
    return children
  }

  /** Reads a manifest, so that what it names is linked. */
  async function readOne(stream: LivingStream, digest: Digest): Promise<ReadManifest> {
    const key = keyOf(stream, digest)
    // Another lookup may have tried it meanwhile.
    const failure = failed.get(key)
    if (failure !== undefined) return { children: [], error: failure.error }
    const link = await links.get(stream.name, digest)
    try {
      if (link?.manifestType !== undefined) await manifests.load(stream, link)
      return { children: await childrenOf(stream, digest) }
    } catch (error) {
      if (namesNothing(error)) {
        gone.set(key, true)
        return { children: [] }
      }
      failed.set(key, { error })
      return { children: [], error }
    }
  }

  /** Reads manifests, and those that they name, until the digest is linked. */
  async function readUntilLinked(stream: LivingStream, digest: Digest, unread: readonly Digest[]): Promise<Reading> {
    const queue = [...unread]
    const seen = new Set(queue)
    const errors: unknown[] = []
    for (let reads = 0; reads < queue.length; ) {
      if (reads >= maxReads) throw unfinished()
      const some = queue.slice(reads, reads + concurrentReads)
      reads += some.length
      const results = await Promise.all(some.map((child) => readOne(stream, child)))
      const link = await links.get(stream.name, digest)
      if (link !== undefined) return { link, tried: queue, errors }
      for (const { children, error } of results) {
        if (error !== undefined) errors.push(error)
        queue.push(...children.filter((child) => !seen.has(child)))
        for (const child of children) seen.add(child)
      }
    }
    return { link: undefined, tried: queue, errors }
  }

  async function search(stream: LivingStream, digest: Digest): Promise<StreamLink | undefined> {
    const version = (await reader.stream(stream.name))?.resourceVersion
    if (version === undefined || searched.get(stream.uid) === version) return undefined
    const unread = await unreadOf(stream)
    const failures = unread.flatMap((child) => failed.get(keyOf(stream, child)) ?? [])
    const obtainable = unread.filter((child) => !gone.has(keyOf(stream, child)) && !failed.has(keyOf(stream, child)))
    const { link, tried, errors } = await readUntilLinked(stream, digest, obtainable)
    if (link !== undefined) return link
    const [error] = [...errors, ...failures.map((failure) => failure.error)]
    if (error !== undefined) throw error
    if ([...unread, ...tried].every((child) => read.has(keyOf(stream, child)))) searched.set(stream.uid, version)
    return undefined
  }

  return {
    async find(stream, digest) {
      const link = await links.get(stream.name, digest)
      return link ?? searching(keyOf(stream, digest), () => search(stream, digest))
    },
    forget(uid) {
      forgotten += 1
      if (uid === undefined) {
        searched.clear()
        read.clear()
        return
      }
      searched.delete(uid)
      for (const key of [...read.keys()]) if (key.startsWith(`${uid} `)) read.delete(key)
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
