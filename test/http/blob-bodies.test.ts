import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { BlobReader } from '../../src/content/content.ts'
import { createBlobBodies } from '../../src/http/blob-bodies.ts'
import { piece } from '../support/images.ts'
import { type Harness, startHttp } from './harness.ts'

const blob = piece('application/octet-stream', Buffer.from('0123456789'))
const path = `/v2/demo/app/blobs/${blob.digest}`

/** Blobs whose readers give nothing until they are told to. */
async function world(options: { total?: number; perAddress?: number } = {}) {
  const opened: { give(): void; closed: Promise<void> }[] = []
  let told: () => void = () => undefined
  const harness = await startHttp({
    blobBodies: createBlobBodies(options),
    readBlob: (bytes) => {
      const given = Promise.withResolvers<void>()
      const closed = Promise.withResolvers<void>()
      let left: Buffer | undefined = bytes
      const reader: BlobReader = {
        async read() {
          await given.promise
          const read = left
          left = undefined
          return read
        },
        close() {
          given.reject(new Error('closed'))
          closed.resolve()
        },
      }
      given.promise.catch(() => undefined)
      opened.push({ give: given.resolve, closed: closed.promise })
      told()
      return reader
    },
  })
  harness.blobs.set(blob.digest, blob)
  const until = async (count: number): Promise<void> => {
    while (opened.length < count) await new Promise<void>((resolve) => (told = resolve))
  }
  return { harness, opened, until }
}

function pipelined({ port }: Pick<Harness, 'port'>, count: number): Socket {
  const socket = connect(port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.on('error', () => undefined)
  socket.resume()
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n\r\n`.repeat(count))
  return socket
}

test('of requests that were sent ahead on a connection one blob is open at a time, and all are answered', async () => {
  const { harness, opened, until } = await world()
  const socket = pipelined(harness, 5)
  let received = ''
  const all = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      if (received.split(blob.bytes.toString()).length > 5) resolve()
    })
  })
  for (let i = 1; i <= 5; i++) {
    await until(i)
    // Another request goes its whole way meanwhile.
    await harness.ask('/v2/', { token: 'good' })
    expect(opened).toHaveLength(i)
    opened[i - 1]?.give()
  }
  await all
})

test('a client that leaves takes back what it sent ahead', async () => {
  const { harness, opened, until } = await world({ total: 1 })
  const socket = pipelined(harness, 5)
  await until(1)
  socket.destroy()
  await opened[0]?.closed
  const later = harness.ask(path, { token: 'good' })
  await until(2)
  opened[1]?.give()
  expect((await later).status).toBe(200)
  expect(opened).toHaveLength(2)
})

test('whoever waits for the turn of an answer is told when the client leaves', async () => {
  const bodies = createBlobBodies()
  const entered: ReturnType<typeof bodies.enter>[] = []
  const server = createServer((incoming, outgoing) => {
    entered.push(bodies.enter({ incoming, outgoing, client: { address: '127.0.0.1', userAgent: '' } }))
    if (entered.length === 2) incoming.socket.destroy()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  pipelined(server.address() as AddressInfo, 2)
  await expect.poll(() => entered.length).toBe(2)
  expect(await entered[1]).toBeUndefined()
})

test.each([
  ['in all', { total: 2, perAddress: 9 }],
  ['by your address', { total: 9, perAddress: 2 }],
])(
  'more bodies than may go out at the same time %s are refused with what to do, and take no place',
  async (why, options) => {
    const { harness, opened, until } = await world(options)
    const first = [harness.ask(path, { token: 'good' }), harness.ask(path, { token: 'good' })]
    await until(2)
    for (let i = 0; i < 3; i++) {
      const refused = await harness.ask(path, { token: 'good' })
      expect([refused.status, refused.headers['retry-after']]).toEqual([429, '5'])
      expect(JSON.parse(refused.body.toString())).toMatchObject({
        errors: [{ code: 'TOOMANYREQUESTS', message: expect.stringContaining(why) }],
      })
    }
    for (const each of opened) each.give()
    expect((await Promise.all(first)).map(({ status }) => status)).toEqual([200, 200])
    const after = harness.ask(path, { token: 'good' })
    await until(3)
    opened[2]?.give()
    expect((await after).status).toBe(200)
  },
)
