import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setDefaultCACertificates } from 'node:tls'
import { describe, expect, onTestFinished, test } from 'vitest'
import { contextOf, type HostTls } from '../../src/upstream/host-tls.ts'
import { createProxies } from '../../src/upstream/proxies.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { redirecting } from '../support/fake-upstream-faults.ts'
import { createFakeAuthority } from '../support/fake-upstream-tls.ts'
import { makeImage } from '../support/images.ts'
import { at, type ClientOptions, failureOf, loginRule, read, resolving, startClient } from './start-client.ts'

const authority = await createFakeAuthority()
setDefaultCACertificates([authority.ca])
const image = makeImage('proxied')
const { digest } = image.manifest
const [layer = image.config] = image.layers

interface FakeProxy {
  url: URL
  /** What it was asked to connect to, and with which login. */
  asked: { target: string; authorization: string | undefined }[]
}

/** A proxy that connects to one place, whatever it is asked for; or answers with a status. */
async function startProxy(port: string, answer?: (socket: Socket) => void): Promise<FakeProxy> {
  const asked: FakeProxy['asked'] = []
  const sockets = new Set<Socket>()
  const server = createServer((_req, res) => res.writeHead(200).end('no proxy'))
  server.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)))
  server.on('connect', (req, socket: Socket) => {
    asked.push({ target: req.url ?? '', authorization: req.headers['proxy-authorization'] })
    if (answer !== undefined) return answer(socket)
    const upstream = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    sockets.add(upstream.on('error', () => socket.destroy()))
    socket.on('close', () => upstream.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), asked }
}

async function startRegistry(names: string[] = ['registry.test']): Promise<FakeUpstream & { port: string }> {
  const registry = await startFakeUpstream({ tls: await authority.certificate(names) })
  registry.put('lib/app', image, { tag: 'v1' })
  return Object.assign(registry, { port: new URL(registry.origin).port })
}

const through = (proxy: FakeProxy, options: ClientOptions & { noProxy?: string } = {}): ClientOptions => {
  const { noProxy = '', ...rest } = options
  return { lookup: resolving({}), proxies: createProxies({ https: proxy.url, http: proxy.url, noProxy }), ...rest }
}

describe('through a proxy', () => {
  test('a registry is asked over TLS of its own, by its name, and blobs are read', async () => {
    const registry = await startRegistry()
    const proxy = await startProxy(registry.port)
    const { client } = startClient([], through(proxy))
    expect(await client.manifest(at('registry.test'), 'v1')).toMatchObject({ digest })
    const { body } = await client.blob(at('registry.test'), layer.digest)
    expect(await read(body)).toEqual(layer.bytes)
    expect(new Set(proxy.asked.map(({ target }) => target))).toEqual(new Set(['registry.test:443']))
  })

  test('a registry is judged by the authority of its rule', async () => {
    const registry = await startRegistry()
    const proxy = await startProxy(registry.port)
    const pems = [authority.ca, (await createFakeAuthority()).ca]
    const [trusting, doubting] = pems.map((ca) => ({ context: async () => contextOf(ca) }))
    const asking = (tls: HostTls | undefined) =>
      startClient([{ host: 'registry.test', insecure: false, ...(tls && { tls }) }], through(proxy)).client
    const { body } = await asking(trusting).blob(at('registry.test'), layer.digest)
    expect(await read(body)).toEqual(layer.bytes)
    const error = await failureOf(asking(doubting).blob(at('registry.test'), layer.digest))
    expect(error).toMatchObject({ upstream: { reason: 'Tls' } })
    expect(error.message).toContain(`it is "registry.test"'s, issued by "Test Authority"`)
  })

  test('a certificate for another name is refused', async () => {
    const registry = await startRegistry(['elsewhere.test'])
    const { client } = startClient([], through(await startProxy(registry.port)))
    const error = await failureOf(client.manifest(at('registry.test'), 'v1'))
    expect(error).toMatchObject({ upstream: { reason: 'Tls' } })
    expect(registry.requests).toEqual([])
  })

  test('a registry that a rule names is asked over plain HTTP where the rule says so', async () => {
    const registry = await startFakeUpstream()
    registry.put('lib/app', image, { tag: 'v1' })
    const proxy = await startProxy(new URL(registry.origin).port)
    const { client } = startClient(['inside.test:5000'], through(proxy))
    expect(await client.manifest(at('inside.test:5000'), 'v1')).toMatchObject({ digest })
    expect(proxy.asked.map(({ target }) => target)).toContain('inside.test:5000')
  })

  test('a host of NO_PROXY is not asked', async () => {
    const registry = await startRegistry()
    const proxy = await startProxy(registry.port)
    const host = `registry.test:${registry.port}`
    const lookup = resolving({ 'registry.test': '127.0.0.1' })
    const { client } = startClient([{ host, insecure: false }], through(proxy, { noProxy: 'registry.test', lookup }))
    expect(await client.manifest(at(host), 'v1')).toMatchObject({ digest })
    expect(proxy.asked).toEqual([])
  })
})

describe('the guard of addresses, through a proxy', () => {
  test.each(['127.0.0.1', '[::1]', '10.0.0.1', '169.254.169.254', '[::ffff:127.0.0.1]', '2130706433'])(
    'refuses %s',
    async (address) => {
      const registry = await startRegistry()
      const proxy = await startProxy(registry.port)
      const { client } = startClient([], through(proxy))
      const error = await failureOf(client.manifest(at(`${address}:${registry.port}`), 'v1'))
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
      expect(proxy.asked).toEqual([])
    },
  )

  test.each(['registry', 'registry:5000', 'registry.local', 'metadata.google.internal', 'box.home.arpa'])(
    'refuses %s, which is no public name',
    async (host) => {
      const proxy = await startProxy('1')
      const { client } = startClient([], through(proxy))
      const error = await failureOf(client.manifest(at(host), 'v1'))
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
      expect(error.message).toContain('name the host with its port in upstreams to allow it')
      expect(proxy.asked).toEqual([])
    },
  )

  test.each([[['10.0.0.1']], [['8.8.8.8', '127.0.0.1']], [['::1']]])(
    'refuses a name that leads to %j here',
    async (addresses) => {
      const proxy = await startProxy('1')
      const { client } = startClient([], through(proxy, { lookup: resolving({ 'inside.test': addresses }) }))
      const error = await failureOf(client.manifest(at('inside.test'), 'v1'))
      expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
      expect(proxy.asked).toEqual([])
    },
  )

  test('refuses where a redirect leads', async () => {
    const registry = await startRegistry()
    registry.intercept(redirecting(/blobs/, (path) => `https://169.254.169.254${path}`))
    const proxy = await startProxy(registry.port)
    const { client } = startClient([], through(proxy))
    const error = await failureOf(client.blob(at('registry.test'), layer.digest))
    expect(error).toMatchObject({ code: 'DENIED', upstream: { reason: 'NotAllowed' } })
    expect(new Set(proxy.asked.map(({ target }) => target))).toEqual(new Set(['registry.test:443']))
  })

  test('lets a name pass that leads to a public address here, or nowhere', async () => {
    const registry = await startRegistry()
    const proxy = await startProxy(registry.port)
    for (const lookup of [resolving({ 'registry.test': '8.8.8.8' }), resolving({})]) {
      const { client } = startClient([], through(proxy, { lookup }))
      expect(await client.manifest(at('registry.test'), 'v1')).toMatchObject({ digest })
    }
  })
})

describe('a proxy that fails', () => {
  const answering = (text: string) => (socket: Socket) => void socket.end(text)

  test.each([
    [
      'wants a login',
      answering('HTTP/1.1 407 Login\r\n\r\n'),
      'answered 407 when asked for registry.test:443: set its login',
    ],
    [
      'refuses',
      answering('HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno!'),
      'answered 403 when asked for registry.test:443',
    ],
    ['speaks something else', answering('SSH-2.0-OpenSSH\r\n\r\n'), 'could not be reached: Parse Error'],
    ['hangs up', (socket: Socket) => void socket.destroy(), 'could not be reached: socket hang up'],
    ['says nothing', () => undefined, 'made no connection to registry.test:443 in time'],
  ])('that %s is named', async (what, answer, problem) => {
    const connectMs = what === 'says nothing' ? 20 : 60_000
    const proxy = await startProxy('1', answer)
    proxy.url.username = 'robot'
    proxy.url.password = 'hush%40proxy'
    const { client, logs } = startClient([], through(proxy, { timeouts: { connectMs } }))
    const error = await failureOf(client.manifest(at('registry.test'), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: 'registry.test', reason: 'Unreachable' } })
    expect(error.message).toContain(`the proxy ${proxy.url.host} ${problem}`)
    expect(JSON.stringify([error.message, error.detail, String(error.cause), logs])).not.toMatch(/hush/)
    expect(proxy.asked[0]?.authorization).toBe(`Basic ${Buffer.from('robot:hush@proxy').toString('base64')}`)
  })

  test('that is not there is named', async () => {
    const proxy = await startProxy('1')
    const gone: FakeProxy = { ...proxy, url: new URL('http://robot:hush@127.0.0.1:1') }
    const { client } = startClient([], through(gone))
    const { message } = await failureOf(client.manifest(at('registry.test'), 'v1'))
    expect(message).toContain('the proxy 127.0.0.1:1 could not be reached: connect ECONNREFUSED')
    expect(message).not.toContain('hush')
  })

  test('I9: sees no login of a registry', async () => {
    const proxy = await startProxy('1', answering('HTTP/1.1 502 No\r\n\r\n'))
    const { client } = startClient([{ ...loginRule('registry.test'), insecure: false }], through(proxy))
    await failureOf(client.manifest(at('registry.test'), 'v1'))
    expect(new Set(proxy.asked.map(({ authorization }) => authorization))).toEqual(new Set([undefined]))
  })
})
