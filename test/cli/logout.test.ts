import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { failure } from './fake-api.ts'
import { issuer, jwt, loginToken, loginWorld, review } from './login-api.ts'
import { piped, runsAt } from './run.ts'

const sessions = '/apis/weir.dev/v1/sessions'
const own = `${sessions}/s1`

/** Somebody who is logged in by the session `s1`. */
async function loggedIn() {
  const world = await loginWorld()
  await world.login(['--username', 'jane', '--password-stdin'], { stdin: piped('s3cret') })
  world.api.answer('DELETE', own, { body: { kind: 'Status', status: 'Success' } })
  return world
}

function session(name: string, user: string): object {
  return {
    metadata: { name, creationTimestamp: '2026-01-30T00:00:00Z' },
    user: { name: user },
    provider: 'corp',
    clientId: 'docker',
    client: { address: '192.0.2.1', userAgent: 'docker/26' },
    usedAt: '2026-01-30T23:00:00Z',
    endsAt: '2026-02-28T00:00:00Z',
  }
}

describe('logout', () => {
  test('ends the session, and takes the token out of the kubeconfig', async () => {
    const { api, file, weir, kubeconfig } = await loggedIn()
    expect(await weir(['logout'])).toEqual({ code: 0, stdout: `logged out of ${api.url}\n`, stderr: '' })
    expect(api.asked().at(-1)).toBe(`DELETE ${own}`)
    expect(await readFile(file, 'utf8')).not.toContain(loginToken)
    expect(await kubeconfig()).toMatchObject({ clusters: [{}], contexts: [{}] })
    const again = await weir(['logout'])
    expect(again).toMatchObject({ code: 1, stdout: '' })
    expect(again.stderr).toContain('not logged in')
  })

  test.each([
    ['has ended', failure(404, 'NotFound', 'gone')],
    ['has ended, and the token with it', failure(401, 'Unauthorized', 'Unauthorized')],
  ])('of a session that %s takes the token away', async (_, answer) => {
    const { api, file, weir } = await loggedIn()
    api.answer('DELETE', own, answer)
    expect(await weir(['logout'])).toEqual({ code: 0, stdout: `logged out of ${api.url}\n`, stderr: '' })
    expect(await readFile(file, 'utf8')).not.toContain(loginToken)
  })

  test('of a server that does not answer takes the token away, and fails', async () => {
    const { api, file, weir } = await loggedIn()
    await api.stop()
    const result = await weir(['logout'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('nothing answers')
    expect(await readFile(file, 'utf8')).not.toContain(loginToken)
  })

  test('of a robot’s token that a login wrote takes it away, and says that it is good still', async () => {
    const { api, file, login, weir } = await loginWorld()
    const token = jwt({ iss: issuer, exp: runsAt / 1000 + 60 })
    await login(['--token', token])
    const before = api.requests.length
    const result = await weir(['logout'])
    expect(result).toMatchObject({ code: 0 })
    expect(result.stderr).toContain('is good until it ends')
    expect(api.requests.length).toBe(before)
    expect(await readFile(file, 'utf8')).not.toContain(token)
  })

  test('leaves what no login wrote, such as another cluster’s, as it is', async () => {
    const { api, file, weir, keep } = await loginWorld()
    await keep(`current-context: a
contexts: [{ name: a, context: { cluster: a, user: a } }]
clusters: [{ name: a, cluster: { server: "${api.url}" } }]
users: [{ name: a, user: { token: precious } }]
`)
    const result = await weir(['logout'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('is none of weir login')
    expect(await readFile(file, 'utf8')).toContain('token: precious')
    expect(api.requests).toEqual([])
  })

  test('by a token of the command line ends its session, and leaves the kubeconfig', async () => {
    const { api, file, weir } = await loggedIn()
    expect(await weir(['logout', '--server', api.url, '--token', loginToken])).toMatchObject({ code: 0 })
    expect(await readFile(file, 'utf8')).toContain(loginToken)
  })

  test('--session ends that one, and stays logged in', async () => {
    const { api, file, weir } = await loggedIn()
    api.answer('DELETE', `${sessions}/s2`, { body: {} })
    expect(await weir(['logout', '--session', 's2'])).toMatchObject({ code: 0, stdout: 'session s2 ended\n' })
    expect(await readFile(file, 'utf8')).toContain(loginToken)
    expect(await weir(['logout', '--session', 's3'])).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'error: there is no session s3 that you could end\n  weir sessions lists yours; others end by who may delete sessions\n',
    })
    expect(await weir(['logout', '--session', '../x'])).toMatchObject({ code: 2, stdout: '' })
    expect(await weir(['logout', '--session', 's2', '--all'])).toMatchObject({ code: 2, stdout: '' })
  })

  test('--all ends the caller’s own alone, and last the one that it goes by', async () => {
    const { api, weir } = await loggedIn()
    api.answer('GET', sessions, {
      body: { items: [session('s1', 'jane'), session('s2', 'joe'), session('s3', 'jane')] },
    })
    api.answer('DELETE', `${sessions}/s3`, { body: {} })
    expect(await weir(['logout', '--all'])).toMatchObject({
      code: 0,
      stdout: `logged out of ${api.url}; 2 sessions ended\n`,
    })
    expect(api.asked().filter((line) => line.startsWith('DELETE'))).toEqual([`DELETE ${sessions}/s3`, `DELETE ${own}`])
  })
})

describe('sessions', () => {
  test('are listed with who, by what, and how long', async () => {
    const { api, weir } = await loggedIn()
    api.answer('GET', sessions, { body: { kind: 'SessionList', items: [session('s1', 'jane')] } })
    const table = async (...argv: string[]) =>
      (await weir(['sessions', ...argv])).stdout.split('\n').map((line) => line.split(/ {2,}/))
    expect(await table()).toEqual([
      ['SESSION', 'USER', 'PROVIDER', 'CLIENT', 'BEGUN', 'USED', 'ENDS'],
      ['s1', 'jane', 'corp', 'docker', '24 hours ago', '60 minutes ago', 'in 4 weeks'],
      [''],
    ])
    expect((await table('-o', 'wide'))[1]).toEqual([
      's1',
      'jane',
      'corp',
      'docker',
      '2026-01-30T00:00:00Z',
      '2026-01-30T23:00:00Z',
      '2026-02-28T00:00:00Z',
      '192.0.2.1',
      'docker/26',
    ])
    expect((await weir(['sessions', '-o', 'name'])).stdout).toBe('s1\n')
    expect(JSON.parse((await weir(['sessions', '-o', 'json'])).stdout)).toMatchObject({ kind: 'List' })
  })

  test('stand in the order of their use, the newest first', async () => {
    const { api, weir } = await loggedIn()
    const used = (name: string, usedAt: string) => ({ ...session(name, 'jane'), usedAt })
    const items = [
      used('a', '2026-01-02T00:00:00Z'),
      used('b', '2026-01-04T00:00:00Z'),
      used('c', '2026-01-03T00:00:00Z'),
    ]
    api.answer('GET', sessions, { body: { kind: 'SessionList', items } })
    expect((await weir(['sessions', '-o', 'name'])).stdout).toBe('b\nc\na\n')
  })

  test('none is told', async () => {
    const { api, weir } = await loggedIn()
    api.answer('GET', sessions, { body: { items: [] } })
    expect(await weir(['sessions'])).toMatchObject({ code: 0, stderr: 'no sessions\n' })
  })
})

describe('a login', () => {
  const at = (ms: number) => ({ now: () => runsAt + ms, pause: async () => {} })

  test('that ends soon is told with every command', async () => {
    const { api, weir } = await loggedIn()
    const result = await weir(['whoami'], { clock: at(12 * 3_600_000 - 5 * 60_000) })
    expect(result).toMatchObject({ code: 0, stdout: 'jane\n' })
    expect(result.stderr).toBe(`note: this login ends in 5 minutes: weir login ${api.url}\n`)
    expect((await weir(['whoami'], { clock: at(0) })).stderr).toBe('')
  })

  test('that has ended says since when, and how to log in again', async () => {
    const { api, weir, file } = await loggedIn()
    api.answer('POST', review, failure(401, 'Unauthorized', 'Unauthorized'))
    const result = await weir(['whoami'], { clock: at(15 * 3_600_000) })
    expect(result).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: Unauthorized
  the token of ${file} ended 3 hours ago (2026-01-31T12:00:00Z)
  log in again: weir login ${api.url}
`,
    })
  })

  test('whose session was ended does not say that it ended by time', async () => {
    const { api, weir, file } = await loggedIn()
    api.answer('POST', review, failure(401, 'Unauthorized', 'Unauthorized'))
    expect((await weir(['whoami'])).stderr).toBe(`error: Unauthorized
  the token of ${file} is not, or no longer, good at ${api.url}
  log in again: weir login ${api.url}
`)
  })
})
