import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { credentialsFromRules } from '../../src/upstream/credentials.ts'
import type { UpstreamRule } from '../../src/upstream/upstream.ts'

function rule(host: string, projects: string[], repositories: string[]): UpstreamRule {
  return { host, insecure: false, login: { username: 'robot', password: 'x', projects, repositories } }
}

function allows(
  patterns: { projects?: string[]; repositories?: string[] },
  project: string,
  repository: string,
): boolean {
  const { projects = ['**'], repositories = ['**'] } = patterns
  const credentialsFor = credentialsFromRules([rule('quay.io', projects, repositories)])
  return [...(credentialsFor(project, 'quay.io', repository) as Iterable<unknown>)].length === 1
}

const component = fc.stringMatching(/^[a-z0-9]{1,5}$/)
const path = fc.array(component, { minLength: 1, maxLength: 4 })

describe('credentialsFromRules()', () => {
  test.each([
    ['lib/app', 'lib/app', true],
    ['lib/app', 'lib/apps', false],
    ['lib/app', 'my/lib/app', false],
    ['lib/*', 'lib/app', true],
    ['lib/*', 'lib/app/debug', false],
    ['lib/*', 'lib', false],
    ['lib/**', 'lib/app/debug', true],
    ['lib/**', 'lib', false],
    ['lib/**', 'libx/app', false],
    ['*', 'app', true],
    ['*', 'lib/app', false],
    ['**', 'a/b/c', true],
    ['lib/app-*', 'lib/app-1', true],
    ['lib.x/*', 'libyx/app', false],
    ['(lib|x)+/a', 'lib/a', false],
  ])('lets the repositories %s be used for %s: %s', (pattern, repository, allowed) => {
    expect(allows({ repositories: [pattern] }, 'demo', repository)).toBe(allowed)
  })

  test.each([
    ['team-*', 'team-a', true],
    ['team-*', 'xteam-a', false],
    ['team-*', 'team', false],
    ['demo', 'demo2', false],
  ])('lets the projects %s include %s: %s', (pattern, project, allowed) => {
    expect(allows({ projects: [pattern] }, project, 'lib/app')).toBe(allowed)
  })

  test('reads a pattern without a star as exactly itself', () => {
    fc.assert(
      fc.property(path, path, (one, two) => {
        expect(allows({ repositories: [one.join('/')] }, 'demo', two.join('/'))).toBe(one.join('/') === two.join('/'))
      }),
      { numRuns: 300 },
    )
  })

  test('reads * as one component, ** as any number of them', () => {
    fc.assert(
      fc.property(path, fc.nat({ max: 3 }), (parts, at) => {
        const before = parts.slice(0, at)
        expect(allows({ repositories: [[...before, '*'].join('/')] }, 'demo', parts.join('/'))).toBe(
          parts.length === before.length + 1,
        )
        expect(allows({ repositories: [[...before, '**'].join('/')] }, 'demo', parts.join('/'))).toBe(
          parts.length > before.length,
        )
      }),
      { numRuns: 300 },
    )
  })

  test.each([
    ['quay.io', 'quay.io', true],
    ['Quay.IO', 'quay.io', true],
    ['quay.io', 'quay.io:443', false],
    ['quay.io', 'evil.quay.io', false],
    ['quay.io', 'quay.io.evil.example', false],
    ['registry-1.docker.io', 'docker.io', true],
    ['*', 'quay.io', false],
  ])('gives the login of %s for %s: %s', (host, asked, given) => {
    const credentialsFor = credentialsFromRules([rule(host, ['**'], ['**'])])
    expect([...(credentialsFor('demo', asked, 'lib/app') as Iterable<unknown>)].length === 1).toBe(given)
  })

  test('gives several in the order of the rules, and none of a rule that names no project or no repository', () => {
    const rules = [
      rule('quay.io', ['demo'], ['lib/**']),
      { host: 'quay.io', insecure: false },
      rule('quay.io', [], ['**']),
      rule('quay.io', ['**'], []),
      rule('quay.io', ['**'], ['**']),
    ]
    const given = [...(credentialsFromRules(rules)('demo', 'quay.io', 'lib/app') as Iterable<{ id: string }>)]
    expect(given.map(({ id }) => id)).toEqual(['upstreams[0]', 'upstreams[4]'])
  })
})
