import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nextLink } from '../../src/upstream/link-header.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type FakeAnswer, fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { answering, changing, endless, gzipped, withHeader } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { at, type ClientUnderTest, failureOf, loginRule, startClient } from './start-client.ts'

const image = makeImage('tags')
const list = /tags\/list/

type World = ClientUnderTest & { registry: FakeUpstream }

async function world(tags: readonly string[] = ['v1', 'v2', 'v3']): Promise<World> {
  const registry = await startFakeUpstream()
  for (const tag of tags) registry.put('lib/app', image, { tag })
  return { registry, ...startClient([registry.host]) }
}

/** Answers every page with at most `n` tags, whatever was asked for. */
function paging(registry: FakeUpstream, n: number): void {
  registry.intercept((req, _res, next) => {
    if (req.url !== undefined && list.test(req.url)) req.url = req.url.replace(/\bn=\d+/, `n=${n}`)
    return next()
  })
}

function page(tags: unknown, link?: string): FakeAnswer {
  const headers = { 'content-type': 'application/json', ...(link === undefined ? {} : { link }) }
  return fakeAnswer(200, JSON.stringify({ name: 'lib/app', tags }), headers)
}

const manyTags = Array.from({ length: 25 }, (_, i) => `t${String(i).padStart(2, '0')}`)

describe('the tags of a repository', () => {
  test('are listed with one request where they fit one page', async () => {
    const { registry, client } = await world()
    expect(await client.tags(at(registry.host))).toEqual(['v1', 'v2', 'v3'])
    expect(registry.matching(list)).toHaveLength(1)
  })

  test('are listed over all pages, each once', async () => {
    const { registry, client } = await world(manyTags)
    paging(registry, 10)
    expect(await client.tags(at(registry.host))).toEqual(manyTags)
    expect(registry.matching(list)).toHaveLength(3)
  })

  test('are listed where the next page is named with scheme and host', async () => {
    const { registry, client } = await world(manyTags)
    paging(registry, 10)
    registry.intercept(
      changing(list, (answer) => {
        const link = String(answer.headers.link ?? '').replace('</v2', `<${registry.origin}/v2`)
        return link === '' ? answer : { ...answer, headers: { ...answer.headers, link } }
      }),
    )
    expect(await client.tags(at(registry.host))).toEqual(manyTags)
  })

  test('keep their case from page to page', async () => {
    const { registry, client } = await world(['A', 'B', 'C'])
    paging(registry, 1)
    expect(await client.tags(at(registry.host))).toEqual(['A', 'B', 'C'])
  })

  test('are asked for with the scope of that repository and its login', async () => {
    const auth = { kind: 'bearer', users: { robot: 'pa55word!' } } as const
    const registry = await startFakeUpstream({ auth })
    registry.put('lib/app', image, { tag: 'v1' })
    const { client } = startClient([loginRule(registry.host)])
    expect(await client.tags(at(registry.host))).toEqual(['v1'])
    expect(registry.tokenRequests).toMatchObject([{ username: 'robot', scopes: ['repository:lib/app:pull'] }])
  })

  test('are an empty list where the registry says null, and where it says []', async () => {
    for (const tags of [null, []]) {
      const { registry, client } = await world()
      registry.intercept(answering(list, page(tags)))
      expect(await client.tags(at(registry.host))).toEqual([])
    }
  })

  test('are told once though a page or two tell them twice', async () => {
    const { registry, client } = await world()
    const next = '</v2/lib/app/tags/list?last=a>; rel="next"'
    registry.intercept(answering(list, page(['b', 'c'])))
    registry.intercept(answering(list, page(['a', 'a', 'b'], next), 1))
    expect(await client.tags(at(registry.host))).toEqual(['a', 'b', 'c'])
  })

  test('are without names that are no tags', async () => {
    const { registry, client } = await world()
    const odd = [
      'ok',
      'a!000000000001',
      '',
      '../x',
      'a/b',
      '.dot',
      'x'.repeat(129),
      5,
      null,
      { tag: 'v1' },
      'ü',
      'a\nb',
    ]
    registry.intercept(answering(list, page(odd)))
    expect(await client.tags(at(registry.host))).toEqual(['ok'])
  })

  test('that come in gzip, unasked, are read', async () => {
    const { registry, client } = await world()
    registry.intercept(gzipped(list))
    expect(await client.tags(at(registry.host))).toEqual(['v1', 'v2', 'v3'])
  })

  test('are read up to maxTags', async () => {
    const { registry, client } = await world(manyTags)
    paging(registry, 10)
    expect(await client.tags(at(registry.host), { maxTags: 12 })).toEqual(manyTags.slice(0, 12))
    expect(registry.matching(list)).toHaveLength(2)
  })
})

describe('a list of tags that is a trap', () => {
  test.each([
    ['another host', 'http://elsewhere.example/v2/lib/app/tags/list?last=v1'],
    ['another host without a scheme', '//elsewhere.example/v2/lib/app/tags/list?last=v1'],
    ['another scheme', 'ftp://elsewhere.example/v2/lib/app/tags/list'],
    ['another repository', '/v2/lib/secret/tags/list?last=v1'],
    ['a path that climbs', '/v2/lib/app/../secret/tags/list?last=v1'],
    ['the catalog', '/v2/_catalog?last=v1'],
    ['what is no address', 'http://[nowhere'],
  ])('is not followed to %s', async (_where, target) => {
    const { registry, client } = await world()
    registry.intercept(withHeader(list, 'link', `<${target}>; rel="next"`))
    const error = await failureOf(client.tags(at(registry.host)))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: registry.host, reason: 'Invalid' } })
    expect(error.message).toContain('not followed')
    expect(registry.requests.filter(({ path }) => path !== '/v2/')).toHaveLength(1)
  })

  test('I9: takes no login elsewhere by a link to another port', async () => {
    const elsewhere = await startFakeUpstream()
    const registry = await startFakeUpstream({ auth: { kind: 'basic', users: { robot: 'pa55word!' } } })
    registry.put('lib/app', image, { tag: 'v1' })
    registry.intercept(withHeader(list, 'link', `<${elsewhere.origin}/v2/lib/app/tags/list>; rel="next"`))
    const { client } = startClient([loginRule(registry.host), elsewhere.host])
    await failureOf(client.tags(at(registry.host)))
    expect(elsewhere.requests).toEqual([])
  })

  test.each(['/v2/SECRET/tags/list', 'http://elsewhere.example/SECRET', '//elsewhere.example/?a=SECRET'])(
    'I9: tells nothing of the link %s but its host, for a registry may put a login into it',
    async (target) => {
      const { registry, client } = await world()
      registry.intercept(withHeader(list, 'link', `<${target}>; rel="next"`))
      const { message } = await failureOf(client.tags(at(registry.host)))
      expect(message).toContain('not followed')
      expect(message).not.toContain('SECRET')
    },
  )

  test('ends where its pages go in a circle', async () => {
    const { registry, client } = await world()
    registry.intercept(withHeader(list, 'link', '</v2/lib/app/tags/list?last=again>; rel="next"'))
    expect(await client.tags(at(registry.host))).toEqual(['v1', 'v2', 'v3'])
    expect(registry.matching(list)).toHaveLength(2)
  })

  test('with a new tag on each of its pages without end is given up after 1000', async () => {
    const { registry, client } = await world()
    let asked = 0
    registry.intercept((req, _res, next) => {
      if (!list.test(req.url ?? '')) return next()
      asked += 1
      return page([`t${asked}`], `</v2/lib/app/tags/list?last=t${asked}>; rel="next"`)
    })
    expect(await failureOf(client.tags(at(registry.host)))).toMatchObject({ upstream: { reason: 'Invalid' } })
    expect(asked).toBe(1000)
  })

  test('of a million names is read no further than maxTags', async () => {
    const { registry, client } = await world()
    let asked = 0
    registry.intercept((req, _res, next) => {
      if (!list.test(req.url ?? '')) return next()
      const names = Array.from({ length: 50_000 }, (_, i) => `t${asked * 50_000 + i}`)
      asked += 1
      return page(names, `</v2/lib/app/tags/list?last=t${asked}>; rel="next"`)
    })
    expect(await client.tags(at(registry.host))).toHaveLength(100_000)
    expect(asked).toBe(2)
  })

  test.each([
    ['of 64 MB', (registry: FakeUpstream) => registry.intercept(answering(list, page(['x'.repeat(64 * 1024 * 1024)])))],
    [
      'without end',
      (registry: FakeUpstream) => registry.intercept(endless(list, { 'content-type': 'application/json' })),
    ],
  ])('with a page %s is cut off', async (_what, misbehave) => {
    const { registry, client } = await world()
    misbehave(registry)
    const error = await failureOf(client.tags(at(registry.host)))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
    expect(error.message).toContain('more than')
  })

  test.each([
    ['a page', { wholeMs: 50 }],
    ['the whole list', { tagsMs: 50 }],
  ])('that does not come is given up when the time for %s is over', async (_what, timeouts) => {
    const registry = await startFakeUpstream()
    registry.hold(list)
    const { client } = startClient([registry.host], { timeouts })
    expect(await failureOf(client.tags(at(registry.host)))).toMatchObject({
      code: 'UNAVAILABLE',
      upstream: { reason: 'Unreachable' },
    })
  })

  test('that nobody waits for is left', async () => {
    const { registry, client } = await world()
    const held = registry.hold(list)
    const gone = new AbortController()
    const listed = client.tags(at(registry.host), { signal: gone.signal })
    await held.arrived()
    gone.abort(new Error('gone'))
    await expect(listed).rejects.toThrow('gone')
  })

  test.each([
    ['a web page', '<html></html>'],
    ['a JSON list', '[]'],
    ['no tags', '{"name":"lib/app"}'],
    ['tags that are text', '{"tags":"v1"}'],
    ['tags that are an object', '{"tags":{"length":3}}'],
    ['nothing', ''],
    ['nested beyond measure', '['.repeat(1_000_000)],
  ])('is no list where it is %s', async (_what, body) => {
    const { registry, client } = await world()
    registry.intercept(answering(list, fakeAnswer(200, body)))
    expect(await failureOf(client.tags(at(registry.host)))).toMatchObject({
      code: 'UNAVAILABLE',
      upstream: { host: registry.host, reason: 'Invalid' },
    })
  })
})

describe('a list of tags that is refused', () => {
  test.each([
    ['NotFound', 'NAME_UNKNOWN', fakeError(404, 'NAME_UNKNOWN')],
    ['Unauthorized', 'DENIED', fakeError(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="x"' })],
    ['Forbidden', 'DENIED', fakeError(403, 'DENIED')],
    ['TooManyRequests', 'TOOMANYREQUESTS', fakeAnswer(429, '', { 'retry-after': '3600' })],
    ['Unreachable', 'UNAVAILABLE', fakeError(503, 'UNAVAILABLE')],
    ['Invalid', 'UNAVAILABLE', fakeError(400, 'UNSUPPORTED')],
  ] as const)('tells %s', async (reason, code, answer) => {
    const { registry, client } = await world()
    registry.intercept(answering(list, answer))
    expect(await failureOf(client.tags(at(registry.host)))).toMatchObject({
      code,
      upstream: { host: registry.host, reason },
    })
  })

  test('never asks for a name that would lead to another path', async () => {
    const { registry, client } = await world()
    await expect(client.tags(at(registry.host, '../app'))).rejects.toThrow(TypeError)
    expect(registry.requests).toEqual([])
  })
})

describe('the Link header', () => {
  test.each([
    ['</v2/a/tags/list?last=B>; rel="next"', '/v2/a/tags/list?last=B'],
    ['</x>; rel=next', '/x'],
    ['</x>; REL = "prev next"', '/x'],
    ['</x>; rel="prev", </y>; title="a"; rel="next"', '/y'],
    [['</x>; rel="last"', '</y>; rel="next"'], '/y'],
    ['</x?a=1,2;3>; rel="next"', '/x?a=1,2;3'],
    ['</x>; rel="prev"; rel="next"', undefined],
    ['</x>', undefined],
    ['/x; rel="next"', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j leads to %j', (link, target) => {
    expect(nextLink(link === undefined ? {} : { link: link as string })).toBe(target)
  })

  test('of any text is read in one go', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('<', '>', ';', ',', '=', '"', ' ', 'r', 'rel=next') }), (link) => {
        const target = nextLink({ link })
        return target === undefined || link.includes(`<${target}>`)
      }),
      { numRuns: 500 },
    )
    expect(nextLink({ link: '<'.repeat(200_000) })).toBeUndefined()
    expect(nextLink({ link: '<a>'.repeat(100_000) })).toBeUndefined()
  })
})

describe('the pages of a list of tags', () => {
  async function pages(w: World, most = Number.POSITIVE_INFINITY): Promise<string[][]> {
    const told: string[][] = []
    await w.client.tagPages(at(w.registry.host), (tags) => told.push([...tags]) < most)
    return told
  }

  test('are told as they come, without names that are no tags', async () => {
    const w = await world(manyTags)
    paging(w.registry, 10)
    const told = await pages(w)
    expect(told.map(({ length }) => length)).toEqual([10, 10, 5])
    expect(told.flat()).toEqual(manyTags)
    w.registry.intercept(answering(list, page(['ok', '../x', 5])))
    expect(await pages(w)).toEqual([['ok']])
  })

  test('are asked for no further than they are wanted', async () => {
    const w = await world(manyTags)
    paging(w.registry, 10)
    expect(await pages(w, 1)).toHaveLength(1)
    expect(w.registry.matching(list)).toHaveLength(1)
  })

  test('end where one comes again', async () => {
    const w = await world()
    w.registry.intercept(withHeader(list, 'link', '</v2/lib/app/tags/list?last=again>; rel="next"'))
    expect(await pages(w)).toEqual([['v1', 'v2', 'v3']])
    expect(w.registry.matching(list)).toHaveLength(2)
  })

  test('that go in a circle are given up', async () => {
    const w = await world()
    let asked = 0
    w.registry.intercept((req, _res, next) => {
      if (!list.test(req.url ?? '')) return next()
      asked += 1
      return page([`t${asked % 2}`], `</v2/lib/app/tags/list?last=t${asked}>; rel="next"`)
    })
    expect(await failureOf(pages(w))).toMatchObject({ upstream: { reason: 'Invalid' } })
    expect(asked).toBe(1000)
  })

  test('fail where there are too many tags to know all: the best of some may be a step back', async () => {
    const w = await world()
    let asked = 0
    w.registry.intercept((req, _res, next) => {
      if (!list.test(req.url ?? '')) return next()
      const names = Array.from({ length: 40_000 }, (_, i) => `t${asked * 40_000 + i}`)
      asked += 1
      return page(names, `</v2/lib/app/tags/list?last=t${asked}>; rel="next"`)
    })
    const error = await failureOf(pages(w))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { host: w.registry.host, reason: 'Invalid' } })
    expect(error.message).toContain('more than 100000 tags')
    expect(asked).toBe(3)
  })

  test('that nobody waits for are left', async () => {
    const w = await world(manyTags)
    paging(w.registry, 10)
    const gone = new AbortController()
    const take = () => {
      gone.abort(new Error('gone'))
      return true
    }
    await expect(w.client.tagPages(at(w.registry.host), take, gone.signal)).rejects.toThrow('gone')
    expect(w.registry.matching(list)).toHaveLength(1)
  })
})
