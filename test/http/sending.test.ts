import { randomBytes } from 'node:crypto'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import type { BlobReader } from '../../src/content/content.ts'
import { sendBody } from '../../src/http/sending.ts'
import { type Piece, piece } from '../support/images.ts'
import { type Harness, type HarnessOptions, startHttp } from './harness.ts'
import { parseMultipart } from './parse-multipart.ts'

const type = 'application/octet-stream'
const mebibyte = 1024 * 1024
const bearer = { authorization: 'Bearer good' }

/** A reader as the content store's: its one buffer is used again for each piece. */
interface Spied {
  reader: BlobReader
  reads: number
  closes: number
  closed: Promise<void>
}

function reading(bytes: Buffer, pieceSize: number, stopAfter = Number.POSITIVE_INFINITY): Spied {
  const buffer = Buffer.alloc(pieceSize)
  const closed = Promise.withResolvers<void>()
  const never = Promise.withResolvers<undefined>()
  let offset = 0
  const spied: Spied = {
    reads: 0,
    closes: 0,
    closed: closed.promise,
    reader: {
      async read() {
        if (spied.closes > 0) throw new Error('the reader is closed')
        if (offset >= bytes.length) return undefined
        spied.reads += 1
        if (spied.reads > stopAfter) return never.promise
        const length = bytes.copy(buffer, 0, offset, offset + pieceSize)
        offset += length
        return buffer.subarray(0, length)
      },
      close() {
        spied.closes += 1
        closed.resolve()
        never.reject(new Error('the reader is closed'))
      },
    },
  }
  never.promise.catch(() => undefined)
  return spied
}

/** Serves one blob by readers that tell what is done with them. */
async function serving(bytes: Buffer, pieceSize: number, more: HarnessOptions & { stopAfter?: number } = {}) {
  const readers: Spied[] = []
  const blob = piece(type, bytes)
  const { stopAfter, ...options } = more
  const harness = await startHttp({
    readBlob: (part) => {
      const spied = reading(part, pieceSize, stopAfter)
      readers.push(spied)
      return spied.reader
    },
    ...options,
  })
  harness.blobs.set(blob.digest, blob)
  return { ...harness, blob, readers, path: pathOf(blob) }
}

function pathOf({ digest }: Piece): string {
  return `/v2/demo/app/blobs/${digest}`
}

/** Asks, and answers once the head is there; nothing of the body is read. */
function open({ port }: Harness, path: string, headers: Record<string, string> = {}, agent?: Agent) {
  const sent = request({ host: '127.0.0.1', port, path, headers: { ...bearer, ...headers }, agent: agent ?? false })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    sent.on('response', resolve)
    sent.on('error', reject)
    sent.end()
  })
  answered.catch(() => undefined)
  return { sent, answered }
}

async function bodyOf(answer: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const each of answer) pieces.push(each as Buffer)
  return Buffer.concat(pieces)
}

test('what a slow client gets is exact, though the memory of each piece is used again', async () => {
  const bytes = randomBytes(8 * mebibyte)
  const world = await serving(bytes, 64 * 1024)
  const answer = await open(world, world.path).answered
  const pieces: Buffer[] = []
  for await (const each of answer) {
    pieces.push(each as Buffer)
    for (let turn = 0; turn < 3; turn += 1) await nextTurn()
  }
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
  expect(world.readers.map(({ closes }) => closes)).toEqual([1])
})

test('of a client that stops reading no more is read than the network takes, and others are served', async () => {
  // What is not read costs no memory: pages of zeros.
  const world = await serving(Buffer.alloc(256 * mebibyte), mebibyte)
  const { sent, answered } = open(world, world.path)
  const answer = await answered
  for (let i = 0; i < 50; i += 1) expect((await world.ask('/livez')).status).toBe(200)
  const [spied] = world.readers
  expect(spied?.reads).toBeLessThan(64)
  expect(spied?.closes).toBe(0)
  answer.on('error', () => undefined)
  sent.destroy()
  await spied?.closed
  await expect.poll(() => world.logged.join()).toContain('"complete":false')
  for (let i = 0; i < 5; i += 1) await world.ask('/livez')
  expect(world.logged.join()).not.toContain('blob cut off')
})

test('a client that stops and goes on gets everything', async () => {
  const bytes = randomBytes(32 * mebibyte)
  const world = await serving(bytes, 2 * mebibyte)
  const answer = await open(world, world.path).answered
  for (let i = 0; i < 20; i += 1) await world.ask('/livez')
  expect((await bodyOf(answer)).equals(bytes)).toBe(true)
})

test('a client that leaves while the next piece is waited for closes the reader at once', async () => {
  const world = await serving(randomBytes(mebibyte), 1024, { stopAfter: 1 })
  const { sent, answered } = open(world, world.path)
  const answer = await answered
  answer.on('error', () => undefined)
  await expect.poll(() => world.readers[0]?.reads).toBe(2)
  sent.destroy()
  await world.readers[0]?.closed
  expect((await world.ask('/livez')).status).toBe(200)
  expect(world.logged.join()).not.toMatch(/"level":[456]0/)
})

test('a client that left before the blob was open costs no read', async () => {
  const [waiting, opened] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const beforeBlob = async (): Promise<void> => {
    waiting.resolve()
    await opened.promise
  }
  const world = await serving(randomBytes(1024), 1024, { beforeBlob })
  const { sent } = open(world, world.path)
  await waiting.promise
  sent.destroy()
  await expect.poll(() => world.logged.join()).toContain('"complete":false')
  opened.resolve()
  await expect.poll(() => world.readers[0]?.closes).toBeGreaterThan(0)
  expect(world.readers[0]?.reads).toBe(0)
})

test('a client that leaves while its second request waits behind the first closes its one reader', async () => {
  const world = await serving(Buffer.alloc(64 * mebibyte), mebibyte)
  const socket = connect(world.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.pause()
  const one = `GET ${world.path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer good\r\n\r\n`
  socket.write(one + one)
  await expect.poll(() => world.readers.map(({ reads }) => reads > 0)).toEqual([true])
  socket.destroy()
  await world.readers[0]?.closed
  expect(world.readers).toHaveLength(1)
})

test('the connection serves further requests after every kind of answer', async () => {
  const bytes = randomBytes(1000)
  const world = await serving(bytes, 300)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ports = new Set<number | undefined>()
  const kinds: [Record<string, string>, number][] = [
    [{}, 200],
    [{ range: 'bytes=5-20' }, 206],
    [{ range: 'bytes=5-20,30-40,-1' }, 206],
    [{ range: 'bytes=1000-' }, 416],
    [{ 'if-none-match': '*' }, 304],
    [{}, 200],
  ]
  for (const [headers, status] of kinds) {
    const answer = await open(world, world.path, headers, agent).answered
    ports.add(answer.socket.localPort)
    const body = await bodyOf(answer)
    expect(answer.statusCode).toBe(status)
    if (status === 200) expect(body.equals(bytes)).toBe(true)
    if (headers.range === 'bytes=5-20,30-40,-1') {
      expect(parseMultipart(answer.headers['content-type'], body).map((part) => part.bytes.length)).toEqual([16, 11, 1])
    }
  }
  agent.destroy()
  expect(ports.size).toBe(1)
  expect(world.readers.every(({ closes }) => closes === 1)).toBe(true)
})

test('I4: a blob that breaks off ends a connection that was to be kept, so that no later answer is taken for its rest', async () => {
  const world = await serving(randomBytes(1000), 300, {
    readBlob: (part) => reading(part.subarray(0, 500), 300).reader,
  })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const answer = await open(world, world.path, {}, agent).answered
  expect(answer.headers.connection).toBe('keep-alive')
  await expect(bodyOf(answer)).rejects.toThrow('aborted')
  agent.destroy()
})

test('sending ends when the client leaves, also where its answer was still behind another', async () => {
  const ended: Promise<unknown>[] = []
  const begun: Spied[] = []
  const server = createServer((_incoming, outgoing) => {
    const spied = reading(Buffer.alloc(64 * mebibyte), mebibyte)
    begun.push(spied)
    outgoing.writeHead(200, { 'Content-Length': 64 * mebibyte })
    const blob = { reader: spied.reader, length: 64 * mebibyte }
    ended.push(sendBody(outgoing, ({ writeBlob }) => writeBlob(blob)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.pause()
  socket.write('GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n')
  await expect.poll(() => begun.map(({ reads }) => reads > 0)).toEqual([true, true])
  socket.destroy()
  expect(await Promise.all(ended)).toEqual([undefined, undefined])
})

test('a client that leaves between two parts opens no third', async () => {
  const left = Promise.withResolvers<void>()
  let opened = 0
  const beforeBlob = (signal: AbortSignal | undefined): Promise<void> => {
    opened += 1
    if (opened < 2) return Promise.resolve()
    return new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => {
        reject(signal.reason)
        left.resolve()
      })
    })
  }
  const world = await serving(randomBytes(1000), 300, { beforeBlob })
  const { sent, answered } = open(world, world.path, { range: 'bytes=0-9,20-29,40-49' })
  const answer = await answered
  answer.on('error', () => undefined)
  await expect.poll(() => opened).toBe(2)
  sent.destroy()
  await left.promise
  await expect.poll(() => world.logged.join()).toContain('"complete":false')
  expect([opened, world.readers.length]).toEqual([2, 1])
  expect(world.logged.join()).not.toContain('blob cut off')
})

test('a part that is not where it was laid out cuts the connection, and its reader is closed', async () => {
  const readers: Spied[] = []
  const harness = await startHttp({
    readBlob: (part) => {
      const spied = reading(part, 100)
      readers.push(spied)
      return spied.reader
    },
    // The blob is another one from the second opening on, as one of a wrong size is.
    beforeBlob: async () => {
      if (readers.length === 1) harness.blobs.set(long.digest, { ...long, bytes: long.bytes.subarray(0, 25) })
    },
  })
  const long = piece(type, randomBytes(100))
  harness.blobs.set(long.digest, long)
  const asked = { token: 'good', headers: { range: 'bytes=0-9,20-29' } }
  await expect(harness.ask(pathOf(long), asked)).rejects.toThrow(/aborted|socket hang up|ECONNRESET/)
  await expect.poll(() => harness.logged.join()).toContain('the blob gave 5 bytes from 20 for 10 from 20')
  expect(readers.map(({ closes }) => closes > 0)).toEqual([true, true])
})
