import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hashSync } from 'bcryptjs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createPasswordChecks } from '../../src/access/password-checks.ts'
import { createPasswords } from '../../src/access/passwords.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { listeningLog } from './issuer-world.ts'

const wrongLogin = expect.objectContaining({
  code: 'UNAUTHORIZED',
  message: 'the user name or the password is wrong',
})
const tooMany = expect.objectContaining({ code: 'TOOMANYREQUESTS' })

const lineOf = (user: string, password: string, cost = 4) => `${user}:${hashSync(password, cost)}\n`

async function world(text = lineOf('jane', 'correct horse')) {
  const file = join(await temporaryDirectory(), 'htpasswd')
  await writeFile(file, text)
  const clock = testClock()
  const end = new AbortController()
  onTestFinished(() => end.abort())
  const { log, lines } = listeningLog()
  const options = { name: 'htpasswd', file, sessionLifetimeMs: 1000, now: clock.now, signal: end.signal, log }
  const provider = await createPasswords(options)
  const login = (user: string, secret: string, address = '192.0.2.1') =>
    provider.authenticate({ user, secret, client: { address, userAgent: '' } })
  const change = async (to: string) => {
    await writeFile(file, to)
    clock.advance(1000)
  }
  return { file, clock, provider, login, lines, change, end }
}

describe('a user', () => {
  test('logs in with his password', async () => {
    const { login, provider } = await world()
    const subject = await login('jane', 'correct horse')
    expect(subject).toEqual({
      name: 'jane',
      groups: ['system:authenticated'],
      uid: expect.stringMatching(/^[\w-]{22}$/),
      provider: 'htpasswd',
    })
    expect(subject && provider.isCurrent(subject)).toBe(true)
    expect(provider.sessionLifetimeMs).toBe(1000)
  })

  // The first two as htpasswd -B of Apache 2.4 writes them: $2y$, cost 5 by default.
  test.each(['$2y$', '$2a$', '$2b$'])('logs in with a hash of the kind %s', async (kind) => {
    const { login } = await world(lineOf('jane', 'pässword').replace('$2b$', kind))
    expect(await login('jane', 'pässword')).toMatchObject({ name: 'jane' })
    await expect(login('jane', 'password')).rejects.toEqual(wrongLogin)
  })

  test.each([
    ['a wrong password', 'jane', 'wrong'],
    ['the password and more', 'jane', 'correct horse '],
    ['no password', 'jane', ''],
    ["somebody else's name", 'john', 'correct horse'],
    ['the name in another case', 'Jane', 'correct horse'],
    ['an overlong password', 'jane', 'x'.repeat(100_000)],
    ['an overlong name', 'x'.repeat(100_000), 'correct horse'],
    ['a name of control characters', 'jane\0', 'correct horse'],
  ])('does not with %s, and is told no more than that', async (_, user, secret) => {
    const { login, lines } = await world()
    await expect(login(user, secret)).rejects.toEqual(wrongLogin)
    if (secret !== '') expect(JSON.stringify(lines)).not.toContain(secret)
  })

  test('without a name is not his', async () => {
    const { login } = await world()
    expect(await login('', 'correct horse')).toBeUndefined()
  })

  test('whose password was changed is another: what he had ends', async () => {
    const { login, provider, change } = await world()
    const before = await login('jane', 'correct horse')
    await change(lineOf('jane', 'new'))
    await expect(login('jane', 'correct horse')).rejects.toEqual(wrongLogin)
    const after = await login('jane', 'new')
    if (before === undefined || after === undefined) throw new Error('not logged in')
    expect(after.uid).not.toBe(before.uid)
    expect([provider.isCurrent(before), provider.isCurrent(after)]).toEqual([false, true])
    expect(provider.version).toBe(1)
  })

  test('who is removed is current no more', async () => {
    const { login, provider, change } = await world()
    const subject = await login('jane', 'correct horse')
    await change(lineOf('john', 'x'))
    await expect(login('jane', 'correct horse')).rejects.toEqual(wrongLogin)
    expect(subject && provider.isCurrent(subject)).toBe(false)
  })

  test('who was wrong a moment ago is right as soon as the file says so', async () => {
    const { login, change } = await world()
    await expect(login('jane', 'new')).rejects.toEqual(wrongLogin)
    await change(lineOf('jane', 'new'))
    expect(await login('jane', 'new')).toMatchObject({ name: 'jane' })
  })

  test('of the name of another provider is not current here', async () => {
    const { login, provider } = await world()
    const subject = await login('jane', 'correct horse')
    expect(subject && provider.isCurrent({ ...subject, provider: 'idp' })).toBe(false)
    expect(provider.isCurrent({ name: 'nobody', groups: [], provider: 'htpasswd' })).toBe(false)
  })
})

describe('guessing', () => {
  const guess = async (login: (user: string, secret: string, address?: string) => Promise<unknown>, count: number) => {
    for (let index = 0; index < count; index++) {
      await expect(login('jane', `guess ${index}`)).rejects.toEqual(wrongLogin)
    }
  }

  test('ends after ten, even with the right password, and nobody elsewhere is kept out', async () => {
    const { login, clock } = await world()
    await guess(login, 10)
    await expect(login('jane', 'correct horse')).rejects.toMatchObject({
      code: 'TOOMANYREQUESTS',
      retryAfterSeconds: 30,
    })
    expect(await login('jane', 'correct horse', '192.0.2.2')).toMatchObject({ name: 'jane' })
    clock.advance(30_000)
    expect(await login('jane', 'correct horse')).toMatchObject({ name: 'jane' })
  })

  test('does not keep out who logged in at the same address before', async () => {
    const { login } = await world()
    await login('jane', 'correct horse')
    await guess(login, 10)
    await expect(login('jane', 'another')).rejects.toEqual(tooMany)
    expect(await login('jane', 'correct horse')).toMatchObject({ name: 'jane' })
  })

  test('nor who goes on logging in there, for as long as he does', async () => {
    const { login, clock } = await world()
    await login('jane', 'correct horse')
    for (let round = 0; round < 10; round++) {
      clock.advance(9 * 60_000)
      await guess(login, 10)
      expect(await login('jane', 'correct horse')).toMatchObject({ name: 'jane' })
    }
    clock.advance(10 * 60_000)
    await guess(login, 10)
    await expect(login('jane', 'correct horse')).rejects.toEqual(tooMany)
  })

  test('many at once are no more than one after the other', async () => {
    const { login } = await world()
    const answers = await Promise.allSettled(Array.from({ length: 30 }, (_, index) => login('jane', `guess ${index}`)))
    const codes = answers.map((answer) => answer.status === 'rejected' && answer.reason.code)
    expect(codes.filter((code) => code === 'UNAUTHORIZED')).toHaveLength(10)
    expect(codes.filter((code) => code === 'TOOMANYREQUESTS')).toHaveLength(20)
  })

  test('a name that is not there counts as one that is', async () => {
    const { login } = await world()
    for (let index = 0; index < 10; index++) await expect(login('nobody', `${index}`)).rejects.toEqual(wrongLogin)
    await expect(login('nobody', 'x')).rejects.toEqual(tooMany)
  })

  test('one password with many names counts each', async () => {
    const { login } = await world()
    const spray = Array.from({ length: 70 }, (_, index) => index)
    for (const index of spray.slice(0, 60)) await expect(login(`name${index}`, 'summer')).rejects.toEqual(wrongLogin)
    for (const index of spray.slice(60)) await expect(login(`name${index}`, 'summer')).rejects.toEqual(tooMany)
  })

  test('what can not be checked counts for nothing, and neither does what can be no password', async () => {
    const { login, end } = await world()
    const overlong = 'x'.repeat(2000)
    for (let index = 0; index < 20; index++)
      await expect(login('jane', `${overlong}${index}`)).rejects.toEqual(wrongLogin)
    end.abort()
    for (let index = 0; index < 20; index++) {
      await expect(login('jane', `guess ${index}`)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    }
  })

  test('the same wrong password, sent twice as containerd does, counts once', async () => {
    const { login, clock } = await world()
    for (let index = 0; index < 10; index++) {
      await expect(login('jane', `guess ${index}`)).rejects.toEqual(wrongLogin)
      clock.advance(1)
      await expect(login('jane', `guess ${index}`)).rejects.toEqual(wrongLogin)
    }
    await expect(login('jane', 'guess 10')).rejects.toEqual(tooMany)
  })
})

describe('many logins', () => {
  test('with the same password, right or wrong, are checked once within some seconds', async () => {
    const { login, end, clock } = await world()
    await login('jane', 'correct horse')
    await expect(login('jane', 'wrong')).rejects.toEqual(wrongLogin)
    end.abort()
    clock.advance(9_999)
    expect(await login('jane', 'correct horse')).toMatchObject({ name: 'jane' })
    await expect(login('jane', 'wrong')).rejects.toEqual(wrongLogin)
    clock.advance(1)
    await expect(login('jane', 'wrong')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('at once with the right password are one check', async () => {
    const { login } = await world(lineOf('jane', 'correct horse', 8))
    const answers = await Promise.all(Array.from({ length: 200 }, () => login('jane', 'correct horse')))
    expect(new Set(answers.map((answer) => answer?.name))).toEqual(new Set(['jane']))
  })

  test('of many users are bounded: the rest is told to come again, and nobody is counted as wrong', async () => {
    const users = Array.from({ length: 50 }, (_, index) => `user${index}`)
    const { login } = await world(users.map((user) => lineOf(user, user)).join(''))
    const attempts = await Promise.allSettled(users.map((user) => login(user, user)))
    const failed = attempts.flatMap((attempt) => (attempt.status === 'rejected' ? [attempt.reason] : []))
    // One is under way and 32 wait.
    expect(failed).toHaveLength(17)
    for (const reason of failed) expect(reason).toMatchObject({ code: 'UNAVAILABLE', retryAfterSeconds: 5 })
    for (const user of users) expect(await login(user, user)).toMatchObject({ name: user })
  })
})

describe('the thread of checks', () => {
  test('leaves the event loop to others', async () => {
    const end = new AbortController()
    onTestFinished(() => end.abort())
    const checks = createPasswordChecks({ signal: end.signal })
    const hash = hashSync('x', 4).replace('$04$', '$12$')
    await checks.matches('x', hashSync('x', 4), 'a')
    const checking = checks.matches('x', hash, 'a').then(() => 'checked')
    let turns = 0
    const turning = (async () => {
      for (; turns < 100; turns++) await new Promise(setImmediate)
      return 'turned'
    })()
    expect(await Promise.race([checking, turning])).toBe('turned')
    await checking
  })

  test('serves who ask in turn: the many questions of one do not hold up another', async () => {
    const end = new AbortController()
    onTestFinished(() => end.abort())
    const checks = createPasswordChecks({ signal: end.signal })
    const hash = hashSync('x', 4)
    const order: string[] = []
    const ask = (from: string) => checks.matches('x', hash, from).then(() => order.push(from))
    const all = [...Array.from({ length: 33 }, () => ask('flood')), ask('jane'), ask('john'), ask('jane')]
    await Promise.all(all)
    expect(order.slice(0, 6)).toEqual(['flood', 'flood', 'jane', 'john', 'flood', 'jane'])
    expect(order).toHaveLength(36)
  })

  test('has room for so many of one, and for so many in all', async () => {
    const end = new AbortController()
    const checks = createPasswordChecks({ signal: end.signal })
    const hash = hashSync('x', 4)
    const messages: string[] = []
    const ask = (from: string) =>
      checks.matches('x', hash, from).then(undefined, ({ message }) => messages.push(message))
    const flood = Array.from({ length: 34 }, () => ask('flood'))
    await flood[33]
    expect(messages).toEqual(['too many passwords wait to be checked: try again'])
    const others = Array.from({ length: 256 }, (_, index) => ask(`other ${index}`))
    await others[255]
    expect(messages.length).toBeGreaterThan(1)
    end.abort()
    await Promise.all([...flood, ...others])
  })

  test('lets nobody wait who comes when it ends', async () => {
    const end = new AbortController()
    const checks = createPasswordChecks({ signal: end.signal })
    const waiting = checks.matches('x', hashSync('x', 12), 'a')
    end.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(checks.matches('x', hashSync('x', 4), 'a')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('starts anew when it broke', async () => {
    const end = new AbortController()
    onTestFinished(() => end.abort())
    const checks = createPasswordChecks({ signal: end.signal })
    // No caller does this; whatever ends the thread ends no other login.
    await expect(checks.matches('x', 7 as never, 'a')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await checks.matches('x', hashSync('x', 4), 'a')).toBe(true)
    expect(await checks.matches('y', hashSync('x', 4), 'a')).toBe(false)
  })
})
