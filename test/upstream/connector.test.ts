import type { LookupFunction } from 'node:net'
import { setDefaultCACertificates } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { redirecting } from '../support/fake-upstream-faults.ts'
import { createFakeAuthority } from '../support/fake-upstream-tls.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, resolving, startClient } from './start-client.ts'

const authority = await createFakeAuthority()
setDefaultCACertificates([authority.ca])

const image = makeImage('addresses')
const [layer = image.config] = image.layers

async function start(): Promise<FakeUpstream & { port: string }> {
  const registry = await startFakeUpstream()
  registry.put('lib/app', image, { tag: 'v1' })
  return Object.assign(registry, { port: new URL(registry.origin).port })
}

describe('a host that no rule names', () => {
  test.each(['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '10.0.0.1', '169.254.169.254'])(
    'is refused at the address %s',
    async (address) => {
      const registry = await start()
      const { client } = startClient([])
      const error = await failureOf(client.manifest(at(`${address}:${registry.port}`), 'v1'))
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
      expect(error.message).toContain('name the host with its port in upstreams to allow it')
      expect(registry.requests).toEqual([])
    },
  )

  test.each(['2130706433', '0x7f000001', '0x7f.1', '0177.0.0.1', '127.1'])(
    'is refused where %s is another way to write a private address',
    async (written) => {
      const registry = await start()
      const { client } = startClient([])
      const error = await failureOf(client.manifest(at(`${written}:${registry.port}`), 'v1'))
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    },
  )

  test("is refused where its name leads to a private address, by the system's own resolver", async () => {
    const registry = await start()
    const { client } = startClient([])
    const error = await failureOf(client.manifest(at(`localhost:${registry.port}`), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    expect(error.message).toMatch(/localhost.* has the address (127\.0\.0\.1|::1), which is not public/)
    expect(registry.requests).toEqual([])
  })

  test('is refused where its name leads to a private address', async () => {
    const registry = await start()
    const { client } = startClient([], { lookup: resolving({ 'inside.example': ['10.0.0.1', '127.0.0.1'] }) })
    const error = await failureOf(client.manifest(at(`inside.example:${registry.port}`), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
  })

  test('is not reached at the private one of its addresses when the public one does not answer', async () => {
    const registry = await start()
    // The first is public, and nothing answers there at this port.
    const lookup = resolving({ 'mixed.example': ['64:ff9b::808:808', '127.0.0.1'] })
    const { client } = startClient([], { lookup, timeouts: { connectMs: 300 }, retry: { attempts: 1 } })
    const error = await failureOf(client.manifest(at(`mixed.example:${registry.port}`), 'v1'))
    expect(error.code).toBe('UNAVAILABLE')
    expect(registry.requests).toEqual([])
  })

  test('is checked again at the address that the connection has', async () => {
    const registry = await startFakeUpstream({ tls: await authority.certificate(['rebound.example']) })
    // A resolver that shows a public address to whoever looks first, and then the private one.
    const lookup: LookupFunction = (_hostname, _options, callback) => {
      let looks = 0
      const found = { family: 4, address: '' }
      Object.defineProperty(found, 'address', { get: () => (looks++ === 0 ? '8.8.8.8' : '127.0.0.1') })
      callback(null, [found])
    }
    const { client } = startClient([], { lookup })
    const error = await failureOf(client.manifest(at(`rebound.example:${new URL(registry.origin).port}`), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    expect(error.message).toContain('has the address 127.0.0.1')
    expect(registry.requests).toEqual([])
  })

  test('that does not exist is Unreachable', async () => {
    const { client } = startClient([], { lookup: resolving({}) })
    const error = await failureOf(client.manifest(at('nowhere.example'), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: 'nowhere.example', reason: 'Unreachable' } })
  })
})

describe('a rule', () => {
  test('opens its host at its port', async () => {
    const registry = await start()
    const { client } = startClient([`registry.example:${registry.port}`], {
      lookup: resolving({ 'registry.example': '127.0.0.1' }),
    })
    expect(await client.resolve(at(`registry.example:${registry.port}`), 'v1')).toMatchObject({
      digest: image.manifest.digest,
    })
  })

  test('does not open another port of its host', async () => {
    const [registry, neighbour] = [await start(), await start()]
    const { client } = startClient([registry.host])
    const error = await failureOf(client.resolve(at(neighbour.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    expect(neighbour.requests).toEqual([])
  })

  test('does not open another name of its host', async () => {
    const registry = await start()
    const { client } = startClient([`localhost:${registry.port}`])
    const error = await failureOf(client.resolve(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
  })

  test('does not open where redirects of its host lead', async () => {
    const [registry, inside] = [await start(), await start()]
    registry.intercept(redirecting(/blobs/, (path) => `https://127.0.0.1:${inside.port}${path}`))
    const { client } = startClient([registry.host])
    const error = await failureOf(client.blob(at(registry.host), layer.digest))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { host: registry.host, reason: 'NotAllowed' } })
    expect(inside.requests).toEqual([])
  })

  test('does not open where the realm of its host is', async () => {
    const [registry, inside] = [await start(), await start()]
    registry.setAuth({ kind: 'bearer', realm: `https://127.0.0.1:${inside.port}/token` })
    const { client } = startClient([registry.host])
    const error = await failureOf(client.manifest(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { host: registry.host, reason: 'NotAllowed' } })
    expect(inside.requests).toEqual([])
  })
})
