import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { Hono } from 'hono'
import { describe, expect, test } from 'vitest'
import type { ApiEnv } from '../../src/http/app.ts'
import { listen, serverOptions } from '../../src/http/server.ts'
import { piece } from '../support/images.ts'
import { startHttp } from './harness.ts'

const close = 'Host: x\r\nConnection: close\r\n\r\n'

describe('the request line and headers', () => {
  test.each([
    ['/v2/demo/../other/manifests/v1', 'NAME_INVALID'],
    ['/v2/demo%2Fapp/manifests/v1', 'NAME_INVALID'],
    ['/v2//demo/app/manifests/v1', 'NAME_INVALID'],
    ['/v2/demo\\app/manifests/v1', 'NAME_INVALID'],
    ['/v2/demo/app/manifests/%00', 'NAME_INVALID'],
    ['/health%7a', 'UNSUPPORTED'],
  ])('%s is refused before it is routed', async (path, code) => {
    const { raw, calls } = await startHttp()
    const answer = await raw(`GET ${path} HTTP/1.1\r\nAuthorization: Bearer good\r\n${close}`)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/X-Request-Id: test-/i)
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ errors: [{ code }] })
    expect(calls).toEqual([])
  })

  test('a bad path of the API is refused with a Status', async () => {
    const { raw } = await startHttp()
    const answer = await raw(`GET /apis/x%2fy HTTP/1.1\r\n${close}`)
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))).toMatchObject({ kind: 'Status', code: 400 })
  })

  test('the API sees escaped : and @ as they are', async () => {
    const api = new Hono<ApiEnv>()
    api.get('/apis/tags/:name', (c) => c.text(c.req.param('name')))
    const { ask } = await startHttp({ api })
    expect((await ask('/apis/tags/app%3Av1')).body.toString()).toBe('app:v1')
    expect((await ask('/apis/tags/app%40sha256%3Aabc')).body.toString()).toBe('app@sha256:abc')
  })

  test('an absolute target is served like its path', async () => {
    const { raw } = await startHttp()
    expect(await raw(`GET http://evil.example/livez HTTP/1.1\r\n${close}`)).toMatch(/^HTTP\/1\.1 200 /)
  })

  test.each([
    ['two lengths', 'Content-Length: 1\r\nContent-Length: 2\r\n'],
    ['length and chunks', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'],
    ['a header with a bare line feed', 'X-A: b\nX-C: d\r\r\n'],
  ])('%s are refused', async (_name, headers) => {
    const { raw } = await startHttp()
    expect(await raw(`POST /token HTTP/1.1\r\n${headers}${close}`)).toMatch(/^HTTP\/1\.1 400 /)
  })

  test('headers of more than 16 KiB are refused', async () => {
    const { raw } = await startHttp()
    expect(await raw(`GET /livez HTTP/1.1\r\nX-A: ${'x'.repeat(17_000)}\r\n${close}`)).toMatch(/^HTTP\/1\.1 431 /)
  })

  test('a sane request id is kept, another is replaced', async () => {
    const { ask } = await startHttp()
    const idFor = async (sent: string) =>
      (await ask('/livez', { headers: { 'x-request-id': sent } })).headers['x-request-id']
    expect(await idFor('trace-1:a_b.C')).toBe('trace-1:a_b.C')
    for (const bad of ['a b', 'a"b', 'x'.repeat(65)]) expect(await idFor(bad)).toMatch(/^test-/)
  })
})

describe('a connection without progress', () => {
  const large = piece('application/octet-stream', Buffer.alloc(32 * 1024 * 1024, 1))

  test('is cut when its client does not read', async () => {
    const closed = Promise.withResolvers<void>()
    const readBlob = (bytes: Buffer) =>
      Readable.from(slices(bytes), { objectMode: false }).once('close', () => closed.resolve())
    const { port, blobs } = await startHttp({ idleTimeoutMs: 100, readBlob })
    blobs.set(large.digest, large)
    const socket = connect(port, '127.0.0.1')
    socket.pause()
    socket.on('error', () => {})
    socket.write(`GET /v2/demo/app/blobs/${large.digest} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n\r\n`)
    await closed.promise
    socket.destroy()
  })

  test('is cut when its client does not send what it announced', async () => {
    const { raw } = await startHttp({ idleTimeoutMs: 100 })
    const type = 'Content-Type: application/x-www-form-urlencoded'
    expect(await raw(`POST /token HTTP/1.1\r\nHost: x\r\n${type}\r\nContent-Length: 100\r\n\r\ngrant_type=`)).toBe('')
  })

  test('is left alone while Weir itself is at work', async () => {
    const release = Promise.withResolvers<void>()
    const api = new Hono<ApiEnv>()
    api.get('/apis/slow', async (c) => {
      await release.promise
      return c.text('done')
    })
    const { ask } = await startHttp({ idleTimeoutMs: 40, api })
    const answer = ask('/apis/slow')
    // Long enough for the idle timer to fire several times.
    setTimeout(() => release.resolve(), 200)
    expect((await answer).body.toString()).toBe('done')
  })

  function* slices(bytes: Buffer) {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536)
  }
})

describe('stopping', () => {
  test('lets an answer finish that is under way and takes no new connection', async () => {
    const release = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const api = new Hono<ApiEnv>()
    api.get('/apis/slow', async (c) => {
      arrived.resolve()
      await release.promise
      return c.text('done')
    })
    const { ask, stop } = await startHttp({ api })
    const answer = ask('/apis/slow')
    await arrived.promise
    const stopped = stop(10_000)
    await expect(ask('/livez')).rejects.toThrow(/ECONNREFUSED/)
    release.resolve()
    expect((await answer).body.toString()).toBe('done')
    await stopped
  })

  test('closes connections that are kept alive once they are idle', async () => {
    const { port, stop } = await startHttp()
    const socket = connect(port, '127.0.0.1')
    const answered = new Promise<void>((resolve) => socket.once('data', () => resolve()))
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
    await answered
    await stop(10_000)
    await closed
  })

  test('closes a kept connection as soon as its last answer is out', async () => {
    const release = Promise.withResolvers<void>()
    const arrived = Promise.withResolvers<void>()
    const api = new Hono<ApiEnv>()
    api.get('/apis/slow', async (c) => {
      arrived.resolve()
      await release.promise
      return c.text('done')
    })
    const { port, stop } = await startHttp({ api })
    const socket = connect(port, '127.0.0.1')
    const answered = new Promise<string>((resolve) => socket.once('data', (bytes) => resolve(bytes.toString())))
    socket.write('GET /apis/slow HTTP/1.1\r\nHost: x\r\n\r\n')
    await arrived.promise
    const stopped = stop(60_000)
    release.resolve()
    expect(await answered).toMatch(/^HTTP\/1\.1 200 /)
    await stopped
  })

  test('cuts what does not finish in time', async () => {
    const arrived = Promise.withResolvers<void>()
    const api = new Hono<ApiEnv>()
    api.get('/apis/forever', async () => {
      arrived.resolve()
      return new Promise<Response>(() => {})
    })
    const { ask, stop } = await startHttp({ api })
    const answer = ask('/apis/forever').catch((error: Error) => error.message)
    await arrived.promise
    await stop(50)
    expect(await answer).toMatch(/hang up|ECONNRESET/)
  })
})

describe('listening', () => {
  test('no total time ends a request, and idle connections are kept longer than load balancers do', async () => {
    expect(serverOptions.requestTimeout).toBe(0)
    const { port } = await startHttp()
    const answer = await fetch(`http://127.0.0.1:${port}/livez`)
    expect(answer.headers.get('keep-alive')).toBe('timeout=75')
  })

  test('a port in use is an error with its code', async () => {
    const { port } = await startHttp()
    await expect(listen({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })

  test('a request that comes before Weir is ready is told to come back', async () => {
    const { port, stop } = await listen({ host: '127.0.0.1', port: 0 })
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
    await stop(0)
  })
})
