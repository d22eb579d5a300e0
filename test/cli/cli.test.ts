import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/directory.ts'
import { startFakeApi } from './fake-api.ts'
import { run } from './run.ts'

const verbs = [
  'serve',
  'new-project',
  'import-image',
  'tag',
  'history',
  'rollback',
  'resume',
  'get',
  'describe',
  'token',
  'whoami',
  'grant',
  'revoke',
  'prefetch',
  'prune',
  'verify',
]
const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'

describe('help', () => {
  test('lists every verb, on stdout', async () => {
    for (const argv of [['--help'], ['-h'], ['help']]) {
      const { code, stdout, stderr } = await run(argv)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^  ${verb} `, 'm'))
    }
  })

  test.each(verbs)('weir %s --help has usage, one sentence and one example', async (verb) => {
    const { code, stdout, stderr } = await run([verb, '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`Usage: weir ${verb} `)
    expect(stdout).toMatch(/\n\n[A-Z][^\n]+\.\n/)
    expect(stdout).toContain(`\nExample:\n  weir ${verb}`)
    expect(await run(['help', verb])).toMatchObject({ code: 0, stdout })
  })

  test('of serve has its flags', async () => {
    const { stdout } = await run(['serve', '--help'])
    for (const flag of ['--config', '--data', '--listen']) expect(stdout).toContain(flag)
  })

  test('without a verb is misuse, on stderr', async () => {
    const { code, stdout, stderr } = await run([])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('Usage: weir')
  })
})

test('--version prints the version of package.json', async () => {
  const manifest = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `weir ${manifest.version}\n`, stderr: '' })
})

test.each([
  [['frobnicate'], 'unknown command'],
  [['whoam'], 'Did you mean whoami?'],
  [['whoami', '--frobnicate'], 'unknown option'],
  [['whoami', 'me'], 'too many arguments'],
  [['whoami', '--server'], 'argument missing'],
  [['whoami', '--request-timeout', 'soon'], 'duration'],
  [['whoami', '-o', 'table'], 'Allowed choices are json, yaml, wide, name'],
])('%j is misuse', async (argv, message) => {
  const { code, stdout, stderr } = await run(argv)
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(message)
})

test('server options are taken before and after the verb', async () => {
  const api = await startFakeApi()
  api.answer('POST', review, { body: { status: { userInfo: { username: 'jane' } } } })
  expect(await run(['--server', api.url, 'whoami'])).toMatchObject({ code: 0, stdout: 'jane\n' })
  expect(await run(['whoami', '--server', api.url])).toMatchObject({ code: 0, stdout: 'jane\n' })
})

test('the kubeconfig of ./data is found where a server was started', async () => {
  const api = await startFakeApi()
  api.answer('POST', review, ({ headers }) => ({
    body: { status: { userInfo: { username: String(headers.authorization) } } },
  }))
  const cwd = await temporaryDirectory()
  await mkdir(join(cwd, 'data'))
  await writeFile(
    join(cwd, 'data/admin.kubeconfig'),
    JSON.stringify({
      'current-context': 'weir',
      contexts: [{ name: 'weir', context: { cluster: 'weir', user: 'admin' } }],
      clusters: [{ name: 'weir', cluster: { server: api.url } }],
      users: [{ name: 'admin', user: { token: 'admin-token' } }],
    }),
  )
  expect(await run(['whoami'], { cwd })).toMatchObject({ code: 0, stdout: 'Bearer admin-token\n' })
})

test('a server that does not run is told with where it was looked for, and exit code 1', async () => {
  const api = await startFakeApi()
  await api.stop()
  const { code, stdout, stderr } = await run(['whoami'], { env: { WEIR_SERVER: api.url } })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toContain(`nothing answers at ${api.url} (from WEIR_SERVER)`)
})

test('serve is not run from here', async () => {
  await expect(run(['serve'])).rejects.toThrow(TypeError)
})
