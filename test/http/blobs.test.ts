import { request } from 'node:http'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { piece } from '../support/images.ts'
import { type Answered, type Harness, type HarnessOptions, startHttp } from './harness.ts'
import { parseMultipart } from './parse-multipart.ts'

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
    'cache-control': 'private, max-age=31536000, immutable',
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

const several: [string, [number, number][]][] = [
  [
    'bytes=0-9,20-29',
    [
      [0, 9],
      [20, 29],
    ],
  ],
  [
    'bytes=20-29, 0-9',
    [
      [20, 29],
      [0, 9],
    ],
  ],
  [
    'bytes=0-0,0-0,0-0',
    [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
  ],
  [
    'bytes=95-500,-3,,0-1,',
    [
      [95, 99],
      [97, 99],
      [0, 1],
    ],
  ],
  [
    'bytes=0-49,50-',
    [
      [0, 49],
      [50, 99],
    ],
  ],
]

test.each(several)('Range %s answers 206 with exactly these parts, in this order', async (range, expected) => {
  const { ask, calls } = await world()
  const answer = await ask(path, { token: 'good', headers: { range } })
  expect(answer.status).toBe(206)
  expect(answer.headers).toMatchObject({
    'content-length': String(answer.body.length),
    'docker-content-digest': blob.digest,
    etag: `"${blob.digest}"`,
  })
  expect(answer.headers).not.toHaveProperty('content-range')
  expect(parseMultipart(answer.headers['content-type'], answer.body)).toEqual(
    expected.map(([first, last]) => ({
      headers: { 'Content-Type': 'application/octet-stream', 'Content-Range': `bytes ${first}-${last}/100` },
      bytes: blob.bytes.subarray(first, last + 1),
    })),
  )
  expect(calls).toEqual(['size', ...expected.map(([start, end]) => `open ${JSON.stringify({ start, end })}`)])
})

test('one range in a list of one is a plain part', async () => {
  const { ask, calls } = await world()
  const answer = await ask(path, { token: 'good', headers: { range: 'bytes=,0-9,' } })
  expect([answer.status, answer.headers['content-range'], answer.body.length]).toEqual([206, 'bytes 0-9/100', 10])
  expect(calls).toEqual(['open {"start":0,"end":9}'])
})

test.each([
  ['too many', `bytes=${Array.from({ length: 65 }, () => '0-0').join(',')}`],
  ['more bytes than there are', 'bytes=0-50,50-99'],
  ['one that no byte answers to', 'bytes=0-9,100-'],
  ['one that is no range', 'bytes=0-9,x'],
])('several ranges answer the whole when there is %s', async (_name, range) => {
  const { ask, calls } = await world()
  const answer = await ask(path, { token: 'good', headers: { range } })
  expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/octet-stream'])
  expect(answer.body.equals(blob.bytes)).toBe(true)
  expect(calls.at(-1)).toBe('open "whole"')
})

test.each([
  [blob.digest, 'bytes=100-,5-4,-0', 100],
  [empty.digest, 'bytes=0-1,-1', 0],
])('several ranges that no byte of %s answers to are 416 with the size', async (digest, range, size) => {
  const { ask } = await world()
  const answer = await ask(`/v2/demo/app/blobs/${digest}`, { token: 'good', headers: { range } })
  expect([answer.status, answer.headers['content-range']]).toEqual([416, `bytes */${size}`])
})

test('several ranges of another ETag, or of what the client has, open no part', async () => {
  const { ask, calls } = await world()
  const range = 'bytes=0-9,20-29'
  const other = await ask(path, { token: 'good', headers: { range, 'if-range': `"${empty.digest}"` } })
  expect(other.status).toBe(200)
  const same = await ask(path, { token: 'good', headers: { range, 'if-range': `"${blob.digest}"` } })
  expect(parseMultipart(same.headers['content-type'], same.body)).toHaveLength(2)
  calls.length = 0
  expect((await ask(path, { token: 'good', headers: { range, 'if-none-match': blob.digest } })).status).toBe(304)
  expect((await ask(path, { token: 'good', method: 'HEAD', headers: { range } })).headers['content-length']).toBe('100')
  expect(calls).toEqual(['size', 'size'])
})

test.each([
  ['fails', () => failing(Buffer.alloc(3))],
  ['ends early', () => Readable.from([Buffer.alloc(3)])],
  ['holds more than it said', () => Readable.from([Buffer.alloc(99)])],
])('I4: a later part that %s cuts the connection', async (_name, readSecond) => {
  let opened = 0
  const readBlob = (bytes: Buffer) => {
    opened += 1
    return opened === 2 ? readSecond() : Readable.from([bytes])
  }
  const { ask, logged } = await world({ readBlob })
  const pulled = ask(path, { token: 'good', headers: { range: 'bytes=0-9,20-29,40-49' } })
  await expect(pulled).rejects.toThrow(/aborted|socket hang up|ECONNRESET/)
  await expect.poll(() => logged.join()).toContain('blob cut off')
  expect(opened).toBe(2)
})

test('a part that can not be opened is an answer when it is the first, and cuts the connection later', async () => {
  const refuseFrom = async (count: number) => {
    let opened = 0
    const beforeBlob = async () => {
      opened += 1
      if (opened >= count) throw new RegistryError('UNAVAILABLE')
    }
    return world({ beforeBlob })
  }
  const asked = { token: 'good', headers: { range: 'bytes=0-9,20-29' } }
  expect((await (await refuseFrom(1)).ask(path, asked)).status).toBe(503)
  await expect((await refuseFrom(2)).ask(path, asked)).rejects.toThrow(/aborted|socket hang up|ECONNRESET/)
})

test('whatever Range says, the answer is the whole, exact parts, or 416', async () => {
  const { ask } = await world()
  const position = fc.oneof(fc.nat(130).map(String), fc.constant('9'.repeat(30)), fc.constant(''))
  const element = fc.oneof(
    { weight: 5, arbitrary: fc.tuple(position, position).map((both) => both.join('-')) },
    { weight: 1, arbitrary: fc.stringMatching(/^[ -~]{0,9}$/) },
  )
  const header = fc.tuple(fc.constantFrom('bytes=', 'Bytes= ', 'byte='), fc.array(element, { maxLength: 70 }))
  await fc.assert(
    fc.asyncProperty(header, async ([unit, elements]) => {
      const range = `${unit}${elements.join(',')}`
      expectAnswer(await ask(path, { token: 'good', headers: { range } }))
    }),
    { numRuns: 300 },
  )
})

function expectAnswer({ status, headers, body }: Answered): void {
  const ofOne = headers['content-range']
  if (status === 416) expect(ofOne).toBe('bytes */100')
  else expect(headers['content-length']).toBe(String(body.length))
  if (status === 200) expect(body.equals(blob.bytes)).toBe(true)
  expect([200, 206, 416]).toContain(status)
  if (status !== 206) return
  const type = headers['content-type']
  const parts =
    ofOne === undefined ? parseMultipart(type, body) : [{ headers: { 'Content-Range': ofOne }, bytes: body }]
  for (const part of parts) {
    const [, first, last] = /^bytes (\d+)-(\d+)\/100$/.exec(part.headers['Content-Range'] ?? '') ?? []
    expect(part.bytes.equals(blob.bytes.subarray(Number(first), Number(last) + 1))).toBe(true)
  }
}

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
