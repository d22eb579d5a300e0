import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setDefaultCACertificates } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { createFakeAuthority } from '../support/fake-upstream-tls.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, loginRule, startClient } from './start-client.ts'

const image = makeImage('origins')
const known = await createFakeAuthority()
const unknown = await createFakeAuthority()
setDefaultCACertificates([known.ca])

test('a host without an insecure rule is asked over HTTPS with a trusted certificate', async () => {
  const registry = await startFakeUpstream({ tls: await known.certificate(['127.0.0.1']) })
  registry.put('lib/app', image, { tag: 'v1' })
  const { client } = startClient([{ host: registry.host, insecure: false }])
  expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
})

test.each([
  ['signed by an unknown authority', unknown, ['127.0.0.1'], false],
  ['for another host', known, ['registry.example'], false],
  ['that has expired', known, ['127.0.0.1'], true],
])('a certificate %s is refused with Tls and what to do', async (_what, authority, names, expired) => {
  const registry = await startFakeUpstream({ tls: await authority.certificate(names, { expired }) })
  const { client, pauses } = startClient([{ ...loginRule(registry.host), insecure: false }])
  const error = await failureOf(client.resolve(at(registry.host), 'v1'))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: registry.host, reason: 'Tls' } })
  expect(error.message).toContain('insecure: true')
  expect(registry.requests).toEqual([])
  expect(pauses).toEqual([])
})

test('a host without an insecure rule is never asked over plain HTTP', async () => {
  const registry = await startFakeUpstream()
  const { client } = startClient([{ ...loginRule(registry.host), insecure: false }])
  const error = await failureOf(client.manifest(at(registry.host), 'v1'))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Tls' } })
  expect(error.message).toContain('if it serves plain HTTP, name it in upstreams with insecure: true')
  expect(registry.requests).toEqual([])
})

test('an insecure rule accepts an unknown certificate', async () => {
  const registry = await startFakeUpstream({ tls: await unknown.certificate(['elsewhere.example']) })
  registry.put('lib/app', image, { tag: 'v1' })
  const { client } = startClient([registry.host])
  expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
})

test('an insecure rule accepts plain HTTP, found out once for many requests', async () => {
  const registry = await startFakeUpstream()
  registry.put('lib/app', image, { tag: 'v1' })
  const { client } = startClient([registry.host])
  await Promise.all(Array.from({ length: 8 }, () => client.resolve(at(registry.host), 'v1')))
  await client.resolve(at(registry.host), 'v1')
  expect(registry.matching(/^GET \/v2\/$/)).toHaveLength(1)
  expect(registry.matching(/manifests/)).toHaveLength(9)
})

test('the question which scheme is spoken carries no login', async () => {
  const registry = await startFakeUpstream({ auth: { kind: 'basic', users: { robot: 'pa55word!' } } })
  registry.put('lib/app', image, { tag: 'v1' })
  const { client } = startClient([loginRule(registry.host)])
  await client.resolve(at(registry.host), 'v1')
  expect(registry.requests[0]).toMatchObject({ path: '/v2/' })
  expect(registry.requests[0]?.headers.authorization).toBeUndefined()
})

test('a host that spoke TLS never gets a login in clear text afterwards', async () => {
  const auth = { kind: 'basic', users: { robot: 'pa55word!' } } as const
  const registry = await startFakeUpstream({ tls: await unknown.certificate(['127.0.0.1']), auth })
  registry.put('lib/app', image, { tag: 'v1' })
  const { client } = startClient([loginRule(registry.host)])
  await client.resolve(at(registry.host), 'v1')
  await registry.close()
  const impostor = await startFakeUpstream({ port: Number(registry.host.split(':')[1]), auth })
  impostor.put('lib/app', image, { tag: 'v1' })
  const error = await failureOf(client.resolve(at(registry.host), 'v1'))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Tls' } })
  expect(impostor.requests).toEqual([])
})

test('a host that answers nothing is Unreachable and asked again the next time', async () => {
  const registry = await startFakeUpstream()
  const port = Number(registry.host.split(':')[1])
  await registry.close()
  const { client } = startClient([registry.host])
  const error = await failureOf(client.resolve(at(registry.host), 'v1'))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: registry.host, reason: 'Unreachable' } })
  expect(error.message).toContain(`${registry.host} could not be reached`)
  const back = await startFakeUpstream({ port })
  back.put('lib/app', image, { tag: 'v1' })
  expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
})

test('a server of plain HTTP that leaves a TLS handshake unanswered is found all the same', async () => {
  const registry = await startFakeUpstream()
  registry.put('lib/app', image, { tag: 'v1' })
  const silent = await silentAboutTls(registry.origin)
  const { client } = startClient([silent], { timeouts: { probeMs: 200 } })
  expect(await client.resolve(at(silent), 'v1')).toMatchObject({ digest: image.manifest.digest })
})

test.each(['registry.example:99999', 'a b', '1.2.3.256', '[::::]'])('the host %j is refused as such', async (host) => {
  const { client } = startClient([])
  const error = await failureOf(client.resolve(at(host), 'v1'))
  expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
})

/** A port that answers nothing to a TLS client and passes others on to `origin`. */
async function silentAboutTls(origin: string): Promise<string> {
  const { port } = new URL(origin)
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (first) => {
      const isTls = first[0] === 22
      if (isTls) return
      const through = connect(Number(port), '127.0.0.1')
      through.on('error', () => undefined)
      through.write(first)
      socket.pipe(through).pipe(socket)
    })
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
