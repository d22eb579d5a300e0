import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { AuditEvent } from '../../src/audit/event.ts'
import { createStrangerBound, maxCounted, mostWritten } from '../../src/audit/stranger-bound.ts'
import { testClock } from '../support/clock.ts'
import { auditEvent } from './event.ts'
import { auditWorld } from './world.ts'

const minuteMs = 60_000

/** A bound whose clock and timer are moved by hand. */
function world() {
  const clock = testClock()
  const written: AuditEvent[] = []
  let timer: { atMs: number; work: () => void } | undefined
  const bound = createStrangerBound({
    write: (event) => void written.push(event),
    now: clock.now,
    after: (ms, work) => {
      const set = { atMs: clock.now() + ms, work }
      timer = set
      return () => {
        if (timer === set) timer = undefined
      }
    },
  })
  return {
    bound,
    written,
    clock,
    isTimed: () => timer !== undefined,
    pass(ms: number) {
      clock.advance(ms)
      if (timer !== undefined && timer.atMs <= clock.now()) {
        const { work } = timer
        timer = undefined
        work()
      }
    },
    lines: () => written.filter(({ count }) => count === undefined),
    counted: () => written.flatMap(({ count, ...event }) => (count === undefined ? [] : [{ ...event, count }])),
  }
}

/** A refusal of who gave a wrong token. */
function refusal(address: string, more: Partial<AuditEvent> = {}): AuditEvent {
  const { grant: _, ...event } = auditEvent()
  const client = { address, userAgent: 'curl' }
  const refused = { decision: 'denied', status: 401, reason: 'UNAUTHORIZED' } as const
  return { ...event, subject: { name: '', groups: [] }, client, ...refused, ...more }
}

function repeat(times: number, work: (i: number) => void): void {
  for (let i = 0; i < times; i += 1) work(i)
}

const sum = (events: { count: number }[]) => events.reduce((total, { count }) => total + count, 0)
const ipv4 = (i: number) => [10, (i >> 16) & 255, (i >> 8) & 255, i & 255].join('.')

describe('refusals of strangers', () => {
  test('are written up to so many a minute from an address, and the rest is one line at its end', () => {
    const { bound, written, lines, counted, pass } = world()
    repeat(1000, (i) => bound.add(refusal('192.0.2.7', { requestId: `r${i}` })))
    expect(lines().map(({ requestId }) => requestId)).toEqual(
      Array.from({ length: mostWritten.denied.ofAddress }, (_, i) => `r${i}`),
    )
    pass(minuteMs - 1)
    expect(counted()).toEqual([])
    pass(1)
    expect(counted()).toEqual([
      {
        subject: { name: '', groups: [] },
        client: { address: '192.0.2.7', userAgent: '' },
        requestId: 'r999',
        surface: 'registry',
        verb: 'pull',
        object: { group: '', resource: '', project: '', name: '' },
        decision: 'denied',
        status: 0,
        reason: 'Suppressed',
        count: 1000 - mostWritten.denied.ofAddress,
      },
    ])
    bound.add(refusal('192.0.2.7'))
    expect(written).toHaveLength(mostWritten.denied.ofAddress + 2)
  })

  test('below the bound are all written, and nothing is counted or waited for', () => {
    const { bound, lines, counted, pass, isTimed } = world()
    repeat(5, () => {
      repeat(mostWritten.denied.ofAddress, () => bound.add(refusal('192.0.2.7')))
      expect(isTimed()).toBe(false)
      pass(minuteMs)
    })
    bound.close()
    expect([lines().length, counted()]).toEqual([5 * mostWritten.denied.ofAddress, []])
  })

  test.each([
    ['of nobody known', { subject: { name: '', groups: [] } }],
    ['of a name that was tried', { subject: { name: 'ana', groups: [] } }],
    ['of anonymous', { subject: { name: 'system:anonymous', groups: ['system:unauthenticated'] } }],
    ['of who is no more', { subject: { name: 'ana', groups: [], provider: 'htpasswd', session: 's1' } }],
    ['that failed', { status: 503, reason: 'UNAVAILABLE' }],
  ])('are bounded: %s', (_, more) => {
    const { bound, lines } = world()
    repeat(1000, () => bound.add(refusal('192.0.2.7', more)))
    expect(lines()).toHaveLength(mostWritten.denied.ofAddress)
  })

  test('from the addresses of one IPv6 network are those of one; IPv4 written as IPv6 is IPv4', () => {
    const { bound, lines, counted } = world()
    repeat(500, (i) => bound.add(refusal(`2001:db8:0:1:${i.toString(16)}::1`)))
    repeat(500, (i) => bound.add(refusal(i % 2 === 0 ? '192.0.2.7' : '::ffff:192.0.2.7')))
    expect(lines()).toHaveLength(2 * mostWritten.denied.ofAddress)
    bound.close()
    expect(counted().map(({ client }) => client.address)).toEqual(['2001:db8:0:1::/64', '192.0.2.7'])
  })

  test('from one address leave room for those from others', () => {
    const { bound, lines } = world()
    repeat(100_000, () => bound.add(refusal('192.0.2.7')))
    bound.add(refusal('192.0.2.8'))
    expect(lines().at(-1)?.client.address).toBe('192.0.2.8')
  })

  test('of several verbs and surfaces are counted as such', () => {
    const { bound, counted } = world()
    repeat(mostWritten.denied.ofAddress, () => bound.add(refusal('192.0.2.7')))
    repeat(3, () => bound.add(refusal('192.0.2.7', { surface: 'token', verb: 'login' })))
    bound.add(refusal('192.0.2.7', { surface: 'token', verb: 'refresh' }))
    bound.add(refusal('192.0.2.7', { surface: 'api', verb: 'refresh' }))
    bound.close()
    expect(counted()).toMatchObject([{ surface: '*', verb: '*', count: 5 }])
  })

  test('of a million addresses are few lines and little memory, and none is forgotten', () => {
    const { bound, lines, counted, pass } = world()
    const million = 1_000_000
    repeat(million, (i) => bound.add(refusal(ipv4(i))))
    expect(lines()).toHaveLength(mostWritten.denied.inAll)
    expect(bound.addresses).toBeLessThanOrEqual(mostWritten.denied.inAll + maxCounted)
    pass(minuteMs)
    expect(bound.addresses).toBe(0)
    expect(counted()).toHaveLength(maxCounted + 1)
    expect(counted().at(-1)).toMatchObject({ client: { address: '*' } })
    expect(lines().length + sum(counted())).toBe(million)
  })

  test('are counted though the clock is put back, and the timer late or early', () => {
    const { bound, lines, counted, clock } = world()
    repeat(100, () => bound.add(refusal('192.0.2.7')))
    clock.advance(-10 * minuteMs)
    repeat(100, () => bound.add(refusal('192.0.2.7')))
    clock.advance(5 * minuteMs)
    bound.add(refusal('192.0.2.7'))
    expect([lines().length, sum(counted())]).toEqual([
      2 * mostWritten.denied.ofAddress + 1,
      2 * (100 - mostWritten.denied.ofAddress),
    ])
  })

  test('are counted at the end, once', () => {
    const { bound, counted, isTimed } = world()
    repeat(100, () => bound.add(refusal('192.0.2.7')))
    bound.close()
    bound.close()
    expect(isTimed()).toBe(false)
    expect(counted()).toMatchObject([{ count: 100 - mostWritten.denied.ofAddress }])
  })
})

describe('what anonymous is allowed', () => {
  const anonymous = { name: 'system:anonymous', groups: ['system:unauthenticated'] }
  const pull = (address: string) => auditEvent({ subject: anonymous, client: { address, userAgent: 'docker' } })

  test('is bounded too, or tokens for nobody would push the log out', () => {
    const { bound, lines, counted } = world()
    repeat(1000, () => bound.add(pull('192.0.2.7')))
    bound.close()
    const { ofAddress } = mostWritten.allowed
    expect(lines()).toHaveLength(ofAddress)
    expect(counted()).toMatchObject([{ decision: 'allowed', reason: 'Suppressed', count: 1000 - ofAddress }])
  })

  test('is in all no more than a flood from everywhere leaves', () => {
    const { bound, lines, counted } = world()
    repeat(100_000, (i) => bound.add(pull(ipv4(i))))
    bound.close()
    expect(lines()).toHaveLength(mostWritten.allowed.inAll)
    expect(sum(counted())).toBe(100_000 - mostWritten.allowed.inAll)
  })

  test('is not hidden by a flood of refusals, nor hides these', () => {
    const { bound, written } = world()
    repeat(2000, (i) => bound.add(refusal(ipv4(i))))
    bound.add(pull('192.0.2.7'))
    expect(written.at(-1)).toEqual(pull('192.0.2.7'))
    repeat(2000, (i) => bound.add(pull(ipv4(i))))
    bound.close()
    expect(written.filter(({ count, decision }) => count !== undefined && decision === 'denied')).not.toEqual([])
  })
})

describe('always written is', () => {
  test.each<[string, AuditEvent]>([
    ['what somebody is allowed', auditEvent()],
    ['a refusal of somebody', refusal('192.0.2.7', { subject: auditEvent().subject })],
  ])('%s, also while strangers are refused', (_, event) => {
    const { bound, written } = world()
    repeat(2000, (i) => bound.add(refusal(ipv4(i))))
    written.length = 0
    repeat(2000, () => bound.add(event))
    expect(written).toEqual(Array.from({ length: 2000 }, () => event))
  })
})

test('whoever sends what and when, what was written and counted is what was sent, and what is somebody’s is written', () => {
  const sent = fc.record({
    address: fc.nat({ max: 300 }).map(ipv4),
    times: fc.integer({ min: 1, max: 150 }),
    isSomebody: fc.boolean(),
    passMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: -minuteMs, max: 2 * minuteMs })),
  })
  fc.assert(
    fc.property(fc.array(sent, { maxLength: 40 }), (all) => {
      const { bound, written, lines, counted, pass } = world()
      let strangers = 0
      let somebodys = 0
      for (const { address, times, isSomebody, passMs } of all) {
        repeat(times, () => bound.add(refusal(address, isSomebody ? { subject: auditEvent().subject } : {})))
        if (isSomebody) somebodys += times
        else strangers += times
        pass(passMs)
      }
      bound.close()
      const ofSomebody = written.filter(({ subject }) => subject.name !== '')
      expect(ofSomebody).toHaveLength(somebodys)
      expect(lines().length - ofSomebody.length + sum(counted())).toBe(strangers)
      expect(counted().every(({ count }) => count > 0)).toBe(true)
    }),
    { numRuns: 200 },
  )
})

describe('the log', () => {
  test('has the count as a line of its own, which is read back', async () => {
    const { audit, reopen } = await auditWorld()
    repeat(100, () => audit.write(refusal('192.0.2.7')))
    await audit.close()
    const { lines } = await reopen().list({ decision: 'denied' })
    expect(lines).toHaveLength(mostWritten.denied.ofAddress + 1)
    expect(lines[0]).toMatchObject({
      time: '2026-01-01T00:00:00.000Z',
      reason: 'Suppressed',
      count: 100 - mostWritten.denied.ofAddress,
      client: { address: '192.0.2.7' },
    })
  })

  test('has of a hundred thousand refusals a second no more than of some hundred', async () => {
    const { audit, text } = await auditWorld()
    const long = 'x'.repeat(256)
    repeat(100_000, (i) => {
      const object = { group: long, resource: long, project: long, name: long.repeat(10) }
      audit.write(
        refusal(ipv4(i), { requestId: long, verb: long, object, client: { address: ipv4(i), userAgent: long } }),
      )
    })
    await audit.close()
    expect(audit.lost).toBe(0)
    expect((await text()).length).toBeLessThan((mostWritten.denied.inAll + maxCounted + 1) * 1024)
  })
})
