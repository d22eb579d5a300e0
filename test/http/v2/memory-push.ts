/** A push that keeps everything in memory: what the routes say to it, and what it answers. */
import { randomUUID } from 'node:crypto'
import type { UploadBody } from '../../../src/content/uploads.ts'
import { type Digest, digestAlgorithm, digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { readManifestTarget } from '../../../src/oci/manifest-target.ts'
import type { StreamName } from '../../../src/oci/reference.ts'
import type { Push, PushedManifest, Pusher, SaidRange } from '../../../src/push.ts'

export interface MemoryPush extends Push {
  uploads: Map<string, Buffer>
  /** By `stream@digest`. */
  blobs: Map<string, Buffer>
  /** Whoever called, in order. */
  pushers: Pusher[]
  manifests: { reference: string; bytes: Buffer; mediaType: string | undefined; tags: readonly string[] }[]
  /** How bodies that broke off did. */
  broken: unknown[]
  begun: { mount?: Digest; from?: StreamName; expectedBytes?: number }[]
  /** What was said of each piece, in order. */
  said: (SaidRange | undefined)[]
  /** What the next call answers instead. */
  fails?: RegistryError
  pushed?: PushedManifest
}

export function createMemoryPush(): MemoryPush {
  const uploads = new Map<string, Buffer>()
  const blobs = new Map<string, Buffer>()

  function find(id: string): Buffer {
    const found = uploads.get(id)
    if (found === undefined) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
    return found
  }

  async function take(id: string, body: UploadBody, range?: SaidRange): Promise<Buffer> {
    push.said.push(range)
    const before = find(id)
    if (range?.start !== undefined && range.start !== before.length) {
      throw new RegistryError('UPLOAD_OFFSET_INVALID', { detail: { offset: before.length } })
    }
    const pieces = [before]
    try {
      for await (const piece of body) pieces.push(piece)
    } catch (error) {
      push.broken.push(error)
      uploads.set(id, Buffer.concat(pieces))
      throw error
    }
    const after = Buffer.concat(pieces)
    if (range !== undefined && after.length !== before.length + range.length) throw new RegistryError('SIZE_INVALID')
    uploads.set(id, after)
    return after
  }

  function called(by: Pusher): void {
    push.pushers.push(by)
    const { fails } = push
    delete push.fails
    if (fails !== undefined) throw fails
  }

  const push: MemoryPush = {
    uploads,
    blobs,
    pushers: [],
    manifests: [],
    broken: [],
    begun: [],
    said: [],
    async begin({ project, stream }, by, options = {}) {
      push.begun.push(options)
      called(by)
      const { mount, from } = options
      const source = from ?? { project, stream }
      const found = mount && by.mayPull(source) ? blobs.get(`${source.project}/${source.stream}@${mount}`) : undefined
      if (mount && found) {
        blobs.set(`${project}/${stream}@${mount}`, found)
        return { mounted: mount }
      }
      const id = randomUUID()
      uploads.set(id, Buffer.alloc(0))
      return { upload: { id, offset: 0 } }
    },
    async status(_name, id, by) {
      called(by)
      return { id, offset: find(id).length }
    },
    async append(_name, id, by, body, range) {
      called(by)
      return { id, offset: (await take(id, body, range)).length }
    },
    async finish({ project, stream }, id, by, digest, last) {
      called(by)
      const bytes = last === undefined ? find(id) : await take(id, last.body, last.range)
      uploads.delete(id)
      if (digestOf(bytes, digestAlgorithm(digest)) !== digest) throw new RegistryError('DIGEST_INVALID')
      blobs.set(`${project}/${stream}@${digest}`, bytes)
    },
    async cancel(_name, id, by) {
      called(by)
      find(id)
      uploads.delete(id)
    },
    async manifest(_name, reference, by, { bytes, mediaType, tags }) {
      push.manifests.push({ reference, bytes, mediaType, tags })
      called(by)
      const moved = readManifestTarget(reference, tags).tags
      return push.pushed ?? { digest: digestOf(bytes), subject: undefined, tags: moved }
    },
    run: async () => undefined,
  }
  return push
}
