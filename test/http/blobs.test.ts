import { request } from 'node:http'
import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { piece } from '../support/images.ts'
import { type Harness, type HarnessOptions, startHttp } from './harness.ts'

const blob = piece('application/octet-stream', Buffer.from('0123456789'.repeat(10)))
const empty = piece('application/octet-stream', Buffer.alloc(0))
const path = `/v2/demo/app/blobs/${blob.digest}`

async function world(options: HarnessOptions = {}): Promise<Harness> {
  const harness = await startHttp(options)
  harness.blobs.set(blob.digest, blob)
  harness.blobs.set(empty.digest, empty)
  return harness
}

test('GET answers the whole with what describes it', async () => {
  const { ask } = await world()
  const answer = await ask(path, { token: 'good' })
  expect(answer.status).toBe(200)
  expect(answer.body.equals(blob.bytes)).toBe(true)
  expect(answer.headers).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-length': '100',
    'docker-content-digest': blob.digest,
    etag: `"${blob.digest}"`,
    'accept-ranges': 'bytes',
    'docker-distribution-api-version': 'registry/2.0',
    'x-request-id': expect.any(String),
  })
})

test('HEAD has the headers of GET and opens nothing, whatever range it asks for', async () => {
  const { ask, calls } = await world()
  const options = { token: 'good', headers: { 'x-request-id': 'same' } }
  const get = await ask(path, options)
  calls.length = 0
  for (const range of [undefined, 'bytes=0-9']) {
    const headers = range === undefined ? options.headers : { ...options.headers, range }
    const head = await ask(path, { ...options, headers, method: 'HEAD' })
    expect([head.status, head.body.length]).toEqual([200, 0])
    expect({ ...head.headers, date: '' }).toEqual({ ...get.headers, date: '' })
  }
  expect(calls).toEqual(['size', 'size'])
})

test('an empty blob has a Content-Length of 0', async () => {
  const { ask } = await world()
  for (const method of ['GET', 'HEAD']) {
    const answer = await ask(`/v2/demo/app/blobs/${empty.digest}`, { token: 'good', method })
    expect([answer.status, answer.headers['content-length']]).toEqual([200, '0'])
  }
})

test.each([
  ['bytes=0-9', 0, 9],
  ['bytes=90-', 90, 99],
  ['bytes=95-500', 95, 99],
  ['bytes=-5', 95, 99],
  ['bytes=-500', 0, 99],
  ['bytes=0-', 0, 99],
])('Range %s answers 206 with bytes %i to %i', async (range, first, last) => {
  const { ask } = await world()
  const answer = await ask(path, { token: 'good', headers: { range } })
  expect(answer.status).toBe(206)
  expect(answer.headers).toMatchObject({
    'content-range': `bytes ${first}-${last}/100`,
    'content-length': String(last - first + 1),
    'docker-content-digest': blob.digest,
  })
  expect(answer.body.equals(blob.bytes.subarray(first, last + 1))).toBe(true)
})

test.each(['bytes=100-', 'bytes=500-0', 'bytes=-0', 'bytes=9007199254740993-'])(
  'Range %s answers 416 with the size',
  async (range) => {
    const { ask } = await world()
    const answer = await ask(path, { token: 'good', headers: { range } })
    expect([answer.status, answer.headers['content-range']]).toEqual([416, 'bytes */100'])
    expect(answer.json()).toMatchObject({ errors: [{ code: 'SIZE_INVALID' }] })
  },
)

test('several ranges answer the whole', async () => {
  const { ask } = await world()
  const answer = await ask(path, { token: 'good', headers: { range: 'bytes=0-9,20-29' } })
  expect([answer.status, answer.body.length]).toEqual([200, 100])
})

test('If-Range gives the range for the same tag and the whole for another', async () => {
  const { ask } = await world()
  const status = async (tag: string) =>
    (await ask(path, { token: 'good', headers: { range: 'bytes=0-9', 'if-range': tag } })).status
  expect(await status(`"${blob.digest}"`)).toBe(206)
  expect(await status(`"${empty.digest}"`)).toBe(200)
})

test('If-None-Match answers 304 and opens nothing, but only for what may be had', async () => {
  const { ask, calls } = await world()
  const headers = { 'if-none-match': blob.digest }
  const answer = await ask(path, { token: 'good', headers })
  expect([answer.status, answer.body.length, answer.headers.etag]).toEqual([304, 0, `"${blob.digest}"`])
  expect(calls).toEqual(['size'])
  const unknown = `sha256:${'0'.repeat(64)}`
  const refused = await ask(`/v2/demo/app/blobs/${unknown}`, { token: 'good', headers: { 'if-none-match': '*' } })
  expect(refused.status).toBe(404)
})

test.each([
  ['an unknown digest', `sha256:${'0'.repeat(64)}`, 404, 'BLOB_UNKNOWN'],
  ['garbage', 'sha256:xyz', 400, 'DIGEST_INVALID'],
])('%s is refused', async (_name, digest, status, code) => {
  const { ask } = await world()
  const answer = await ask(`/v2/demo/app/blobs/${digest}`, { token: 'good' })
  expect(answer.status).toBe(status)
  expect(answer.json()).toMatchObject({ errors: [{ code }] })
})

const misbehaviour: [string, string, (bytes: Buffer) => Readable][] = [
  ['fails in its middle', 'the digest does not match', (bytes) => failing(bytes.subarray(0, 50))],
  ['ends early', 'ended after 50 of 100 bytes', (bytes) => Readable.from([bytes.subarray(0, 50)])],
  ['holds more than it said', 'more than the 100 bytes', (bytes) => Readable.from([Buffer.concat([bytes, bytes])])],
  ['is torn down without a word', 'the reader is closed', (bytes) => torn(bytes.subarray(0, 50))],
]

test.each(misbehaviour)(
  'I4: a stream that %s cuts the connection and is never a clean end',
  async (_name, told, readBlob) => {
    const { ask, logged } = await world({ readBlob })
    await expect(ask(path, { token: 'good' })).rejects.toThrow(/aborted|socket hang up|ECONNRESET/)
    await expect.poll(() => logged.join()).toMatch(new RegExp(`${told}.*blob cut off`))
  },
)

test('a client that leaves ends the stream behind it', async () => {
  const closed = Promise.withResolvers<void>()
  const readBlob = (bytes: Buffer) => waiting(bytes.subarray(0, 10)).once('close', () => closed.resolve())
  const { port } = await world({ readBlob })
  const sent = request({ host: '127.0.0.1', port, path, headers: { authorization: 'Bearer good' } })
  sent.on('response', (response) => response.once('data', () => sent.destroy()))
  sent.on('error', () => {})
  sent.end()
  await closed.promise
})

test('a client that leaves before the first byte ends the waiting for it, and is no failure', async () => {
  const [waited, aborted] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const beforeBlob = (signal: AbortSignal | undefined) =>
    new Promise<void>((_resolve, reject) => {
      signal?.addEventListener('abort', () => {
        reject(signal.reason)
        aborted.resolve()
      })
      waited.resolve()
    })
  const { port, logged, ask } = await world({ beforeBlob })
  const sent = request({ host: '127.0.0.1', port, path, headers: { authorization: 'Bearer good' } })
  sent.on('error', () => {})
  sent.end()
  await waited.promise
  sent.destroy()
  await aborted.promise
  expect((await ask('/livez')).status).toBe(200)
  expect(logged.join()).not.toMatch(/"level":[456]0/)
})

test('a blob that comes late is served while the client waits', async () => {
  const { ask } = await world({ beforeBlob: async (signal) => expect(signal?.aborted).toBe(false) })
  expect((await ask(path, { token: 'good' })).body.equals(blob.bytes)).toBe(true)
})

function failing(bytes: Buffer): Readable {
  return Readable.from(
    (async function* () {
      yield bytes
      throw new Error('the digest does not match')
    })(),
  )
}

function torn(bytes: Buffer): Readable {
  const stream = waiting(bytes)
  setImmediate(() => stream.destroy())
  return stream
}

function waiting(bytes: Buffer): Readable {
  const stream = new Readable({ read() {} })
  stream.push(bytes)
  return stream
}
