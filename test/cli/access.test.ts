import { describe, expect, test } from 'vitest'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { loginToken } from './login-api.ts'
import { type CliResult, run } from './run.ts'

const accounts = '/api/v1/namespaces/demo/serviceaccounts'
const token = `${accounts}/ci/token`
const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'

async function weir(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run([...argv, '--server', api.url, '--token', 't'])
}

function issued(value: string, expirationSeconds = 3600): { status: number; body: object } {
  return {
    status: 201,
    body: { spec: { expirationSeconds }, status: { token: value, expirationTimestamp: '2026-01-01T01:00:00Z' } },
  }
}

describe('token', () => {
  test('prints the token alone', async () => {
    const api = await startFakeApi()
    api.answer('POST', token, issued('abc.def.ghi'))
    expect(await weir(api, 'token', 'ci', '-n', 'demo')).toEqual({ code: 0, stdout: 'abc.def.ghi\n', stderr: '' })
    expect(api.sent('POST', token)).toEqual([
      { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', spec: {} },
    ])
    expect(api.asked()).toEqual([`POST ${token}`])
  })

  test('creates the service account when it is absent, and says so beside the result', async () => {
    const api = await startFakeApi()
    api.answer('POST', accounts, () => {
      api.answer('POST', token, issued('abc', 5400))
      return { status: 201, body: { metadata: { name: 'ci' } } }
    })
    const result = await weir(api, 'token', 'ci', '-n', 'demo', '--duration', '1h30m')
    expect(result).toEqual({ code: 0, stdout: 'abc\n', stderr: 'service account demo/ci created\n' })
    expect(api.sent('POST', accounts)).toEqual([
      { kind: 'ServiceAccount', apiVersion: 'v1', metadata: { name: 'ci', namespace: 'demo' } },
    ])
    expect(api.sent('POST', token)).toMatchObject([{}, { spec: { expirationSeconds: 5400 } }])
  })

  test('does not mind that another created it at the same time', async () => {
    const api = await startFakeApi()
    api.answer('POST', accounts, () => {
      api.answer('POST', token, issued('abc'))
      return failure(409, 'AlreadyExists', 'there')
    })
    expect(await weir(api, 'token', 'ci', '-n', 'demo')).toEqual({ code: 0, stdout: 'abc\n', stderr: '' })
  })

  test('in a project that is not there prints nothing', async () => {
    const api = await startFakeApi()
    const noProject = failure(404, 'NotFound', 'namespaces "demo" not found', { kind: 'namespaces', name: 'demo' })
    api.answer('POST', token, noProject)
    api.answer('POST', accounts, noProject)
    const result = await weir(api, 'token', 'ci', '-n', 'demo')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('weir new-project demo')
  })

  test('without --duration lives as long as the server says, and no longer one was promised', async () => {
    const api = await startFakeApi()
    api.answer('POST', token, issued('abc', 60))
    expect(await weir(api, 'token', 'ci', '-n', 'demo')).toEqual({ code: 0, stdout: 'abc\n', stderr: '' })
    expect(api.sent('POST', token)).not.toHaveProperty('0.spec.expirationSeconds')
  })

  test('says when it lives shorter than asked', async () => {
    const api = await startFakeApi()
    api.answer('POST', token, issued('abc', 60))
    const result = await weir(api, 'token', 'ci', '-n', 'demo', '--duration', '400d')
    expect(result).toEqual({
      code: 0,
      stdout: 'abc\n',
      stderr: 'the server lets this token live until 2026-01-01T01:00:00Z only\n',
    })
  })

  test('an answer without a token is a failure', async () => {
    const api = await startFakeApi()
    api.answer('POST', token, { status: 201, body: { status: {} } })
    expect(await weir(api, 'token', 'ci', '-n', 'demo')).toMatchObject({ code: 1, stdout: '' })
  })

  test('a refusal names the right and the role', async () => {
    const api = await startFakeApi()
    api.answer('POST', token, failure(403, 'Forbidden', 'forbidden'))
    const result = await weir(api, 'token', 'ci', '-n', 'demo')
    expect(result.stderr).toContain('missing right: create serviceaccounts/token in demo')
    expect(result.stderr).toContain('weir grant edit SUBJECT -n demo')
  })

  test.each([
    [['ci']],
    [['-n', 'demo']],
    [['CI', '-n', 'demo']],
    [['a/b', '-n', 'demo']],
    [['ci', '-n', 'demo', '--duration', 'long']],
    [['ci', '-n', 'demo', '--duration', '0s']],
  ])('token %j is misuse', async (argv) => {
    const api = await startFakeApi()
    expect(await weir(api, 'token', ...argv)).toMatchObject({ code: 2, stdout: '' })
    expect(api.requests).toEqual([])
  })
})

describe('whoami', () => {
  const answer = {
    body: {
      kind: 'SelfSubjectReview',
      status: { userInfo: { username: 'jane', groups: ['devs', 'system:authenticated'] } },
    },
  }

  test('prints the name', async () => {
    const api = await startFakeApi()
    api.answer('POST', review, answer)
    expect(await weir(api, 'whoami')).toEqual({ code: 0, stdout: 'jane\n', stderr: '' })
    expect((await weir(api, 'whoami', '-o', 'name')).stdout).toBe('jane\n')
    expect(JSON.parse((await weir(api, 'whoami', '-o', 'json')).stdout)).toEqual(answer.body)
  })

  test('wide shows groups, and the server with where it was found', async () => {
    const api = await startFakeApi()
    api.answer('POST', review, answer)
    const [, row] = (await weir(api, 'whoami', '-o', 'wide')).stdout.split('\n')
    expect(row?.split(/ {2,}/)).toEqual(['jane', 'devs,system:authenticated', '-', '-', api.url, '--server'])
  })

  test('wide shows by which provider, and until when the token is good', async () => {
    const api = await startFakeApi()
    api.answer('POST', review, answer)
    const row = async () => (await run(['whoami', '-o', 'wide', '--server', api.url, '--token', loginToken])).stdout
    expect(await row()).toMatch(/ {2}corp {2,}2026-01-31T12:00:00Z {2}/)
    const extra = { 'weir.dev/provider': ['github'] }
    api.answer('POST', review, { body: { status: { userInfo: { username: 'jane', extra } } } })
    expect(await row()).toMatch(/ {2}github {2}/)
  })
})

describe('new-project', () => {
  const namespaces = '/api/v1/namespaces'

  test('creates a namespace', async () => {
    const api = await startFakeApi()
    api.answer('POST', namespaces, { status: 201, body: { kind: 'Namespace', metadata: { name: 'demo' } } })
    expect(await weir(api, 'new-project', 'demo')).toEqual({ code: 0, stdout: 'project demo created\n', stderr: '' })
    expect(api.sent('POST', namespaces)).toEqual([{ kind: 'Namespace', apiVersion: 'v1', metadata: { name: 'demo' } }])
    expect((await weir(api, 'new-project', 'demo', '-o', 'name')).stdout).toBe('demo\n')
  })

  test('asks for a project where namespaces may not be made', async () => {
    const api = await startFakeApi()
    const requests = '/apis/project.openshift.io/v1/projectrequests'
    api.answer('POST', namespaces, failure(403, 'Forbidden', 'no'))
    api.answer('POST', requests, { status: 201, body: { kind: 'Project', metadata: { name: 'demo' } } })
    expect(await weir(api, 'new-project', 'demo')).toEqual({ code: 0, stdout: 'project demo created\n', stderr: '' })
    expect(api.sent('POST', requests)).toEqual([
      { kind: 'ProjectRequest', apiVersion: 'project.openshift.io/v1', metadata: { name: 'demo' } },
    ])
    api.answer('POST', requests, failure(409, 'AlreadyExists', 'there already'))
    expect(await weir(api, 'new-project', 'demo')).toMatchObject({ code: 1, stderr: 'error: there already\n' })
  })

  test('that exists is a failure in the server’s words', async () => {
    const api = await startFakeApi()
    api.answer('POST', namespaces, failure(409, 'AlreadyExists', 'namespaces "demo" already exists'))
    expect(await weir(api, 'new-project', 'demo')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: namespaces "demo" already exists\n',
    })
  })

  test('of an impossible name is misuse', async () => {
    const api = await startFakeApi()
    for (const name of ['a/b', 'a.b', 'a_b', 'a-', 'A', 'a'.repeat(64)]) {
      expect(await weir(api, 'new-project', name)).toMatchObject({ code: 2, stdout: '' })
    }
    expect(api.requests).toEqual([])
  })
})
