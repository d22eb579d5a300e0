import type { Logger } from 'pino'
import { type Digest, digestAlgorithm, digestOf } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { streamBlob } from './blob-stream.ts'
import type { BlobSource, Content, Link, UpstreamLocation } from './content.ts'
import { firstAnswer, wrongBytes } from './locations.ts'
import { openObjectFiles } from './object-files.ts'
import { createProofs } from './proofs.ts'
import { extentOf } from './range.ts'
import { readerOf } from './reader.ts'

export interface ContentOptions {
  /** Where bytes are kept; made when absent. One process at a time. */
  directory: string
  source: BlobSource
  log?: Logger
}

/** Opens the content store. Manifests are kept on disk; blobs pass through from their locations and are not kept. */
export async function createContent({ directory, source, log }: ContentOptions): Promise<Content> {
  const files = await openObjectFiles(directory)
  const proofs = createProofs(files)
  const closing = new AbortController()
  const writes = new Set<Promise<void>>()

  async function readVerified(digest: Digest): Promise<Buffer | undefined> {
    const bytes = await files.read(digest)
    if (bytes === undefined || isDigestOf(bytes, digest)) return bytes
    log?.error({ digest }, 'bytes on disk do not match their digest: they count as absent')
    return undefined
  }

  async function keep(...[digest, bytes, location]: Parameters<Content['putManifest']>): Promise<void> {
    await files.write(digest, bytes)
    await proofs.add(digest, location)
  }

  async function sizeAt(link: Link, location: UpstreamLocation): Promise<number> {
    const size = await source.size(location, link.digest)
    if (size === (link.size ?? size)) return size
    throw wrongBytes(location, `is ${size} bytes long and not ${link.size}`)
  }

  function stat(link: Link): Promise<number> {
    return firstAnswer(link, 'BLOB_UNKNOWN', (location) => sizeAt(link, location))
  }

  return {
    async manifest(link) {
      try {
        // The proof comes first: without one nothing tells, not even by time, whether the bytes are held (I5).
        return (await proofs.has(link.digest, link.locations)) ? await readVerified(link.digest) : undefined
      } catch (error) {
        log?.error({ err: error, digest: link.digest }, 'kept bytes can not be read: they count as absent')
        return undefined
      }
    },
    async putManifest(digest, bytes, location) {
      if (!isDigestOf(bytes, digest)) throw new RegistryError('DIGEST_INVALID', { detail: { digest } })
      const write = keep(digest, bytes, location)
      writes.add(write)
      await write.finally(() => writes.delete(write))
    },
    stat,
    async open(link, range, left) {
      const signal = left === undefined ? closing.signal : AbortSignal.any([closing.signal, left])
      const size = link.size ?? (await stat(link))
      const extent = extentOf(range, size)
      const stream = await streamBlob({ link, size, ...extent }, { source, signal, log })
      return { size, ...extent, reader: readerOf(stream) }
    },
    async close() {
      closing.abort()
      await Promise.allSettled(writes)
    },
  }
}

function isDigestOf(bytes: Buffer, digest: Digest): boolean {
  return digestOf(bytes, digestAlgorithm(digest)) === digest
}
