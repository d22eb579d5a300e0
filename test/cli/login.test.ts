import { chmod, lstat, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeCertificate } from './certificates.ts'
import { failure } from './fake-api.ts'
import { issuer, jwt, loginToken, loginWorld, review } from './login-api.ts'
import { piped, runsAt, typing } from './run.ts'

const nowSeconds = runsAt / 1000
const robotToken = jwt({ iss: issuer, sub: 'system:serviceaccount:demo:ci', exp: nowSeconds + 3600 })
const jobToken = jwt({ iss: 'https://token.actions.example', sub: 'repo:acme/app', exp: nowSeconds + 300 })

describe('login with user and password', () => {
  test('exchanges them for a token, and writes cluster, user and context', async () => {
    const { api, file, login, kubeconfig } = await loginWorld()
    const stdin = typing('s3cret')
    const result = await login(['--username', 'jane'], { stdin })
    expect(result).toMatchObject({ code: 0, stdout: `logged in to ${api.url} as jane\n` })
    expect(result.stderr).toContain('Password of jane: \n')
    expect(result.stderr).not.toContain('s3cret')
    expect(stdin.modes).toEqual([true, false])
    expect(api.sent('POST', '/token')).toEqual([
      {
        grant_type: 'password',
        service: issuer,
        client_id: 'weir',
        access_type: 'offline',
        username: 'jane',
        password: 's3cret',
      },
    ])
    const name = new URL(api.url).host
    expect(await kubeconfig()).toEqual({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server: api.url } }],
      users: [
        {
          name,
          user: { token: loginToken, extensions: [{ name: 'weir.dev/login', extension: { server: api.url } }] },
        },
      ],
      contexts: [{ name, context: { cluster: name, user: name } }],
      'current-context': name,
    })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(dirname(file))).mode & 0o777).toBe(0o700)
    expect(await readdir(dirname(file))).toEqual(['config'])
    expect(result.stderr).toContain(`context ${name} of ${file} is the current one now\n`)
    expect(result.stderr).toContain('the login ends in 12 hours (2026-01-31T12:00:00Z)\n')
  })

  test('no request but the review bears the token, and the login bears none', async () => {
    const { api, login } = await loginWorld()
    await login(['--username', 'jane', '--password-stdin'], { stdin: piped('s3cret\n') })
    expect(api.requests.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/login', undefined],
      ['/token', undefined],
      [review, `Bearer ${loginToken}`],
    ])
  })

  test('takes the password from standard input, without the end of its line alone', async () => {
    const { api, login } = await loginWorld()
    await login(['--username', 'jane', '--password-stdin'], { stdin: piped(' pass word \r\n') })
    expect(api.sent('POST', '/token')).toMatchObject([{ password: ' pass word ' }])
  })

  test('takes a token in the place of the password for what it is', async () => {
    const { api, login, kubeconfig } = await loginWorld()
    await login(['--username', 'ci', '--password-stdin'], { stdin: piped(robotToken) })
    expect(api.sent('POST', '/token')).toEqual([])
    expect(await kubeconfig()).toMatchObject({ users: [{ user: { token: robotToken } }] })
  })

  test('asks for the user too where that is the one way', async () => {
    const { api, login } = await loginWorld()
    const result = await login([], { stdin: typing('jane', 's3cret') })
    expect(result).toMatchObject({ code: 0 })
    expect(result.stderr).toContain(`User name at ${api.url}: jane\nPassword of jane: \n`)
    expect(api.sent('POST', '/token')).toMatchObject([{ username: 'jane', password: 's3cret' }])
  })

  test('a wrong password is told in the server’s words, and nothing is written', async () => {
    const { api, login, home } = await loginWorld()
    const errors = [{ code: 'UNAUTHORIZED', message: 'user name or password is wrong', detail: null }]
    api.answer('POST', '/token', { status: 401, body: { errors } })
    const result = await login(['--username', 'jane', '--password-stdin'], { stdin: piped('wr0ng') })
    expect(result).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: ${api.url} refuses this login: user name or password is wrong\n`,
    })
    expect(await readdir(home)).toEqual([])
  })

  test('a token that is refused is told, and where the reason stands; of one that has ended it is said', async () => {
    const { api, login } = await loginWorld()
    const refuse = (message: string) =>
      api.answer('POST', '/token', { status: 401, body: { errors: [{ code: 'UNAUTHORIZED', message, detail: null }] } })
    const foreign = ['--token', jwt({ iss: 'https://idp.test', sub: 'x' })]
    refuse('the token of corp is not valid for this')
    expect((await login(foreign)).stderr).toContain("\n  the server's log says why, with log.level: debug")
    refuse('the user name, password or token is not valid: log in again')
    expect((await login(foreign)).stderr).toContain('\n  the token is of https://idp.test: the server takes those')
    refuse('the token of corp has expired: get a new one')
    expect((await login(foreign)).stderr).toMatch(/get a new one\n$/)
  })

  test('without anybody to type, and without a password, is misuse', async () => {
    const { login } = await loginWorld()
    for (const argv of [['--username', 'jane'], [], ['--username', 'jane', '--password-stdin']]) {
      expect(await login(argv)).toMatchObject({ code: 2, stdout: '' })
    }
  })

  test('broken off changes nothing, and the terminal is as before', async () => {
    const { api, login, home } = await loginWorld()
    const stdin = typing('s3c\u0003ret')
    expect(await login(['--username', 'jane'], { stdin })).toMatchObject({ code: 1, stdout: '' })
    expect(stdin.modes).toEqual([true, false])
    expect(api.asked()).toEqual(['GET /login'])
    expect(await readdir(home)).toEqual([])
  })
})

describe('login with a token', () => {
  test('of a robot is kept as it is, once the server knows it', async () => {
    const { api, login, kubeconfig } = await loginWorld()
    const result = await login(['--token', robotToken])
    expect(result).toMatchObject({ code: 0 })
    expect(result.stderr).toContain('the login ends in 60 minutes')
    expect(api.asked()).toEqual(['GET /login', `POST ${review}`])
    expect(await kubeconfig()).toMatchObject({ users: [{ user: { token: robotToken } }] })
  })

  test('of the administrator, which is no JWT, too', async () => {
    const { login, kubeconfig } = await loginWorld()
    expect((await login(['--token', 'weir_admin_abc'])).stderr).not.toContain('ends')
    expect(await kubeconfig()).toMatchObject({ users: [{ user: { token: 'weir_admin_abc' } }] })
  })

  test('of an issuer is exchanged for one of the server', async () => {
    const { api, login, kubeconfig } = await loginWorld()
    expect(await login([], { env: { WEIR_TOKEN: jobToken } })).toMatchObject({ code: 0 })
    expect(api.sent('POST', '/token')).toMatchObject([{ password: jobToken, service: issuer, username: 'token' }])
    const bearers = api.requests.map(({ headers }) => headers.authorization)
    expect(bearers).toEqual([undefined, undefined, `Bearer ${loginToken}`])
    expect(await kubeconfig()).toMatchObject({ users: [{ user: { token: loginToken } }] })
  })

  test.each([
    ['that the server does not know', failure(401, 'Unauthorized', 'Unauthorized')],
    ['that is nobody’s', { body: { status: { userInfo: { username: 'system:anonymous' } } } }],
  ])('%s writes nothing', async (_, answer) => {
    const { api, login, home } = await loginWorld()
    api.answer('POST', review, answer)
    expect(await login(['--token', robotToken])).toMatchObject({ code: 1, stdout: '' })
    expect(await readdir(home)).toEqual([])
  })

  test('to refresh by is refused before it is sent anywhere', async () => {
    const { api, login } = await loginWorld()
    expect(await login(['--token', 'weir_refresh_abc'])).toMatchObject({ code: 2, stdout: '' })
    expect(api.asked()).toEqual(['GET /login'])
  })

  test('WEIR_TOKEN gives way to a way that is named', async () => {
    const { api, login } = await loginWorld()
    const env = { WEIR_TOKEN: robotToken }
    const result = await login(['--username', 'jane', '--password-stdin'], { env, stdin: piped('s3cret') })
    expect(api.sent('POST', '/token')).toMatchObject([{ username: 'jane' }])
    expect(result.stderr).toContain('note: WEIR_TOKEN is set, and goes before what was written')
  })
})

test('a server can not write to the terminal by the name that it gives', async () => {
  const { api, login } = await loginWorld()
  api.answer('POST', review, { body: { status: { userInfo: { username: 'jane\u001b]0;x\u0007\u202e' } } } })
  const { stdout } = await login(['--token', 't'])
  expect(stdout).toBe(`logged in to ${api.url} as jane?]0;x??\n`)
})

describe('what a login leaves in the kubeconfig', () => {
  const other = `# mine
apiVersion: v1
kind: Config
preferences: {}
clusters:
  - name: prod # do not touch
    cluster: { server: "https://prod.example:6443", certificate-authority: /etc/prod.crt, proxy-url: http://p:1 }
users:
  - name: prod
    user:
      exec: { apiVersion: client.authentication.k8s.io/v1, command: aws, args: [ eks, get-token ], env: null }
contexts:
  - name: prod
    context: { cluster: prod, user: prod, namespace: web }
current-context: prod
`

  test('everything else stays as it was', async () => {
    const { file, keep, login, kubeconfig } = await loginWorld()
    await keep(other)
    await chmod(file, 0o644)
    await login(['--token', 't', '--context', 'weir'])
    const text = await readFile(file, 'utf8')
    for (const line of other.split('\n').slice(0, -2)) expect(text).toContain(line)
    expect(await kubeconfig()).toMatchObject({
      clusters: [{ name: 'prod' }, { name: 'weir' }],
      users: [{ name: 'prod' }, { name: 'weir', user: { token: 't' } }],
      contexts: [{ name: 'prod' }, { name: 'weir', context: { cluster: 'weir', user: 'weir' } }],
      'current-context': 'weir',
    })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('a second login takes the place of the first, and keeps what was added to it', async () => {
    const { file, login, kubeconfig } = await loginWorld()
    await login(['--token', 'one'])
    const text = await readFile(file, 'utf8')
    await writeFile(
      file,
      text.replace(/(context:\n.*cluster:)/, '$1').replace('  user: ', '  namespace: demo\n      user: '),
    )
    await login(['--token', 'two'])
    expect(await kubeconfig()).toMatchObject({
      clusters: [{}],
      users: [{ user: { token: 'two' } }],
      contexts: [{ context: { namespace: 'demo' } }],
    })
  })

  test.each(['cluster', 'user', 'context'])('a %s of that name that is something else stays', async (what) => {
    const { file, api, keep, login } = await loginWorld()
    const text = {
      cluster: 'clusters: [{ name: weir, cluster: { server: "https://other" } }]\n',
      user: 'users: [{ name: weir, user: { token: precious } }]\n',
      context: 'contexts: [{ name: weir, context: { cluster: other, user: other } }]\n',
    }[what]
    await keep(text ?? '')
    const result = await login(['--token', 't', '--context', 'weir'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(`has a ${what} "weir" that no weir login wrote`)
    expect(await readFile(file, 'utf8')).toBe(text)
    expect(api.requests).toEqual([])
  })

  test.each(['a: [', '- a\n', 'just text', 'users: 7\n', 'a: 1\n---\nb: 2\n'])(
    'a file that is no kubeconfig stays as it is: %j',
    async (text) => {
      const { file, keep, login } = await loginWorld()
      await keep(text)
      const result = await login(['--token', 't'])
      expect(result).toMatchObject({ code: 1, stdout: '' })
      expect(result.stderr).toContain('stays as it is')
      expect(await readFile(file, 'utf8')).toBe(text)
      expect(await readdir(dirname(file))).toEqual(['config'])
    },
  )

  test('a file that can not be read is told, before anything is asked', async () => {
    const { api, file, login } = await loginWorld()
    await mkdir(file, { recursive: true })
    const result = await login(['--token', 't'])
    expect(result).toMatchObject({ code: 1, stdout: '', stderr: `error: can not read ${file}: EISDIR\n` })
    expect(api.requests).toEqual([])
  })

  test('a link to it stays one', async () => {
    const { home, file, keep, login, kubeconfig } = await loginWorld()
    await keep('')
    await rename(file, join(home, 'real'))
    await symlink('../real', file)
    expect(await login(['--token', 't'])).toMatchObject({ code: 0 })
    expect((await lstat(file)).isSymbolicLink()).toBe(true)
    expect(await kubeconfig()).toMatchObject({ users: [{ user: { token: 't' } }] })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
  })

  test('waits for kubectl to end its write, and not for ever', async () => {
    const { file, keep, login } = await loginWorld()
    await keep('')
    await writeFile(`${file}.lock`, '')
    const result = await login(['--token', 't'])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(`${file}.lock is there`)
    expect(await readFile(file, 'utf8')).toBe('')
    expect(await readdir(dirname(file))).toContain('config.lock')
  })

  test('it is the one that is named, the first of KUBECONFIG, or the one at home', async () => {
    const { home, login } = await loginWorld()
    await login(['--token', 't', '--kubeconfig', 'named'], { env: { KUBECONFIG: 'first:second' } })
    await login(['--token', 't'], { env: { KUBECONFIG: 'first:second' } })
    await login(['--token', 't'])
    expect((await readdir(home)).sort()).toEqual(['.kube', 'first', 'named'])
  })

  test('never the one that a server writes itself', async () => {
    const { api, login } = await loginWorld()
    const result = await login(['--token', 't'], { env: { KUBECONFIG: 'data/admin.kubeconfig' } })
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(api.requests).toEqual([])
  })

  test('a file that weir takes before it here is told', async () => {
    const { home, file, login } = await loginWorld()
    await mkdir(join(home, 'data'))
    const own = { 'current-context': 'a', contexts: [{ name: 'a', context: { cluster: 'a' } }] }
    const clusters = [{ name: 'a', cluster: { server: 'https://127.0.0.1:1' } }]
    await writeFile(join(home, 'data/admin.kubeconfig'), JSON.stringify({ ...own, clusters }))
    expect((await login(['--token', 't'])).stderr).toContain(
      `note: weir uses data/admin.kubeconfig before ${file} here: export KUBECONFIG=${file}`,
    )
  })
})

describe('over TLS', () => {
  test('the authority that is named is embedded, and known at the next login', async () => {
    const certificate = await makeCertificate()
    const { home, login, weir, kubeconfig } = await loginWorld(certificate)
    await writeFile(join(home, 'ca.crt'), certificate.authority)
    expect(await login(['--token', 'one', '--certificate-authority', 'ca.crt'])).toMatchObject({ code: 0 })
    const data = Buffer.from(certificate.authority).toString('base64')
    expect(await kubeconfig()).toMatchObject({ clusters: [{ cluster: { 'certificate-authority-data': data } }] })
    expect(await login(['--token', 'two'])).toMatchObject({ code: 0 })
    expect(await kubeconfig()).toMatchObject({
      clusters: [{ cluster: { 'certificate-authority-data': data } }],
      users: [{ user: { token: 'two' } }],
    })
    expect(await weir(['whoami'])).toMatchObject({ stdout: 'jane\n' })
  })

  test('an unknown authority is told with the fingerprint, and how to give it; no secret was sent', async () => {
    const certificate = await makeCertificate()
    const { X509Certificate } = await import('node:crypto')
    const { api, login, home } = await loginWorld(certificate)
    const result = await login(['--username', 'jane', '--password-stdin'], { stdin: piped('s3cret') })
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('--certificate-authority FILE')
    expect(result.stderr).toContain('data/tls/ca.crt')
    expect(result.stderr).toContain(new X509Certificate(certificate.certificate).fingerprint256)
    expect(api.requests).toEqual([])
    expect(await readdir(home)).toEqual([])
  })

  test('any certificate may be trusted, and the kubeconfig says so', async () => {
    const { login, kubeconfig } = await loginWorld(await makeCertificate())
    expect(await login(['--token', 't', '--insecure-skip-tls-verify'])).toMatchObject({ code: 0 })
    const { clusters } = await kubeconfig()
    expect(clusters).toMatchObject([{ cluster: { 'insecure-skip-tls-verify': true } }])
    expect(JSON.stringify(clusters)).not.toContain('certificate-authority')
  })
})

test.each([[['--token', 't']], [['--username', 'jane', '--password-stdin']], [['--issuer', 'corp']]])(
  'over plain HTTP nobody logs in to another machine: %j',
  async (argv) => {
    const { weir } = await loginWorld()
    // An address of documentation: were it asked, the test would not end.
    const result = await weir(['login', 'http://192.0.2.1', ...argv], { stdin: piped('s3cret') })
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('a login is not sent to http://192.0.2.1')
  },
)

test('over plain HTTP to this machine it is said that kubectl sends no token there', async () => {
  const { login } = await loginWorld()
  expect((await login(['--token', 't'])).stderr).toContain('kubectl and oc send no token over plain HTTP')
})

describe('a server', () => {
  test('that is none of Weir is told so', async () => {
    const { api, login } = await loginWorld()
    for (const answer of [failure(404, 'NotFound', 'no'), { body: '<html>' }, { body: { issuers: [] } }]) {
      api.answer('GET', '/login', answer)
      const result = await login(['--token', 't'])
      expect(result).toMatchObject({ code: 1, stdout: '' })
      expect(result.stderr).toContain('does not say how one logs in')
    }
    expect(api.asked()).toEqual(['GET /login', 'GET /login', 'GET /login'])
  })

  test('that sends its callers elsewhere is not followed', async () => {
    const { api, login } = await loginWorld()
    api.answer('POST', '/token', { status: 307, headers: { location: 'https://evil.example/token' }, body: {} })
    const result = await login(['--username', 'jane', '--password-stdin'], { stdin: piped('s3cret') })
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('weir follows no redirects')
  })

  test('that offers several ways has them listed', async () => {
    const { api, offer, login } = await loginWorld()
    const device = { issuer: 'https://a', clientId: 'weir', scopes: [] }
    offer({
      issuers: [
        { name: 'corp', ...device },
        { name: 'ci', issuer: 'https://ci' },
      ],
      htpasswd: true,
    })
    expect(await login()).toEqual({
      code: 2,
      stdout: '',
      stderr: `error: choose how to log in to ${api.url}
  weir login ${api.url} --issuer corp
  weir login ${api.url} --username NAME
  weir login ${api.url} --token TOKEN
`,
    })
    const result = await login(['--issuer', 'ci'])
    expect(result).toMatchObject({ code: 1 })
    expect(result.stderr).toContain('offers no login at an issuer "ci"')
  })
})

test.each([
  [[]],
  [['not a server', '--token', 't']],
  [['ftp://x', '--token', 't']],
  [['https://user:pass@x', '--token', 't']],
  [['https://x', '--token', 't', '--username', 'jane']],
  [['https://x', '--issuer', 'a', '--username', 'jane']],
  [['https://x', '--password-stdin']],
  [['https://x', '--username', '']],
  [['https://x', '--token', '']],
  [['https://x', '--token', 't', '--context', 'a b']],
])('login %j is misuse', async (argv) => {
  const { weir, home } = await loginWorld()
  expect(await weir(['login', ...argv])).toMatchObject({ code: 2, stdout: '' })
  expect(await readdir(home)).toEqual([])
})
