import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { isBudgetRefusal } from '../../src/upstream/budget-refusal.ts'
import type { FakeAnswer } from '../support/fake-upstream-answers.ts'
import { fakeError } from '../support/fake-upstream-answers.ts'
import { flowsWorld } from '../support/flows.ts'
import { makeImage, makeIndex } from '../support/images.ts'

const name = { project: 'demo', stream: 'app' }
const image = makeImage('v1')
const index = makeIndex('v1')

/** A registry of whose 100 requests in six hours so many are left, as it says with each answer. */
async function world(left: number) {
  const w = await flowsWorld()
  const quota = { left }
  w.registry.put('lib/app', image, { tag: 'v1' })
  w.registry.put('lib/app', index, { tag: 'index' })
  w.registry.intercept(async (req, _res, next): Promise<FakeAnswer> => {
    const answer = await next()
    if (!/manifests/.test(req.url ?? '')) return answer
    if (req.method === 'GET') quota.left -= 1
    const headers = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': `${quota.left};w=21600` }
    return { ...answer, headers: { ...answer.headers, ...headers } }
  })
  const from = (tag: string) => `${w.registry.host}/lib/app:${tag}`
  async function want(tag: string, source = tag) {
    const spec = {
      name: tag,
      annotations: null,
      from: { kind: 'DockerImage' as const, name: from(source) },
      importPolicy: {},
      referencePolicy: { type: 'Local' as const },
    }
    const changed = await w.writer.changeTag(name, tag, () => ({ spec }), { create: true })
    return { generation: changed?.tag?.record.spec?.generation ?? 0, by: 'ann' }
  }
  const record = async (tag: string) => (await w.reader.tag(name, tag))?.record
  const gets = () => w.registry.matching(/^GET .*\/manifests\//).length
  return { ...w, quota, from, want, record, gets }
}

describe('an import that waits', () => {
  test('leaves the reserve, says nothing of it, and is done when the window is over', async () => {
    const w = await world(31)
    await w.importImage('app', 'hand', w.from('index'))
    const wish = await w.want('later', 'v1')
    const asked = w.gets()
    await w.importer.importPending(name, 'later', wish)
    expect(w.gets()).toBe(asked)
    expect(await w.record('later')).toMatchObject({ items: [] })
    expect((await w.record('later'))?.condition).toBeUndefined()
    const waiting = { ...name, tag: 'later', generation: wish.generation }
    const untilMs = w.clock.now() + 6 * 3_600_000
    expect(w.importer.waiting({ project: 'demo' })).toMatchObject([{ ...waiting, untilMs }])
    expect(w.importer.waiting(name)[0]?.message).toMatch(/until 2026-01-01T06:00:00Z$/)
    for (const other of ['ap', 'app2']) expect(w.importer.waiting({ project: 'demo', stream: other })).toEqual([])
    expect(w.importer.waiting({ project: 'dem' })).toEqual([])
    w.clock.advance(6 * 3_600_000)
    w.quota.left = 100
    await w.importer.importPending(name, 'later', wish)
    expect((await w.record('later'))?.items[0]?.image).toBe(image.manifest.digest)
    expect(w.importer.waiting(name)).toEqual([])
  })

  test('is told of when the registry itself refuses it', async () => {
    const w = await world(100)
    const wish = await w.want('later', 'v1')
    w.registry.intercept((req, _res, next) =>
      req.method === 'GET' && /manifests/.test(req.url ?? '')
        ? fakeError(429, 'TOOMANYREQUESTS', { 'retry-after': '600' })
        : next(),
    )
    await w.importer.importPending(name, 'later', wish)
    expect((await w.record('later'))?.condition).toMatchObject({
      reason: 'TooManyRequests',
      message: expect.stringContaining('it asks to wait until 2026-01-01T00:10:00Z'),
    })
    expect(w.registry.matching(/^GET .*\/manifests\//)).toHaveLength(1)
  })

  test('is for nobody who waits: an import by hand goes on', async () => {
    const w = await world(10)
    await w.importImage('app', 'one', w.from('v1'))
    const { images } = await w.importImage('app', 'two', w.from('index'))
    expect(images).toMatchObject([{ to: 'two', digest: index.manifest.digest }])
  })
})

test('a pull is not refused what is just refused to the background', async () => {
  const w = await world(20)
  await w.importImage('app', 'index', w.from('index'))
  const child = index.children[0]?.manifest.digest ?? ''
  const [ahead, pulled] = await Promise.all([
    w.pullThrough.manifest(name, child, { head: false, isBackground: true }).catch((error: unknown) => error),
    w.pullThrough.manifest(name, child, { head: false }),
  ])
  expect(ahead).toBeInstanceOf(RegistryError)
  expect(isBudgetRefusal(ahead)).toBe(true)
  expect(pulled.digest).toBe(child)
  // What was pulled is here, and costs nothing any more.
  expect(await w.pullThrough.manifest(name, child, { head: false, isBackground: true })).toMatchObject({
    digest: child,
  })
})

test('what retention fetches ahead of pulls is asked for in the background', async () => {
  const asked = Promise.withResolvers<unknown>()
  const keepManifest = async (_name: unknown, _digest: string, options: unknown) => asked.resolve(options)
  const w = await flowsWorld({ policy: { retain: 'pinned' }, retention: { keepManifest } })
  w.registry.put('lib/app', index, { tag: 'index' })
  await w.importImage('app', 'index', `${w.registry.host}/lib/app:index`)
  const stopping = new AbortController()
  const ended = w.retention.run(stopping.signal)
  expect(await asked.promise).toEqual({ isBackground: true })
  stopping.abort()
  await ended
})
