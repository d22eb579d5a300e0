import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseDockerConfig } from '../../src/pull-secrets/docker-config.ts'
import { matchesHost, matchesPath } from '../../src/pull-secrets/match.ts'

describe('matchesHost()', () => {
  test.each([
    ['quay.io', 'quay.io', true],
    ['quay.io', 'quay.io:443', false],
    ['quay.io:443', 'quay.io', false],
    ['quay.io', 'xquay.io', false],
    ['quay.io', 'quay.io.evil.example', false],
    ['*.example.com', 'a.example.com', true],
    ['*.example.com', 'a.b.example.com', false],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'a.example.com.evil.example', false],
    ['*.com', 'a.com.evil.example', false],
    ['*.example.com', '.example.com', true],
    ['*.example.com', 'evilexample.com', false],
    ['*.example.com', 'a.example.com:5000', false],
    ['*.example.com:5000', 'a.example.com:5000', true],
    ['re*ry.example.com', 'registry.example.com', true],
    ['re*ry.example.com', 'rery.example.com', true],
    ['re*ry.example.com', 'ry.example.com', false],
    ['a*b*a.io', 'aba.io', true],
    ['a*b*a.io', 'aa.io', false],
    ['ab*ba.io', 'aba.io', false],
    ['*.*', 'quay.io', true],
    ['*.*', 'quay.io:443', false],
    ['*.dkr.ecr.*.amazonaws.com', '1.dkr.ecr.eu-1.amazonaws.com', true],
  ])('%s for %s: %s', (pattern, host, matches) => {
    expect(matchesHost(pattern, host)).toBe(matches)
  })

  test('takes no longer for many stars', () => {
    const label = 'a'.repeat(500)
    expect(matchesHost(`${'*a'.repeat(250)}*b.io`, `${label}.io`)).toBe(false)
  })
})

test.each([
  ['', 'app', true],
  ['org', 'org/app', true],
  ['org', 'org', true],
  ['org', 'organisation/app', false],
  ['org/app', 'org/app', true],
  ['org/app', 'org/app/debug', true],
  ['org/app', 'org/apps', false],
  ['org/app', 'org', false],
  ['org', 'my/org/app', false],
])('matchesPath(): %j for %s: %s', (path, repository, matches) => {
  expect(matchesPath(path, repository)).toBe(matches)
})

/**
 * Kubelet's own rule, as plainly as it can be put (pkg/credentialprovider/keyring.go: Add and URLsMatch), but for the end of
 * a path: kubelet takes `quay.io/org` for `quay.io/organisation`, too, and minds whether a slash follows `quay.io/v1`.
 */
function kubeletMatches(key: string, host: string, repository: string): boolean {
  const { host: pattern = '', path = '' } = /^(?:https?:\/\/)?(?<host>[^/]*)(?<path>.*)$/.exec(key)?.groups ?? {}
  const effective = /^\/v[12]\//.test(`${path}/`) ? path.slice(3) : path
  const prefix = effective.replace(/\/$/, '')
  const split = (value: string): [string[], string] => {
    const [name = '', port = ''] = value.split(':')
    return [name.split('.'), port]
  }
  const [wanted, wantedPort] = split(pattern)
  const [labels, port] = split(host)
  if (port !== wantedPort || labels.length !== wanted.length) return false
  const inPath = `/${repository}/`.startsWith(`${prefix}/`)
  const glob = (label: string) => new RegExp(`^${label.replace(/[.-]/g, '\\$&').replaceAll('*', '[^.]*')}$`)
  return inPath && wanted.every((label, index) => glob(label).test(labels[index] ?? ''))
}

test('an entry is for what kubelet takes it for', () => {
  const label = fc.constantFrom('a', 'ab', 'b', 'x-a')
  const pattern = fc.oneof(label, fc.constantFrom('*', '*', 'a*', '*b', 'a*b', '*a*', 'x-*'))
  const port = fc.constantFrom('', '', '', ':80', ':443')
  const host = fc.tuple(fc.array(label, { minLength: 2, maxLength: 2 }), port).map(([l, p]) => `${l.join('.')}${p}`)
  const wanted = fc.tuple(fc.array(pattern, { minLength: 2, maxLength: 2 }), port).map(([l, p]) => `${l.join('.')}${p}`)
  const component = fc.constantFrom('o', 'org', 'v1')
  const repository = fc.array(component, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'))
  const key = fc
    .tuple(
      fc.constantFrom('', 'https://', 'http://'),
      fc.oneof(wanted, host),
      fc.constantFrom('', '/', '/v1/', '/v2/'),
      fc.option(repository, { nil: '' }),
      fc.constantFrom('', '/'),
    )
    .map(([scheme, at, version, path, slash]) => {
      const below = path === '' ? version : `${version === '' ? '/' : version}${path}${slash}`
      return `${scheme}${at}${below}`
    })
  let matched = 0
  fc.assert(
    fc.property(key, host, repository, (registry, asked, name) => {
      const auths = { [registry]: { auth: Buffer.from('u:p').toString('base64') } }
      const config = parseDockerConfig('kubernetes.io/dockerconfigjson', JSON.stringify({ auths }))
      if ('problem' in config) throw new Error(config.problem)
      const entry = config.logins[0]
      const matches = entry !== undefined && matchesHost(entry.host, asked) && matchesPath(entry.path, name)
      if (matches) matched += 1
      expect(matches).toBe(kubeletMatches(registry, asked, name))
    }),
    { numRuns: 5000 },
  )
  expect(matched).toBeGreaterThan(50)
})
