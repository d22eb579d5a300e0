import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Arrived, type Arriving, send } from '../../src/upstream/arriving.ts'
import { bulkRead } from '../../src/upstream/bulk-read.ts'

type Handler = Required<
  Pick<
    Dispatcher.DispatchHandler,
    'onRequestStart' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError'
  >
>

/** A connection of which the test is the other end. */
function scripted(signal?: AbortSignal) {
  const state = { paused: false, aborted: undefined as Error | undefined }
  const controller = {
    pause: () => {
      state.paused = true
    },
    resume: () => {
      state.paused = false
    },
    abort: (reason: Error) => {
      state.aborted ??= reason
    },
  } as Dispatcher.DispatchController
  let handler: Handler | undefined
  const dispatcher = {
    dispatch(_options: unknown, given: Handler) {
      handler = given
      return true
    },
  } as unknown as Dispatcher
  const url = new URL('http://registry.test/v2/lib/app/blobs/x')
  const answer = send(dispatcher, { url, method: 'GET', headers: {}, body: null, signal })
  const on = handler as unknown as Handler
  return {
    state,
    answer,
    begin: () => on.onRequestStart(controller, {}),
    head: (status: number) => on.onResponseStart(controller, status, {}),
    data: (bytes: Buffer) => on.onResponseData(controller, bytes),
    end: () => on.onResponseEnd(controller, {}),
    fail: (error: Error) => on.onResponseError(controller, error),
  }
}

async function opened(signal?: AbortSignal) {
  const connection = scripted(signal)
  connection.begin()
  connection.head(200)
  return { ...connection, body: (await connection.answer).body }
}

async function readAll(body: Pick<Arriving, 'read'>): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let one = await body.read(); one !== undefined; one = await body.read()) pieces.push(Buffer.from(one))
  return Buffer.concat(pieces)
}

describe('the body of an answer', () => {
  test('gives what came, in order, though its chunks change at once', async () => {
    const chunk = fc.integer({ min: 1, max: 300_000 })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(chunk, fc.boolean()), { maxLength: 12 }), async (chunks) => {
        const { data, end, body } = await opened()
        const reading = readAll(body)
        const sent: Buffer[] = []
        for (const [length, isTurn] of chunks) {
          const bytes = Buffer.alloc(length, sent.length + 1)
          sent.push(Buffer.from(bytes))
          data(bytes)
          bytes.fill(0xff)
          if (isTurn) await setImmediate()
        }
        end()
        expect((await reading).equals(Buffer.concat(sent))).toBe(true)
      }),
      { numRuns: 200 },
    )
  })

  test('leaves a piece alone until the next is asked for', async () => {
    const { data, body } = await opened()
    data(Buffer.alloc(100_000, 1))
    const first = await body.read()
    for (let value = 2; value < 12; value += 1) data(Buffer.alloc(100_000, value))
    await setImmediate()
    expect(first?.equals(Buffer.alloc(100_000, 1))).toBe(true)
  })

  test('is one piece of all that came in a turn', async () => {
    const { data, body } = await opened()
    const reading = body.read()
    for (let i = 0; i < 8; i += 1) data(Buffer.alloc(1000, i))
    expect(await reading).toHaveLength(8000)
  })

  test('stops the connection when nobody reads, and lets it go on when somebody does', async () => {
    const { state, data, body } = await opened()
    for (let i = 0; i < 8; i += 1) {
      expect(state.paused).toBe(false)
      data(Buffer.alloc(64 * 1024))
    }
    expect(state.paused).toBe(true)
    // Whatever still comes is not lost.
    data(Buffer.alloc(700 * 1024))
    expect(await body.read()).toHaveLength(512 * 1024)
    expect(state.paused).toBe(true)
    expect(await body.read()).toHaveLength(512 * 1024)
    expect(state.paused).toBe(false)
    expect(await body.read()).toHaveLength(188 * 1024)
  })

  test('fails after what came before it broke, again and again', async () => {
    const { data, fail, body } = await opened()
    data(Buffer.from('some'))
    fail(new Error('reset'))
    expect(String(await body.read())).toBe('some')
    await expect(body.read()).rejects.toThrow('reset')
    await expect(body.read()).rejects.toThrow('reset')
  })

  test('that broke while somebody waits tells at once', async () => {
    const { fail, body } = await opened()
    const reading = body.read()
    fail(new Error('reset'))
    await expect(reading).rejects.toThrow('reset')
  })

  test('never just ends when it is closed', async () => {
    const { state, data, end, body } = await opened()
    data(Buffer.from('some'))
    end()
    body.close()
    await expect(body.read()).rejects.toThrow('the body is closed')
    expect(state.aborted).toBeDefined()
  })

  test('gives nothing out once it is closed, however much had come: it would not follow on what came before', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2_000_000 }), fc.boolean(), async (length, isAwaited) => {
        const { data, body } = await opened()
        const reading = isAwaited ? body.read() : undefined
        data(Buffer.alloc(length))
        body.close()
        await expect(reading ?? body.read()).rejects.toThrow('the body is closed')
        await expect(body.read()).rejects.toThrow('the body is closed')
      }),
      { numRuns: 200 },
    )
  })

  test('fails for who reads when it is closed', async () => {
    const { state, body } = await opened()
    const reading = body.read()
    body.close()
    await expect(reading).rejects.toThrow('the body is closed')
    expect(state.aborted?.message).toBe('the body is closed')
  })

  test('is read by one at a time', async () => {
    const { body } = await opened()
    const reading = body.read()
    await expect(body.read()).rejects.toThrow(TypeError)
    body.close()
    await expect(reading).rejects.toThrow()
  })

  test('that nobody wants is taken off the connection when it is short, and ends it when not', async () => {
    const short = await opened()
    short.data(Buffer.alloc(10_000))
    short.body.discard()
    short.data(Buffer.alloc(6000))
    expect(short.state).toEqual({ paused: false, aborted: undefined })
    short.data(Buffer.alloc(1000))
    expect(short.state.aborted).toBeDefined()
    const long = await opened()
    for (let i = 0; i < 9; i += 1) long.data(Buffer.alloc(64 * 1024))
    long.body.discard()
    expect(long.state.aborted).toBeDefined()
  })

  test('ends with its signal, before the request begins, and later', async () => {
    const early = new AbortController()
    const waiting = scripted(early.signal)
    early.abort(new Error('gone'))
    expect(waiting.state.aborted).toBeUndefined()
    waiting.begin()
    expect(waiting.state.aborted?.message).toBe('gone')
    const late = new AbortController()
    const running = await opened(late.signal)
    late.abort(new Error('gone'))
    expect(running.state.aborted?.message).toBe('gone')
  })

  test('comes after early hints, which are no answer', async () => {
    const { begin, head, answer } = scripted()
    begin()
    head(103)
    head(200)
    expect((await answer).status).toBe(200)
  })

  test('does not come when the request fails', async () => {
    const { fail, answer } = scripted()
    fail(new Error('refused'))
    await expect(answer).rejects.toThrow('refused')
  })
})

/** An upstream that writes what it is told to, over connections that use their memory again. */
async function ask(write: (socket: Socket) => Promise<void>): Promise<Arrived> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', () => void write(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const agent = new Agent({ connect: buildConnector({ allowH2: false, ...bulkRead() }) })
  onTestFinished(async () => {
    await agent.destroy()
    server.close()
  })
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  return send(agent, { url, method: 'GET', headers: {}, body: null, signal: undefined })
}

test('a header that comes byte by byte, in front of a large body, is what was sent', async () => {
  const etag = `"${'abcdefgh'.repeat(500)}"`
  const bytes = Buffer.alloc(3 * 1024 * 1024, 'body')
  const { status, headers, body } = await ask(async (socket) => {
    socket.setNoDelay(true)
    const head = `HTTP/1.1 200 OK\r\nETag: ${etag}\r\nContent-Length: ${bytes.length}\r\n\r\n`
    for (let at = 0; at < head.length; at += 16) {
      socket.write(head.slice(at, at + 16))
      await setImmediate()
    }
    socket.end(bytes)
  })
  expect({ status, etag: headers.etag }).toEqual({ status: 200, etag })
  expect((await readAll(body)).equals(bytes)).toBe(true)
})

test('chunks of a body that is read now and then come as they were sent', async () => {
  const bytes = Buffer.alloc(12 * 1024 * 1024)
  for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(i, i)
  const { body } = await ask(async (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let at = 0; at < bytes.length; at += 100_000) {
      const part = bytes.subarray(at, at + 100_000)
      socket.write(`${part.length.toString(16)}\r\n`)
      socket.write(part)
      if (!socket.write('\r\n')) await once(socket, 'drain')
    }
    socket.end('0\r\n\r\n')
  })
  const pieces: Buffer[] = []
  for (let one = await body.read(); one !== undefined; one = await body.read()) {
    pieces.push(Buffer.from(one))
    for (let turn = 0; turn < pieces.length % 20; turn += 1) await setImmediate()
  }
  expect(Buffer.concat(pieces).equals(bytes)).toBe(true)
})
