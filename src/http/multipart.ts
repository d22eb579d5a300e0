import { randomBytes } from 'node:crypto'
import type { Extent } from '../content/range.ts'

/** One part of a body: what comes before its bytes, and which bytes of the blob they are. */
export interface MultipartPart {
  head: Buffer
  extent: Extent
}

/** A body of type `multipart/byteranges`, whose length is known before its first byte. */
export interface Multipart {
  contentType: string
  contentLength: number
  /** In the order in which they are sent. */
  parts: readonly MultipartPart[]
  /** What ends the body. */
  end: Buffer
}

/**
 * Lays out the parts of a blob of `size` bytes. The boundary can not be guessed, so nobody makes a blob that has it inside.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-14.6
 */
export function layOutMultipart(extents: readonly Extent[], size: number, contentType: string): Multipart {
  const boundary = randomBytes(24).toString('hex')
  const parts = extents.map((extent, i): MultipartPart => {
    const delimiter = `${i === 0 ? '' : '\r\n'}--${boundary}`
    const head = `${delimiter}\r\nContent-Type: ${contentType}\r\nContent-Range: ${contentRange(extent, size)}\r\n\r\n`
    return { head: Buffer.from(head, 'latin1'), extent }
  })
  const end = Buffer.from(`\r\n--${boundary}--\r\n`, 'latin1')
  const contentLength = parts.reduce((sum, { head, extent }) => sum + head.length + extent.length, end.length)
  return { contentType: `multipart/byteranges; boundary=${boundary}`, contentLength, parts, end }
}

/** The value of Content-Range. */
export function contentRange({ offset, length }: Extent, size: number): string {
  return `bytes ${offset}-${offset + length - 1}/${size}`
}
