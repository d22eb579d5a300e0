import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Budgets, defaultLimits } from '../../src/upstream/budget.ts'
import { isBudgetRefusal } from '../../src/upstream/budget-refusal.ts'
import { createBudgets } from '../../src/upstream/create-budgets.ts'
import { testClock } from '../support/clock.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { fakeError } from '../support/fake-upstream-answers.ts'
import { makeImage } from '../support/images.ts'
import { at, failureOf, startClient } from './start-client.ts'

const image = makeImage('v1')
const background = { isBackground: true }

function throttle(registry: FakeUpstream, isMeant: (authorization: string, path: string) => boolean, after = '600') {
  return registry.intercept((req, _res, next) =>
    isMeant(req.headers.authorization ?? '', req.url ?? '')
      ? fakeError(429, 'TOOMANYREQUESTS', { 'retry-after': after })
      : next(),
  )
}

/** Two projects, each with a login of its own, and one without. */
async function twoLogins(kind: 'basic' | 'bearer') {
  const registry = await startFakeUpstream({ auth: { kind, users: { ann: 'pw-a', bob: 'pw-b' } } })
  registry.put('lib/app', image, { tag: 'v1' })
  const credentialsFor = (project: string) =>
    project === 'a'
      ? [{ id: 'secrets/a/hub', username: 'ann', password: 'pw-a' }]
      : [{ id: 'secrets/b/hub', username: 'bob', password: 'pw-b' }]
  let clock = testClock()
  const budgets = createBudgets({
    limitsOf: () => defaultLimits,
    now: () => clock.now(),
    wait: async () => undefined,
    random: () => 0.5,
  })
  const started = startClient([registry.host], { credentialsFor, budgets })
  clock = started.clock
  return { registry, ...started, budgets, later: started.client.onBehalf(background) }
}

const basicOf = (user: string) => `Basic ${Buffer.from(`${user}:pw-${user[0]}`).toString('base64')}`

describe('a 429', () => {
  test('to one login keeps no other from asking, in the background either', async () => {
    const { registry, client, later } = await twoLogins('basic')
    throttle(registry, (authorization) => authorization === basicOf('ann'))
    const [a, b] = [at(registry.host, 'lib/app', 'a'), at(registry.host, 'lib/app', 'b')]
    const first = await failureOf(later.resolve(a, 'v1'))
    expect(first).toMatchObject({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 600, upstream: { status: 429 } })
    expect(isBudgetRefusal(first)).toBe(false)
    const asked = registry.requests.length
    expect(isBudgetRefusal(await failureOf(later.resolve(a, 'v1')))).toBe(true)
    expect(isBudgetRefusal(await failureOf(later.tags(a)))).toBe(true)
    expect(registry.requests).toHaveLength(asked)
    expect(await later.resolve(b, 'v1')).toMatchObject({ digest: image.manifest.digest })
    expect(await client.manifest(b, 'v1')).toMatchObject({ digest: image.manifest.digest })
  })

  test('is met once by the background, which does not try again at once', async () => {
    const { registry, client, later } = await twoLogins('basic')
    throttle(registry, (authorization) => authorization !== '', '1')
    const a = at(registry.host, 'lib/app', 'a')
    await failureOf(later.manifest(a, 'v1'))
    expect(registry.matching((request) => request.headers.authorization !== undefined)).toHaveLength(1)
    registry.requests.length = 0
    await failureOf(client.manifest(at(registry.host, 'lib/app', 'b'), 'v1'))
    expect(registry.matching((request) => request.headers.authorization !== undefined)).toHaveLength(3)
  })

  test('to who waits is told again without asking, for the same kind of request alone, a minute at most', async () => {
    const { registry, client, clock } = await twoLogins('basic')
    const stop = throttle(registry, (authorization) => authorization !== '')
    const a = at(registry.host, 'lib/app', 'a')
    await failureOf(client.manifest(a, 'v1'))
    stop()
    const asked = registry.requests.length
    expect(await failureOf(client.manifest(a, 'v1'))).toMatchObject({
      code: 'TOOMANYREQUESTS',
      upstream: { status: 429 },
    })
    expect(registry.requests).toHaveLength(asked)
    expect(await client.resolve(a, 'v1')).toMatchObject({ digest: image.manifest.digest })
    clock.advance(60_000)
    expect(await client.manifest(a, 'v1')).toMatchObject({ digest: image.manifest.digest })
  })

  test('of nobody who logged in does not hide from logins how they get in', async () => {
    const { registry, client, later } = await twoLogins('basic')
    const stop = throttle(registry, (authorization, path) => authorization === '' && path !== '/v2/')
    await failureOf(later.resolve(at(registry.host, 'lib/app', 'a'), 'v1'))
    stop()
    expect(await later.resolve(at(registry.host, 'lib/app', 'a'), 'v1')).toMatchObject({
      digest: image.manifest.digest,
    })
    expect(await client.resolve(at(registry.host, 'lib/app', 'b'), 'v1')).toMatchObject({
      digest: image.manifest.digest,
    })
  })
})

describe('a login', () => {
  const states = ({ budgets }: { budgets: Budgets }) =>
    budgets.states().toSorted((a, b) => ((a.credential ?? '') < (b.credential ?? '') ? -1 : 1))

  test.each(['basic', 'bearer'] as const)(
    'that a registry of %s refuses is told of until it is taken',
    async (kind) => {
      const world = await twoLogins(kind)
      const { registry, client, clock } = world
      const a = at(registry.host, 'lib/app', 'a')
      registry.setAuth({ kind, users: { ann: 'another', bob: 'pw-b' }, anonymous: false })
      await failureOf(client.manifest(a, 'v1'))
      await client.manifest(at(registry.host, 'lib/app', 'b'), 'v1')
      const [nobody, ann, bob] = states(world)
      expect(nobody).not.toHaveProperty('refused')
      expect(ann).toMatchObject({ credential: 'secrets/a/hub', refused: { status: 401, at: clock.now() } })
      expect(bob?.credential).toBe('secrets/b/hub')
      expect(bob).not.toHaveProperty('refused')
      registry.setAuth({ kind, users: { ann: 'pw-a', bob: 'pw-b' } })
      await client.manifest(a, 'v1')
      expect(states(world)[1]).toMatchObject({ credential: 'secrets/a/hub' })
      expect(states(world)[1]).not.toHaveProperty('refused')
    },
  )

  test('that one repository alone is forbidden to is not said to be none', async () => {
    const world = await twoLogins('basic')
    const { registry, client } = world
    registry.intercept((req, _res, next) => (req.headers.authorization ? fakeError(403, 'DENIED') : next()))
    await failureOf(client.manifest(at(registry.host, 'lib/app', 'a'), 'v1'))
    expect(states(world)[1]).toMatchObject({ credential: 'secrets/a/hub' })
    for (const state of states(world)) expect(state).not.toHaveProperty('refused')
  })
})

test('a token endpoint that answers 429 is left alone by the background, for that login', async () => {
  const { registry, later, client } = await twoLogins('bearer')
  throttle(registry, (authorization, path) => path.startsWith('/token') && authorization === basicOf('ann'))
  const a = at(registry.host, 'lib/app', 'a')
  expect(await failureOf(later.resolve(a, 'v1'))).toMatchObject({ retryAfterSeconds: 600, upstream: { status: 429 } })
  const asked = registry.matching(/token/).length
  expect(isBudgetRefusal(await failureOf(later.resolve(a, 'v1')))).toBe(true)
  expect(registry.matching(/token/)).toHaveLength(asked)
  expect(await later.resolve(at(registry.host, 'lib/app', 'b'), 'v1')).toMatchObject({ digest: image.manifest.digest })
  await failureOf(client.resolve(a, 'v1'))
  expect(registry.matching(/token/).length).toBeGreaterThan(asked + 1)
})

describe('a registry that is down', () => {
  test('is not asked by the background after five failures, which are told again, and is asked for who waits', async () => {
    const registry = await startFakeUpstream()
    registry.put('lib/app', image, { tag: 'v1' })
    const { client, clock } = startClient([registry.host])
    const later = client.onBehalf(background)
    await later.resolve(at(registry.host), 'v1')
    const stop = registry.intercept((_req, res) => void res.destroy())
    const failures = []
    for (let i = 0; i < 4; i++) failures.push(await failureOf(later.resolve(at(registry.host), 'v1')))
    const asked = registry.requests.length
    const told = await failureOf(later.resolve(at(registry.host), 'v1'))
    expect(registry.requests).toHaveLength(asked)
    expect(told).toMatchObject({
      code: 'UNAVAILABLE',
      upstream: { reason: 'Unreachable' },
      message: failures[0]?.message,
    })
    stop()
    expect(await client.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
    clock.advance(1)
    expect(await later.resolve(at(registry.host), 'v1')).toMatchObject({ digest: image.manifest.digest })
  })

  test('is left alone as well while nobody knows yet whether it speaks TLS', async () => {
    let connections = 0
    const server = createServer((socket) => {
      connections += 1
      socket.destroy()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const { client, clock } = startClient([host])
    const later = client.onBehalf(background)
    for (let i = 0; i < 5; i++) await failureOf(later.resolve(at(host), 'v1'))
    const before = connections
    const told = await failureOf(later.resolve(at(host), 'v1'))
    expect(connections).toBe(before)
    expect(told).toMatchObject({ code: 'UNAVAILABLE', upstream: { reason: 'Unreachable' } })
    expect(told.retryAfterSeconds).toBeGreaterThan(0)
    await failureOf(client.resolve(at(host), 'v1'))
    expect(connections).toBeGreaterThan(before)
    clock.advance(60 * 60_000)
    const asked = connections
    await failureOf(later.resolve(at(host), 'v1'))
    expect(connections).toBeGreaterThan(asked)
  })
})
