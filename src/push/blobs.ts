import type { Logger } from 'pino'
import type { Content, HereLocation } from '../content/content.ts'
import type { UploadBody } from '../content/uploads.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Homes } from './home.ts'
import { mountBlob } from './mount-blob.ts'
import type { Mounts } from './mounts.ts'
import type { Pusher } from './pusher.ts'
import type { Reservations, ReserveBytes } from './reservations.ts'
import { createSessionBytes, type SaidRange } from './session-bytes.ts'
import type { Sessions } from './sessions.ts'
import { blobMediaType, type Targets } from './targets.ts'
import { keepUpload, type LastPiece, requireKept, requireUnfinished } from './whole-upload.ts'

export interface BlobsOptions {
  sessions: Sessions
  targets: Targets
  mounts: Mounts
  reservations: Reservations
  reserveBytes: ReserveBytes | undefined
  content: Pick<Content, 'uploads' | 'touch' | 'held'>
  homes: Homes | undefined
  /** Most of one blob. */
  maxBytes: number
  log: Logger
}

/** The part of `Push` that is about blobs. */
export interface Blobs {
  begin(
    name: StreamName,
    by: Pusher,
    options?: { mount?: Digest; from?: StreamName; expectedBytes?: number },
  ): Promise<{ mounted: Digest } | { upload: { id: string; offset: number } }>
  status(name: StreamName, id: string, by: Pusher): Promise<{ id: string; offset: number }>
  append(
    name: StreamName,
    id: string,
    by: Pusher,
    body: UploadBody,
    range?: SaidRange,
  ): Promise<{ id: string; offset: number }>
  finish(name: StreamName, id: string, by: Pusher, digest: Digest, last?: LastPiece): Promise<void>
  cancel(name: StreamName, id: string, by: Pusher): Promise<void>
}

const here: HereLocation = { kind: 'here' }

/** Creates what takes blobs: held first, then pushed on to the project's home, then linked. Each step is safe alone. */
export function createBlobs(options: BlobsOptions): Blobs {
  const { sessions, targets, mounts, reservations, content, homes, maxBytes, log } = options
  const { uploads } = content
  const bytes = createSessionBytes({ sessions, reservations, uploads, maxBytes, log })
  /** Uploads whose bytes a request is making a blob of their stream. */
  const finishing = new Set<string>()

  async function requireIdle(id: string): Promise<void> {
    if (!finishing.has(id)) return
    const message = 'another request is finishing this upload'
    throw new RegistryError('UPLOAD_OFFSET_INVALID', { message, detail: { offset: await uploads.offset(id) } })
  }

  return {
    async begin(name, by, { mount: digest, from, expectedBytes = 0 } = {}) {
      await targets.require(name, by)
      const home = await homes?.of(name)
      const source = from === undefined ? {} : { from }
      const found = digest && (await mounts.find(name, digest, { ...source, mayPull: by.mayPull }))
      if (found !== undefined) {
        await mountBlob(options, name, by, found, home)
        log.debug({ ...name, digest, from: found.from, by: by.name }, 'blob mounted')
        return { mounted: found.link.digest }
      }
      if (expectedBytes > maxBytes) throw tooLarge(maxBytes)
      await reservations.check(name.project, expectedBytes)
      return { upload: { id: await sessions.begin(name, by.name), offset: 0 } }
    },

    async status(name, id, by) {
      const { whole } = await sessions.find(name, id, by.name)
      return { id, offset: whole?.size ?? (await uploads.offset(id)) }
    },

    async append(name, id, by, body, range) {
      const session = await sessions.find(name, id, by.name)
      await requireIdle(id)
      requireUnfinished(session)
      const offset = await bytes.append(session, body, range)
      await bytes.requireGoingOn(id)
      return { id, offset }
    },

    async finish(name, id, by, digest, last) {
      const session = await sessions.find(name, id, by.name)
      await requireIdle(id)
      finishing.add(id)
      try {
        const home = await homes?.of(name)
        const size = await keepUpload({ sessions, bytes, content }, session, digest, last)
        await home?.pushBlob(digest, size)
        const locations = [home?.location ?? here]
        await targets.give(name, by, { digest, mediaType: blobMediaType, size, measured: true, locations })
        // Whoever frees what nothing names, by a clock that jumped, may have looked before there was the link.
        if (home === undefined) await requireKept({ bytes, content }, id, { digest, size }, digest)
        await bytes.end(id)
        log.debug({ ...name, digest, size, by: by.name }, 'blob pushed')
      } finally {
        finishing.delete(id)
      }
    },

    async cancel(name, id, by) {
      await sessions.find(name, id, by.name)
      await requireIdle(id)
      await bytes.cancel(id)
    },
  }
}

function tooLarge(maxBytes: number): RegistryError {
  return new RegistryError('TOO_LARGE', { message: `a blob may have ${maxBytes} bytes at most` })
}
