import type { Logger } from 'pino'
import type { UploadBody, Uploads } from '../content/uploads.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Reservations } from './reservations.ts'
import { type Session, type Sessions, unknownUpload } from './sessions.ts'

/** Bytes of an upload as a client said them: `length` how many come, `start` where they go; default: where the upload ends. */
export interface SaidRange {
  start?: number
  length: number
}

/** The bytes of uploads while they come, as many as the quotas of their projects let in. */
export interface SessionBytes {
  /**
   * Appends what comes, to an upload that is to go on.
   *
   * @returns how many are there then
   * @throws RegistryError as `Uploads.append`; DENIED: the upload is ended then, unless another request is sending to it
   */
  append(session: Session, body: UploadBody, said: SaidRange | undefined): Promise<number>
  /** After an `append`: a session that was cancelled meanwhile takes what came with it. @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  requireGoingOn(id: string): Promise<void>
  /** Ends a session whose bytes are gone already, or a blob; what stays of its record expires. */
  end(id: string): Promise<void>
  /** Removes what came, and ends the session. @throws RegistryError UPLOAD_OFFSET_INVALID when a request is writing */
  cancel(id: string): Promise<void>
}

export interface SessionBytesOptions {
  sessions: Pick<Sessions, 'has' | 'end'>
  reservations: Reservations
  uploads: Pick<Uploads, 'offset' | 'append' | 'cancel'>
  /** Most of one blob. */
  maxBytes: number
  log: Logger
}

export function createSessionBytes(options: SessionBytesOptions): SessionBytes {
  const { sessions, reservations, uploads, maxBytes, log } = options

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

  return {
    end,
    async append(session, body, said) {
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
    },
    async requireGoingOn(id) {
      if (await sessions.has(id)) return
      // Whoever cancelled it before its first byte was there found no file to remove.
      await uploads.cancel(id)
      reservations.end(id)
      throw unknownUpload()
    },
    async cancel(id) {
      await uploads.cancel(id)
      await sessions.end(id)
      reservations.end(id)
    },
  }
}
