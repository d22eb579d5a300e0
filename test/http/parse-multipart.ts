/** One part of a `multipart/byteranges` body. */
export interface ParsedPart {
  headers: Record<string, string>
  bytes: Buffer
}

/**
 * Reads a `multipart/byteranges` body as the strictest client would: no preamble, no epilogue, CRLF throughout, and each part's
 * bytes as many as its Content-Range says. Throws for anything else.
 */
export function parseMultipart(contentType: string | undefined, body: Buffer): ParsedPart[] {
  const boundary = /^multipart\/byteranges; boundary=([0-9A-Za-z]{1,70})$/.exec(contentType ?? '')?.[1]
  if (boundary === undefined) throw new Error(`no type of several parts: ${contentType}`)
  const parts: ParsedPart[] = []
  let at = 0
  const take = (text: string): void => {
    const found = body.subarray(at, at + text.length).toString('latin1')
    if (found !== text) throw new Error(`at ${at}: ${JSON.stringify(found)} instead of ${JSON.stringify(text)}`)
    at += text.length
  }
  take(`--${boundary}`)
  while (body.subarray(at, at + 2).toString('latin1') !== '--') {
    take('\r\n')
    const end = body.indexOf('\r\n\r\n', at)
    const lines = body.subarray(at, end).toString('latin1').split('\r\n')
    const headers = Object.fromEntries(lines.map((line) => line.split(': ')))
    const range = /^bytes (\d+)-(\d+)\/\d+$/.exec(headers['Content-Range'] ?? '')
    if (range === null) throw new Error(`a part has Content-Range ${headers['Content-Range']}`)
    const length = Number(range[2]) - Number(range[1]) + 1
    at = end + 4
    parts.push({ headers, bytes: body.subarray(at, at + length) })
    at += length
    take(`\r\n--${boundary}`)
  }
  take('--\r\n')
  if (at !== body.length) throw new Error(`${body.length - at} bytes after the end`)
  return parts
}
