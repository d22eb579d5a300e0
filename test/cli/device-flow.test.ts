import { describe, expect, onTestFinished, test } from 'vitest'
import { logInByDevice } from '../../src/cli/device-flow.ts'
import { createIssuerClient } from '../../src/cli/issuer-client.ts'
import { startOidc, type TestIssuer } from '../support/oidc.ts'
import { type FakeApi, type Responder, startFakeApi } from './fake-api.ts'
import { runsAt } from './run.ts'

const device = '/device'
const token = '/token'
const discovery = '/.well-known/openid-configuration'

interface Tried {
  api: FakeApi
  notes: string[]
  /** Pauses between questions, in seconds. */
  pauses: number[]
  login(scopes?: string[]): Promise<string>
}

/** An issuer that answers as a test says, and a clock that pauses move on. */
async function issuerWith(answers: { begun?: object; polls?: Responder[] }): Promise<Tried> {
  const api = await startFakeApi()
  const issuer = api.url
  const endpoints = { device_authorization_endpoint: `${issuer}${device}`, token_endpoint: `${issuer}${token}` }
  api.answer('GET', discovery, { body: { issuer, ...endpoints } })
  const begun = {
    device_code: 'd',
    user_code: 'AB-CD',
    verification_uri: 'https://corp.example/device',
    expires_in: 60,
  }
  api.answer('POST', device, { body: { ...begun, ...answers.begun } })
  const polls = [...(answers.polls ?? [])]
  api.answer('POST', token, async (request) => {
    const next = polls.shift() ?? pending
    return typeof next === 'function' ? next(request) : next
  })
  const notes: string[] = []
  const pauses: number[] = []
  let nowMs = runsAt
  const clock = {
    now: () => nowMs,
    async pause(ms: number) {
      nowMs += ms
      pauses.push(ms / 1000)
    },
  }
  const note = (line: string) => void notes.push(line)
  const login = (scopes: string[] = []) =>
    logInByDevice({ note, clock }, createIssuerClient(undefined), { issuer, clientId: 'weir', scopes })
  return { api, notes, pauses, login }
}

function refused(error: string, description?: string): { status: number; body: object } {
  return { status: 400, body: { error, ...(description === undefined ? {} : { error_description: description }) } }
}

const pending = refused('authorization_pending')
const done = { body: { id_token: 'a.b.c', access_token: 'x', token_type: 'Bearer' } }

test('shows page and code, asks until somebody is through, and answers the identity token', async () => {
  const { api, notes, pauses, login } = await issuerWith({ polls: [pending, pending, done], begun: { interval: 2 } })
  expect(await login(['email', 'openid'])).toBe('a.b.c')
  expect(notes).toEqual(['to log in, open https://corp.example/device and enter the code AB-CD'])
  expect(pauses).toEqual([2, 2, 2])
  expect(api.sent('POST', device)).toEqual([{ client_id: 'weir', scope: 'openid email' }])
  expect(api.sent('POST', token)[0]).toEqual({
    grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
    device_code: 'd',
    client_id: 'weir',
  })
})

test('asks 5 seconds apart unless told, and more slowly when told', async () => {
  const { pauses, login } = await issuerWith({ polls: [refused('slow_down'), pending, done] })
  await login()
  expect(pauses).toEqual([5, 10, 10])
})

test('an issuer that breaks off is asked again, less often', async () => {
  const gone = { body: {}, breaks: true }
  const { pauses, login } = await issuerWith({ polls: [gone, gone, done], begun: { interval: 1 } })
  expect(await login()).toBe('a.b.c')
  expect(pauses).toEqual([1, 2, 4])
})

test('the page with the code in it is shown too', async () => {
  const begun = { verification_uri_complete: 'https://corp.example/device?code=AB-CD' }
  const { notes, login } = await issuerWith({ polls: [done], begun })
  await login()
  expect(notes[1]).toBe('or open https://corp.example/device?code=AB-CD')
})

describe('ends in a failure that says why', () => {
  test.each([
    [[refused('access_denied')], 'was refused'],
    [[refused('expired_token')], 'nobody logged in at'],
    [[pending, refused('invalid_client', 'no such client')], 'refuses the client weir: invalid_client: no such client'],
    [[{ status: 500, body: '<html>' }], 'refuses the client weir: it answered 500'],
    [[{ body: { access_token: 'x' } }], 'gave no identity token'],
    [[{ body: { id_token: 'a b' } }], 'gave no identity token'],
  ])('polls %j: %s', async (polls, message) => {
    const { login } = await issuerWith({ polls: polls as Responder[] })
    await expect(login()).rejects.toThrow(message)
  })

  test('nobody comes: it asks no longer than the code is good', async () => {
    const { pauses, login } = await issuerWith({ begun: { expires_in: 60 } })
    await expect(login()).rejects.toThrow('nobody logged in')
    expect(pauses).toHaveLength(12)
  })

  test('nor longer than half an hour, whatever the issuer says', async () => {
    const { pauses, login } = await issuerWith({ begun: { expires_in: 1e9, interval: 60 } })
    await expect(login()).rejects.toThrow('nobody logged in')
    expect(pauses).toHaveLength(30)
  })

  test.each([
    [{ interval: 1e12 }, 'nobody'],
    [{ interval: 1e8 }, 'nobody logged in'],
    [{ user_code: '' }, 'refuses the client'],
    [{ verification_uri: 'javascript:alert(1)' }, 'refuses the client'],
    [{ verification_uri: 7 }, 'refuses the client'],
    [{ device_code: null }, 'refuses the client'],
  ])('an issuer that begins with %j', async (begun, message) => {
    const { login } = await issuerWith({ begun })
    await expect(login()).rejects.toThrow(message)
  })

  test.each([
    [{ issuer: 'https://evil.example' }, 'calls itself https://evil.example'],
    [{ device_authorization_endpoint: undefined }, 'has no device flow'],
    [{ token_endpoint: 'http://evil.example/token' }, 'is not one of https://'],
    [{ device_authorization_endpoint: 'file:///etc/passwd' }, 'is not one of https://'],
  ])('an issuer that says of itself %j', async (said, message) => {
    const { api, login } = await issuerWith({ polls: [done] })
    const endpoints = { device_authorization_endpoint: `${api.url}${device}`, token_endpoint: `${api.url}${token}` }
    api.answer('GET', discovery, { body: { issuer: api.url, ...endpoints, ...said } })
    await expect(login()).rejects.toThrow(message)
  })

  test('an answer without end is not read to it', async () => {
    const { api, login } = await issuerWith({})
    api.answer('GET', discovery, { body: 'x'.repeat(2 * 1024 * 1024) })
    await expect(login()).rejects.toThrow('more than 1048576 bytes')
  })
})

describe('at a real provider', () => {
  const realIssuer = async (): Promise<TestIssuer> => {
    const issuer = await startOidc()
    onTestFinished(() => issuer.stop())
    return issuer
  }

  test('somebody logs in', async () => {
    const issuer = await realIssuer()
    issuer.account('jane', { email: 'jane@corp.example' })
    const notes: string[] = []
    let polls = 0
    const clock = {
      now: Date.now,
      async pause() {
        polls += 1
        const [, code = ''] = /enter the code (\S+)$/.exec(notes[0] ?? '') ?? []
        if (polls === 2) await issuer.approve(code, 'jane')
      },
    }
    const { clientId } = issuer
    const context = { note: (line: string) => void notes.push(line), clock }
    const device = { issuer: issuer.issuer, clientId, scopes: ['openid', 'email'] }
    const [, payload = ''] = (await logInByDevice(context, createIssuerClient(issuer.ca), device)).split('.')
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      iss: issuer.issuer,
      sub: 'jane',
      aud: clientId,
      email: 'jane@corp.example',
    })
    expect(polls).toBe(2)
  })

  test('whose authority nobody knows is told how to give it', async () => {
    const { issuer } = await realIssuer()
    const context = { note: () => {}, clock: { now: Date.now, pause: async () => {} } }
    const login = logInByDevice(context, createIssuerClient(undefined), { issuer, clientId: 'weir', scopes: [] })
    await expect(login).rejects.toMatchObject({ hints: [expect.stringContaining('--certificate-authority FILE')] })
  })
})
