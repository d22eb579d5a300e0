import { describe, expect, test } from 'vitest'
import type { Subject } from '../../src/access/access.ts'
import { createCurrent, hasEnded } from '../../src/access/current.ts'
import { testClock } from '../support/clock.ts'

function world() {
  const clock = testClock()
  const state = { account: true, session: true, provider: true }
  const mirror = { reached: async () => {}, ready: Promise.resolve() }
  const current = createCurrent({
    identities: { isCurrent: () => state.account, confirm: async () => state.account, version: 1, ...mirror },
    providers: [
      { name: 'idp', isCurrent: () => state.provider, version: 10 },
      { name: 'other', isCurrent: () => true, version: 100 },
    ],
    sessions: { isOpen: () => state.session, confirm: async () => state.session, version: 1000, ...mirror },
    now: clock.now,
  })
  const endsAt = clock.now() / 1000 + 60
  const subject: Subject = { name: 'idp:jane', groups: [], provider: 'idp', session: 's', endsAt }
  return { clock, state, current, subject }
}

describe('a subject is current', () => {
  test('until the second that it ends at', async () => {
    const { clock, current, subject } = world()
    clock.advance(59_999)
    expect([current.isCurrent(subject), await current.confirm(subject)]).toEqual([true, true])
    clock.advance(1)
    expect([current.isCurrent(subject), await current.confirm(subject)]).toEqual([false, false])
    expect(hasEnded(subject, clock.now())).toBe(true)
  })

  test.each(['account', 'session', 'provider'] as const)('while its %s is', async (part) => {
    const { state, current, subject } = world()
    state[part] = false
    expect([current.isCurrent(subject), await current.confirm(subject)]).toEqual([false, false])
  })

  test('of a provider that is configured', async () => {
    const { current, subject } = world()
    for (const provider of ['gone', '', '__proto__', 'constructor']) {
      expect([current.isCurrent({ ...subject, provider }), await current.confirm({ ...subject, provider })]).toEqual([
        false,
        false,
      ])
    }
  })

  test('without provider, session and end when its account is', () => {
    const { state, current } = world()
    state.session = false
    state.provider = false
    expect(current.isCurrent({ name: 'weir:admin', groups: [] })).toBe(true)
  })
})

test('the version is of all parts', () => {
  expect(world().current.version).toBe(1111)
})
