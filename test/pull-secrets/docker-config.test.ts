import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type DockerConfig, parseDockerConfig } from '../../src/pull-secrets/docker-config.ts'

const json = 'kubernetes.io/dockerconfigjson'
const cfg = 'kubernetes.io/dockercfg'

const base64 = (value: string) => Buffer.from(value).toString('base64')

function parsed(auths: unknown): DockerConfig {
  const config = parseDockerConfig(json, JSON.stringify({ auths }))
  if ('problem' in config) throw new Error(config.problem)
  return config
}

function loginOf(entry: unknown): unknown {
  const { logins, unused } = parsed({ 'quay.io': entry })
  return logins[0]?.login ?? unused[0]
}

describe('parseDockerConfig()', () => {
  test.each([
    ['quay.io', 'quay.io', ''],
    ['https://index.docker.io/v1/', 'docker.io', ''],
    ['index.docker.io', 'docker.io', ''],
    ['registry-1.docker.io', 'docker.io', ''],
    ['docker.io/library/nginx', 'docker.io', 'library/nginx'],
    ['registry.example.com:5000', 'registry.example.com:5000', ''],
    ['http://registry.example.com:5000/', 'registry.example.com:5000', ''],
    ['HTTPS://Registry.Example.com', 'registry.example.com', ''],
    ['https://registry.example.com/v2/', 'registry.example.com', ''],
    ['https://registry.example.com/v2', 'registry.example.com', ''],
    ['registry.example.com/v1/org', 'registry.example.com', 'org'],
    ['quay.io/org', 'quay.io', 'org'],
    ['quay.io/org/app/', 'quay.io', 'org/app'],
    ['*.example.com', '*.example.com', ''],
    ['*.dkr.ecr.*.amazonaws.com/team', '*.dkr.ecr.*.amazonaws.com', 'team'],
    ['localhost', 'localhost', ''],
    ['[::1]:5000', '[::1]:5000', ''],
  ])('takes the registry %s', (registry, host, path) => {
    expect(parsed({ [registry]: { auth: base64('u:p') } }).logins).toEqual([
      { host, path, login: { username: 'u', password: 'p' } },
    ])
  })

  test.each([
    '',
    '/',
    'quay',
    '*',
    'https://',
    'user:hunter2@quay.io',
    'https://user:hunter2@quay.io/org',
    'quay.io?x=hunter2',
    'quay.io#hunter2',
    'quay.io/Org',
    'quay.io/../org',
    'quay.io/o*',
    'quay.io:port',
    'quay.io:99999',
    'quay .io',
    'quay.io\r\nx: hunter2',
    'ftp://quay.io',
    `${'a'.repeat(2000)}.io`,
  ])('leaves out the registry %j and quotes nothing of it', (registry) => {
    const { logins, unused } = parsed({ [registry]: { auth: base64('u:p') }, 'ghcr.io': { auth: base64('u:p') } })
    expect(logins.map(({ host }) => host)).toEqual(['ghcr.io'])
    expect(unused).toEqual(['registry 1 of .dockerconfigjson is not written as host, host:port or host/path'])
  })

  test.each([
    ['a colon in the password', { auth: base64('u:p:q:') }, { username: 'u', password: 'p:q:' }],
    ['an empty user', { auth: base64(':p') }, { username: '', password: 'p' }],
    ['base64 without padding', { auth: base64('u:pw12').replace(/=+$/, '') }, { username: 'u', password: 'pw12' }],
    ['a password that is filled up', { auth: base64('u:p\0\0\0') }, { username: 'u', password: 'p' }],
    ['user and password', { username: 'ü', password: 'p:q' }, { username: 'ü', password: 'p:q' }],
    ['auth before user', { auth: base64('u:p'), username: 'x', password: 'y' }, { username: 'u', password: 'p' }],
    ['an identity token', { auth: base64('u:'), identitytoken: 'me' }, { identityToken: 'me', username: 'u' }],
    ['an identity token alone', { identitytoken: 'me' }, { identityToken: 'me', username: '' }],
    ['a registry token', { identitytoken: 'no', registrytoken: 'as.it.is' }, { registryToken: 'as.it.is' }],
    ['a helper', { username: '<token>', password: 'me' }, { identityToken: 'me', username: '' }],
    ["kubectl's", { username: 'u', password: 'p', email: 'e', auth: base64('u:p') }, { username: 'u', password: 'p' }],
  ])('reads %s', (_, entry, login) => {
    expect(loginOf(entry)).toEqual(login)
  })

  test.each([
    ['nothing', {}],
    ['null', null],
    ['text', 'hunter2'],
    ['a list', ['hunter2']],
    ['a number', { auth: 17, username: {}, password: [] }],
    ['no base64', { auth: 'hunter2 hunter2' }],
    ['no colon', { auth: base64('hunter2') }],
    ['a line break in a token', { registrytoken: 'hunter2\r\nhost: x' }],
    ['a blank in an identity token', { identitytoken: 'hunter2 hunter2' }],
    ['too long a password', { username: 'u', password: 'hunter2'.repeat(10_000) }],
    ['too long a token', { registrytoken: 'hunter2'.repeat(10_000) }],
    ['a prototype', JSON.parse('{"__proto__": {"auth": "dTpodW50ZXIy"}}')],
  ])('tells what is wrong with %s and not what it is', (_, entry) => {
    const told = loginOf(entry)
    expect(told).toMatch(/^quay\.io in \.dockerconfigjson: /)
    expect(told).not.toMatch(/hunter2/)
  })

  test('reads .dockercfg, which is auths alone', () => {
    expect(parseDockerConfig(cfg, JSON.stringify({ 'quay.io': { auth: base64('u:p') } }))).toEqual({
      logins: [{ host: 'quay.io', path: '', login: { username: 'u', password: 'p' } }],
      unused: [],
    })
  })

  test.each([
    [json, '{hunter2'],
    [json, ''],
    [json, 'null'],
    [json, '["hunter2"]'],
    [json, '{"auths":"hunter2"}'],
    [json, '{"auths":null}'],
    [cfg, '"hunter2"'],
    [cfg, JSON.stringify(Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`r${index}.io`, {}])))],
    [json, `${'['.repeat(500_000)}${']'.repeat(500_000)}`],
  ])('refuses as %s what begins %.20s', (type, text) => {
    const config = parseDockerConfig(type, text)
    expect(config).toEqual({ problem: expect.stringMatching(/^(auths of )?\.dockerc/) })
    expect(JSON.stringify(config)).not.toMatch(/hunter2/)
  })

  test.each(['{}', '{"credsStore":"desktop"}', '{"auths":{}}'])('finds no login in %s', (text) => {
    expect(parseDockerConfig(json, text)).toEqual({ logins: [], unused: [] })
  })

  test('names such as __proto__ and constructor are names', () => {
    const text = '{"auths":{"__proto__":{"auth":"dTpw"},"constructor":{"auth":"dTpw"},"quay.io":{"auth":"dTpw"}}}'
    expect(parseDockerConfig(json, text)).toEqual({
      logins: [{ host: 'quay.io', path: '', login: { username: 'u', password: 'p' } }],
      unused: [expect.stringMatching(/^registry 1 /), expect.stringMatching(/^registry 2 /)],
    })
  })

  test('gives back every login that was put in, whatever it is made of', () => {
    const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }).filter((value) => !/[:\0]/.test(value))
    fc.assert(
      fc.property(word, fc.string({ maxLength: 50 }), fc.boolean(), (username, tail, isAuth) => {
        fc.pre(username !== '<token>' && !tail.includes('\0'))
        const entry = isAuth ? { auth: base64(`${username}:${tail}`) } : { username, password: tail }
        expect(loginOf(entry)).toEqual({ username, password: tail })
      }),
      { numRuns: 300 },
    )
  })

  test('never throws, and never tells of a secret', () => {
    const entry = fc.dictionary(
      fc.constantFrom('auth', 'username', 'password', 'identitytoken', 'registrytoken', 'email', '__proto__'),
      fc.oneof(fc.jsonValue(), fc.constantFrom('hunter2', base64('hunter2'), base64('u:hunter2'), 'hunter2\n')),
    )
    const auths = fc.dictionary(fc.string({ unit: fc.constantFrom(...'ab.:/*@[]0'), maxLength: 12 }), entry)
    fc.assert(
      fc.property(fc.oneof(auths, fc.jsonValue()), fc.constantFrom(json, cfg), (value, type) => {
        const config = parseDockerConfig(type, JSON.stringify(type === json ? { auths: value } : value))
        expect(JSON.stringify('problem' in config ? config : config.unused)).not.toMatch(/hunter2/)
      }),
      { numRuns: 500 },
    )
  })
})
