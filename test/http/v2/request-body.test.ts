import { once } from 'node:events'
import { connect } from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import type { Exchange } from '../../../src/http/exchange.ts'
import { requestBody } from '../../../src/http/v2/request-body.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { answerTo, startPushing, uploads } from './pushing.ts'

const bytes = Buffer.from('some bytes')

async function begun() {
  const world = await startPushing()
  const { headers } = await world.ask(uploads, { method: 'POST', token: 'pusher' })
  return { ...world, location: String(headers.location) }
}

describe('a body that is waited with for 100 Continue', () => {
  test('is asked for when its turn comes', async () => {
    const { open, location, push } = await begun()
    const headers = { expect: '100-continue', 'content-length': String(bytes.length) }
    const sent = open(location, { method: 'PATCH', headers })
    sent.flushHeaders()
    const answer = answerTo(sent)
    await once(sent, 'continue')
    sent.end(bytes)
    expect((await answer).statusCode).toBe(202)
    expect([...push.uploads.values()]).toEqual([bytes])
  })

  test.each([
    ['who may not push', 'good', undefined, 401],
    ['what is beyond the quota', 'pusher', new RegistryError('DENIED'), 403],
    [
      'a piece that goes on elsewhere',
      'pusher',
      new RegistryError('UPLOAD_OFFSET_INVALID', { detail: { offset: 3 } }),
      416,
    ],
  ])('is not asked for of %s, and the connection ends', async (_, token, fails, status) => {
    const { port, location, push } = await begun()
    if (fails !== undefined) push.fails = fails
    const head = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n`
    const text = await exchange(port, `${head}Expect: 100-continue\r\nContent-Length: 10\r\n\r\n`)
    expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(text).toMatch(/^connection: close/im)
    expect(text).not.toContain('100 Continue')
  })

  test('is not asked for of a client that knows of no such thing', async () => {
    const { port, location } = await begun()
    const head = `PATCH ${location} HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer pusher\r\n`
    const text = await exchange(port, `${head}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx`)
    expect(text).toMatch(/^HTTP\/1.1 202 /)
  })

  test('is asked for at once where it is not for /v2/', async () => {
    const { port } = await begun()
    const head =
      'POST /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n'
    const text = await exchange(port, `${head}Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx`)
    expect(text).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 400 /)
  })
})

describe('a body that breaks off', () => {
  test('is no failure of Weir, and what came is there', async () => {
    const { open, location, push, logged, ask } = await begun()
    const sent = open(location, { method: 'PATCH', headers: { 'content-length': '100' } })
    sent.on('error', () => undefined)
    sent.write(bytes)
    await vi.waitFor(() => expect(push.pushers).toHaveLength(2))
    sent.destroy()
    await vi.waitFor(() => expect(push.broken).toHaveLength(1))
    expect(push.broken[0]).toMatchObject({ code: 'SIZE_INVALID' })
    expect((await ask(location, { token: 'pusher' })).headers.range).toBe('0-9')
    expect(logged.filter((line) => /"level":[56]0/.test(line))).toEqual([])
  })

  test('because its client sends no more is cut, and what came is there', async () => {
    const { open, push, ask } = await startPushing({ idleTimeoutMs: 50 })
    const location = String((await ask(uploads, { method: 'POST', token: 'pusher' })).headers.location)
    const sent = open(location, { method: 'PATCH', headers: { 'content-length': '100' } })
    sent.write(bytes)
    await expect(answerTo(sent)).rejects.toMatchObject({ code: 'ECONNRESET' })
    await vi.waitFor(() => expect(push.broken).toMatchObject([{ code: 'SIZE_INVALID' }]))
    expect([...push.uploads.values()]).toEqual([bytes])
  })

  test('of a manifest puts nothing', async () => {
    const { open, push, audited } = await begun()
    const headers = { expect: '100-continue', 'content-length': '100' }
    const sent = open('/v2/demo/app/manifests/v1', { method: 'PUT', headers })
    sent.on('error', () => undefined)
    sent.flushHeaders()
    await once(sent, 'continue')
    sent.destroy()
    await vi.waitFor(() => expect(audited).toHaveLength(1))
    expect(audited).toMatchObject([{ verb: 'push', status: 400, reason: 'SIZE_INVALID' }])
    expect(push.manifests).toEqual([])
  })
})

describe('a body that comes slowly', () => {
  const minuteMs = 60_000

  /** A piece of `bytes` each minute for `minutes`, while Weir takes `usedMs` for each. */
  async function drip({ bytes, minutes, usedMs = 0 }: { bytes: number; minutes: number; usedMs?: number }) {
    let nowMs = 0
    const incoming = Object.assign(new PassThrough(), { headers: {} })
    const exchange = { incoming, outgoing: {} } as unknown as Pick<Exchange, 'incoming' | 'outgoing'>
    const body = requestBody(exchange, () => nowMs)[Symbol.asyncIterator]()
    let received = 0
    for (let minute = 1; minute <= minutes; minute++) {
      const piece = body.next()
      nowMs += minuteMs
      incoming.write(Buffer.alloc(bytes))
      const { value } = await piece
      received += value?.length ?? 0
      nowMs += usedMs
    }
    incoming.end()
    return { received, end: await body.next() }
  }

  test('goes on with 1 KiB in five minutes', async () => {
    expect(await drip({ bytes: 205, minutes: 60 })).toMatchObject({ received: 60 * 205, end: { done: true } })
  })

  test('is cut off with less', async () => {
    expect(await drip({ bytes: 204, minutes: 4 })).toMatchObject({ end: { done: true } })
    await expect(drip({ bytes: 204, minutes: 6 })).rejects.toMatchObject({ code: 'SIZE_INVALID' })
  })

  test('because Weir is slow goes on', async () => {
    const all = await drip({ bytes: 1024, minutes: 20, usedMs: 10 * minuteMs })
    expect(all).toMatchObject({ received: 20 * 1024, end: { done: true } })
  })
})

describe('a body that nobody reads', () => {
  test('of a small refused request is skipped, and its connection goes on', async () => {
    const { port, location } = await begun()
    const body = 'x'.repeat(100_000)
    const refused = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const text = await exchange(port, `${refused}GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
    expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 401', 'HTTP/1.1 200'])
  })

  test('that does not end keeps no connection', async () => {
    const { port, location } = await begun()
    const head = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`
    const text = await exchange(port, `${head}3e8\r\n${'x'.repeat(1000)}\r\n`)
    expect(text).toMatch(/^HTTP\/1.1 401 /)
  })

  test('is left where the upload would not have it, and the answer comes all the same', async () => {
    const { open, location } = await begun()
    const headers = { 'content-range': '5-1000004', 'content-length': '1000000' }
    const sent = open(location, { method: 'PATCH', headers })
    const answer = answerTo(sent)
    sent.end(Buffer.alloc(1_000_000))
    expect((await answer).statusCode).toBe(416)
  })
})

test('a body that is refused in the middle is skipped, and its connection goes on', async () => {
  const { port, location, push } = await begun()
  push.append = async (_name, _id, _by, body) => {
    for await (const piece of body) throw new RegistryError('DENIED', { detail: { read: piece.length } })
    throw new TypeError('a body came')
  }
  const body = 'x'.repeat(1_000_000)
  const head = `PATCH ${location} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pusher\r\nContent-Length: ${body.length}\r\n\r\n`
  const text = await exchange(port, `${head}${body}GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
  expect(text.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 403', 'HTTP/1.1 200'])
})

test('a body comes no faster than it is used', async () => {
  const { open, location, push } = await begun()
  const taken = Promise.withResolvers<void>()
  let reading: () => void = () => undefined
  const began = new Promise<void>((resolve) => {
    reading = resolve
  })
  let received = 0
  push.append = async (_name, id, _by, body) => {
    for await (const piece of body) {
      received += piece.length
      reading()
      await taken.promise
    }
    return { id, offset: received }
  }
  const size = 32 * 1024 * 1024
  const sent = open(location, { method: 'PATCH', headers: { 'content-length': String(size) } })
  const answer = answerTo(sent)
  sent.end(Buffer.alloc(size))
  await began
  expect(sent.writableFinished).toBe(false)
  expect(received).toBeLessThan(1024 * 1024)
  taken.resolve()
  expect((await answer).headers.range).toBe(`0-${size - 1}`)
})

function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answered = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', (piece) => {
      answered += piece.toString('latin1')
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(answered))
  })
}
