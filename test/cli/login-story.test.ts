/** Logins of people, jobs and robots from the command line, before a whole Weir and a real OIDC provider. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hash } from 'bcryptjs'
import { expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { temporaryDirectory } from '../support/directory.ts'
import { startOidc, type TestIssuer } from '../support/oidc.ts'
import { startWorld, type World } from '../support/world.ts'
import { type CliResult, type CliWorld, piped, run, typing } from './run.ts'

interface Logins extends World {
  issuer: TestIssuer
  url: string
  home: string
  /** A file with the authorities of both servers. */
  ca: string
  /** Runs a command line at home, where nobody is logged in yet, by the system's clock. */
  at(argv: string[], world?: CliWorld): Promise<CliResult>
}

const password = 'correct horse battery staple'

/** A Weir that knows jane by her password, and whoever logs in at `corp`. */
async function logins(): Promise<Logins> {
  const issuer = await startOidc()
  onTestFinished(() => issuer.stop())
  const home = await temporaryDirectory()
  await writeFile(join(home, 'htpasswd'), `jane:${await hash(password, 4)}\n`, { mode: 0o600 })
  await writeFile(join(home, 'issuer.crt'), issuer.ca)
  const corp = {
    name: 'corp',
    issuer: issuer.issuer,
    audiences: [issuer.clientId],
    certificateAuthorityFile: join(home, 'issuer.crt'),
    groups: [{ claim: 'groups' }],
    clientId: issuer.clientId,
    scopes: ['openid', 'groups'],
  }
  const auth = { htpasswdFile: join(home, 'htpasswd'), issuers: [corp] }
  const world = await startWorld({ config: { auth } })
  const authority = await readFile(join(world.dataDirectory, 'tls', 'ca.crt'), 'utf8')
  const ca = join(home, 'authorities.crt')
  await writeFile(ca, `${authority}\n${issuer.ca}`)
  await mkdir(join(home, 'work'))
  return {
    ...world,
    issuer,
    home,
    ca,
    url: world.weir.https.publicUrl,
    at: (argv, more = {}) => {
      const clock = { now: Date.now, pause: async () => {} }
      return run(argv, { home, cwd: join(home, 'work'), clock, ...more })
    },
  }
}

/** A clock whose pauses let `sub` approve the login that `notes` tell of. */
function approving(issuer: TestIssuer, sub: string, written: () => string): CliWorld['clock'] & object {
  return {
    now: Date.now,
    async pause() {
      const [, code = ''] = /enter the code (\S+)/.exec(written()) ?? []
      await issuer.approve(code, sub)
    },
  }
}

test('jane logs in with her password, does what she may, sees her session, and logs out', async () => {
  const { at, cli, url, ca, home } = await logins()
  const login = ['login', url, '--username', 'jane']
  const wrong = await at([...login, '--certificate-authority', ca], { stdin: typing('wrong') })
  expect(wrong).toMatchObject({ code: 1, stdout: '' })
  expect(wrong.stderr).toContain('refuses this login')

  const result = await at([...login, '--certificate-authority', ca], { stdin: typing(password) })
  expect(result).toMatchObject({ code: 0, stdout: `logged in to ${url} as jane\n` })
  expect(result.stderr).toMatch(/the login ends in 1[12] hours/)
  expect(await at(['whoami'])).toEqual({ code: 0, stdout: 'jane\n', stderr: '' })
  expect((await at(['whoami', '-o', 'wide'])).stdout).toMatch(/^jane +system:authenticated +htpasswd +\d{4}-/m)

  expect(await at(['can-i', 'pull', 'demo/app'])).toEqual({ code: 1, stdout: 'no\n', stderr: '' })
  await cli('new-project', 'demo')
  expect(await cli('grant', 'pull', 'jane', '-n', 'demo')).toMatchObject({ exitCode: 0, stderr: '' })
  expect((await at(['can-i', 'pull', 'demo/app', '-v'])).stdout).toBe(
    'yes: RBAC: allowed by RoleBinding "pull.user.jane/demo" of ClusterRole "system:image-puller" to User "jane"\n',
  )
  expect((await at(['can-i', '--list', '-n', 'demo'])).stdout).toMatch(/imagestreams\/layers\S* +\* +get/)

  const sessions = JSON.parse((await at(['sessions', '-o', 'json'])).stdout).items
  expect(sessions).toMatchObject([{ user: { name: 'jane' }, provider: 'htpasswd', clientId: 'weir' }])
  const { token } = parse(await readFile(join(home, '.kube/config'), 'utf8')).users[0].user
  expect(await at(['logout'])).toEqual({ code: 0, stdout: `logged out of ${url}\n`, stderr: '' })
  const after = await at(['whoami', '--server', url, '--certificate-authority', ca, '--token', token])
  expect(after).toMatchObject({ code: 1, stdout: '' })
  expect(after.stderr).toContain(`log in again: weir login ${url}`)
})

test('somebody logs in at an issuer in the browser, and is granted by name and by group', async () => {
  const { at, cli, url, ca, issuer } = await logins()
  issuer.account('octo', { groups: ['devs'] })
  const written: string[] = []
  const clock = approving(issuer, 'octo', () => written.join(''))
  const login = ['login', url, '--issuer', 'corp', '--certificate-authority', ca]
  const result = await at(login, { clock, onStderr: (text) => written.push(text) })
  expect(result).toMatchObject({ code: 0, stdout: `logged in to ${url} as corp:octo\n` })
  await cli('new-project', 'demo')
  expect(await cli('grant', 'push', 'group:corp:devs', '-n', 'demo')).toMatchObject({ exitCode: 0 })
  expect(await at(['can-i', 'push', 'demo/app'])).toMatchObject({ code: 0, stdout: 'yes\n' })
  expect(await cli('grant', 'view', 'corp:octo', '-n', 'demo')).toMatchObject({ exitCode: 0, stderr: '' })
  const misspelt = await cli('grant', 'view', 'crop:octo', '-n', 'demo')
  expect(misspelt).toMatchObject({ exitCode: 2, stdout: '' })
  expect(misspelt.stderr).toContain('did you mean corp:octo?')

  const subjects = await cli('who-can', 'pull', 'demo/app')
  expect(subjects.stdout.split('\n')).toEqual(
    expect.arrayContaining(['SUBJECT', 'user:corp:octo', 'group:corp:devs', 'group:system:masters']),
  )
  const wide = await cli('who-can', 'pull', 'demo/app', '-o', 'wide')
  expect(wide.stdout).toMatch(/^group:corp:devs +RoleBinding "push\.group\.corp-devs\.[0-9a-f]{16}\/demo"/m)
  const grants = await cli('get', 'grants', '-n', 'demo')
  expect(grants.stdout).toMatch(/^user:corp:octo +view +demo +\*$/m)
  const revoked = await cli('revoke', 'push', 'group:corp:devs', '-n', 'demo')
  expect(revoked).toMatchObject({ exitCode: 0 })
  expect(await at(['can-i', 'push', 'demo/app'])).toMatchObject({ code: 1, stdout: 'no\n' })
})

test('a job’s identity token is exchanged; one that is for another is refused', async () => {
  const { at, url, ca, issuer } = await logins()
  const token = await issuer.sign({ sub: 'repo:acme/app', aud: issuer.clientId })
  const login = ['login', url, '--certificate-authority', ca]
  expect(await at(login, { env: { WEIR_TOKEN: token } })).toMatchObject({
    code: 0,
    stdout: `logged in to ${url} as corp:repo:acme/app\n`,
  })
  const stray = await issuer.sign({ sub: 'repo:acme/app', aud: 'somebody-else' })
  const refused = await at(login, { env: { WEIR_TOKEN: stray } })
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toContain('refuses this login')
  expect(refused.stderr).not.toContain(stray)
})

test('a robot logs in with its token, which is kept as it is, and the administrator with his', async () => {
  const { at, cli, url, ca, adminToken, home } = await logins()
  await cli('new-project', 'demo')
  const token = (await cli('token', 'ci', '-n', 'demo')).stdout.trim()
  const login = ['login', url, '--certificate-authority', ca]
  expect(await at([...login, '--username', 'ci', '--password-stdin'], { stdin: piped(token) })).toMatchObject({
    code: 0,
    stdout: `logged in to ${url} as system:serviceaccount:demo:ci\n`,
  })
  const kept = async () => parse(await readFile(join(home, '.kube/config'), 'utf8')).users[0].user.token
  expect(await kept()).toBe(token)
  expect(await at([...login, '--token', adminToken])).toMatchObject({ stdout: `logged in to ${url} as weir:admin\n` })
  expect(await kept()).toBe(adminToken)
  expect(await at([...login, '--token', 'nobodys'])).toMatchObject({ code: 1, stdout: '' })
  expect(await kept()).toBe(adminToken)
})

test('the log tells of logins and refusals, to those who may read it', async () => {
  const { at, cli, url, ca } = await logins()
  const login = ['login', url, '--username', 'jane', '--password-stdin', '--certificate-authority', ca]
  await at(login, { stdin: piped('wrong') })
  await at(login, { stdin: piped(password) })
  expect(await at(['get', 'streams', '-n', 'demo'])).toMatchObject({ code: 1 })
  const denied = await cli('audit', '--since', '1h', '--denied')
  expect(denied).toMatchObject({ exitCode: 0 })
  expect(denied.stdout).toMatch(/ jane +login +tokens +denied +- +127\.0\.0\.1$/m)
  expect(denied.stdout).toMatch(/ jane +list +imagestreams demo +denied /m)
  const allowed = await cli('audit', '--subject', 'jane', '--verb', 'login', '--allowed')
  expect(allowed.stdout.trim().split('\n')).toHaveLength(2)
  const refused = await at(['audit'])
  expect(refused).toMatchObject({ code: 1, stdout: '' })
  expect(refused.stderr).toContain('missing right: list auditevents')
})

test('what is granted in all projects holds in each, and for what is of none', async () => {
  const { at, cli, url, ca } = await logins()
  const login = ['login', url, '--username', 'jane', '--password-stdin', '--certificate-authority', ca]
  await at(login, { stdin: piped(password) })
  await cli('new-project', 'demo')
  await cli('new-project', 'shop')
  expect(await cli('grant', 'view', 'jane', '--all-projects')).toEqual({
    exitCode: 0,
    stdout: 'granted: view in all projects for jane\n',
    stderr: '',
  })
  for (const argv of [
    ['list', 'imagestreams'],
    ['list', 'is', '-n', 'shop'],
    ['get', 'namespaces/demo'],
  ]) {
    expect(await at(['can-i', ...argv])).toMatchObject({ code: 0, stdout: 'yes\n' })
  }
  expect((await cli('who-can', 'list', 'imagestreams')).stdout).toMatch(/^jane$/m)
  expect((await cli('get', 'grants')).stdout).toMatch(/^jane +view +\* +\*$/m)
  expect(await cli('grant', 'pull', 'jane', '-n', 'demo', '--stream', 'app')).toMatchObject({ exitCode: 0 })
  expect((await cli('get', 'grants', '-n', 'demo')).stdout).toMatch(/^jane +system:image-puller +demo +app$/m)
  expect(await cli('revoke', 'view', 'jane', '--all-projects')).toMatchObject({ exitCode: 0, stderr: '' })
  expect(await at(['can-i', 'list', 'imagestreams', '-n', 'shop'])).toMatchObject({ code: 1, stdout: 'no\n' })
  expect(await at(['can-i', 'pull', 'demo/app'])).toMatchObject({ code: 0 })
  expect(await at(['can-i', 'pull', 'demo/other'])).toMatchObject({ code: 1 })
})

test('the administrator sees every session and ends one; its token is refused at once', async () => {
  const { at, cli, url, ca, home } = await logins()
  const login = ['login', url, '--username', 'jane', '--password-stdin', '--certificate-authority', ca]
  await at(login, { stdin: piped(password) })
  const first = await readFile(join(home, '.kube/config'), 'utf8')
  await at(login, { stdin: piped(password) })
  const [{ metadata }, ...others] = JSON.parse((await cli('sessions', '-o', 'json')).stdout).items
  expect(others).toHaveLength(1)
  expect(await cli('logout', '--session', metadata.name)).toMatchObject({
    exitCode: 0,
    stdout: `session ${metadata.name} ended\n`,
  })
  await writeFile(join(home, 'first'), first)
  const codes = [(await at(['whoami'])).code, (await at(['whoami', '--kubeconfig', join(home, 'first')])).code]
  expect(codes.toSorted()).toEqual([0, 1])
  const mine = codes[0] === 0 ? [] : ['--kubeconfig', join(home, 'first')]
  expect(await at(['logout', '--all', ...mine])).toMatchObject({
    code: 0,
    stdout: `logged out of ${url}; 1 session ended\n`,
  })
  expect((await cli('sessions', '-o', 'name')).stdout).toBe('')
})
