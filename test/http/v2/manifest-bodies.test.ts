import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { createManifestBodies, type ManifestBodiesOptions } from '../../../src/http/v2/manifest-bodies.ts'
import { maxManifestBytes } from '../../../src/oci/media-types.ts'

interface Exchanged {
  incoming: IncomingMessage
  outgoing: ServerResponse
}

/** Requests as a server has them: `said` bytes announced (none: chunked), `sent` bytes sent, and the rest to come on `end`. */
async function exchanges(options: ManifestBodiesOptions) {
  const bodies = createManifestBodies(options)
  const arrived: Exchanged[] = []
  const server = createServer((incoming, outgoing) => void arrived.push({ incoming, outgoing }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  const open = async (said: number | undefined, sent: string) => {
    const headers = said === undefined ? {} : { 'content-length': said }
    const client = request({ host: '127.0.0.1', port, method: 'PUT', headers, agent: false })
    client.on('error', () => undefined)
    client.write(sent)
    while (arrived.length === 0) await once(server, 'request')
    const exchange = arrived.shift()
    if (exchange === undefined) throw new TypeError('a request came')
    return { exchange, end: (rest = '') => client.end(rest), leave: () => client.destroy() }
  }
  return { bodies, open }
}

let users = 0
/** Another user each time. */
const someone = () => `user-${users++}`

const echo = async (bytes: Buffer) => bytes.toString()

test('what is beyond the memory waits until others are done, in turn', async () => {
  const { bodies, open } = await exchanges({ maxBytes: 10 })
  const first = await open(6, 'first')
  const second = await open(6, 'secon')
  const third = await open(4, 'abcd')
  const order: string[] = []
  const read = (each: typeof first) => bodies.read(each.exchange, someone(), echo).then((text) => order.push(text))
  const all = [read(first), read(second), read(third)]
  third.end()
  second.end('d')
  await once(second.exchange.incoming, 'readable')
  expect(order).toEqual([])
  first.end('!')
  await Promise.all(all)
  expect(order[0]).toBe('first!')
  expect(order.toSorted()).toEqual(['abcd', 'first!', 'second'])
})

test('memory is kept while the work lasts, and given back when it fails', async () => {
  const { bodies, open } = await exchanges({ maxBytes: 4 })
  const working = Promise.withResolvers<string>()
  const first = await open(4, 'abcd')
  const second = await open(4, 'efgh')
  const failing = bodies.read(first.exchange, someone(), () => working.promise)
  let isDone = false
  const waiting = bodies.read(second.exchange, someone(), echo).finally(() => {
    isDone = true
  })
  first.end()
  second.end()
  await once(first.exchange.incoming, 'end')
  expect(isDone).toBe(false)
  working.reject(new Error('failed'))
  await expect(failing).rejects.toThrow('failed')
  expect(await waiting).toBe('efgh')
})

test('a body of no length that is said counts as the largest', async () => {
  const { bodies, open } = await exchanges({ maxBytes: maxManifestBytes + 3 })
  const first = await open(undefined, 'a')
  const second = await open(4, 'abcd')
  const reading = bodies.read(first.exchange, someone(), echo)
  let isDone = false
  const waiting = bodies.read(second.exchange, someone(), echo).finally(() => {
    isDone = true
  })
  second.end()
  await once(second.exchange.incoming, 'readable')
  expect(isDone).toBe(false)
  first.end('b')
  expect(await reading).toBe('ab')
  expect(await waiting).toBe('abcd')
})

test('more than may wait are told to come again', async () => {
  const { bodies, open } = await exchanges({ maxBytes: 4, maxWaiting: 1 })
  const first = await open(4, 'abc')
  const second = await open(4, 'efgh')
  const third = await open(4, 'ijkl')
  const reading = bodies.read(first.exchange, someone(), echo)
  const waiting = bodies.read(second.exchange, someone(), echo)
  await expect(bodies.read(third.exchange, someone(), echo)).rejects.toMatchObject({
    code: 'TOOMANYREQUESTS',
    retryAfterSeconds: 5,
  })
  first.end('d')
  second.end()
  expect(await Promise.all([reading, waiting])).toEqual(['abcd', 'efgh'])
})

test('who is too slow, or leaves, is cut, and the next is let in', async () => {
  const { bodies, open } = await exchanges({ maxBytes: 4, timeoutMs: 1 })
  const slow = await open(4, 'abc')
  await expect(bodies.read(slow.exchange, someone(), echo)).rejects.toMatchObject({ code: 'SIZE_INVALID' })
  const leaving = await open(4, 'abc')
  leaving.leave()
  await expect(bodies.read(leaving.exchange, someone(), echo)).rejects.toMatchObject({ code: 'SIZE_INVALID' })
})

test('what says that it is larger than a manifest is not read', async () => {
  const { bodies, open } = await exchanges({})
  const { exchange } = await open(maxManifestBytes + 1, 'abc')
  await expect(bodies.read(exchange, someone(), echo)).rejects.toMatchObject({ code: 'TOO_LARGE' })
  expect(exchange.incoming.readableDidRead).toBe(false)
})

test('pieces of a byte each are not kept as such', async () => {
  const { bodies, open } = await exchanges({})
  const { exchange } = await open(undefined, '')
  const piece = Buffer.alloc(1)
  async function* one(): AsyncGenerator<Buffer> {
    for (const letter of 'a little at a time'.repeat(5000)) {
      piece.write(letter)
      yield piece
    }
  }
  Object.assign(exchange.incoming, { iterator: one })
  expect(await bodies.read(exchange, someone(), echo)).toBe('a little at a time'.repeat(5000))
})

test('who has half of the memory, or of the places to wait in, keeps nobody else from pushing', async () => {
  const { bodies, open } = await exchanges({ maxBytes: 8, maxWaiting: 4 })
  const slow = [await open(4, 'a'), await open(4, 'b'), await open(4, 'c')]
  const reading = slow.map(({ exchange }) => bodies.read(exchange, 'eve', echo))
  await expect(bodies.read((await open(4, 'd')).exchange, 'eve', echo)).rejects.toMatchObject({
    code: 'TOOMANYREQUESTS',
  })
  const other = await open(4, 'else')
  expect(await bodies.read(other.exchange, 'ann', echo)).toBe('else')
  for (const each of slow) each.end('...')
  expect(await Promise.all(reading)).toEqual(['a...', 'b...', 'c...'])
})

test('a manifest of more than half of the memory is taken when its user has nothing else', async () => {
  const { bodies, open } = await exchanges({ maxBytes: 8 })
  const { exchange } = await open(6, 'abcdef')
  expect(await bodies.read(exchange, 'ann', echo)).toBe('abcdef')
})
