import type { Content, HereLocation } from '../content/content.ts'
import type { UploadBody } from '../content/uploads.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { SaidRange, SessionBytes } from './session-bytes.ts'
import { type Session, type Sessions, unknownUpload } from './sessions.ts'
import { blobMediaType } from './targets.ts'

export interface LastPiece {
  body: UploadBody
  range?: SaidRange
}

export interface WholeUploadOptions {
  sessions: Pick<Sessions, 'becameWhole'>
  bytes: Pick<SessionBytes, 'append' | 'end'>
  content: Pick<Content, 'uploads' | 'touch' | 'held'>
}

type Whole = NonNullable<Session['whole']>

const here: HereLocation = { kind: 'here' }

/**
 * Makes what came of an upload the held bytes of a digest; what a request before this one kept, which did not get further, stays so.
 *
 * @returns their size
 * @throws RegistryError DIGEST_INVALID, BLOB_UPLOAD_UNKNOWN when what was kept is gone, and as `Push.append`
 */
export async function keepUpload(
  options: WholeUploadOptions,
  session: Session,
  digest: Digest,
  last: LastPiece | undefined,
): Promise<number> {
  const { whole } = session
  return whole === undefined ? keep(options, session, digest, last) : requireKept(options, session.id, whole, digest)
}

async function keep(
  { sessions, bytes, content }: WholeUploadOptions,
  session: Session,
  digest: Digest,
  last: LastPiece | undefined,
): Promise<number> {
  if (last !== undefined) await bytes.append(session, last.body, last.range)
  try {
    const size = await content.uploads.finish(session.id, digest)
    await sessions.becameWhole(session, { digest, size })
    return size
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'DIGEST_INVALID') await bytes.end(session.id)
    throw error
  }
}

/**
 * What was kept of an upload before is held still, and there to stay; else the upload ends.
 *
 * @returns its size
 * @throws RegistryError BLOB_UPLOAD_UNKNOWN when it is gone, DIGEST_INVALID when it is something else
 */
export async function requireKept(
  { bytes, content }: Pick<WholeUploadOptions, 'bytes' | 'content'>,
  id: string,
  whole: Pick<Whole, 'digest' | 'size'>,
  digest: Digest,
): Promise<number> {
  if (whole.digest !== digest) {
    const message = `what was uploaded has the digest ${whole.digest}`
    throw new RegistryError('DIGEST_INVALID', { message, detail: { digest } })
  }
  await content.touch(digest)
  // Only what is held after it was used is there to stay.
  const held = await content.held({ digest, mediaType: blobMediaType, size: whole.size, locations: [here] })
  if (held !== undefined) return held
  await bytes.end(id)
  throw unknownUpload()
}

/** Nothing is appended to an upload all of which came. */
export function requireUnfinished({ whole }: Session): void {
  if (whole === undefined) return
  const message = `all of this upload came: finish it as ${whole.digest}`
  throw new RegistryError('UPLOAD_OFFSET_INVALID', { message, detail: { offset: whole.size } })
}
