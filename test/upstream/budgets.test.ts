import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Payer } from '../../src/upstream/budget.ts'
import { isBudgetRefusal } from '../../src/upstream/budget-refusal.ts'
import { limitsFromRules } from '../../src/upstream/client.ts'
import {
  background,
  budgetWorld,
  getManifest,
  headManifest,
  hub,
  hubHeaders,
  interactive,
  unreachable,
} from './budget-world.ts'

const hour = 3_600_000
const robot: Payer = { host: 'docker.io', credential: 'upstreams[0]' }

describe('the reserve', () => {
  test('is left by the background, and open to who waits', async () => {
    const { ask } = budgetWorld()
    expect(await ask(background, { headers: hubHeaders(31) })).toBe('sent')
    expect(await ask(background, { headers: hubHeaders(30) })).toBe('sent')
    const refused = await ask(background)
    expect(refused).toMatchObject({
      code: 'TOOMANYREQUESTS',
      retryAfterSeconds: 6 * 3600,
      upstream: { host: 'docker.io', reason: 'TooManyRequests' },
      message: 'docker.io has 30 of 100 requests left, which are for who waits for them until 2026-01-01T06:00:00Z',
    })
    expect(isBudgetRefusal(refused)).toBe(true)
    for (let left = 29; left >= 0; left--) expect(await ask(interactive, { headers: hubHeaders(left) })).toBe('sent')
    expect(await ask(interactive)).toBe('sent')
  })

  test('counts what is under way', async () => {
    const { ask, open } = budgetWorld()
    await ask(interactive, { headers: hubHeaders(33) })
    const slots = [await open(background), await open(background), await open(interactive)]
    expect(await ask(background)).not.toBe('sent')
    slots[2]?.answered(200, hubHeaders(32))
    slots[2]?.release()
    expect(await ask(background)).not.toBe('sent')
    slots[1]?.answered(200, hubHeaders(32))
    expect(await ask(background, { headers: hubHeaders(31) })).toBe('sent')
  })

  test('is free again when the window is over: one asks, and the others when it was told how much is left', async () => {
    const { ask, open, time } = budgetWorld()
    await ask(background, { headers: hubHeaders(30) })
    await time.pass(6 * hour - 10_000)
    expect(await ask(background)).not.toBe('sent')
    await time.pass(10_000)
    const probe = await open(background)
    let sent = 0
    const others = [1, 2, 3].map(() =>
      open(background)
        .then(
          (slot) => slot.release(),
          () => undefined,
        )
        .then(() => sent++),
    )
    await time.pass(1000)
    expect(sent).toBe(0)
    probe.answered(200, hubHeaders(99))
    probe.release()
    await time.pass(1000)
    expect(sent).toBe(3)
    await Promise.all(others)
  })

  test('of a window that is not over when it should be is looked at now and then', async () => {
    const { ask, time } = budgetWorld()
    await ask(background, { headers: hubHeaders(20) })
    let asked = 0
    for (let minutes = 0; minutes < 12 * 60; minutes++) {
      if ((await ask(background, { headers: hubHeaders(20) })) === 'sent') asked += 1
      await time.pass(60_000)
    }
    expect(asked).toBeGreaterThanOrEqual(8)
    expect(asked).toBeLessThanOrEqual(12)
  })

  test('stops no HEAD where HEADs do not count, and stops them where they may', async () => {
    const { ask } = budgetWorld()
    await ask(background, { headers: hubHeaders(10) })
    expect(await ask(background, { asked: headManifest, headers: hubHeaders(10) })).toBe('sent')
    const other: Payer = { host: 'r.example', credential: undefined }
    await ask(interactive, { payer: other, headers: hubHeaders(10) })
    expect(await ask(background, { payer: other, asked: headManifest })).not.toBe('sent')
  })

  test('learns from a registry that its HEADs are free, and that they are not', async () => {
    const { ask } = budgetWorld()
    const payer: Payer = { host: 'r.example', credential: undefined }
    for (let i = 0; i < 4; i++) await ask(background, { payer, asked: headManifest, headers: hubHeaders(50) })
    await ask(interactive, { payer, headers: hubHeaders(10) })
    expect(await ask(background, { payer, asked: headManifest, headers: hubHeaders(10) })).toBe('sent')
    expect(await ask(background, { payer })).not.toBe('sent')
    expect(await ask(background, { payer, asked: headManifest, headers: hubHeaders(9) })).toBe('sent')
    expect(await ask(background, { payer, asked: headManifest, headers: hubHeaders(8) })).not.toBe('sent')
  })

  test('does not exist where a registry tells no limit', async () => {
    const { ask, time } = budgetWorld()
    for (let i = 0; i < 300; i++) {
      expect(await ask(background)).toBe('sent')
      await time.pass(100)
    }
  })

  test('is never touched by the background, however requests come and answers are told', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 4, max: 60 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(fc.record({ isBackground: fc.boolean(), isTold: fc.boolean(), waits: fc.boolean() }), {
          maxLength: 80,
        }),
        async (limit, reserve, steps) => {
          const { open, ask } = budgetWorld({ reserve, concurrency: 100, requestsPerSecond: 1000 })
          let left = limit
          await ask(interactive, { asked: { method: 'GET', kind: 'blob' }, headers: hubHeaders(left, limit) })
          const underWay: (() => void)[] = []
          for (const { isBackground, isTold, waits } of steps) {
            const slot = await open({ isBackground }).catch(() => undefined)
            if (slot !== undefined) {
              left -= 1
              const told = left
              if (isBackground) expect(left).toBeGreaterThanOrEqual(Math.min(limit, Math.floor(limit * reserve)))
              underWay.push(() => {
                if (isTold) slot.answered(200, hubHeaders(told, limit))
                slot.release()
              })
            }
            if (!waits) underWay.shift()?.()
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('a registry that answers 429', () => {
  test('is left alone by the background as long as it says, then asked once', async () => {
    const { ask, open, time } = budgetWorld()
    expect(await ask(background, { status: 429, headers: { 'retry-after': '120' } })).toBe('sent')
    expect(await ask(background, { asked: headManifest })).toMatchObject({
      retryAfterSeconds: 120,
      message: 'docker.io answered 429: only who waits for it asks it until 2026-01-01T00:02:00Z',
    })
    await time.pass(120_000)
    const probe = await open(background)
    const next = ask(background)
    await time.pass(1000)
    probe.answered(429, {})
    probe.release()
    expect(await next).toMatchObject({ code: 'TOOMANYREQUESTS' })
    await time.pass(61_000)
    expect(await ask(background)).toBe('sent')
    expect(await ask(background)).toBe('sent')
  })

  test('without saying for how long is left alone for longer each time, up to ten minutes', async () => {
    const { ask, time } = budgetWorld()
    const pauses: number[] = []
    for (let i = 0; i < 7; i++) {
      expect(await ask(background, { status: 429 })).toBe('sent')
      const refused = await ask(background)
      const seconds = refused === 'sent' ? 0 : (refused.retryAfterSeconds ?? 0)
      pauses.push(seconds)
      await time.pass(seconds * 1000)
    }
    expect(pauses).toEqual([30, 60, 120, 240, 480, 600, 600])
  })

  test('again and again, and asks for a second alone each time, is left alone for longer than it says', async () => {
    const { ask, budgets, time } = budgetWorld()
    const pauses: number[] = []
    for (const after of ['0', '1', 'Thu, 01 Jan 1970 00:00:00 GMT', '1', '1', '1', '1', '700', '1']) {
      expect(await ask(background, { status: 429, headers: { 'retry-after': after } })).toBe('sent')
      const pauseMs = (budgets.states()[0]?.closedUntil ?? 0) - time.now()
      pauses.push(pauseMs / 1000)
      await time.pass(pauseMs)
    }
    expect(pauses).toEqual([1, 1, 1, 30, 60, 120, 240, 700, 600])
    await ask(background)
    await ask(background, { status: 429, headers: { 'retry-after': '1' } })
    expect((budgets.states()[0]?.closedUntil ?? 0) - time.now()).toBe(1000)
  })

  test('when many requests are under way trips once', async () => {
    const { ask, open } = budgetWorld()
    const slots = await Promise.all(Array.from({ length: 8 }, () => open(background)))
    for (const slot of slots) {
      slot.answered(429, {})
      slot.release()
    }
    expect(await ask(background)).toMatchObject({ retryAfterSeconds: 30 })
  })

  test('is not asked again because an answer came that was under way', async () => {
    const { ask, open } = budgetWorld()
    const [first, second] = [await open(background), await open(background)]
    first.answered(429, { 'retry-after': '60' })
    second.answered(200, {})
    expect(await ask(background)).toMatchObject({ retryAfterSeconds: 60 })
  })

  test('to one payer is open to the others', async () => {
    const { ask } = budgetWorld()
    await ask(background, { payer: robot, status: 429, headers: { 'retry-after': '600' } })
    expect(await ask(background, { payer: robot })).not.toBe('sent')
    expect(await ask(background)).toBe('sent')
    expect(await ask(background, { payer: { host: 'quay.io', credential: 'upstreams[0]' } })).toBe('sent')
  })

  test('refuses who waits only what it refused, and only while it said so, a minute at most', async () => {
    const { ask, time } = budgetWorld()
    await ask(interactive, { status: 429, headers: { 'retry-after': '20' } })
    const refused = await ask(interactive)
    expect(refused).toMatchObject({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 20, upstream: { status: 429 } })
    expect(isBudgetRefusal(refused)).toBe(false)
    expect(await ask(interactive, { asked: headManifest })).toBe('sent')
    expect(await ask(interactive, { payer: robot })).toBe('sent')
    await time.pass(20_000)
    expect(await ask(interactive, { status: 429, headers: { 'retry-after': '1767225600' } })).toBe('sent')
    await time.pass(60_000)
    expect(await ask(interactive, { status: 429 })).toBe('sent')
    expect(await ask(interactive)).toBe('sent')
  })

  test('at its token endpoint is left alone too', async () => {
    const { ask, budgets } = budgetWorld()
    budgets.throttled(robot, Object.assign(unreachable(), { retryAfterSeconds: 90 }))
    expect(await ask(background, { payer: robot })).toMatchObject({ retryAfterSeconds: 90 })
    expect(() => budgets.require(robot, background, getManifest)).toThrow('answered 429 when asked for a token')
    expect(() => budgets.require(robot, interactive, getManifest)).not.toThrow()
  })
})

describe('a registry that can not be reached', () => {
  async function fail(world: ReturnType<typeof budgetWorld>, isBackground = true): Promise<void> {
    const slot = await world.open({ isBackground })
    slot.failed(unreachable())
    slot.release()
  }

  test('is left alone after five failures in a row, and the background told what is known', async () => {
    const world = budgetWorld()
    for (let i = 0; i < 5; i++) await fail(world)
    const told = await world.ask(background)
    expect(told).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'docker.io could not be reached: connect ECONNREFUSED',
      upstream: { reason: 'Unreachable' },
      retryAfterSeconds: 30,
    })
    expect(isBudgetRefusal(told)).toBe(false)
    expect(world.budgets.states()[0]).toMatchObject({ isReachable: false, closedUntil: world.time.now() + 30_000 })
    expect(await world.ask(interactive)).toBe('sent')
    expect(await world.ask(background)).toBe('sent')
  })

  test('is asked by one when the pause is over, whose failure doubles it', async () => {
    const world = budgetWorld()
    for (let i = 0; i < 5; i++) await fail(world)
    await world.time.pass(30_000)
    await fail(world)
    expect(await world.ask(background)).toMatchObject({ retryAfterSeconds: 60 })
  })

  test('is open while it answers now and then', async () => {
    const world = budgetWorld()
    for (let i = 0; i < 20; i++) {
      await fail(world)
      if (i % 4 === 3) expect(await world.ask(background, { status: 500 })).toBe('sent')
      await world.time.pass(1000)
    }
  })
})

describe('turns', () => {
  test('let the background in one after the other, and who waits past it', async () => {
    const { open, ask, budgets, time } = budgetWorld({ concurrency: 2 })
    const [first] = [await open(background), await open(background)]
    const entered: number[] = []
    const waiting = [1, 2, 3].map((n) => open(background).then((slot) => [entered.push(n), slot] as const))
    await time.pass(100)
    expect(budgets.states()[0]?.waiting).toBe(3)
    for (let i = 0; i < 50; i++) expect(await ask(interactive)).toBe('sent')
    first.release()
    await time.pass(100)
    expect(entered).toEqual([1])
    const [, slot] = (await waiting[0]) ?? []
    slot?.release()
    await time.pass(100)
    expect(entered).toEqual([1, 2])
    await Promise.allSettled([waiting[2], time.pass(6000)])
  })

  test('are not waited for longer than five seconds', async () => {
    const { open, ask, time } = budgetWorld({ concurrency: 1 })
    const slot = await open(background)
    const late = ask(background)
    await time.pass(5000)
    const refused = await late
    expect(refused).toMatchObject({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 5 })
    expect(isBudgetRefusal(refused)).toBe(true)
    slot.release()
    expect(await ask(background)).toBe('sent')
  })

  test('go to the next when somebody leaves', async () => {
    const { budgets, ask, open, time } = budgetWorld({ concurrency: 1 })
    const slot = await open(background)
    const leaving = new AbortController()
    const left = Promise.resolve(budgets.enter(hub, background, getManifest, leaving.signal)).catch(
      (why: unknown) => why,
    )
    const next = ask(background)
    await time.pass(10)
    leaving.abort('left')
    expect(await left).toBe('left')
    slot.release()
    await time.pass(100)
    expect(await next).toBe('sent')
    const last = ask(background)
    await time.pass(100)
    expect(await last).toBe('sent')
  })

  test('are as many a second as they may be', async () => {
    const { ask, time } = budgetWorld({ concurrency: 4, requestsPerSecond: 10 })
    let sent = 0
    const loops = Array.from({ length: 8 }, async () => {
      for (let i = 0; i < 20; i++) if ((await ask(background)) === 'sent') sent += 1
    })
    await time.pass(3000)
    expect(sent).toBeGreaterThanOrEqual(30)
    expect(sent).toBeLessThanOrEqual(35)
    await time.pass(60_000)
    await Promise.all(loops)
    expect(sent).toBe(160)
  })

  test('never are more at a time or a second than they may be, whatever comes and goes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.record({ afterMs: fc.nat(400), forMs: fc.nat(2000), leavesMs: fc.nat(4000) }), { maxLength: 25 }),
        async (concurrency, requestsPerSecond, comers) => {
          const { budgets, time } = budgetWorld({ concurrency, requestsPerSecond })
          let active = 0
          const begunAt: number[] = []
          const work: Promise<unknown>[] = []
          for (const { afterMs, forMs, leavesMs } of comers) {
            await time.pass(afterMs)
            const leaving = new AbortController()
            void time.wait(leavesMs).then(() => leaving.abort())
            const one = async (): Promise<void> => {
              const slot = await budgets.enter(hub, background, getManifest, leaving.signal)
              active += 1
              begunAt.push(time.now())
              expect(active).toBeLessThanOrEqual(concurrency)
              await time.wait(forMs)
              active -= 1
              slot.release()
            }
            work.push(one().catch((error: unknown) => error))
          }
          await time.pass(60_000)
          for (const outcome of await Promise.all(work)) {
            if (outcome instanceof Error) expect(['AbortError', 'RegistryError']).toContain(outcome.name)
          }
          const most = concurrency + requestsPerSecond
          for (const at of begunAt) {
            expect(begunAt.filter((other) => other >= at && other < at + 1000).length).toBeLessThanOrEqual(most)
          }
          expect(budgets.states()[0]?.waiting ?? 0).toBe(0)
          // Everything was given back.
          const slots = Array.from({ length: concurrency }, () => budgets.enter(hub, background, getManifest))
          await time.pass(60_000)
          expect(await Promise.all(slots)).toHaveLength(concurrency)
        },
      ),
      { numRuns: 200 },
    )
  })
})

describe('who waits', () => {
  test('goes without a promise', () => {
    const { budgets } = budgetWorld()
    expect(budgets.enter(hub, interactive, getManifest)).not.toBeInstanceOf(Promise)
  })
})

describe('a clock that jumps', () => {
  test('back keeps nobody away for longer', async () => {
    const { ask, time } = budgetWorld()
    await ask(background, { status: 429, headers: { 'retry-after': '60' } })
    time.jump(-30 * 24 * hour)
    const refused = await ask(background)
    expect(refused).toMatchObject({ retryAfterSeconds: 60 })
    expect(refused === 'sent' ? '' : refused.message).toContain('2025-12-02T00:01:00Z')
    await time.pass(61_000)
    expect(await ask(background)).toBe('sent')
    time.jump(-hour)
    expect(await ask(background)).toBe('sent')
  })

  test('ahead costs one request', async () => {
    const { ask, time } = budgetWorld()
    await ask(background, { headers: hubHeaders(10) })
    time.jump(24 * hour)
    expect(await ask(background, { headers: hubHeaders(9) })).toBe('sent')
    expect(await ask(background)).not.toBe('sent')
  })
})

describe('what is told of a payer', () => {
  test('has its limit, who spent how much, and when the background may ask next', async () => {
    const { ask, budgets, time } = budgetWorld()
    const stream = { project: 'demo', stream: 'app' }
    await ask({ isBackground: true, stream }, { payer: robot, headers: hubHeaders(30) })
    await ask({ isBackground: true, stream }, { payer: robot, asked: headManifest, headers: hubHeaders(30) })
    await ask(interactive, { payer: robot, headers: hubHeaders(29) })
    expect(budgets.states()).toEqual([
      {
        host: 'docker.io',
        credential: 'upstreams[0]',
        limits: { concurrency: 8, requestsPerSecond: 20, reserve: 0.3 },
        quota: { limit: 100, remaining: 29, windowMs: 6 * hour, at: time.now() },
        answeredAt: time.now(),
        isReachable: true,
        requests: 3,
        spent: [{ stream, requests: 2 }],
        nextFreeAt: time.now() + 6 * hour,
        waiting: 0,
      },
    ])
  })

  test('is bounded, whoever asks for however many streams and hosts', async () => {
    const { ask, budgets } = budgetWorld({ requestsPerSecond: 1e6, concurrency: 1e6 })
    for (let i = 0; i < 3000; i++) {
      await ask({ isBackground: true, stream: { project: 'demo', stream: `s${i % 2500}` } })
      if (i % 2 === 0) await ask({ isBackground: true, stream: { project: 'demo', stream: 'often' } })
      await ask(interactive, { payer: { host: `h${i}.example`, credential: undefined } })
    }
    const states = budgets.states()
    expect(states.length).toBeLessThanOrEqual(1000)
    await ask({ isBackground: true, stream: { project: 'demo', stream: 'often' } })
    for (let i = 0; i < 150; i++) await ask({ isBackground: true, stream: { project: 'demo', stream: `t${i}` } })
    const [newest] = budgets.states()
    expect(newest?.spent.length).toBeLessThanOrEqual(100)
  })

  test('is of one registry, whatever name of it is written', async () => {
    const { ask, budgets } = budgetWorld()
    await ask(interactive, { payer: { host: 'index.docker.io', credential: undefined } })
    await ask(interactive, { payer: { host: 'Docker.IO', credential: undefined } })
    expect(budgets.states()).toMatchObject([{ host: 'docker.io', requests: 2 }])
  })

  test('has the limits of its rule, whether or not a port of 443 is written', async () => {
    const rule = { host: 'a.example:443', insecure: false, limits: { concurrency: 1 } }
    const limitsOf = limitsFromRules([rule])
    for (const host of ['a.example', 'A.example:443', 'a.example:443']) expect(limitsOf(host).concurrency).toBe(1)
    expect(limitsOf('a.example:444').concurrency).toBe(8)
    const { ask, budgets } = budgetWorld()
    for (const host of ['a.example', 'a.example:443'])
      await ask(interactive, { payer: { host, credential: undefined } })
    expect(budgets.states()).toMatchObject([{ host: 'a.example', requests: 2 }])
  })

  test('is not that of Docker Hub for what has its name on a port', async () => {
    const { ask, budgets } = budgetWorld()
    for (const host of ['docker.io', 'docker.io:443', 'index.docker.io:443', 'registry-1.docker.io']) {
      await ask(interactive, { payer: { host, credential: undefined } })
    }
    expect(budgets.states().find(({ host }) => host === 'docker.io')?.requests).toBe(2)
  })
})
