import type { Logger } from 'pino'
import type { Content, HereLocation, Location } from '../content/content.ts'
import type { UploadBody } from '../content/uploads.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { isManifestType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Home, Homes } from './home.ts'
import type { Mountable, Mounts } from './mounts.ts'
import type { Pusher } from './pusher.ts'
import type { Reservations, ReserveBytes } from './reservations.ts'
import { type Session, type Sessions, unknownUpload } from './sessions.ts'
import type { Targets } from './targets.ts'

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

/** Bytes of an upload as a client said them: `length` how many come, `start` where they go; default: where the upload ends. */
export interface SaidRange {
  start?: number
  length: number
}

export interface LastPiece {
  body: UploadBody
  range?: SaidRange
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
/** What a blob is, manifests say that name it. */
const mediaType = 'application/octet-stream'

/** Creates what takes blobs: held first, then pushed on to the project's home, then linked. Each step is safe alone. */
export function createBlobs(options: BlobsOptions): Blobs {
  const { sessions, targets, mounts, reservations, reserveBytes, content, homes, maxBytes, log } = options
  const { uploads } = content
  /** Uploads whose bytes a request is making a blob of their stream. */
  const finishing = new Set<string>()

  async function requireIdle(id: string): Promise<void> {
    if (!finishing.has(id)) return
    const message = 'another request is finishing this upload'
    throw new RegistryError('UPLOAD_OFFSET_INVALID', { message, detail: { offset: await uploads.offset(id) } })
  }

  async function appendTo(session: Session, body: UploadBody, said: SaidRange | undefined): Promise<number> {
    const { id } = session
    const offset = await uploads.offset(id)
    if (said === undefined) {
      return reserving(session, () =>
        uploads.append(id, reservations.whileItComes(session, body, offset), { maxBytes }),
      )
    }
    const range = { start: offset, ...said }
    return reserving(session, async () => {
      // Of a piece that does not go on where the upload ends nothing is taken.
      if (range.start + range.length <= maxBytes && range.start === offset)
        await reservations.grow(session, range.start + range.length)
      return uploads.append(id, body, { range, maxBytes })
    })
  }

  /** What a quota refuses is not kept: it would count until it expires, and nobody could finish it. */
  async function reserving<T>(session: Session, work: () => Promise<T>): Promise<T> {
    let isAnothers = false
    try {
      return await work()
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'DENIED') await discard(session.id)
      isAnothers = error instanceof RegistryError && error.code === 'UPLOAD_OFFSET_INVALID'
      throw error
    } finally {
      // Beside a request that is sending, what is reserved is for what comes there: that one gives back what it does not need.
      if (!isAnothers) await reservations.shrink(session, await uploads.offset(session.id).catch(() => 0))
    }
  }

  /** Whoever cancelled an upload before its first byte was there found no file to remove. */
  async function requireGoingOn(id: string): Promise<void> {
    if (await sessions.has(id)) return
    await uploads.cancel(id)
    reservations.end(id)
    throw unknownUpload()
  }

  /** Ends an upload, unless another request is sending to it. */
  async function discard(id: string): Promise<void> {
    try {
      await uploads.cancel(id)
      await end(id)
    } catch (error) {
      log.debug({ err: error, id }, 'an upload that a quota refuses stays until it expires')
    }
  }

  async function end(id: string): Promise<void> {
    reservations.end(id)
    await sessions.end(id).catch((error: unknown) => log.warn({ err: error, id }, 'the record of an upload stays'))
  }

  /** Makes what came the held bytes of a digest. @returns their size */
  async function keep(session: Session, digest: Digest, last: LastPiece | undefined): Promise<number> {
    if (last !== undefined) await appendTo(session, last.body, last.range)
    try {
      const size = await uploads.finish(session.id, digest)
      await sessions.becameWhole(session, { digest, size })
      return size
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'DIGEST_INVALID') await end(session.id)
      throw error
    }
  }

  /** What was kept by a request that did not get further. @returns its size */
  async function keptBefore(id: string, whole: NonNullable<Session['whole']>, digest: Digest): Promise<number> {
    if (whole.digest !== digest) {
      const message = `what was uploaded has the digest ${whole.digest}`
      throw new RegistryError('DIGEST_INVALID', { message, detail: { digest } })
    }
    await content.touch(digest)
    // Only what is held after it was used is there to stay.
    const held = await content.held({ digest, mediaType, size: whole.size, locations: [here] })
    if (held !== undefined) return held
    await end(id)
    throw unknownUpload()
  }

  async function mount(name: StreamName, by: Pusher, { from, link }: Mountable, home: Home | undefined) {
    const { digest } = link
    const locations = mountedLocations(link, home)
    const isMore = from.project !== name.project && locations.some((each) => isCounted(each, home))
    const held = await content.held(link)
    const size = held ?? link.size
    const isMeasured = held !== undefined || link.received || link.measured === true
    const giveBack = isMore ? await reserveBytes?.(name.project, size ?? 0) : undefined
    try {
      if (home !== undefined && locations.includes(home.location))
        await home.pushBlob(digest, size ?? 0, link.locations)
      const measured = isMeasured ? ({ measured: true } as const) : {}
      await targets.give(name, by, { digest, mediaType: blobType(link), size, ...measured, locations })
    } finally {
      giveBack?.()
    }
  }

  return {
    async begin(name, by, { mount: digest, from, expectedBytes = 0 } = {}) {
      await targets.require(name, by)
      const home = await homes?.of(name)
      const source = from === undefined ? {} : { from }
      const found = digest && (await mounts.find(name, digest, { ...source, mayPull: by.mayPull }))
      if (found !== undefined) {
        await mount(name, by, found, home)
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
      if (session.whole !== undefined) throw isWhole(session.whole)
      const offset = await appendTo(session, body, range)
      await requireGoingOn(id)
      return { id, offset }
    },

    async finish(name, id, by, digest, last) {
      const session = await sessions.find(name, id, by.name)
      await requireIdle(id)
      finishing.add(id)
      try {
        const home = await homes?.of(name)
        const { whole } = session
        const size = whole === undefined ? await keep(session, digest, last) : await keptBefore(id, whole, digest)
        await home?.pushBlob(digest, size)
        await targets.give(name, by, { digest, mediaType, size, measured: true, locations: [home?.location ?? here] })
        await end(id)
        log.debug({ ...name, digest, size, by: by.name }, 'blob pushed')
      } finally {
        finishing.delete(id)
      }
    },

    async cancel(name, id, by) {
      await sessions.find(name, id, by.name)
      await requireIdle(id)
      await uploads.cancel(id)
      await sessions.end(id)
      reservations.end(id)
    },
  }
}

/** What a mounted blob has: what its stream has, but for bytes that are `here` alone, which go to the home of the project. */
function mountedLocations({ locations }: Mountable['link'], home: Home | undefined): readonly Location[] {
  return home !== undefined && locations.every(({ kind }) => kind === 'here') ? [home.location] : locations
}

/** The same bytes may be a manifest of the other stream too: that is not mounted. */
function blobType(link: Mountable['link']): string {
  return isManifestType(link.mediaType) ? mediaType : link.mediaType
}

/** Whether the quotas of the project count what is there. */
function isCounted(location: Location, home: Home | undefined): boolean {
  return location.kind === 'here' || location === home?.location
}

function isWhole({ digest, size }: NonNullable<Session['whole']>): RegistryError {
  const message = `all of this upload came: finish it as ${digest}`
  return new RegistryError('UPLOAD_OFFSET_INVALID', { message, detail: { offset: size } })
}

function tooLarge(maxBytes: number): RegistryError {
  return new RegistryError('TOO_LARGE', { message: `a blob may have ${maxBytes} bytes at most` })
}
