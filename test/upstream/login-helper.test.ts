import { setImmediate as tick } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createLoginHelper } from '../../src/upstream/login-helper.ts'
import type { CommandOutcome, CommandRun } from '../../src/upstream/run-command.ts'
import { testClock } from '../support/clock.ts'
import { failureOf, recordingLog } from './start-client.ts'

const minuteMs = 60_000

function world(environment: Record<string, string> = {}, host = 'a.example') {
  const clock = testClock()
  const { log, logs } = recordingLog()
  const runs: CommandRun[] = []
  let answer: Partial<CommandOutcome> | Promise<Partial<CommandOutcome>> = { problem: 'ended with 1' }
  const helper = createLoginHelper({
    command: ['docker-credential-test', 'get'],
    timeoutMs: 10_000,
    host,
    key: 'upstreams[0].credentialHelper',
    async run(asked) {
      runs.push(asked)
      return { stdout: '', stderr: '', problem: undefined, ...(await answer) }
    },
    environment,
    now: clock.now,
    signal: new AbortController().signal,
    log,
  })
  return {
    ...clock,
    helper,
    logs,
    runs,
    answers(next: Partial<CommandOutcome> | Promise<Partial<CommandOutcome>>) {
      answer = next
    },
    prints(password: string, lifetimeMs?: number) {
      const expiry = lifetimeMs === undefined ? {} : { expiry: new Date(clock.now() + lifetimeMs).toISOString() }
      answer = { stdout: JSON.stringify({ username: 'AWS', password, ...expiry }) }
    },
  }
}

const loginWith = (password: string) => ({ username: 'AWS', password })

describe('a login that a program gives', () => {
  test('is kept until a tenth of its life is left, and then used on while the next is made', async () => {
    const { helper, runs, prints, advance } = world()
    prints('one', 100 * minuteMs)
    expect(await helper.login()).toEqual(loginWith('one'))
    prints('two', 100 * minuteMs)
    advance(90 * minuteMs - 1)
    expect(await helper.login()).toEqual(loginWith('one'))
    expect(runs).toHaveLength(1)
    advance(1)
    expect(await helper.login()).toEqual(loginWith('one'))
    await tick()
    expect(await helper.login()).toEqual(loginWith('two'))
    expect(runs).toHaveLength(2)
  })

  test('that has no expiry is kept for ten minutes, and used for twenty', async () => {
    const { helper, runs, prints, advance } = world()
    prints('one')
    await helper.login()
    advance(10 * minuteMs - 1)
    await helper.login()
    expect(runs).toHaveLength(1)
    prints('two')
    advance(1)
    expect(await helper.login()).toEqual(loginWith('one'))
    await tick()
    expect(await helper.login()).toEqual(loginWith('two'))
    prints('three')
    advance(20 * minuteMs)
    expect(await helper.login()).toEqual(loginWith('three'))
    expect(runs).toHaveLength(3)
  })

  test('keeps nobody waiting for a program that hangs, while the one from before is good', async () => {
    const { helper, runs, prints, answers, advance } = world()
    prints('one', 100 * minuteMs)
    await helper.login()
    const hanging = Promise.withResolvers<Partial<CommandOutcome>>()
    answers(hanging.promise)
    advance(95 * minuteMs)
    expect(await Promise.all([helper.login(), helper.login()])).toEqual([loginWith('one'), loginWith('one')])
    expect(runs).toHaveLength(2)
    hanging.resolve({ problem: 'did not end within 10 s' })
    await tick()
    expect(await helper.login()).toEqual(loginWith('one'))
  })

  test('is waited for when hardly anything is left of the one from before', async () => {
    const { helper, prints, advance } = world()
    prints('one', 100 * minuteMs)
    await helper.login()
    prints('two', 100 * minuteMs)
    advance(100 * minuteMs - 30_000)
    expect(await helper.login()).toEqual(loginWith('two'))
  })

  test('is asked for once for all who wait for it', async () => {
    const { helper, runs, answers } = world()
    const printed = Promise.withResolvers<Partial<CommandOutcome>>()
    answers(printed.promise)
    const waiting = Array.from({ length: 20 }, () => helper.login())
    printed.resolve({ stdout: '{"Username":"AWS","Secret":"one"}' })
    expect(new Set((await Promise.all(waiting)).map((login) => JSON.stringify(login))).size).toBe(1)
    expect(runs).toHaveLength(1)
  })

  test('is used on while the program fails, until it expires', async () => {
    const { helper, prints, answers, advance } = world()
    prints('one', 100 * minuteMs)
    await helper.login()
    answers({ problem: 'ended with 1' })
    advance(100 * minuteMs - 1)
    expect(await helper.login()).toEqual(loginWith('one'))
    advance(1)
    expect(await failureOf(helper.login())).toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('is asked for again ten seconds after a failure, and then less and less often', async () => {
    const { helper, runs, advance } = world()
    const seconds: number[] = []
    for (let second = 0; second <= 150; second += 1) {
      const before = runs.length
      await failureOf(helper.login())
      if (runs.length > before) seconds.push(second)
      advance(1000)
    }
    expect(seconds).toEqual([0, 10, 30, 70, 150])
  })

  test('that is refused is made anew when it is a minute old, and only then', async () => {
    const { helper, runs, prints, advance } = world()
    prints('one', 100 * minuteMs)
    const one = await helper.login()
    prints('two', 100 * minuteMs)
    advance(minuteMs - 1)
    expect(await helper.renewed(one)).toBeUndefined()
    expect(runs).toHaveLength(1)
    advance(1)
    expect(await Promise.all([helper.renewed(one), helper.renewed(one)])).toEqual([loginWith('two'), loginWith('two')])
    expect(await helper.renewed(one)).toEqual(loginWith('two'))
    expect(runs).toHaveLength(2)
    advance(minuteMs)
    expect(await helper.renewed(loginWith('two'))).toBeUndefined()
  })

  test('that can not be made anew is none, and no failure', async () => {
    const { helper, prints, answers, advance } = world()
    prints('one', minuteMs)
    const one = await helper.login()
    answers({ problem: 'ended with 1' })
    advance(2 * minuteMs)
    expect(await helper.renewed(one)).toBeUndefined()
  })
})

describe('the program', () => {
  test('is told of the registry, as docker tells its helpers', async () => {
    for (const [host, told] of [
      ['a.example:5000', 'a.example:5000'],
      ['docker.io', 'https://index.docker.io/v1/'],
    ] as const) {
      const { helper, runs, prints } = world({}, host)
      prints('one')
      await helper.login()
      expect(runs[0]).toMatchObject({ command: ['docker-credential-test', 'get'], stdin: told, maxBytes: 65_536 })
    }
  })

  test('sees what clouds want of the environment, and nothing else', async () => {
    const passed = { PATH: '/bin', HOME: '/', AWS_REGION: 'x', https_proxy: 'p', GOOGLE_APPLICATION_CREDENTIALS: 'g' }
    const { helper, runs, prints } = world({
      ...passed,
      WEIR_DATA: 'x',
      SECRET: 'x',
      NODE_OPTIONS: 'x',
      LD_PRELOAD: 'x',
    })
    prints('one')
    await helper.login()
    expect(runs[0]?.environment).toEqual(passed)
  })

  test('that fails is named, and what it said is in the log alone', async () => {
    const { helper, logs, answers } = world()
    answers({ problem: 'ended with 1', stderr: `no credentials\nfor ${'x'.repeat(39)} ${'word '.repeat(100)}` })
    const { message } = await failureOf(helper.login())
    expect(message).toBe(
      "the login for a.example could not be had: upstreams[0].credentialHelper: docker-credential-test ended with 1; Weir's log says more",
    )
    const [line] = logs.map((text) => JSON.parse(text))
    expect(line.msg).toBe('upstreams[0].credentialHelper: docker-credential-test ended with 1')
    expect(line.stderr).toMatch(/^no credentials for x{39} word/)
    expect(line.stderr).toHaveLength(200)
  })

  test('that has no login for the registry, as docker has its helpers say it, is told so', async () => {
    const { helper, logs, answers } = world({}, 'docker.io')
    answers({ problem: 'ended with 1', stdout: 'credentials not found in native keychain\n' })
    const { message } = await failureOf(helper.login())
    expect(message).toContain('docker-credential-test has no login for https://index.docker.io/v1/')
    expect(logs.join()).toContain('has no login for')
  })

  test('I9: tells no secret by what it says, nor by what it prints', async () => {
    const { helper, logs, prints, answers, advance } = world()
    prints('hush-hush', minuteMs)
    await helper.login()
    advance(2 * minuteMs)
    const token = `eyJ${'Aa0-_'.repeat(20)}`
    answers({ problem: 'ended with 1', stderr: `debug: Secret=hush-hush token ${token}`, stdout: 'hush-hush' })
    const first = await failureOf(helper.login())
    for (const stderr of [
      'password=hushed',
      'Secret: "hushed"',
      '{"AccessToken":"hushed"}',
      'Basic aHVzaGVk',
      'api-key = hushed',
    ]) {
      answers({ problem: 'ended with 1', stderr: `${stderr} is wrong` })
      advance(10 * minuteMs)
      await failureOf(helper.login())
      expect(logs.at(-1)).toMatch(/\.\.\./)
    }
    answers({ stdout: `{"Username":"AWS","Secret":"${token}"` })
    advance(10 * minuteMs)
    const second = await failureOf(helper.login())
    const told = [first, second].map(({ message, detail, cause }) => JSON.stringify([message, detail, cause]))
    for (const text of [...told, ...logs]) expect(text).not.toMatch(/hush|eyJ|aHVz/)
  })
})
