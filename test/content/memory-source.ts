import { Readable } from 'node:stream'
import type { BlobSource, UpstreamLocation } from '../../src/content/content.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { guardedBody } from '../../src/upstream/body.ts'
import { arrivingFrom } from '../support/arriving.ts'

/** What one location gives for one digest. */
export interface MemoryBlob {
  bytes: Buffer
  /** Size as the location tells it; default that of the bytes, null for none. */
  size?: number | null
  /** Bytes of one chunk; default 16 KiB. */
  chunkBytes?: number
  /** Answers whole whatever range was asked for. */
  ignoresRange?: boolean
  /** Begins that many bytes after the start of the range. */
  beginsLate?: number
  /** Fails after that many bytes. */
  failsAfter?: number
  /** Stalls after that many bytes. */
  stallsAfter?: number
}

export interface MemorySource extends BlobSource {
  put(location: UpstreamLocation, digest: Digest, blob: MemoryBlob): void
  fail(location: UpstreamLocation, error: RegistryError): void
  /** What was asked: `open host/repository 0-9`, `size host/repository`. */
  asked: string[]
  /** The bodies that were opened, in order. */
  bodies: Readable[]
}

/** Upstream locations in memory, in the place of the network. */
export function memorySource(): MemorySource {
  const blobs = new Map<string, MemoryBlob>()
  const failures = new Map<string, RegistryError>()
  const key = ({ host, repository }: UpstreamLocation) => `${host}/${repository}`

  function find(location: UpstreamLocation, digest: Digest): MemoryBlob {
    const failure = failures.get(key(location))
    const blob = blobs.get(`${key(location)}@${digest}`)
    if (failure !== undefined) throw failure
    if (blob === undefined)
      throw new RegistryError('BLOB_UNKNOWN', { upstream: { host: location.host, reason: 'NotFound' } })
    return blob
  }

  const source: MemorySource = {
    asked: [],
    bodies: [],
    put: (location, digest, blob) => void blobs.set(`${key(location)}@${digest}`, blob),
    fail: (location, error) => void failures.set(key(location), error),
    async size(location, digest) {
      source.asked.push(`size ${key(location)}`)
      return find(location, digest).bytes.length
    },
    async open(location, digest, range) {
      source.asked.push(`open ${key(location)} ${range ? `${range.start}-${range.end ?? ''}` : 'whole'}`)
      const blob = find(location, digest)
      const start = (range?.start ?? 0) + (blob.beginsLate ?? 0)
      const ranged = range !== undefined && !blob.ignoresRange
      const bytes = ranged ? blob.bytes.subarray(start, (range.end ?? blob.bytes.length) + 1) : blob.bytes
      const stream = streamOf(bytes, blob)
      source.bodies.push(stream)
      const size = blob.size === null ? undefined : (blob.size ?? blob.bytes.length)
      return {
        size,
        offset: ranged ? start : 0,
        body: guardedBody(arrivingFrom(stream), undefined, (cause) => cause as Error),
      }
    },
  }
  return source
}

function streamOf(bytes: Buffer, { chunkBytes = 16 * 1024, failsAfter, stallsAfter }: MemoryBlob): Readable {
  const end = Math.min(failsAfter ?? stallsAfter ?? bytes.length, bytes.length)
  let at = 0
  return new Readable({
    read() {
      if (at < end) {
        const chunk = bytes.subarray(at, Math.min(at + chunkBytes, end))
        at += chunk.length
        this.push(chunk)
      } else if (failsAfter !== undefined) this.destroy(new Error('connection lost'))
      else if (stallsAfter === undefined) this.push(null)
    },
  })
}
