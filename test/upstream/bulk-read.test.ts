import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { setDefaultCACertificates } from 'node:tls'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { bulkRead, bulkReadWhereTried } from '../../src/upstream/bulk-read.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { createFakeAuthority } from '../support/fake-upstream-tls.ts'
import { piece } from '../support/images.ts'
import { at, read, startClient } from './start-client.ts'

const kibibyte = 1024

/** Bytes that tell where they are. */
function counting(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeUInt32LE((i * 2654435761 + seed) >>> 0, i)
  return bytes
}

/** A server that sends `bytes` in writes of these sizes, again and again, and ends. */
async function serve(bytes: Buffer, sizes: readonly number[]): Promise<number> {
  const server = createServer(async (socket) => {
    socket.on('error', () => undefined)
    for (let at = 0, i = 0; at < bytes.length; i += 1) {
      const size = sizes[i % sizes.length] ?? bytes.length
      if (!socket.write(bytes.subarray(at, at + size))) await once(socket, 'drain').catch(() => undefined)
      at += size
      if (i % 7 === 0) await setImmediate()
    }
    socket.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** Takes what is there whenever there is something, as undici does, or only after it has gathered for some turns. */
async function gather(socket: Socket, turns: number): Promise<{ bytes: Buffer; memories: Set<ArrayBufferLike> }> {
  const pieces: Buffer[] = []
  const memories = new Set<ArrayBufferLike>()
  const drain = (): void => {
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
      if (chunk.length > 4 * kibibyte) memories.add(chunk.buffer)
      pieces.push(Buffer.from(chunk))
    }
  }
  socket.on('readable', async () => {
    for (let turn = 0; turn < turns; turn += 1) await setImmediate()
    drain()
  })
  await once(socket, 'end')
  return { bytes: Buffer.concat(pieces), memories }
}

describe('a connection that reads into the same memory', () => {
  test('gives the bytes that came, however they came and were read', async () => {
    const size = fc.integer({ min: 1, max: 400 * kibibyte })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3000 * kibibyte }),
        fc.array(size, { minLength: 1, maxLength: 5 }),
        fc.nat({ max: 20 }),
        async (length, sizes, turns) => {
          const bytes = counting(length)
          const port = await serve(
            bytes,
            sizes.map((one) => Math.max(one, Math.ceil(length / 500))),
          )
          const socket = connect({ host: '127.0.0.1', port, ...bulkRead() })
          const got = await gather(socket, turns)
          expect(got.bytes.equals(bytes)).toBe(true)
        },
      ),
      { numRuns: 200 },
    )
  }, 120_000)

  test('needs no more of it for more bytes', async () => {
    const port = await serve(counting(64 * 1024 * kibibyte), [1024 * kibibyte])
    const { bytes, memories } = await gather(connect({ host: '127.0.0.1', port, ...bulkRead() }), 0)
    expect(bytes).toHaveLength(64 * 1024 * kibibyte)
    expect(memories.size).toBeLessThanOrEqual(6)
  })

  test('keeps what waits for a slow reader', async () => {
    const bytes = counting(8 * 1024 * kibibyte)
    const port = await serve(bytes, [1024 * kibibyte])
    const socket = connect({ host: '127.0.0.1', port, ...bulkRead() })
    // Nothing is read until no more fits.
    while (socket.readableLength < socket.readableHighWaterMark) {
      socket.read(0)
      await setImmediate()
    }
    const got = await gather(socket, 3)
    expect(got.bytes.equals(bytes)).toBe(true)
  })

  test('shares it with no other connection', async () => {
    const options = bulkRead()
    const blobs = [1, 2, 3, 4].map((seed) => counting(3 * 1024 * kibibyte + seed, seed))
    const results = await Promise.all(
      blobs.map(async (bytes) => {
        const port = await serve(bytes, [70 * kibibyte, 300 * kibibyte])
        return (await gather(connect({ host: '127.0.0.1', port, ...options }), 2)).bytes.equals(bytes)
      }),
    )
    expect(results).toEqual([true, true, true, true])
  })
})

test('a blob comes over TLS as it is, and several at once do', async () => {
  const authority = await createFakeAuthority()
  setDefaultCACertificates([authority.ca])
  const registry = await startFakeUpstream({ tls: await authority.certificate(['127.0.0.1']) })
  const blobs = [5, 6, 7].map((seed) => piece('application/octet-stream', counting(2 * 1024 * kibibyte, seed)))
  for (const blob of blobs) registry.put('lib/app', blob)
  const { client } = startClient([registry.host])
  const digests = await Promise.all(
    blobs.map(async ({ digest }) => digestOf(await read((await client.blob(at(registry.host), digest)).body))),
  )
  expect(digests).toEqual(blobs.map(({ digest }) => digest))
})

test('a Node that it was not tried with reads as it always does', () => {
  expect(bulkReadWhereTried('99.0.0')).toEqual({})
  expect(bulkReadWhereTried('v26')).toEqual({})
  for (const version of ['24.0.0', '26.1.3']) expect(bulkReadWhereTried(version)).toHaveProperty('onread')
  // This file is what it was tried with.
  expect(bulkReadWhereTried()).toHaveProperty('onread')
})
