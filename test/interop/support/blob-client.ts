/**
 * Fetches one URL over plain HTTP and hashes what comes, as cheaply as Node can: many of these run at once. Prints one line of
 * JSON; ends with 0 only when a 200 came whole.
 *
 * `node blob-client.ts URL AUTHORIZATION`
 */
import { createHash } from 'node:crypto'
import { connect } from 'node:net'

const [url = '', authorization = ''] = process.argv.slice(2)
const { hostname, port, host, pathname } = new URL(url)
const began = performance.now()
const hash = createHash('sha256')
let head = Buffer.alloc(0)
let expected: number | undefined
let bytes = 0
let firstByteMs = 0

const onread = { buffer: Buffer.alloc(512 * 1024), callback: take }
const socket = connect({ host: hostname, port: Number(port), onread })
socket.write(
  `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\nauthorization: ${authorization}\r\nconnection: close\r\n\r\n`,
)
socket.on('error', () => end())
socket.on('close', () => end())

function take(length: number, buffer: Uint8Array): boolean {
  const piece = Buffer.from(buffer.buffer, buffer.byteOffset, length)
  if (expected !== undefined) body(piece)
  else readHead(piece)
  return true
}

function readHead(piece: Buffer): void {
  head = Buffer.concat([head, piece])
  const at = head.indexOf('\r\n\r\n')
  if (at < 0) return
  const text = head.toString('latin1', 0, at)
  const [, contentLength] = /^content-length: *(\d+)/im.exec(text) ?? []
  if (!text.startsWith('HTTP/1.1 200 ') || contentLength === undefined) end(text)
  expected = Number(contentLength)
  body(head.subarray(at + 4))
}

function body(piece: Buffer): void {
  if (piece.length === 0) return
  if (bytes === 0) firstByteMs = performance.now() - began
  hash.update(piece)
  bytes += piece.length
  if (bytes === expected) end()
}

function end(problem = 'broke off'): never {
  const isWhole = bytes === expected
  const told = { digest: `sha256:${hash.digest('hex')}`, bytes, firstByteMs, totalMs: performance.now() - began }
  process.stdout.write(`${JSON.stringify({ ...told, stderr: isWhole ? '' : problem })}\n`)
  process.exit(isWhole ? 0 : 1)
}
