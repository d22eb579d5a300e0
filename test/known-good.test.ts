/** I8: what Weir holds is pulled whatever has become of its upstream. */
import type { LookupFunction } from 'node:net'
import { setDefaultCACertificates } from 'node:tls'
import { expect, test } from 'vitest'
import { readAll } from '../src/content/reader.ts'
import type { ImportResult } from '../src/importer.ts'
import type { Digest } from '../src/oci/digest.ts'
import { createPullThrough, type PullThrough } from '../src/pull-through.ts'
import type { Purpose } from '../src/upstream/budget.ts'
import type { Upstream } from '../src/upstream/upstream.ts'
import { parseMultipart } from './http/parse-multipart.ts'
import { type FakeUpstream, startFakeUpstream } from './support/fake-upstream.ts'
import type { FakeInterceptor } from './support/fake-upstream-answers.ts'
import { failing, resetting } from './support/fake-upstream-faults.ts'
import { createFakeAuthority } from './support/fake-upstream-tls.ts'
import { type FlowsOptions, type FlowsWorld, flowsWorld } from './support/flows.ts'
import { makeImage, makeIndex, type Piece, piecesOf } from './support/images.ts'
import { type RequestToSend, startWorld, type World } from './support/world.ts'

const authority = await createFakeAuthority()
setDefaultCACertificates([authority.ca])

const app = { project: 'demo', stream: 'app' }
const index = makeIndex('known good')
const pieces = piecesOf(index)
const manifests = [index.manifest, ...index.children.map(({ manifest }) => manifest)]
const blobs = pieces.filter(({ digest }) => !manifests.some((manifest) => manifest.digest === digest))

/** An upstream that still answers, and what becomes of it. */
interface Doomed {
  host: string
  registry: FakeUpstream
  options: FlowsOptions
  end(): Promise<void> | void
}

/** An upstream on plain HTTP, and what is done to it in the end. */
async function plain(end: (registry: FakeUpstream) => unknown): Promise<Doomed> {
  const registry = await startFakeUpstream()
  const { host } = registry
  const options = { rules: [{ host, insecure: true }], client: { timeouts: { headersMs: 100, wholeMs: 100 } } }
  return { host, registry, options, end: async () => void (await end(registry)) }
}

const answering = (fault: FakeInterceptor) => plain((registry) => registry.intercept(fault))

/** An upstream by a name that no resolver knows any more. */
async function lostName(): Promise<Doomed> {
  const registry = await startFakeUpstream()
  let isKnown = true
  const lookup: LookupFunction = (hostname, options, callback) => {
    if (!isKnown) callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' }), [])
    else if (options.all === true) callback(null, [{ address: '127.0.0.1', family: 4 }])
    else callback(null, '127.0.0.1', 4)
  }
  const host = `registry.example:${new URL(registry.origin).port}`
  const end = async (): Promise<void> => {
    isKnown = false
    // A connection that stands needs no name.
    await registry.close()
  }
  return { host, registry, options: { rules: [{ host, insecure: true }], client: { lookup } }, end }
}

/** An upstream on HTTPS whose certificate was good, and has expired. */
async function expiredCertificate(): Promise<Doomed> {
  const registry = await startFakeUpstream({ tls: await authority.certificate(['127.0.0.1']) })
  const { host } = registry
  const end = async (): Promise<void> => {
    await registry.close()
    const tls = await authority.certificate(['127.0.0.1'], { expired: true })
    await startFakeUpstream({ tls, port: Number(new URL(registry.origin).port) })
  }
  return { host, registry, options: { rules: [{ host, insecure: false }] }, end }
}

function forget(registry: FakeUpstream): void {
  for (const { digest } of pieces) registry.remove(digest)
}

const wait = { headers: { 'retry-after': '3600' } }
const troubles: [string, string, () => Promise<Doomed>][] = [
  ['answers 404 for everything', 'NotFound', () => answering(failing(/./, 404))],
  ['forgot the image and its tag', 'NotFound', () => plain(forget)],
  ['answers 401', 'Unauthorized', () => answering(failing(/./, 401))],
  ['wants a login that nobody has', 'Unauthorized', () => plain((it) => it.setAuth({ kind: 'basic', users: {} }))],
  ['answers 403', 'Forbidden', () => answering(failing(/./, 403))],
  ['answers 429', 'TooManyRequests', () => answering(failing(/./, 429, wait))],
  ['answers 500', 'Unreachable', () => answering(failing(/./, 500))],
  ['answers 503', 'Unreachable', () => answering(failing(/./, 503))],
  ['answers nothing', 'Unreachable', () => plain((registry) => registry.hold())],
  ['cuts connections', 'Unreachable', () => answering(resetting(/./))],
  ['is switched off', 'Unreachable', () => plain((registry) => registry.close())],
  ['lost its name', 'Unreachable', lostName],
  ['let its certificate expire', 'Tls', expiredCertificate],
]

/** `demo/app:prod` stands at an index all of which is held, as its upstream ends. Nothing of it is in memory. */
async function held(
  doomed: Doomed,
): Promise<FlowsWorld & { pull: PullThrough; asked: string[]; again: () => Promise<ImportResult> }> {
  const asked: string[] = []
  const observe = (upstream: Upstream): Upstream => observed(upstream, asked)
  const flows = await flowsWorld({ ...doomed.options, observe })
  doomed.registry.put('lib/app', index, { tag: 'v1' })
  const again = () => flows.importImage('app', 'prod', `${doomed.host}/lib/app:v1`)
  await again()
  for (const { digest } of manifests) await flows.pullThrough.manifest(app, digest, { head: false })
  for (const { digest } of blobs) await fetched(flows, digest)
  await doomed.end()
  return { ...flows, again, asked, pull: createPullThrough({ ...flows }) }
}

/** What was pulled is held a moment later; who fetches waits for it. */
async function fetched({ links, content }: FlowsWorld, digest: Digest): Promise<void> {
  const link = await links.get(app, digest)
  if (link === undefined) throw new TypeError('the stream has no such blob')
  await content.fetch(link, { signal: AbortSignal.timeout(10_000) })
}

/** Notes whatever is asked of an upstream, whether or not that ever reaches it. */
function observed(upstream: Upstream, asked: string[]): Upstream {
  return new Proxy(upstream, {
    get: (target, name: keyof Upstream) => {
      // What is given for a purpose asks nobody yet.
      if (name === 'onBehalf') return (purpose: Purpose) => observed(target.onBehalf(purpose), asked)
      if (name !== 'close') asked.push(name)
      return target[name]
    },
  })
}

async function pullAll(pull: PullThrough): Promise<void> {
  for (const head of [true, false]) {
    const byTag = await pull.manifest(app, 'prod', { head })
    expect(byTag).toMatchObject({ digest: index.manifest.digest, size: index.manifest.bytes.length })
    for (const { digest, bytes } of manifests) {
      const served = await pull.manifest(app, digest, { head })
      expect(served.size).toBe(bytes.length)
      if (!head) expect(served.bytes?.equals(bytes)).toBe(true)
    }
  }
  for (const blob of blobs) await pullBlob(pull, blob)
}

async function pullBlob(pull: PullThrough, { digest, bytes }: Piece): Promise<void> {
  expect(await pull.blobSize(app, digest)).toEqual({ digest, size: bytes.length })
  const middle = await pull.blob(app, digest, { start: 1, end: 3 })
  expect((await readAll(middle)).equals(bytes.subarray(1, 4))).toBe(true)
  expect((await readAll(await pull.blob(app, digest, { end: 2 }))).equals(bytes.subarray(-2))).toBe(true)
  expect((await readAll(await pull.blob(app, digest))).equals(bytes)).toBe(true)
}

test.each(troubles)('I8: pulls go on, and ask nobody, when the upstream %s', async (_name, reason, end) => {
  const { pull, asked, again, pins } = await held(await end())
  asked.length = 0
  await pullAll(pull)
  expect(asked).toEqual([])

  // It is as broken as the test says: an import tells so, and changes nothing of the pulls (I7).
  const { images, revision } = await again()
  expect(images).toMatchObject([{ error: { upstream: { reason } } }])
  await pins.reached(revision)
  asked.length = 0
  await pullAll(pull)
  expect(asked).toEqual([])
  const { pin } = await pull.manifest(app, 'prod', { head: true })
  expect(pin).toMatchObject({ digest: index.manifest.digest, revision: 1, condition: { reason } })
  expect(pin?.upstreamGone?.image).toBe(reason === 'NotFound' ? index.manifest.digest : undefined)
})

test('what is not held is told as it is: it is not there, or not to be had now', async () => {
  const doomed = await plain((registry) => registry.close())
  const flows = await flowsWorld(doomed.options)
  doomed.registry.put('lib/app', index, { tag: 'v1' })
  await flows.importImage('app', 'prod', `${doomed.host}/lib/app:v1`)
  await doomed.end()
  const [blob] = index.children[1]?.layers ?? []
  const pulled = flows.pullThrough.blob(app, blob?.digest ?? '')
  await expect(pulled).rejects.toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
})

/** A whole Weir, whose `demo/app:prod` was imported and may be pulled by everybody. */
async function wholeWeir(): Promise<World & { done: (...argv: string[]) => Promise<void> }> {
  const world = await startWorld({ config: { content: { retain: 'pulled' } } })
  const done = async (...argv: string[]): Promise<void> => {
    expect(await world.cli(...argv), argv.join(' ')).toMatchObject({ exitCode: 0 })
  }
  world.upstream.put('lib/app', index, { tag: 'v1' })
  await done('new-project', 'demo')
  await done('grant', 'pull', 'anonymous', '-n', 'demo')
  await done('import-image', 'demo/app:prod', '--from', `${world.upstream.host}/lib/app:v1`)
  return Object.assign(world, { done })
}

test('I8: a Weir that was started anew answers every kind of pull while its upstream is switched off', async () => {
  const world = await wholeWeir()
  const repository = '/v2/demo/app'
  const pull = async (path: string, method = 'GET', headers: Record<string, string> = {}) => {
    const token = await world.pullToken('repository:demo/app:pull')
    return world.request(`${repository}/${path}`, { token, method, headers })
  }
  for (const { digest } of manifests) expect((await pull(`manifests/${digest}`)).status).toBe(200)
  for (const { digest } of blobs) {
    expect((await pull(`blobs/${digest}`)).status).toBe(200)
    await expect.poll(() => asksUpstream(world, () => pull(`blobs/${digest}`, 'HEAD'))).toBe(false)
  }
  await world.upstream.close()
  await world.restart()
  for (let round = 0; round < 2; round += 1) {
    for (const method of ['HEAD', 'GET']) {
      const byTag = await pull('manifests/prod', method)
      expect([byTag.status, byTag.headers['docker-content-digest']]).toEqual([200, index.manifest.digest])
      for (const { digest } of manifests) expect((await pull(`manifests/${digest}`, method)).status).toBe(200)
    }
    for (const { digest, bytes } of blobs) {
      expect((await pull(`blobs/${digest}`, 'HEAD')).headers['content-length']).toBe(String(bytes.length))
      expect((await pull(`blobs/${digest}`)).body.equals(bytes)).toBe(true)
      const part = await pull(`blobs/${digest}`, 'GET', { range: 'bytes=1-2' })
      expect([part.status, part.body.equals(bytes.subarray(1, 3))]).toEqual([206, true])
      const several = await pull(`blobs/${digest}`, 'GET', { range: 'bytes=3-3,0-1' })
      const parts = parseMultipart(several.headers['content-type'], several.body)
      expect(
        Buffer.concat(parts.map((each) => each.bytes)).equals(
          Buffer.concat([bytes.subarray(3, 4), bytes.subarray(0, 2)]),
        ),
      ).toBe(true)
    }
  }
})

async function asksUpstream({ upstream }: World, pull: () => Promise<unknown>): Promise<boolean> {
  const before = upstream.requests.length
  await pull()
  return upstream.requests.length > before
}

test('I8, I9: who pulls is told that the image is gone upstream, that the tag is held, and no more', async () => {
  const world = await wholeWeir()
  const { upstream, done } = world
  const told = async (options: RequestToSend = {}): Promise<string | undefined> => {
    const { status, headers } = await world.pull('demo/app:prod', undefined, options)
    expect([200, 304]).toContain(status)
    expect(headers.warning ?? '').not.toMatch(/lib|v1|repository/)
    return headers.warning?.replace(/ at [-0-9:TZ]+/, ' at T')
  }
  const fails = async (): Promise<void> => {
    expect((await world.cli('import-image', 'demo/app:prod')).exitCode).toBe(1)
  }
  expect(await told()).toBeUndefined()

  upstream.untag('lib/app', 'v1')
  await fails()
  const stale = 'served from the pin: the newest import failed (NotFound) at T'
  expect(await told()).toBe(`299 - "${stale}"`)

  upstream.remove(index.manifest.digest)
  await fails()
  const gone = `${upstream.host} no longer has all of this image; Weir serves what it holds of it`
  for (const options of [{}, { method: 'HEAD' }, { headers: { 'if-none-match': index.manifest.digest } }]) {
    expect(await told(options)).toBe(`299 - "${gone}; ${stale}"`)
  }
  const { headers } = await world.pull(`demo/app@${index.manifest.digest}`)
  expect(headers).not.toHaveProperty('warning')

  upstream.put('lib/app', makeImage('next'), { tag: 'v1' })
  await done('import-image', 'demo/app:prod')
  expect(await told()).toBeUndefined()
  await done('rollback', 'demo/app:prod', '--reason', 'lib of v1 is broken')
  expect(await told()).toBe('299 - "held at revision 3 by weir:admin"')
  await done('resume', 'demo/app:prod')
  expect(await told()).toBeUndefined()
})
