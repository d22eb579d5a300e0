import { describe, expect, test } from 'vitest'
import { type Harness, startHttp, tokenFor } from './harness.ts'

const all = ['1.0', '1.1', 'A', 'Z', 'a', 'latest', 'v1']

async function world(): Promise<Harness> {
  const harness = await startHttp()
  harness.tags.set('demo/app', all)
  harness.tokens.set('catalog', tokenFor('catalog', ['*'], 'registry'))
  return harness
}

async function follow(
  { ask }: Harness,
  path: string,
  token: string,
  key: 'tags' | 'repositories',
): Promise<string[][]> {
  const pages: string[][] = []
  let next: string | undefined = path
  while (next !== undefined && pages.length < 50) {
    const answer = await ask(next, { token })
    expect(answer.status).toBe(200)
    pages.push((answer.json() as Record<string, string[]>)[key] ?? [])
    const link: string | undefined = answer.headers.link?.toString()
    expect(link ?? '</>; rel="next"').toMatch(/^<\/[^>]*>; rel="next"$/)
    next = link?.slice(1, link.indexOf('>'))
  }
  return pages
}

describe('tags/list', () => {
  const path = '/v2/demo/app/tags/list'

  test('without n everything is in one answer', async () => {
    const { ask } = await world()
    const answer = await ask(path, { token: 'good' })
    expect(answer.json()).toEqual({ name: 'demo/app', tags: all })
    expect(answer.headers['content-type']).toBe('application/json')
    expect(answer.headers).not.toHaveProperty('link')
  })

  test('last without n gives the whole remainder, and need not be a tag', async () => {
    const { ask } = await world()
    expect((await ask(`${path}?last=Z`, { token: 'good' })).json()).toMatchObject({ tags: ['a', 'latest', 'v1'] })
    expect((await ask(`${path}?last=M`, { token: 'good' })).json()).toMatchObject({ tags: ['Z', 'a', 'latest', 'v1'] })
    expect((await ask(`${path}?last=zz`, { token: 'good' })).json()).toMatchObject({ tags: [] })
  })

  test('the links lead through all tags, each once', async () => {
    const harness = await world()
    expect(await follow(harness, `${path}?n=3`, 'good', 'tags')).toEqual([
      ['1.0', '1.1', 'A'],
      ['Z', 'a', 'latest'],
      ['v1'],
    ])
  })

  test('a last page that is just full has no link', async () => {
    const harness = await world()
    expect(await follow(harness, `${path}?n=7`, 'good', 'tags')).toEqual([all])
  })

  test('n=0 gives nothing and no link', async () => {
    const { ask } = await world()
    const answer = await ask(`${path}?n=0`, { token: 'good' })
    expect(answer.json()).toEqual({ name: 'demo/app', tags: [] })
    expect(answer.headers).not.toHaveProperty('link')
  })

  test('a huge n is cut to 1000 with a link', async () => {
    const harness = await world()
    harness.tags.set(
      'demo/app',
      Array.from({ length: 1001 }, (_, i) => `t${String(i).padStart(4, '0')}`),
    )
    const pages = await follow(harness, `${path}?n=999999999`, 'good', 'tags')
    expect(pages.map((page) => page.length)).toEqual([1000, 1])
  })

  test('a stream without tags has an empty list, an unknown one NAME_UNKNOWN', async () => {
    const { ask, tags } = await world()
    tags.set('demo/app', [])
    expect((await ask(path, { token: 'good' })).json()).toEqual({ name: 'demo/app', tags: [] })
    tags.clear()
    const answer = await ask(path, { token: 'good' })
    expect([answer.status, answer.json()]).toMatchObject([404, { errors: [{ code: 'NAME_UNKNOWN' }] }])
  })

  test.each([
    'n=-1',
    'n=1.5',
    'n=x',
    'n=',
    'n=1&n=2',
    'last=a&last=b',
    'last=',
    'last=a%2Fb',
    'last=%00',
    'n=99999999999',
  ])('?%s is 400', async (query) => {
    const { ask } = await world()
    const answer = await ask(`${path}?${query}`, { token: 'good' })
    expect([answer.status, answer.json()]).toMatchObject([400, { errors: [{ code: 'UNSUPPORTED' }] }])
  })
})

describe('_catalog', () => {
  test('shows what the caller may pull, page by page, in byte order', async () => {
    const harness = await world()
    harness.streams.push(...Array.from({ length: 1200 }, (_, i) => `p/s${String(i).padStart(4, '0')}`))
    const expected = harness.streams.filter((name) => Number(name.slice(-1)) % 2 === 1)
    for (const name of harness.streams) if (!expected.includes(name)) harness.hidden.add(name)
    expect((await follow(harness, '/v2/_catalog?n=250', 'catalog', 'repositories')).flat()).toEqual(expected)
    expect((await follow(harness, '/v2/_catalog', 'catalog', 'repositories'))[0]).toHaveLength(100)
  })

  test('I5: a repository that may not be pulled is not told, nor told of by a link', async () => {
    const harness = await world()
    harness.streams.push('demo/app', 'other/secret')
    harness.hidden.add('other/secret')
    const answer = await harness.ask('/v2/_catalog?n=1', { token: 'catalog' })
    expect(answer.json()).toEqual({ repositories: ['demo/app'] })
    expect(answer.headers).not.toHaveProperty('link')
  })

  test.each(['n=-1', 'last=demo', 'last=demo%2Fapp&last=demo%2Fapp', 'last=..%2Fx'])('?%s is 400', async (query) => {
    const { ask } = await world()
    expect((await ask(`/v2/_catalog?${query}`, { token: 'catalog' })).status).toBe(400)
  })
})
