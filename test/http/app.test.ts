import { Hono } from 'hono'
import { expect, test } from 'vitest'
import type { ApiEnv } from '../../src/http/app.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { makeImage } from '../support/images.ts'
import { publicUrl, served, startHttp } from './harness.ts'

test.each(['/healthz', '/livez', '/readyz'])('%s answers ok in plain text', async (path) => {
  const { ask } = await startHttp({ checks: [{ name: 'store', check: () => {} }] })
  const answer = await ask(path)
  expect([answer.status, answer.body.toString()]).toEqual([200, 'ok'])
  expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8')
})

test('a failing check is named by /readyz and /healthz; /livez still answers ok', async () => {
  const checks = [
    { name: 'store', check: () => Promise.reject(new Error('disk full')) },
    { name: 'pins', check: () => {} },
  ]
  const { ask } = await startHttp({ checks })
  const ready = await ask('/readyz')
  expect(ready.status).toBe(500)
  expect(ready.body.toString()).toBe('[+]ping ok\n[-]store failed: disk full\n[+]pins ok\nreadyz check failed\n')
  expect((await ask('/healthz')).status).toBe(500)
  expect((await ask('/livez')).status).toBe(200)
})

test('?verbose lists the checks that pass', async () => {
  const { ask } = await startHttp({ checks: [{ name: 'store', check: () => {} }] })
  expect((await ask('/readyz?verbose')).body.toString()).toBe('[+]ping ok\n[+]store ok\nreadyz check passed\n')
})

test('a check that is degraded is told of, asked for or not, and Weir is ready all the same', async () => {
  const full = { name: 'content', check: () => ({ degraded: 'disk full: images are passed through and not kept' }) }
  const store = { name: 'store', check: () => {} }
  const told = '[+]ping ok\n[+]store ok\n[!]content degraded: disk full: images are passed through and not kept\n'
  const { ask } = await startHttp({ checks: [store, full] })
  for (const path of ['readyz', 'healthz', 'readyz?verbose']) {
    const answer = await ask(`/${path}`)
    expect(answer.status).toBe(200)
    expect(answer.body.toString()).toBe(`${told}${path.replace('?verbose', '')} check passed\n`)
  }
  expect((await ask('/livez')).body.toString()).toBe('ok')
})

test('a check that fails is a failure also beside one that is degraded', async () => {
  const checks = [
    { name: 'content', check: async () => ({ degraded: 'disk full' }) },
    { name: 'store', check: () => Promise.reject(new Error('closed')) },
  ]
  const { ask } = await startHttp({ checks })
  const ready = await ask('/readyz')
  expect(ready.status).toBe(500)
  expect(ready.body.toString()).toBe(
    '[+]ping ok\n[!]content degraded: disk full\n[-]store failed: closed\nreadyz check failed\n',
  )
})

test('/metrics has the process and every answer by route, method and status, the warm ones too', async () => {
  const harness = await startHttp({ warm: true })
  const image = makeImage('one').manifest
  harness.manifests.set('demo/app:prod', served(image))
  await harness.ask('/v2/demo/app/manifests/prod', { token: 'good' })
  await harness.ask('/v2/demo/app/manifests/gone', { token: 'good' })
  await harness.ask('/v2/')
  await harness.ask('/v2/', { method: 'BREW' }).catch(() => {})
  const text = async (): Promise<string> => (await harness.ask('/metrics')).body.toString()
  await expect.poll(text).toContain('weir_http_requests_total{route="manifest",method="GET",status="404"} 1')
  expect(await text()).toContain('weir_http_requests_total{route="manifest",method="GET",status="200"} 1')
  expect(await text()).toContain('weir_http_requests_total{route="ping",method="GET",status="401"} 1')
  expect(await text()).toContain('process_resident_memory_bytes')
})

test('the OpenID documents are served as JSON to anybody', async () => {
  const { ask } = await startHttp()
  const discovery = await ask('/.well-known/openid-configuration')
  expect(discovery.json()).toEqual({ issuer: publicUrl })
  expect(discovery.headers['content-type']).toBe('application/json')
  const jwks = await ask('/openid/v1/jwks')
  expect(jwks.json()).toEqual({ keys: [{ kty: 'EC', kid: 'k1' }] })
  expect(jwks.headers['content-type']).toBe('application/jwk-set+json')
})

test('the API is mounted at the root, and its own failures are a Status', async () => {
  const api = new Hono<ApiEnv>()
  api.get('/apis/x', (c) => c.json({ ok: true }))
  api.get('/apis/broken', () => {
    throw new TypeError('hush')
  })
  api.get('/apis/refused', () => {
    throw new RegistryError('NOT_FOUND')
  })
  const { ask } = await startHttp({ api })
  expect((await ask('/apis/x')).json()).toEqual({ ok: true })
  const refused = await ask('/apis/refused')
  expect([refused.status, refused.json()]).toMatchObject([404, { kind: 'Status', reason: 'NotFound', code: 404 }])
  const broken = await ask('/apis/broken', { headers: { 'x-request-id': 'abc-2' } })
  expect([broken.status, broken.json()]).toMatchObject([500, { kind: 'Status', code: 500 }])
  expect(broken.body.toString()).toContain('abc-2')
  expect(broken.body.toString()).not.toContain('hush')
  expect(broken.headers).not.toHaveProperty('docker-distribution-api-version')
})
