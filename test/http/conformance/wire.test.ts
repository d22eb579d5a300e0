/** Uploads as hostile and odd clients write them on the wire. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { useRegistry } from './registry.ts'

const registry = useRegistry()
const bytes = 'hello world'
const digest = digestOf(bytes)

/** A token, and what begins an upload with it. */
async function pusher() {
  const { world } = registry()
  const token = await world.pullToken('repository:demo/wire:pull,push,delete', world.adminToken)
  const begin = async () => {
    const { headers } = await world.request('/v2/demo/wire/blobs/uploads/', { method: 'POST', token })
    return String(headers.location)
  }
  return { token, begin, has: async () => (await world.request(`/v2/demo/wire/blobs/${digest}`, { token })).status }
}

/** Sends what is written, and gives the statuses and error codes that come until Weir ends the connection. */
async function exchange(text: string, { end = false } = {}): Promise<string> {
  const socket = connect(registry().world.weir.http.port, '127.0.0.1')
  let answer = ''
  socket.on('data', (piece) => {
    answer += String(piece)
  })
  socket.on('error', () => undefined)
  if (end) socket.end(text)
  else socket.write(text)
  await once(socket, 'close')
  return [...answer.matchAll(/HTTP\/1\.1 (\d+)|"code":"([A-Z_]+)"/g)].map((found) => found[1] ?? found[2]).join(' ')
}

const request = (line: string, token: string, headers: readonly string[], version = '1.1') =>
  [`${line} HTTP/${version}`, 'Host: x', `Authorization: Bearer ${token}`, ...headers, '', ''].join('\r\n')

test.each([
  ['0-10', '202'],
  ['00-010', '202'],
  ['0 - 10', '400 BLOB_UPLOAD_INVALID'],
  ['bytes 0-10/11', '400 BLOB_UPLOAD_INVALID'],
  ['bytes=0-10', '400 BLOB_UPLOAD_INVALID'],
  ['10-0', '400 BLOB_UPLOAD_INVALID'],
  ['-1-10', '400 BLOB_UPLOAD_INVALID'],
  ['0-99999999999999999999', '400 BLOB_UPLOAD_INVALID'],
  ['0-999999999999999', '400 SIZE_INVALID'],
  ['0-9', '400 SIZE_INVALID'],
  ['0-10, 0-10', '400 BLOB_UPLOAD_INVALID'],
  ['0-10\r\nContent-Range: 0-10', '400 BLOB_UPLOAD_INVALID'],
  ['5-15', '416 BLOB_UPLOAD_INVALID'],
  ['', '400 BLOB_UPLOAD_INVALID'],
])('a piece with Content-Range %j is answered %s', async (range, answer) => {
  const { token, begin } = await pusher()
  const headers = [`Content-Range: ${range}`, 'Content-Length: 11', 'Connection: close']
  expect(await exchange(request(`PATCH ${await begin()}`, token, headers) + bytes)).toBe(answer)
})

test.each([
  ['two lengths', ['Content-Length: 11', 'Content-Length: 5'], bytes],
  ['a length and a coding', ['Content-Length: 11', 'Transfer-Encoding: chunked'], `b\r\n${bytes}\r\n0\r\n\r\n`],
  ['a coding that is none', ['Transfer-Encoding: identity'], bytes],
])('a body with %s is refused', async (_, headers, body) => {
  const { token, begin } = await pusher()
  const upload = await begin()
  expect(await exchange(request(`PATCH ${upload}`, token, [...headers, 'Connection: close']) + body)).toBe('400')
  expect((await registry().world.request(upload, { token })).status).toBe(204)
})

test('a body that ends before its length is not taken for the whole, and the upload stays', async () => {
  const { token, begin } = await pusher()
  const upload = await begin()
  const put = request(`PUT ${upload}?digest=${digest}`, token, ['Content-Length: 12'])
  expect(await exchange(put + bytes, { end: true })).not.toContain('201')
  const { world } = registry()
  expect((await world.request(upload, { token })).status).toBe(204)
})

test('nothing in the trailers of a body counts', async () => {
  const { token, begin } = await pusher()
  const headers = ['Transfer-Encoding: chunked', 'Trailer: Content-Range', 'Connection: close']
  const body = `b\r\n${bytes}\r\n0\r\nContent-Range: 5-15\r\nAuthorization: Bearer x\r\n\r\n`
  expect(await exchange(request(`PUT ${await begin()}?digest=${digest}`, token, headers) + body)).toBe('201')
})

test('bytes are the blob as they came, whatever coding they are said to have', async () => {
  const { token, begin } = await pusher()
  const headers = ['Content-Encoding: gzip', 'Content-Length: 11', 'Connection: close']
  expect(await exchange(request(`PUT ${await begin()}?digest=${digest}`, token, headers) + bytes)).toBe('201')
})

test('HTTP/1.0 may push what it says the length of, and is told of no 100', async () => {
  const { token, begin } = await pusher()
  const put = async (headers: readonly string[]) =>
    exchange(request(`PUT ${await begin()}?digest=${digest}`, token, headers, '1.0') + bytes)
  expect(await put(['Content-Length: 11'])).toBe('201')
  expect(await put(['Content-Length: 11', 'Expect: 100-continue'])).toBe('201')
  expect(await put([])).toMatch(/^400/)
})

test.each([
  ['', '404 BLOB_UPLOAD_UNKNOWN'],
  ['Expect: 100-continue', '404 BLOB_UPLOAD_UNKNOWN'],
])('a request inside a body that is not read is none (%j)', async (expectation, answer) => {
  const { token, begin, has } = await pusher()
  const whole = ['Content-Length: 11', 'Connection: close']
  expect(await exchange(request(`PUT ${await begin()}?digest=${digest}`, token, whole) + bytes)).toBe('201')
  const inner = request(`DELETE /v2/demo/wire/blobs/${digest}`, token, ['Connection: close'])
  const headers = [`Content-Length: ${inner.length}`, ...(expectation === '' ? ['Connection: close'] : [expectation])]
  const refused = request('PATCH /v2/demo/wire/blobs/uploads/nope', token, headers)
  expect(await exchange(refused + inner)).toBe(answer)
  expect(await has()).toBe(200)
})

test('of several that finish an upload at the same time one does, and a cancel beside it takes nothing away', async () => {
  const { world } = registry()
  const { token, begin, has } = await pusher()
  const upload = await begin()
  const finish = () => world.request(`${upload}?digest=${digest}`, { method: 'PUT', token, body: bytes })
  const cancel = () => world.request(upload, { method: 'DELETE', token })
  const statuses = (await Promise.all([finish(), finish(), cancel(), finish()])).map(({ status }) => status)
  expect(statuses.filter((status) => status === 201)).toHaveLength(1)
  expect(statuses.filter((status) => status !== 201).every((status) => status === 416 || status === 404)).toBe(true)
  expect(await has()).toBe(200)
})
