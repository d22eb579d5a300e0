import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { ConfigError, type ConfigSources, loadConfig, parseConfig } from '../src/config.ts'
import { configSchema } from '../src/config-schema.ts'
import {
  parseHostPattern,
  parseListenAddress,
  parsePublicUrl,
  parseRegistryHost,
  parseSize,
} from '../src/config-values.ts'
import { parseDurationMs } from '../src/oci/duration.ts'
import { temporaryDirectory } from './support/directory.ts'
import { createFakeAuthority } from './support/fake-upstream-tls.ts'

const example = await readFile(new URL('../config/weir.yaml', import.meta.url), 'utf8')

function problemsOf(sources: ConfigSources | string): readonly string[] {
  try {
    parseConfig(typeof sources === 'string' ? { file: { name: 'weir.yaml', text: sources } } : sources)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

function configOf(text: string) {
  return parseConfig({ file: { name: 'weir.yaml', text } }).config
}

async function secretFile(content: string, mode: number): Promise<string> {
  const file = join(await temporaryDirectory(), 'secret')
  await writeFile(file, content)
  await chmod(file, mode)
  return file
}

/** Paths of all keys of a JSON schema's objects, array items included. */
function keysOf(schema: z.core.JSONSchema.BaseSchema, prefix = ''): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    if (typeof value === 'boolean') return [prefix + key]
    const items = typeof value.items === 'object' && !Array.isArray(value.items) ? value.items : {}
    return [prefix + key, ...keysOf(value, `${prefix}${key}.`), ...keysOf(items, `${prefix}${key}[].`)]
  })
}

function keysIn(tree: unknown, prefix = ''): string[] {
  if (Array.isArray(tree)) return [...new Set(tree.flatMap((item) => keysIn(item, `${prefix.slice(0, -1)}[].`)))]
  if (typeof tree !== 'object' || tree === null) return []
  return Object.entries(tree).flatMap(([key, value]) => [prefix + key, ...keysIn(value, `${prefix}${key}.`)])
}

describe('config/weir.yaml', () => {
  const commented = example.split('\n').filter((line) => /^# (?:upstreams:$| {2})/.test(line))
  const upstreams = parse(commented.map((line) => line.slice(2)).join('\n'))

  const commentedIssuers = example.split('\n').filter((line) => /^ {2}# (?:issuers:$| {2})/.test(line))
  const { issuers } = parse(commentedIssuers.map((line) => line.slice(4)).join('\n'))

  test('equals the defaults', () => {
    expect(configOf(example)).toEqual(parseConfig({}).config)
  })

  test('lists every key there is', () => {
    const all = keysOf(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }))
    expect(all).toContain('upstreams[].passwordFile')
    const shown = parse(example)
    const keys = keysIn({ ...shown, ...upstreams, auth: { ...shown.auth, issuers } })
    expect(keys.filter((key) => !key.includes('.requiredClaims.')).sort()).toEqual(all.sort())
  })

  test('shows an upstream that is accepted once its password file is there', async () => {
    const passwordFile = await secretFile('hush\n', 0o600)
    const text = JSON.stringify({ upstreams: [{ ...upstreams.upstreams[0], passwordFile }] })
    expect(configOf(text).upstreams).toEqual([
      {
        host: 'localhost:5100',
        insecure: true,
        intervalMs: 3_600_000,
        limits: { concurrency: 8, requestsPerSecond: 20, reserve: 0.3 },
        login: { username: 'robot', passwordFile, password: 'hush', projects: ['team-*'], repositories: ['lib/**'] },
      },
    ])
  })
})

describe('auth.issuers', () => {
  const github = { name: 'github', issuer: 'https://token.actions.githubusercontent.com', audiences: ['weir'] }
  const parseAuth = (auth: object) => parseConfig({ file: { name: 'f', text: JSON.stringify({ auth }) } })
  const warningsOf = (...issuers: object[]) => parseAuth({ issuers }).warnings

  test('are as config/weir.yaml shows them', () => {
    const commented = example.split('\n').filter((line) => /^ {2}# (?:issuers:$| {2})/.test(line))
    const { issuers } = parse(commented.map((line) => line.slice(4)).join('\n'))
    expect(parseAuth({ issuers }).config.auth.issuers).toEqual([
      {
        ...github,
        audiences: ['weir.example.com'],
        username: { claim: 'sub', prefix: 'github:' },
        groups: [{ claim: 'repository_owner', prefix: 'github:' }],
        requiredClaims: { repository_owner: 'acme', ref_protected: 'true' },
        sessionLifetimeMs: 3_600_000,
        scopes: ['openid'],
      },
    ])
    expect(parseAuth({ issuers }).warnings).toEqual([])
  })

  test('have defaults: sub behind the name, no groups, the session of the others', () => {
    expect(parseAuth({ issuers: [github], sessionLifetime: '1d' }).config.auth.issuers).toEqual([
      {
        ...github,
        username: { claim: 'sub', prefix: 'github:' },
        groups: [],
        requiredClaims: {},
        sessionLifetimeMs: 86_400_000,
        scopes: ['openid'],
      },
    ])
  })

  test('have their certificate authority read', async () => {
    const { ca } = await createFakeAuthority()
    const file = await secretFile(ca, 0o644)
    const { config, warnings } = parseAuth({ issuers: [{ ...github, certificateAuthorityFile: file }] })
    expect(config.auth.issuers[0]?.certificateAuthority).toBe(ca)
    expect(warnings).toEqual([])
    const broken = await secretFile('PEM', 0o644)
    expect(
      problemsOf(JSON.stringify({ auth: { issuers: [{ ...github, certificateAuthorityFile: broken }] } })),
    ).toEqual([`auth.issuers[0].certificateAuthorityFile: ${broken} is no certificate in PEM`])
  })

  test.each<[string, object, string]>([
    ['a name with a colon', { name: 'a:b' }, 'auth.issuers[0].name: write a short name'],
    ['the name of the file', { name: 'htpasswd' }, 'auth.issuers[0].name: '],
    ['a reserved name', { name: 'system' }, 'auth.issuers[0].name: '],
    ['no name', { name: undefined }, 'auth.issuers[0].name: '],
    ['an issuer over plain HTTP', { issuer: 'http://idp.test' }, 'auth.issuers[0].issuer: write the issuer as'],
    ['an issuer with a login', { issuer: 'https://a:b@idp.test' }, 'auth.issuers[0].issuer: '],
    ["Weir's own issuer", { issuer: 'https://localhost:5443' }, "is the issuer of Weir's own tokens"],
    ["Weir's own issuer with a slash", { issuer: 'https://localhost:5443/' }, "is the issuer of Weir's own tokens"],
    ['discovery over plain HTTP', { discoveryUrl: 'http://idp.test' }, 'auth.issuers[0].discoveryUrl: write an https'],
    ['no audience', { audiences: [] }, 'auth.issuers[0].audiences: write at least one audience'],
    ['an empty audience', { audiences: [''] }, 'auth.issuers[0].audiences[0]: '],
    ['an audience that is a text', { audiences: 'weir' }, 'auth.issuers[0].audiences: write a list'],
    [
      'a certificate that is not there',
      { certificateAuthorityFile: '/no' },
      'certificateAuthorityFile: /no cannot be read',
    ],
    ['a reserved prefix', { username: { prefix: 'system:' } }, 'auth.issuers[0].username.prefix: write a text'],
    ['a prefix of the admin', { username: { prefix: 'weir:x' } }, 'auth.issuers[0].username.prefix: '],
    ['a prefix that is a number', { username: { prefix: 7 } }, 'auth.issuers[0].username.prefix: '],
    ['a prefix with a line break', { username: { prefix: 'a\n' } }, 'auth.issuers[0].username.prefix: '],
    ['a reserved prefix of groups', { groups: [{ claim: 'g', prefix: 'system:' }] }, 'groups[0].prefix: '],
    ['groups that are a text', { groups: 'groups' }, 'auth.issuers[0].groups: write a list'],
    ['groups without a claim', { groups: [{ prefix: '' }] }, 'auth.issuers[0].groups[0].claim: '],
    [
      'a required claim of true',
      { requiredClaims: { a: true } },
      'requiredClaims.a: write a text, numbers and true in',
    ],
    ['a session of a year and a day', { sessionLifetime: '366d' }, 'auth.issuers[0].sessionLifetime: '],
    ['scopes that are a text', { scopes: 'openid' }, 'auth.issuers[0].scopes: write a list'],
    ['a secret', { clientSecret: 'hush' }, 'auth.issuers[0].clientSecret: unknown key'],
    ['a name that Weir keeps', { name: 'weir' }, 'such as github; not htpasswd, system, weir'],
    ['required claims that are a list', { requiredClaims: ['a'] }, 'requiredClaims: write keys and values below it'],
    ['a user name that is a text', { username: 'email' }, 'auth.issuers[0].username: write { claim: NAME }'],
    ['no list of audiences', { audiences: undefined }, 'audiences: write a list: ["weir.example.com"]'],
    ['a key of another place', { prefix: '' }, 'auth.issuers[0].prefix: unknown key; here are name, issuer,'],
  ])('%s is a problem', (_, change, problem) => {
    const problems = problemsOf(JSON.stringify({ auth: { issuers: [{ ...github, ...change }] } }))
    expect(problems.join('\n')).toContain(problem)
    expect(problems.join('\n')).not.toMatch(/Invalid input|undefined|hush/)
  })

  test('the same name, or issuer, twice is a problem', () => {
    expect(problemsOf(JSON.stringify({ auth: { issuers: [github, github] } }))).toEqual([
      'auth.issuers[1].name: github is there twice',
      'auth.issuers[1].issuer: https://token.actions.githubusercontent.com is there twice',
    ])
  })

  test("auth.issuer moves Weir's own issuer", () => {
    const issuers = [{ ...github, issuer: 'https://weir.example.com' }]
    expect(problemsOf(JSON.stringify({ auth: { issuer: 'https://weir.example.com', issuers } }))).toHaveLength(1)
    expect(problemsOf(JSON.stringify({ auth: { issuers } }))).toEqual([])
  })

  test('whose users or groups could be called as those of another are warnings', () => {
    const idp = (name: string, prefix: string, ...groups: string[]) => ({
      name,
      issuer: `https://${name}.test`,
      audiences: ['weir'],
      username: { prefix },
      groups: groups.map((given, index) => ({ claim: `g${index}`, prefix: given })),
    })
    expect(warningsOf(idp('a', 'a:', ''), idp('b', 'b:', 'b:'))).toEqual([
      'auth.issuers[0].groups: has no prefix, so that a group of it may have the name of a group of b',
    ])
    expect(warningsOf(idp('a', 'x:'), idp('b', 'x:'))).toEqual([
      'auth.issuers[1].username: has the prefix x:, so that a user of it may have the name of a user of a',
    ])
    expect(warningsOf(idp('a', ''), idp('b', 'b:'))).toHaveLength(1)
    expect(warningsOf(idp('a', 'a:', '', '', 'x:'), idp('b', 'b:', '', 'x:', 'x:'))).toHaveLength(3)
    expect(warningsOf(idp('a', '', '', ''))).toEqual([])
    expect(warningsOf(idp('a', 'a:', 'a:'), idp('b', 'ab:', 'ab:'))).toEqual([])
  })

  test('whose users could be called as those of the htpasswd file are warnings', async () => {
    const htpasswdFile = await secretFile('', 0o600)
    const warnings = (prefix: string) =>
      parseAuth({ htpasswdFile, issuers: [{ ...github, username: { prefix } }] }).warnings
    expect(warnings('')).toEqual([
      'auth.issuers[0].username: has no prefix, so that a user of it may have the name of a user of auth.htpasswdFile',
    ])
    expect(warnings('gh-')).toHaveLength(1)
    expect(warnings('gh:')).toEqual([])
  })

  test('and a htpasswd file that everybody can read is one, and one that is not there a problem', async () => {
    const htpasswdFile = await secretFile('', 0o644)
    expect(parseAuth({ htpasswdFile }).warnings).toEqual([expect.stringMatching(/^auth\.htpasswdFile: .*mode 0644/)])
    expect(problemsOf('auth: { htpasswdFile: /no }')).toEqual(['auth.htpasswdFile: /no cannot be read (ENOENT)'])
  })
})

describe('sources', () => {
  const file = { name: 'weir.yaml', text: 'listen: 127.0.0.1:1\ndata: /file\npublicUrl: http://file.example:1' }

  test('the file wins over the defaults', () => {
    expect(parseConfig({ file }).config).toMatchObject({ listen: { host: '127.0.0.1', port: 1 }, data: '/file' })
  })

  test('the environment wins over the file', () => {
    const environment = { WEIR_LISTEN: '[::1]:2', WEIR_DATA: '/env', WEIR_PUBLIC_URL: 'https://env.example' }
    expect(parseConfig({ file, environment }).config).toMatchObject({
      listen: { host: '::1', port: 2 },
      data: '/env',
      publicUrl: 'https://env.example',
    })
  })

  test('flags win over the environment', () => {
    const environment = { WEIR_LISTEN: '127.0.0.1:2', WEIR_DATA: '/env' }
    const flags = { listen: '127.0.0.1:3', data: '/flag' }
    expect(parseConfig({ file, environment, flags }).config).toMatchObject({ listen: { port: 3 }, data: '/flag' })
  })

  test('an empty variable counts as absent', () => {
    expect(parseConfig({ environment: { WEIR_DATA: '' } }).config.data).toBe('./data')
  })

  test('a variable below tls leaves the rest of tls as the file has it', () => {
    const text = 'tls: { publicUrl: "https://weir.example" }'
    const { tls } = parseConfig({ file: { name: 'f', text }, environment: { WEIR_TLS_LISTEN: '0.0.0.0:1' } }).config
    expect(tls).toEqual({ listen: { host: '0.0.0.0', port: 1 }, publicUrl: 'https://weir.example' })
  })

  test('public URLs default to localhost with the port listened on', () => {
    const { config } = parseConfig({ environment: { WEIR_LISTEN: '0.0.0.0:80', WEIR_TLS_LISTEN: '0.0.0.0:0' } })
    expect(config).toMatchObject({ publicUrl: 'http://localhost:80', tls: { publicUrl: 'https://localhost:0' } })
  })

  test('a bad variable is told by its name', () => {
    expect(problemsOf({ environment: { WEIR_LISTEN: '5000' } })).toEqual([
      expect.stringMatching(/^listen \(from WEIR_LISTEN\): write HOST:PORT/),
    ])
  })

  test('WEIR_CONFIG names the file, --config another', async () => {
    const fromVariable = await secretFile('data: /variable', 0o644)
    const fromFlag = await secretFile('data: /flag', 0o644)
    expect(loadConfig({}, { WEIR_CONFIG: fromVariable }).config.data).toBe('/variable')
    expect(loadConfig({ config: fromFlag }, { WEIR_CONFIG: fromVariable }).config.data).toBe('/flag')
  })

  test('a named file that is not there is a problem', () => {
    expect(() => loadConfig({ config: '/nowhere/weir.yaml' }, {})).toThrow(
      '/nowhere/weir.yaml: cannot be read (ENOENT)',
    )
  })
})

describe('problems', () => {
  test('all are told at once, each by its path and with what to do', async () => {
    const passwordFile = await secretFile('', 0o600)
    const problems = problemsOf(`
listen: 5000
publicUrl: http://weir.example/path
lissten: x
tls: { publicUrl: "http://weir.example", certFile: /c.pem }
store: { kind: etcd }
upstreams:
  - { host: a.example, insecure: perhaps, usernam: x }
  - { host: "not a host", username: robot }
  - { host: A.example, passwordFile: ${passwordFile}, username: u, projects: [p], repositories: [r] }
  - { host: b.example, projects: ["*"], password: hush }
auth: { tokenLifetime: 900 }
log: loud
`)
    expect(problems.map((problem) => problem.slice(0, problem.indexOf(':'))).sort()).toEqual([
      'auth.tokenLifetime',
      'lissten',
      'listen',
      'log',
      'publicUrl',
      'store.kind',
      'tls.certFile',
      'tls.keyFile',
      'tls.publicUrl',
      'upstreams[0].insecure',
      'upstreams[0].usernam',
      'upstreams[1].host',
      'upstreams[1].passwordFile',
      'upstreams[1].projects',
      'upstreams[1].repositories',
      'upstreams[2].host',
      'upstreams[2].passwordFile',
      'upstreams[3].password',
      'upstreams[3].projects',
    ])
    expect(problems.join('\n')).not.toContain('hush')
    for (const problem of problems) expect(problem).not.toMatch(/Invalid input|undefined/)
  })

  test('checks come every 15 minutes unless imports, or the rule of a registry, says otherwise', async () => {
    expect(configOf('').imports.intervalMs).toBe(900_000)
    expect(configOf('imports: { interval: 6h }').imports.intervalMs).toBe(21_600_000)
    expect(configOf('upstreams: [{ host: a.example, interval: 1m }]').upstreams[0]?.intervalMs).toBe(60_000)
    expect(problemsOf('imports: { interval: 59s }')).toEqual([
      'imports.interval: write a duration with its unit, from 1m to 30d, such as 15m or 1h30m',
    ])
    expect(problemsOf('upstreams: [{ host: a.example, interval: soon }]').join()).toContain('upstreams[0].interval')
    const passwordFile = await secretFile('hush\n', 0o600)
    const rule = `{ host: a.example, username: a, passwordFile: ${passwordFile}, projects: [a], repositories: ["**"] }`
    const other = rule.replace('{', '{ interval: 1h,')
    expect(problemsOf(`upstreams: [${rule}, ${other}]`).join()).toContain('upstreams[1].interval: must be the same')
  })

  test('what asking a registry may cost is said of each by itself, the same in all of its rules', async () => {
    const limitsOf = (limits: string) =>
      configOf(`upstreams: [{ host: a.example, limits: ${limits} }]`).upstreams[0]?.limits
    expect(configOf('upstreams: [{ host: a.example }]').upstreams[0]?.limits).toBeUndefined()
    expect(limitsOf('{ reserve: 0.5 }')).toEqual({ concurrency: 8, requestsPerSecond: 20, reserve: 0.5 })
    expect(limitsOf('{ concurrency: 1000, requestsPerSecond: 0.01, reserve: 1 }')).toEqual({
      concurrency: 1000,
      requestsPerSecond: 0.01,
      reserve: 1,
    })
    for (const [limits, problem] of [
      ['{ concurrency: 0 }', 'limits.concurrency: write a whole number from 1 to 1000'],
      ['{ concurrency: 1.5 }', 'limits.concurrency: write a whole number from 1 to 1000'],
      ['{ requestsPerSecond: many }', 'limits.requestsPerSecond: write a number from 0.01 to 100000'],
      ['{ requestsPerSecond: .nan }', 'limits.requestsPerSecond: write a number from 0.01 to 100000'],
      ['{ reserve: 30% }', 'limits.reserve: write a number from 0 to 1'],
      ['{ reserve: -0.1 }', 'limits.reserve: write a number from 0 to 1'],
      ['20', 'limits: write { concurrency: 8, requestsPerSecond: 20, reserve: 0.3 }, or some of it'],
      ['{ quota: 100 }', 'limits.quota: unknown key; here are concurrency, requestsPerSecond, reserve'],
    ] as const) {
      expect(problemsOf(`upstreams: [{ host: a.example, limits: ${limits} }]`)).toEqual([`upstreams[0].${problem}`])
    }
    const passwordFile = await secretFile('hush\n', 0o600)
    const rule = `{ host: a.example, username: a, passwordFile: ${passwordFile}, projects: [a], repositories: ["**"] }`
    const [one, two] = [0.1, 0.2].map((reserve) => rule.replace('{', `{ limits: { reserve: ${reserve} },`))
    expect(problemsOf(`upstreams: [${one}, ${two}]`).join()).toContain('upstreams[1].limits: must be the same')
    expect(problemsOf(`upstreams: [${one}, ${rule}]`).join()).toContain('upstreams[1].limits: must be the same')
    expect(problemsOf(`upstreams: [${one}, ${one}]`)).toEqual([])
  })

  test('a host may have several logins, each in a rule of its own', async () => {
    const passwordFile = await secretFile('hush\n', 0o600)
    const rule = (project: string) =>
      `{ host: a.example, username: ${project}, passwordFile: ${passwordFile}, projects: [${project}], repositories: ["**"] }`
    const { upstreams } = configOf(`upstreams: [${rule('a')}, ${rule('b')}]`)
    expect(upstreams.map(({ login }) => login?.projects)).toEqual([['a'], ['b']])
    expect(problemsOf(`upstreams: [${rule('a')}, { host: a.example }]`).join()).toContain('join the rules')
    expect(problemsOf(`upstreams: [${rule('a')}, ${rule('b').replace('{', '{ insecure: true,')}]`).join()).toContain(
      'upstreams[1].insecure: must be the same',
    )
  })

  test('a login has its secret in one file, and an identity token needs no user name', async () => {
    const file = await secretFile('hush\n', 0o600)
    const scope = 'projects: [p], repositories: ["**"]'
    const [upstream] = configOf(`upstreams: [{ host: a.example, identityTokenFile: ${file}, ${scope} }]`).upstreams
    expect(upstream?.login).toEqual({
      username: '',
      identityTokenFile: file,
      identityToken: 'hush',
      projects: ['p'],
      repositories: ['**'],
    })
    const files = `username: u, passwordFile: ${file}, identityTokenFile: ${file}`
    expect(problemsOf(`upstreams: [{ host: a.example, ${files}, ${scope} }]`)).toEqual([
      'upstreams[0].identityTokenFile: one login has one of passwordFile, identityTokenFile, credentialHelper or exec: put the other into a rule of its own',
    ])
    expect(problemsOf(`upstreams: [{ host: a.example, identityTokenFile: /nowhere, ${scope} }]`)).toEqual([
      'upstreams[0].identityTokenFile: /nowhere cannot be read (ENOENT)',
    ])
    expect(problemsOf(`upstreams: [{ host: a.example, identityTokenFile: ${file} }]`).join()).toContain(
      'upstreams[0].projects: required with a login',
    )
    const both = `{ host: a.example, identityTokenFile: ${file}, ${scope} }`
    expect(configOf(`upstreams: [${both}, ${both}]`).upstreams).toHaveLength(2)
  })

  test('a program that gives a login is named, and no shell reads it', () => {
    const scope = 'projects: [p], repositories: ["**"]'
    const rule = (keys: string) => `upstreams: [{ host: a.example, ${keys}, ${scope} }]`
    const loginOf = (keys: string) => configOf(rule(keys)).upstreams[0]?.login
    expect(loginOf('credentialHelper: ecr-login')).toMatchObject({ credentialHelper: 'ecr-login' })
    expect(loginOf('exec: { command: [a, -b] }')).toMatchObject({ exec: { command: ['a', '-b'], timeoutMs: 10_000 } })
    for (const name of ['../evil', '/bin/sh', 'a b', 'A', '', '-x', 'x;y', 'x\\n', 'a'.repeat(64)]) {
      expect(problemsOf(rule(`credentialHelper: "${name}"`)).join()).toContain(
        'upstreams[0].credentialHelper: write the',
      )
    }
    for (const [keys, problem] of [
      ['exec: { command: a -b }', 'exec.command: write a list of the program and its arguments'],
      ['exec: { command: [] }', 'exec.command: write a list'],
      ['exec: { command: [""] }', 'exec.command[0]: write a list'],
      ['exec: { command: [1] }', 'exec.command[0]: write a list'],
      ['exec: { command: ["a\\0"] }', 'exec.command[0]: write a list'],
      [
        'exec: { command: [a], timeout: 0s }',
        'exec.timeout: write a duration with its unit, from 1s to 5m, such as 30s or 2m',
      ],
      ['exec: { command: [a], shell: true }', 'exec.shell: unknown key; here are command, timeout'],
      ['exec: a -b', 'exec: write { command: [PROGRAM, ARGUMENT] }'],
      ['exec: {}', 'exec.command: '],
      ['credentialHelper: x, exec: { command: [a] }', 'exec: one login has one of'],
      ['credentialHelper: x, username: robot', 'username: leave it out'],
    ] as const) {
      expect(problemsOf(rule(keys)).join('\n')).toContain(`upstreams[0].${problem}`)
    }
    expect(problemsOf('upstreams: [{ host: a.example, credentialHelper: x }]').join()).toContain('projects: required')
  })

  test('proxies come from the environment, small letters first', () => {
    const proxiesOf = (environment: Record<string, string>) => parseConfig({ environment }).config.proxies
    expect(proxiesOf({})).toBeUndefined()
    expect(proxiesOf({ NO_PROXY: 'a.example', HTTPS_PROXY: '' })).toBeUndefined()
    expect(proxiesOf({ HTTPS_PROXY: 'http://a.test:3128', https_proxy: 'b.test:3128', no_proxy: 'c.test' })).toEqual({
      https: new URL('http://b.test:3128'),
      noProxy: 'c.test',
    })
    expect(proxiesOf({ HTTP_PROXY: 'https://u:p%40@a.test' })).toEqual({
      http: new URL('https://u:p%40@a.test'),
      noProxy: '',
    })
    for (const value of ['socks5://u:hush@a.test', 'http://u:hush@', 'http://u:hush%zz@a.test', '://hush']) {
      const problems = (() => {
        try {
          return parseConfig({ environment: { HTTPS_PROXY: value } }) && []
        } catch (error) {
          return error instanceof ConfigError ? error.problems : []
        }
      })()
      expect(problems).toEqual([expect.stringMatching(/^HTTPS_PROXY: write http:\/\/HOST:PORT/)])
      expect(problems.join()).not.toContain('hush')
    }
  })

  describe('the certificates of an upstream', async () => {
    const authority = await createFakeAuthority()
    const [one, two] = [await authority.certificate(['one']), await authority.certificate(['two'])]
    const pems = { CA: authority.ca, CERT: one.cert, KEY: one.key, OTHER: two.key }

    /** A config in which the names above stand for files. */
    async function withFiles(text: string, keyMode = 0o600) {
      const files: Record<string, string> = {}
      for (const [name, pem] of Object.entries(pems))
        files[name] = await secretFile(pem, name === 'KEY' ? keyMode : 0o600)
      const named = (template: string) => template.replace(/\b(?:CA|CERT|KEY|OTHER)\b/g, (name) => files[name] ?? name)
      return { text: named(text), named }
    }

    test('are read with their rule', async () => {
      const { text, named } = await withFiles(
        'upstreams: [{ host: a.example, certificateAuthorityFile: CA, certFile: CERT, keyFile: KEY }]',
      )
      const [upstream] = configOf(text).upstreams
      expect(upstream?.tlsFiles).toEqual({
        certificateAuthority: { file: named('CA'), pem: authority.ca },
        clientCertificate: {
          certificate: { file: named('CERT'), pem: one.cert },
          key: { file: named('KEY'), pem: one.key },
        },
      })
    })

    test.each([
      ['certificateAuthorityFile: KEY', 'certificateAuthorityFile: KEY is no certificate in PEM'],
      ['certificateAuthorityFile: /nowhere', 'certificateAuthorityFile: /nowhere cannot be read (ENOENT)'],
      ['certFile: CERT', 'keyFile: required with certFile'],
      ['keyFile: KEY', 'certFile: required with keyFile'],
      ['certFile: CERT, keyFile: OTHER', 'keyFile: OTHER is not the key of CERT'],
      ['certFile: CERT, keyFile: CA', 'keyFile: CA is not the key of CERT'],
      ['insecure: true, certificateAuthorityFile: CA', 'certificateAuthorityFile: means nothing with insecure: true'],
      ['insecure: true, certFile: CERT, keyFile: KEY', 'keyFile: means nothing with insecure: true'],
    ])('can be wrong: %s', async (keys, problem) => {
      const { text, named } = await withFiles(`upstreams: [{ host: a.example, ${keys} }]`)
      const problems = problemsOf(text).join('\n')
      expect(problems).toContain(`upstreams[0].${named(problem)}`)
      expect(problems).not.toContain('PRIVATE')
    })

    test('are the same in each rule of a host', async () => {
      const rule = '{ host: a.example, credentialHelper: x, projects: [p], repositories: ["**"] }'
      const trusting = rule.replace('{', '{ certificateAuthorityFile: CA,')
      expect(problemsOf((await withFiles(`upstreams: [${trusting}, ${trusting}]`)).text)).toEqual([])
      expect(problemsOf((await withFiles(`upstreams: [${trusting}, ${rule}]`)).text)).toEqual([
        'upstreams[1].certificateAuthorityFile: must be the same in every rule for a.example',
      ])
    })

    test('whose key everybody can read are warned of', async () => {
      const { text } = await withFiles('upstreams: [{ host: a.example, certFile: CERT, keyFile: KEY }]', 0o644)
      const { warnings } = parseConfig({ file: { name: 'f', text } })
      expect(warnings).toEqual([expect.stringMatching(/^upstreams\[0\]\.keyFile: .*mode 0644/)])
    })
  })

  test('a key whose entries are all commented out means its default', () => {
    const { config } = parseConfig({ file: { name: 'weir.yaml', text: 'upstreams:\ntls:\nlog:\n' } })
    expect(config).toEqual(parseConfig({}).config)
  })

  test.each([
    ['half a key', 'auth: { htpasswd: a }', 'auth.htpasswd: unknown key; did you mean htpasswdFile?'],
    [
      'a key in other letters',
      'auth: { tokenlifetime: 1h }',
      'auth.tokenlifetime: unknown key; did you mean tokenLifetime?',
    ],
    ['a key at the top', 'proxies: []', 'proxies: unknown key; here are listen, publicUrl,'],
    ['a part that does not exist yet', 'triggers: { webhooks: [] }', 'triggers: unknown key'],
    [
      'a platform mode that does not exist yet',
      'imports: { legacyImportMode: platform }',
      'imports.legacyImportMode: ',
    ],
    [
      'a password in the file itself',
      'upstreams: [{ host: a.example, password: x }]',
      'upstreams[0].password: unknown key; secrets are given by file',
    ],
    [
      'a number without a unit',
      'auth: { maxTokenLifetime: 3600 }',
      'auth.maxTokenLifetime: write a duration with its unit',
    ],
    ['a token life under a minute', 'auth: { tokenLifetime: 59s }', 'auth.tokenLifetime: '],
    ['a key without a certificate', 'tls: { keyFile: /dev/null }', 'tls.certFile: required with keyFile'],
    [
      'a password without a user',
      'upstreams: [{ host: a.example, passwordFile: /dev/null }]',
      'upstreams[0].username: required',
    ],
    [
      'projects without a login',
      'upstreams: [{ host: a.example, projects: [p] }]',
      'upstreams[0].projects: means nothing',
    ],
    ['a life of a login under a minute', 'auth: { loginLifetime: 59s }', 'auth.loginLifetime: '],
    ['a session of more than a year', 'auth: { sessionLifetime: 366d }', 'auth.sessionLifetime: '],
    ['issuers that are no list', 'auth: { issuers: { name: x } }', 'auth.issuers: write a list'],
    ['an issuer that is a text', 'auth: { issuers: [github] }', 'auth.issuers[0]: '],
    ['an issuer of the tokens over plain HTTP', 'auth: { issuer: "http://weir.test" }', 'auth.issuer: '],
    ['a proxy that is a name', 'trustedProxies: [proxy.test]', 'trustedProxies[0]: write an address or a network'],
    ['a network too long', 'trustedProxies: [10.0.0.0/33]', 'trustedProxies[0]: '],
    ['proxies that are a text', 'trustedProxies: 10.0.0.0/8', 'trustedProxies: '],
    ['an audit that goes nowhere known', 'audit: { output: syslog }', 'audit.output: write file, stdout or none'],
    ['audit files too small', 'audit: { maxBytes: 1KiB }', 'audit.maxBytes: write a size with its unit'],
    ['no audit file at all', 'audit: { maxFiles: 0 }', 'audit.maxFiles: '],
    ['half an audit file', 'audit: { maxFiles: 1.5 }', 'audit.maxFiles: write a whole number'],
    ['a word that breaks challenges', 'publicUrl: http://basic.example', 'publicUrl: '],
    ['upstreams that are no list', 'upstreams: { host: a.example }', 'upstreams: write a list'],
    ['upstreams that are a text', 'upstreams: localhost:5100', 'upstreams: write a list'],
    ['an upstream that is a text', 'upstreams: [localhost:5100]', 'upstreams[0]: '],
    ['an upstream that is nothing', 'upstreams: [null]', 'upstreams[0]: '],
    ['a part that is a number', 'tls: 5', 'tls: '],
    ['a list where keys belong', '- a', 'weir.yaml: write keys and values'],
    ['broken YAML', 'listen: [', 'weir.yaml: '],
    ['a key twice', 'data: a\ndata: b', 'weir.yaml: '],
    [
      'a password file that is not there',
      'upstreams: [{ host: a.example, passwordFile: /nowhere, username: u, projects: [p], repositories: [r] }]',
      'upstreams[0].passwordFile: /nowhere cannot be read (ENOENT)',
    ],
  ])('%s is one', (_name, text, problem) => {
    expect(problemsOf(text).join('\n')).toContain(problem)
  })

  test('a secret that everybody can read is a warning, one of mode 0600 is none', async () => {
    const warningsFor = async (mode: number): Promise<readonly string[]> => {
      const passwordFile = await secretFile('x', mode)
      const upstream = { host: 'a.example', username: 'u', passwordFile, projects: ['p'], repositories: ['r'] }
      return parseConfig({ file: { name: 'f', text: JSON.stringify({ upstreams: [upstream] }) } }).warnings
    }
    expect(await warningsFor(0o644)).toEqual([expect.stringMatching(/^upstreams\[0\]\.passwordFile: .*mode 0644/)])
    expect(await warningsFor(0o600)).toEqual([])
  })
})

describe('values', () => {
  test.each([
    ['15m', 900_000],
    ['1h30m', 5_400_000],
    ['365d', 31_536_000_000],
    ['250ms', 250],
    ['0s', 0],
    ['900', undefined],
    ['', undefined],
    ['1.5h', undefined],
    ['-1s', undefined],
    ['1 h', undefined],
    ['1h ', undefined],
    [`${'9'.repeat(400)}d`, undefined],
  ])('parseDurationMs(%j) is %j', (text, durationMs) => {
    expect(parseDurationMs(text)).toBe(durationMs)
  })

  test.each([
    ['50GiB', 53_687_091_200],
    ['0B', 0],
    ['512KiB', 524_288],
    ['50', undefined],
    ['50GB', undefined],
    ['1.5GiB', undefined],
    ['99999999TiB', undefined],
  ])('parseSize(%j) is %j', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each([
    ['127.0.0.1:5000', { host: '127.0.0.1', port: 5000 }],
    ['[::1]:0', { host: '::1', port: 0 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
    ['localhost:65536', undefined],
    [':5000', undefined],
    ['5000', undefined],
    ['::1:5000', undefined],
    ['http://localhost:5000', undefined],
  ])('parseListenAddress(%j) is %j', (text, address) => {
    expect(parseListenAddress(text)).toEqual(address)
  })

  test.each([
    ['https://weir.example/', 'https://weir.example'],
    ['http://localhost:5000', 'http://localhost:5000'],
    ['http://[::1]:5000', 'http://[::1]:5000'],
    ['https://Weir.Example:443', 'https://weir.example'],
    ['ftp://weir.example', undefined],
    ['https://user:pw@weir.example', undefined],
    ['https://weir.example/path', undefined],
    ['https://weir.example?x', undefined],
    ['https://weir example', undefined],
    ['weir.example', undefined],
  ])('parsePublicUrl(%j) is %j', (text, url) => {
    expect(parsePublicUrl(text)).toBe(url)
  })

  test.each([
    ['localhost:5100', 'localhost:5100'],
    ['Quay.IO', 'quay.io'],
    ['index.docker.io', 'docker.io'],
    ['registry', undefined],
    ['quay.io/org', undefined],
    ['https://quay.io', undefined],
    ['', undefined],
  ])('parseRegistryHost(%j) is %j', (text, host) => {
    expect(parseRegistryHost(text)).toBe(host)
  })

  test.each([
    ['*', '*'],
    ['*.gcr.io', '*.gcr.io'],
    ['quay.io:443', 'quay.io:443'],
    ['*/x', undefined],
    ['a b.example', undefined],
  ])('parseHostPattern(%j) is %j', (text, pattern) => {
    expect(parseHostPattern(text)).toBe(pattern)
  })

  test('a duration is the sum of its parts', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(10_000), fc.nat(10_000), (hours, minutes, seconds) => {
        expect(parseDurationMs(`${hours}h${minutes}m${seconds}s`)).toBe(((hours * 60 + minutes) * 60 + seconds) * 1000)
      }),
      { numRuns: 200 },
    )
  })

  test('no text makes a parser throw', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const parser of [parseDurationMs, parseSize, parseListenAddress, parsePublicUrl, parseRegistryHost])
          parser(text)
      }),
      { numRuns: 500 },
    )
  })
})

test('uploads are bounded by time, number and size, each with its unit', () => {
  const uploads = { expireAfter: '2h', maxPerUser: 5, max: 50, maxBytes: '2GiB' }
  expect(configOf(JSON.stringify({ uploads })).uploads).toEqual({
    expireAfterMs: 7_200_000,
    maxPerUser: 5,
    max: 50,
    maxBytes: 2 * 1024 ** 3,
  })
  const wrong = { expireAfter: '59s', maxPerUser: 0, max: 1.5, maxBytes: 100 }
  expect(problemsOf(JSON.stringify({ uploads: wrong }))).toEqual([
    expect.stringMatching(/^uploads\.expireAfter: write a duration with its unit, from 1m to 365d/),
    expect.stringMatching(/^uploads\.maxPerUser: /),
    expect.stringMatching(/^uploads\.max: /),
    expect.stringMatching(/^uploads\.maxBytes: write a size with its unit, from 1MiB/),
  ])
})
