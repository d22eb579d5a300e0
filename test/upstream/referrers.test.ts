import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fallbackTagOf } from '../../src/oci/fallback-tag.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { artifact, described, image, indexOf, listed, page } from '../referrers/world.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { answering, endless, gzipped } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { at, type ClientOptions, type ClientUnderTest, failureOf, loginRule, startClient } from './start-client.ts'

const subject = image.manifest.digest
const api = /referrers\//
const some = ['a', 'b', 'c', 'd', 'e'].map((seed) => listed(artifact(image.manifest, seed)))

type World = ClientUnderTest & { registry: FakeUpstream; list(): ReturnType<ClientUnderTest['client']['referrers']> }

async function world(options: ClientOptions = {}): Promise<World> {
  const registry = await startFakeUpstream()
  registry.put('lib/app', image, { tag: 'v1' })
  const under = startClient([registry.host], options)
  return { registry, ...under, list: () => under.client.referrers(at(registry.host), subject) }
}

/** Answers with pages of two, as `?page=` says; `link` makes the way to the next. */
function paging(
  registry: FakeUpstream,
  link = (n: number) => `</v2/lib/app/referrers/${subject}?page=${n}>; rel="next"`,
) {
  registry.intercept((req, _res, next) => {
    if (!api.test(req.url ?? '')) return next()
    const n = Number(new URL(req.url ?? '', 'http://any').searchParams.get('page') ?? 0)
    return page(some.slice(2 * n, 2 * n + 2), 2 * n + 2 < some.length ? link(n + 1) : undefined)
  })
}

describe('the referrers that a registry lists', () => {
  test('are told as it says, by one request that asks for an index', async () => {
    const { registry, list } = await world()
    registry.intercept(answering(api, page(some)))
    expect(await list()).toEqual({ referrers: some })
    expect(registry.matching(api)).toMatchObject([
      { path: `/v2/lib/app/referrers/${subject}`, headers: { accept: mediaTypes.ociIndex } },
    ])
    expect(registry.matching(/v2\/./)).toHaveLength(1)
  })

  test('are read over all pages', async () => {
    const { registry, list } = await world()
    paging(registry)
    expect(await list()).toEqual({ referrers: some })
    expect(registry.matching(api)).toHaveLength(3)
  })

  test('are asked for with the scope of that repository and its login', async () => {
    const registry = await startFakeUpstream({ auth: { kind: 'bearer', users: { robot: 'pa55word!' } } })
    registry.intercept((req, _res, next) =>
      api.test(req.url ?? '') && req.headers.authorization ? page(some) : next(),
    )
    const { client } = startClient([loginRule(registry.host)])
    expect(await client.referrers(at(registry.host), subject)).toEqual({ referrers: some })
    expect(registry.tokenRequests).toMatchObject([{ scopes: ['repository:lib/app:pull'] }])
  })

  test('are none where it lists none, or writes null', async () => {
    for (const manifests of ['[]', 'null']) {
      const { registry, list } = await world()
      const body = `{"schemaVersion":2,"manifests":${manifests}}`
      registry.intercept(answering(api, fakeAnswer(200, body, { 'content-type': mediaTypes.ociIndex })))
      expect(await list()).toEqual({ referrers: [] })
    }
  })

  test('are read though they come compressed, or as plain JSON', async () => {
    const { registry, list } = await world()
    const json = fakeAnswer(200, indexOf(some).bytes.toString(), { 'content-type': 'application/json' })
    registry.intercept(answering(api, json))
    expect(await list()).toEqual({ referrers: some })
    registry.intercept(gzipped(api))
    expect(await list()).toEqual({ referrers: some })
  })
})

describe('a registry without the API', () => {
  test.each([
    ['404', fakeError(404, 'NOT_FOUND')],
    ['405', fakeError(405, 'UNSUPPORTED')],
    ['a page of HTML', fakeAnswer(200, '<html>', { 'content-type': 'text/html' })],
    ['JSON that is no index', fakeAnswer(200, '{"manifests":[]}', { 'content-type': 'application/json' })],
    ['an index of Docker', fakeAnswer(200, '{"manifests":[]}', { 'content-type': mediaTypes.dockerManifestList })],
  ])('that answers %s is asked by the tag of the schema', async (_, answer) => {
    const { registry, list } = await world()
    registry.intercept(answering(api, answer))
    expect(await list()).toEqual({ referrers: [] })
    registry.put('lib/app', indexOf(some), { tag: fallbackTagOf(subject) })
    expect(await list()).toEqual({ referrers: some })
  })

  test('has none where an image stands at that tag', async () => {
    const { registry, list } = await world()
    registry.put('lib/app', makeImage('no index'), { tag: fallbackTagOf(subject) })
    expect(await list()).toEqual({ referrers: [] })
  })

  test('that fails at the tag fails', async () => {
    const { registry, list } = await world()
    registry.intercept(answering(/sha256-/, fakeError(500, 'UNKNOWN')))
    expect(await failureOf(list())).toMatchObject({ code: 'UNAVAILABLE', upstream: { status: 500 } })
  })
})

describe('a hostile registry', () => {
  test.each([
    ['another host', () => `https://evil.example/v2/lib/app/referrers/${subject}?page=1`],
    ['another repository', () => `/v2/lib/secret/referrers/${subject}?page=1`],
    [
      'a host with a login',
      (origin: string) => `${origin.replace('//', '//user:password@')}/v2/lib/app/referrers/${subject}?page=1`,
    ],
  ])('that goes on at %s is not followed', async (_, to) => {
    const { registry, list } = await world()
    paging(registry, () => `<${to(registry.origin)}>; rel="next"`)
    const { referrers, problem } = await list()
    expect(referrers).toEqual(some.slice(0, 2))
    expect(problem?.message).toContain('not followed')
    expect(registry.matching(/v2\/./)).toHaveLength(1)
  })

  test('that always names the same page, or an empty one, is left', async () => {
    const { registry, list } = await world()
    registry.intercept(answering(api, page(some, '<?page=1>; rel="next"')))
    expect(await list()).toEqual({ referrers: some })
    expect(registry.matching(api)).toHaveLength(2)
  })

  test('that never ends is left after a number of pages, and of entries', async () => {
    const { registry, list } = await world()
    let asked = 0
    let size = 1
    registry.intercept((req, _res, next) => {
      if (!api.test(req.url ?? '')) return next()
      asked += 1
      const entries = Array.from({ length: size }, (_, i) => listed(artifact(image.manifest, `${size} ${asked} ${i}`)))
      return page(entries, `<?page=${asked}>; rel="next"`)
    })
    expect(await list()).toMatchObject({ problem: { code: 'UNAVAILABLE' } })
    expect(asked).toBeLessThanOrEqual(32)
    size = 600
    const { referrers, problem } = await list()
    expect(referrers).toHaveLength(1000)
    expect(problem).toBeDefined()
  })

  test('that sends more than a manifest may have is an error', async () => {
    const { registry, list } = await world()
    registry.intercept(answering(api, page([{ ...some[0], annotations: { a: 'x'.repeat(5 * 1024 * 1024) } }])))
    expect(await failureOf(list())).toMatchObject({ upstream: { reason: 'Invalid' } })
  })

  test('that sends large pages for ever is left after a few', async () => {
    const { registry, list } = await world()
    let asked = 0
    registry.intercept((req, _res, next) => {
      if (!api.test(req.url ?? '')) return next()
      const large = {
        ...listed(artifact(image.manifest, `${asked++}`)),
        annotations: { a: 'x'.repeat(2 * 1024 * 1024) },
      }
      return page([large], `<?page=${asked}>; rel="next"`)
    })
    expect((await list()).problem?.message).toContain('is larger than')
    expect(asked).toBeLessThanOrEqual(3)
  })

  test('that never finishes an answer is left in time', async () => {
    const { registry, list } = await world({ timeouts: { referrersMs: 50 } })
    registry.hold(api)
    expect((await failureOf(list())).message).toContain('did not list what refers to')
  })

  test('that sends for ever is left', async () => {
    const { registry, list } = await world()
    registry.intercept(endless(api, { 'content-type': mediaTypes.ociIndex }))
    expect(await failureOf(list())).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
  })

  test.each([
    ['no digest', { digest: 'sha256:short' }],
    ['a digest that is none', { digest: 7 }],
    ['the image itself', { digest: subject }],
    ['a blob', { mediaType: 'application/octet-stream' }],
    ['no media type', { mediaType: undefined }],
    ['a negative size', { size: -1 }],
    ['half a byte', { size: 1.5 }],
    ['a size in words', { size: '7' }],
    ['more than a manifest may have', { size: 2 ** 40 }],
  ])('that lists %s has that left out', async (_, lie) => {
    const { registry, list } = await world()
    registry.intercept(answering(api, page([{ ...some[0], ...lie }, null, 7, [], some[1]])))
    expect(await list()).toEqual({ referrers: [some[1]] })
  })

  test('that writes types and annotations as it likes is told of strings alone', async () => {
    const { registry, list } = await world()
    const base = described(artifact(image.manifest, 'odd').manifest)
    const body = indexOf([{ ...base, artifactType: 'a\r\nb', annotations: { a: 1, b: { c: 2 }, d: 'e' }, extra: 'x' }])
    const written = body.bytes.toString().replace('"d"', '"__proto__":"p","d"')
    registry.intercept(answering(api, fakeAnswer(200, written, { 'content-type': mediaTypes.ociIndex })))
    const { referrers } = await list()
    expect(JSON.stringify(referrers)).toBe(
      JSON.stringify([{ ...base, annotations: JSON.parse('{"__proto__":"p","d":"e"}') }]),
    )
  })

  test('that answers any JSON makes no failure but those of upstreams', async () => {
    const { registry, list } = await world()
    let body = ''
    registry.intercept((req, _res, next) =>
      api.test(req.url ?? '') ? fakeAnswer(200, body, { 'content-type': mediaTypes.ociIndex }) : next(),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json(),
          fc.json().map((each) => `{"manifests":[${each}]}`),
        ),
        async (json) => {
          body = json
          expect(await list()).toEqual({ referrers: [] })
        },
      ),
      { numRuns: 200 },
    )
  })
})

test('a registry that fails is an error, also at a later page, after what it told', async () => {
  const { registry, list } = await world()
  const heal = registry.intercept(answering(api, fakeError(503, 'UNKNOWN')))
  expect(await failureOf(list())).toMatchObject({ code: 'UNAVAILABLE', upstream: { status: 503 } })
  heal()
  paging(registry)
  registry.intercept(answering(/page=1/, fakeError(503, 'UNKNOWN')))
  expect(await list()).toMatchObject({
    referrers: some.slice(0, 2),
    problem: { message: expect.stringContaining('breaks off') },
  })
})
