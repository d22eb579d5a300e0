import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Subject } from '../../src/access/access.ts'
import { createSessions, type SessionsOptions } from '../../src/access/sessions.ts'
import type { Store } from '../../src/store/store.ts'
import { type AccessGround, accessGround, client } from './world.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const ann: Subject = { name: 'ann', groups: ['devs'], uid: 'u1', provider: 'htpasswd', endsAt: 1 }
const beginning = { clientId: 'docker', client, lifetimeMs: 30 * day }
const rotating = { clientId: 'weir', client, rotate: true }
const keeping = { clientId: 'docker', client, rotate: false }
const ended = expect.objectContaining({ code: 'UNAUTHORIZED', detail: { oauth: 'invalid_grant' } })

async function open(ground: AccessGround, options: Partial<SessionsOptions> = {}) {
  const { store, clock, signal, log } = ground
  const sessions = createSessions({ store, isKnown: () => true, now: clock.now, signal, log, ...options })
  await sessions.ready
  const begin = async (subject = ann, how: Partial<typeof beginning> = {}) => {
    const begun = await sessions.begin(subject, { ...beginning, ...how })
    if (begun === undefined) throw new Error('no session was begun')
    return begun
  }
  const rotate = async (token: string) => (await sessions.refresh(token, rotating)).refreshToken ?? ''
  return { ...sessions, begin, rotate, all: sessions }
}

async function world(options: Partial<SessionsOptions> = {}) {
  const ground = await accessGround()
  return { ...ground, ...(await open(ground, options)), ground }
}

async function recordOf(store: Store, id: string): Promise<Record<string, unknown>> {
  return JSON.parse((await store.get(`session/${id}`))?.value ?? '{}')
}

describe('begin()', () => {
  test('gives a token that refreshes the subject, which ends with the session and not with the identity', async () => {
    const { begin, refresh, clock } = await world()
    const { session, refreshToken } = await begin()
    expect(refreshToken).toMatch(/^weir_refresh_[0-9a-f-]{36}\.[\w-]{64}$/)
    expect(session).toMatchObject({ clientId: 'docker', client, createdAt: clock.now(), usedAt: clock.now() })
    const subject = { ...ann, session: session.id, endsAt: (clock.now() + 30 * day) / 1000 }
    expect(session.subject).toEqual(subject)
    expect(await refresh(refreshToken, keeping)).toEqual({ subject })
  })

  test('keeps hashes alone: nothing in the store opens a session', async () => {
    const { begin, rotate, store, clock } = await world()
    const { session, refreshToken } = await begin()
    clock.advance(2 * minute)
    const secrets = [refreshToken, await rotate(refreshToken)].flatMap((token) => {
      const bytes = Buffer.from(token.slice(token.indexOf('.') + 1), 'base64url')
      return [bytes, bytes.subarray(0, 16), bytes.subarray(16)].flatMap((part) =>
        (['hex', 'base64', 'base64url'] as const).map((encoding) => part.toString(encoding).replaceAll('=', '')),
      )
    })
    const stored = (await store.get(`session/${session.id}`))?.value ?? ''
    for (const secret of secrets) expect(stored).not.toContain(secret)
  })

  test('one more than the bound ends the oldest of the subject, and nobody else', async () => {
    const { begin, isOpen, refresh, clock } = await world({ maxPerSubject: 3 })
    const other = await begin({ ...ann, name: 'bob' })
    const namesake = await begin({ ...ann, provider: 'github' })
    const own = []
    for (let i = 0; i < 4; i++) {
      own.push(await begin())
      clock.advance(1)
    }
    expect(own.map(({ session }) => isOpen(session.id))).toEqual([false, true, true, true])
    expect([isOpen(other.session.id), isOpen(namesake.session.id)]).toEqual([true, true])
    await expect(refresh(own[0]?.refreshToken ?? '', keeping)).rejects.toEqual(ended)
  })

  test('begins none where there are too many, and says so in the log', async () => {
    const { begin, all, lines } = await world({ maxSessions: 2 })
    await begin()
    await begin()
    expect(await all.begin(ann, beginning)).toBeUndefined()
    expect(lines).toContainEqual(expect.objectContaining({ level: 40, sessions: 2 }))
  })

  test('of a subject without a provider is a mistake', async () => {
    const { all } = await world()
    await expect(all.begin({ name: 'weir:admin', groups: [] }, beginning)).rejects.toThrow(TypeError)
  })

  test('cuts what a client says of itself', async () => {
    const { begin, store } = await world()
    const { session } = await begin(ann, { clientId: 'x'.repeat(100_000) })
    expect((await store.get(`session/${session.id}`))?.value.length).toBeLessThan(2000)
  })
})

describe('a session that came by a session', () => {
  test('ends with it, by time', async () => {
    const { begin, clock, isOpen } = await world()
    const first = await begin(ann, { lifetimeMs: day })
    clock.advance(hour)
    const second = await begin(first.session.subject)
    expect(second.session.endsAt).toBe(first.session.endsAt)
    clock.advance(23 * hour)
    expect(isOpen(second.session.id)).toBe(false)
  })

  test('ends with it, by hand', async () => {
    const { begin, revoke, isOpen, refresh, list, all } = await world()
    const first = await begin()
    const second = await begin(first.session.subject)
    const { version } = all
    expect([await revoke(first.session.id), isOpen(second.session.id)]).toEqual([true, false])
    expect(all.version).toBeGreaterThan(version)
    await expect(refresh(second.refreshToken, keeping)).rejects.toEqual(ended)
    expect(await list()).toEqual([])
  })

  test('begins no other, so that no login lasts for ever', async () => {
    const { begin, all } = await world()
    const second = await begin((await begin()).session.subject)
    expect(await all.begin(second.session.subject, beginning)).toBeUndefined()
    expect(await all.begin({ ...ann, session: randomUUID() }, beginning)).toBeUndefined()
  })
})

describe('refresh()', () => {
  test('without rotation the token stays the one token', async () => {
    const { begin, refresh, clock } = await world()
    const { refreshToken } = await begin()
    for (let i = 0; i < 5; i++) {
      clock.advance(6 * hour)
      expect(await refresh(refreshToken, keeping)).not.toHaveProperty('refreshToken')
    }
  })

  test('with rotation a new token takes its place, again and again', async () => {
    const { begin, rotate, clock } = await world()
    const tokens = [(await begin()).refreshToken]
    for (let i = 0; i < 5; i++) {
      clock.advance(hour)
      tokens.push(await rotate(tokens.at(-1) ?? ''))
    }
    expect(new Set(tokens).size).toBe(6)
  })

  test('the token before is good for a minute, and gives the same new one', async () => {
    const { begin, refresh, rotate, clock } = await world()
    const { refreshToken } = await begin()
    clock.advance(hour)
    const second = await rotate(refreshToken)
    expect(second).not.toBe(refreshToken)
    clock.advance(minute - 1)
    expect(await rotate(refreshToken)).toBe(second)
    expect(await refresh(refreshToken, keeping)).not.toHaveProperty('refreshToken')
    expect(await rotate(second)).toBe(second)
  })

  test.each([
    ['the token before, a minute later', 1],
    ['one long gone', 4],
  ])('the use of %s ends the session', async (_, rotations) => {
    const { begin, refresh, rotate, isOpen, clock, lines, all } = await world()
    const { session, refreshToken } = await begin()
    let present = refreshToken
    for (let i = 0; i < rotations; i++) {
      clock.advance(hour)
      present = await rotate(present)
    }
    clock.advance(minute)
    const { version } = all
    const claimant = { name: 'ann', session: session.id }
    await expect(refresh(refreshToken, keeping)).rejects.toMatchObject({ code: 'UNAUTHORIZED', claimant })
    expect(isOpen(session.id)).toBe(false)
    expect(all.version).toBeGreaterThan(version)
    await expect(refresh(present, keeping)).rejects.toEqual(ended)
    expect(lines).toContainEqual(expect.objectContaining({ level: 40, session: session.id, subject: 'ann' }))
    expect(JSON.stringify(lines)).not.toContain('weir_refresh_')
  })

  test('many at once all get the same new token, and the store is written once', async () => {
    const { begin, rotate, refresh, clock, store } = await world()
    const { session, refreshToken } = await begin()
    clock.advance(hour)
    const tokens = await Promise.all(Array.from({ length: 20 }, () => rotate(refreshToken)))
    expect(new Set(tokens).size).toBe(1)
    expect(tokens[0]).not.toBe(refreshToken)
    expect(await refresh(tokens[0] ?? '', keeping)).toMatchObject({ subject: { session: session.id } })
    expect(await recordOf(store, session.id)).toMatchObject({ turnedAt: clock.now() })
  })

  test('at once in two processes over one store, both get a good answer', async () => {
    const ground = await accessGround()
    const [one, two] = [await open(ground), await open(ground)]
    const { refreshToken } = await one.begin()
    ground.clock.advance(hour)
    const [first, second] = await Promise.all([one.rotate(refreshToken), two.rotate(refreshToken)])
    expect(first).toBe(second)
    expect(await two.rotate(first)).toBe(first)
  })

  test('is written at most once an hour while it is used, with the client of that use', async () => {
    const { begin, refresh, store, clock, get } = await world()
    const { session, refreshToken } = await begin()
    const revision = async () => (await store.get(`session/${session.id}`))?.revision
    const first = await revision()
    clock.advance(hour - 1)
    await refresh(refreshToken, keeping)
    expect(await revision()).toBe(first)
    clock.advance(1)
    const elsewhere = { address: '192.0.2.9', userAgent: 'other' }
    await Promise.all([1, 2, 3].map(() => refresh(refreshToken, { clientId: 'x', client: elsewhere, rotate: false })))
    const second = await revision()
    expect(second).not.toBe(first)
    await refresh(refreshToken, keeping)
    expect(await revision()).toBe(second)
    expect(await get(session.id)).toMatchObject({ usedAt: clock.now(), client: elsewhere, clientId: 'x' })
  })

  test('a flood of rotations writes once a minute', async () => {
    const { begin, rotate, store, clock } = await world()
    const { session, refreshToken } = await begin()
    clock.advance(minute)
    let token = await rotate(refreshToken)
    const { revision } = (await store.get(`session/${session.id}`)) ?? {}
    for (let i = 0; i < 200; i++) token = await rotate(token)
    expect((await store.get(`session/${session.id}`))?.revision).toBe(revision)
  })

  test('is refused once the session has ended, by time', async () => {
    const { begin, refresh, rotate, clock, isOpen } = await world()
    const { session, refreshToken } = await begin()
    clock.advance(30 * day - 1)
    const second = await rotate(refreshToken)
    expect(isOpen(session.id)).toBe(true)
    clock.advance(1)
    expect(isOpen(session.id)).toBe(false)
    await expect(refresh(second, keeping)).rejects.toEqual(ended)
  })

  test('is refused while the provider does not know the subject, and good when it does again', async () => {
    let known = true
    const { begin, refresh } = await world({ isKnown: ({ name }) => name === 'ann' && known })
    const { refreshToken } = await begin()
    known = false
    await expect(refresh(refreshToken, keeping)).rejects.toEqual(ended)
    known = true
    expect(await refresh(refreshToken, keeping)).toBeDefined()
  })

  const forge: [string, (token: string) => string][] = [
    ['nothing', () => ''],
    ['the prefix alone', () => 'weir_refresh_'],
    ['another session', (token) => token.replace(/_[0-9a-f-]{36}/, `_${randomUUID()}`)],
    ['another secret', (token) => `${token.slice(0, -64)}${'A'.repeat(64)}`],
    ['cut short', (token) => token.slice(0, -1)],
    ['longer', (token) => `${token}A`],
    ['in another case', (token) => token.toUpperCase()],
    ['an id that is a path', (token) => token.replace(/_[0-9a-f-]{36}/, '_../../meta/admin')],
    ['an id that is a prototype', () => `weir_refresh___proto__.${'A'.repeat(64)}`],
    ['a line end behind it', (token) => `${token}\n`],
    ['something endless', (token) => token + 'A'.repeat(1_000_000)],
  ]
  test.each(forge)('what is forged (%s) is refused, and ends nothing', async (_, change) => {
    const { begin, refresh, isOpen } = await world()
    const { session, refreshToken } = await begin()
    await expect(refresh(change(refreshToken), rotating)).rejects.toEqual(ended)
    expect(isOpen(session.id)).toBe(true)
    expect(await refresh(refreshToken, keeping)).toBeDefined()
  })

  test('a record that can not be read is no session', async () => {
    const { begin, refresh, isOpen, store, reached, list } = await world()
    const { session, refreshToken } = await begin()
    const key = `session/${session.id}`
    for (const value of [
      'broken',
      '{}',
      '[]',
      'null',
      JSON.stringify({ ...(await recordOf(store, session.id)), turn: '' }),
    ]) {
      const result = await store.commit({ operations: [{ type: 'put', key, value }] })
      await reached(result.status === 'committed' ? result.revision : 0)
      expect(isOpen(session.id)).toBe(false)
      await expect(refresh(refreshToken, keeping)).rejects.toEqual(ended)
      expect(await list()).toEqual([])
    }
  })

  test('a store that fails is UNAVAILABLE, and the token stays good', async () => {
    const ground = await accessGround()
    let broken = false
    const commit: Store['commit'] = async (wanted) =>
      broken ? { status: 'unknown', cause: new Error('disk full') } : ground.store.commit(wanted)
    const { begin, rotate, revoke } = await open(ground, { store: { ...ground.store, commit } })
    const { session, refreshToken } = await begin()
    ground.clock.advance(hour)
    broken = true
    await expect(rotate(refreshToken)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(revoke(session.id)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    broken = false
    expect(await rotate(refreshToken)).not.toBe('')
  })
})

describe('sessions', () => {
  test('go on after a restart, with their tokens', async () => {
    const ground = await accessGround()
    const first = await open(ground)
    const { session, refreshToken } = await first.begin()
    ground.clock.advance(hour)
    const present = await first.rotate(refreshToken)
    const second = await open(ground)
    expect(second.isOpen(session.id)).toBe(true)
    expect(await second.rotate(refreshToken)).toBe(present)
    expect(await second.refresh(present, keeping)).toMatchObject({ subject: { name: 'ann', session: session.id } })
  })

  test('that are ended are ended at once, and one that is not there is told', async () => {
    const { begin, revoke, isOpen, get, refresh } = await world()
    const { session, refreshToken } = await begin()
    expect(await revoke(session.id)).toBe(true)
    expect([isOpen(session.id), await get(session.id)]).toEqual([false, undefined])
    await expect(refresh(refreshToken, rotating)).rejects.toEqual(ended)
    expect(await revoke(session.id)).toBe(false)
    for (const id of ['', '../meta/admin', '__proto__', '\ud800', '\0', 'x'.repeat(10_000)]) {
      expect([await revoke(id), await get(id), isOpen(id)]).toEqual([false, undefined, false])
    }
  })

  test('begin and go on without a change of the version, which decisions hang on', async () => {
    const { begin, rotate, clock, all } = await world()
    const { version } = all
    const { refreshToken } = await begin()
    clock.advance(hour)
    await rotate(refreshToken)
    expect(all.version).toBe(version)
  })

  test('are confirmed by the store where memory is behind', async () => {
    const ground = await accessGround()
    const news = Promise.withResolvers<void>()
    const watch: Store['watch'] = async function* (prefix, options) {
      await news.promise
      yield* ground.store.watch(prefix, options)
    }
    const get: Store['get'] = async (key) => {
      const entry = await ground.store.get(key)
      news.resolve()
      return entry
    }
    const [one, two] = [await open(ground), await open(ground, { store: { ...ground.store, watch, get } })]
    const { session } = await one.begin()
    expect(two.isOpen(session.id)).toBe(false)
    expect(await two.confirm(session.id)).toBe(true)
    expect(await two.confirm(randomUUID())).toBe(false)
    expect(await two.confirm('../meta/admin')).toBe(false)
  })

  test('are removed from the store once ended, by time or with what they came by, and no others', async () => {
    const ground = await accessGround()
    const first = await open(ground)
    for (let i = 0; i < 120; i++) await first.begin(ann, { lifetimeMs: hour })
    const stays = await first.begin()
    const parent = await first.begin()
    await first.begin(parent.session.subject)
    await first.revoke(parent.session.id)
    ground.clock.advance(hour)
    await open(ground)
    await expect.poll(async () => (await keys(ground.store)).length).toBe(1)
    expect(await keys(ground.store)).toEqual([`session/${stays.session.id}`])
  })

  test('by the ten thousand are listed in order, by owner, in pages', async () => {
    const ground = await accessGround()
    const value = (await recordOfNew(ground)) ?? ''
    for (let i = 0; i < 100; i++) {
      const operations = Array.from({ length: 100 }, (_, j) => {
        const id = `00000000-0000-4000-8000-${String(i * 100 + j).padStart(12, '0')}`
        const text = j === 0 ? value.replace('"ann"', '"bob"') : value
        return { type: 'put', key: `session/${id}`, value: text } as const
      })
      await ground.store.commit({ operations })
    }
    const { list, begin, isOpen } = await open(ground)
    const page = await list({ limit: 3 })
    expect(page.map(({ id }) => id.slice(-3))).toEqual(['000', '001', '002'])
    expect((await list({ limit: 2, after: page[2]?.id ?? '' })).map(({ id }) => id.slice(-3))).toEqual(['003', '004'])
    const bob = await list({ owner: { name: 'bob', provider: 'htpasswd' } })
    expect(bob).toHaveLength(100)
    expect(await list({ owner: { name: 'bob', provider: 'github' } })).toEqual([])
    expect(await list({ owner: { name: 'bob' }, limit: 7 })).toHaveLength(7)
    const { session } = await begin()
    expect(isOpen(session.id)).toBe(true)
  })
})

async function keys(store: Store): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of await store.range({ prefix: 'session/' })) found.push(key)
  return found
}

async function recordOfNew(ground: AccessGround): Promise<string | undefined> {
  const { begin, revoke } = await open(ground)
  const { session } = await begin()
  const value = (await ground.store.get(`session/${session.id}`))?.value
  await revoke(session.id)
  return value
}
