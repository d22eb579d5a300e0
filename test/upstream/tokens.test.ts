import { describe, expect, test } from 'vitest'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { fakeAnswer } from '../support/fake-upstream-answers.ts'
import { answering, endless, resetting } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { at, type ClientUnderTest, failureOf, startClient } from './start-client.ts'

const image = makeImage('tokens')
const login = { username: 'robot', password: 'pa55word!' }
const users = { robot: 'pa55word!' }

async function world(lifetimeSeconds?: number | null): Promise<{ registry: FakeUpstream } & ClientUnderTest> {
  const auth = { kind: 'bearer', users, ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }) } as const
  const registry = await startFakeUpstream({ auth })
  for (const name of ['lib/app', 'lib/other']) registry.put(name, image, { tag: 'v1' })
  return { registry, ...startClient([registry.host]) }
}

describe('a token', () => {
  test('is fetched once for many requests at the same time', async () => {
    const { registry, client } = await world()
    const hold = registry.hold(/token/)
    const pending = Array.from({ length: 20 }, () => client.resolve(at(registry.host), 'v1'))
    await hold.arrived()
    hold.release()
    await Promise.all(pending)
    expect(registry.tokenRequests).toHaveLength(1)
  })

  test('that was refused to many at the same time is replaced by one', async () => {
    const { registry, client } = await world()
    await client.resolve(at(registry.host), 'v1')
    registry.setAuth({ kind: 'bearer', users })
    await Promise.all(Array.from({ length: 20 }, () => client.resolve(at(registry.host), 'v1')))
    expect(registry.tokenRequests).toHaveLength(2)
  })

  test('whose fetch fails fails all that wait for it, and the next request fetches again', async () => {
    const { registry, client } = await world()
    const remove = registry.intercept(answering(/token/, fakeAnswer(200, 'no JSON')))
    const outcomes = await Promise.all([1, 2, 3].map(() => failureOf(client.resolve(at(registry.host), 'v1'))))
    expect(outcomes.map(({ code }) => code)).toEqual(['UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE'])
    remove()
    await client.resolve(at(registry.host), 'v1')
    expect(registry.tokenRequests).toHaveLength(1)
  })

  test('whose fetch one request gives up is still there for the others', async () => {
    const { registry, client } = await world()
    const hold = registry.hold(/token/)
    const controller = new AbortController()
    const impatient = client.resolve(at(registry.host), 'v1', controller.signal)
    const patient = client.resolve(at(registry.host), 'v1')
    await hold.arrived()
    controller.abort(new Error('enough'))
    await expect(impatient).rejects.toThrow('enough')
    hold.release()
    expect(await patient).toMatchObject({ digest: image.manifest.digest })
    expect(registry.tokenRequests).toHaveLength(1)
  })

  test('is of use for one repository only', async () => {
    const { registry, client } = await world()
    await client.resolve(at(registry.host), 'v1')
    await client.resolve(at(registry.host, 'lib/other'), 'v1')
    expect(registry.tokenRequests.map(({ scopes }) => scopes[0])).toEqual([
      'repository:lib/app:pull',
      'repository:lib/other:pull',
    ])
    // Neither was sent where it is of no use: the first request went without, each of the others was let in.
    expect(registry.matching(/manifests/)).toHaveLength(3)
  })

  test('that is longer than any header is refused', async () => {
    const { registry, client } = await world()
    const remove = registry.intercept(
      answering(/token/, fakeAnswer(200, JSON.stringify({ token: 'a'.repeat(32 * 1024 + 1) }))),
    )
    const { code, message } = await failureOf(client.resolve(at(registry.host), 'v1'))
    expect([code, message]).toEqual(['UNAVAILABLE', expect.stringContaining('a token that no header can carry')])
    remove()
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
  })

  test('is kept as long as there is room, however long a registry makes its tokens', async () => {
    const { registry, client } = await world()
    const long = fakeAnswer(200, JSON.stringify({ token: 'a'.repeat(32 * 1024), expires_in: 3600 }))
    const asked: unknown[] = []
    registry.intercept((req, _res, next) => {
      if (!req.url?.startsWith('/token')) return next()
      asked.push(new URL(req.url, 'http://registry').searchParams.get('scope'))
      return long
    })
    const ask = (repository: string) => failureOf(client.resolve(at(registry.host, repository), 'v1'))
    const askedFor = (repository: string) => asked.filter((scope) => scope === `repository:${repository}:pull`).length
    await ask('lib/first')
    await ask('lib/first')
    expect(askedFor('lib/first')).toBe(1)
    for (let i = 0; i < 520; i += 40) {
      await Promise.all(Array.from({ length: 40 }, (_, j) => ask(`lib/app${i + j}`)))
    }
    await ask('lib/first')
    expect(askedFor('lib/first')).toBe(2)
  })

  test('is not shared by two logins, even of the same id', async () => {
    const registry = await startFakeUpstream({ auth: { kind: 'bearer', users, anonymous: false } })
    registry.put('lib/app', image, { tag: 'v1' })
    const { client } = startClient([registry.host], {
      credentialsFor: (project) => [{ id: 'same', ...login, ...(project === 'demo' ? {} : { password: 'guessed' }) }],
    })
    await client.resolve(at(registry.host), 'v1')
    const error = await failureOf(client.resolve(at(registry.host, 'lib/app', 'other'), 'v1'))
    expect(error.code).toBe('DENIED')
  })
})

describe('a token lives', () => {
  test.each([
    // expires_in, still used after, no longer used after (seconds)
    [300, 269, 271],
    [60, 49, 51],
    [1000, 899, 901],
    [86_400, 3239, 3241],
    [null, 49, 51],
    [0, 49, 51],
    [-5, 49, 51],
  ])('with expires_in %s for %d s and not for %d s', async (lifetime, used, unused) => {
    const { registry, client, clock } = await world(lifetime)
    await client.resolve(at(registry.host), 'v1')
    clock.advance(used * 1000)
    await client.resolve(at(registry.host), 'v1')
    expect(registry.tokenRequests).toHaveLength(1)
    clock.advance((unused - used) * 1000)
    // Another repository's first request would challenge anew: the same one's token alone is of interest here.
    await client.resolve(at(registry.host), 'v1')
    expect(registry.tokenRequests).toHaveLength(2)
  })

  test('too short to be kept once', async () => {
    const { registry, client } = await world(8)
    await client.resolve(at(registry.host), 'v1')
    await client.resolve(at(registry.host), 'v1')
    expect(registry.tokenRequests).toHaveLength(2)
  })
})

describe('a token endpoint is not believed', () => {
  test.each([
    ['no JSON', 'token'],
    ['null', 'null'],
    ['a list', '[]'],
    ['no token', '{}'],
    ['an empty token', '{"token":"","access_token":""}'],
    ['a number as token', '{"token":42}'],
    ['a token with a line break', '{"token":"abc\\r\\nX-Injected: yes"}'],
    ['a token with a NUL', '{"token":"abc\\u0000"}'],
    ['a token beyond ASCII', '{"token":"é"}'],
  ])('that answers %s', async (_what, body) => {
    const { registry, client } = await world()
    registry.intercept(answering(/token/, fakeAnswer(200, body)))
    const error = await failureOf(client.resolve(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
    expect(registry.matching(/manifests/)).toHaveLength(1)
  })

  test('whose answer has no end: it is cut off after 1 MiB', async () => {
    const { registry, client } = await world()
    registry.intercept(endless(/token/))
    const error = await failureOf(client.resolve(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Invalid' } })
    expect(error.message).toContain('more than the 1048576 bytes')
  })

  test('that breaks off is asked three times', async () => {
    const { registry, client } = await world()
    registry.intercept(resetting(/token/))
    const error = await failureOf(client.resolve(at(registry.host), 'v1'))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
    expect(registry.matching(/token/)).toHaveLength(3)
  })
})
