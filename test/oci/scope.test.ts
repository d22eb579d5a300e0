import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { covers, formatScope, formatScopes, parseScopes, type Scope, scopeLimits } from '../../src/oci/scope.ts'

const component = fc.stringMatching(/^[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,4})?$/)
const name = fc.oneof(
  fc.tuple(component, component).map(([project, stream]) => `${project}/${stream}`),
  fc
    .tuple(component, fc.integer({ min: 1, max: 65535 }), component)
    .map(([host, port, path]) => `${host}:${port}/${path}`),
)
const action = fc.constantFrom('pull', 'push', 'delete', '*')
const scope = fc.record({ type: fc.constant('repository'), name, actions: fc.uniqueArray(action, { minLength: 1 }) })
const fragment = fc.oneof(
  fc.constantFrom('repository', 'registry', '(plugin)', ':', ':', ',', ' ', 'demo/app', 'catalog', 'pull', 'push', '*'),
  fc.string({ unit: 'binary', maxLength: 3 }),
)
const text = fc.array(fragment, { maxLength: 12 }).map((fragments) => fragments.join(''))
const order = ['pull', 'push', 'delete', '*']

describe('parseScopes()', () => {
  test.each([
    ['a plain scope', ['repository:demo/app:pull'], ['repository:demo/app:pull']],
    [
      'repeated parameters',
      ['repository:demo/a:pull', 'repository:demo/b:push'],
      ['repository:demo/a:pull', 'repository:demo/b:push'],
    ],
    [
      'scopes joined by spaces',
      [' repository:demo/a:pull  repository:demo/b:push '],
      ['repository:demo/a:pull', 'repository:demo/b:push'],
    ],
    ['actions in any order', ['repository:demo/a:push,pull'], ['repository:demo/a:pull,push']],
    [
      'duplicates',
      ['repository:demo/a:pull,pull', 'repository:demo/a:delete repository:demo/a:pull'],
      ['repository:demo/a:pull,delete'],
    ],
    ['a class', ['repository(plugin):demo/a:pull'], ['repository:demo/a:pull']],
    ['a name with a port', ['repository:host:5000/demo/a:pull'], ['repository:host:5000/demo/a:pull']],
    ['the catalog', ['registry:catalog:*'], ['registry:catalog:*']],
    ['unknown actions beside known ones', ['repository:demo/a:pull,metadata_read'], ['repository:demo/a:pull']],
  ])('understands %s', (_, parameters, expected) => {
    expect(parseScopes(parameters).map(formatScope)).toEqual(expected)
  })

  test.each([
    'repository:demo/a:metadata_read',
    'repository:demo/a:',
    'repository:demo/a',
    'repository::pull',
    'repository',
    ':',
    '::',
    ':demo/a:pull',
    'artifact:demo/a:pull',
    'constructor:demo/a:pull',
    '__proto__:demo/a:pull',
    'Repository:demo/a:pull',
    'repository:demo/a:PULL',
    'repository(:demo/a:pull',
    'registry:other:*',
    'registry:catalog:pull',
  ])('leaves out %s', (parameter) => {
    expect(parseScopes([parameter, 'repository:demo/b:pull']).map(formatScope)).toEqual(['repository:demo/b:pull'])
  })

  test('takes 50 scopes and refuses 51', () => {
    const scopes = Array.from({ length: 51 }, (_, i) => `repository:demo/app${i}:pull`)
    expect(parseScopes(scopes.slice(0, scopeLimits.maxScopes))).toHaveLength(50)
    expect(() => parseScopes(scopes)).toThrow(RegistryError)
    expect(() => parseScopes([scopes.join(' ')])).toThrow(RegistryError)
  })

  test('refuses more than 8192 characters in all', () => {
    const long = 'x'.repeat(4096)
    expect(parseScopes([long, long])).toEqual([])
    expect(() => parseScopes([long, long, 'x'])).toThrow(RegistryError)
  })

  test('never throws another error, and returns only known actions, for any text', () => {
    fc.assert(
      fc.property(fc.array(text, { maxLength: 5 }), (parameters) => {
        for (const parsed of parseScopes(parameters)) {
          expect(['repository', 'registry']).toContain(parsed.type)
          expect(parsed.actions.length).toBeGreaterThan(0)
          expect(order.filter((known) => parsed.actions.includes(known))).toEqual(parsed.actions)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('means the same however scopes are repeated, joined and ordered', () => {
    fc.assert(
      fc.property(fc.array(scope, { maxLength: 8 }), fc.boolean(), (scopes, joined) => {
        const split = scopes.flatMap(({ type, name, actions }) => actions.map((one) => `${type}:${name}:${one}`))
        const parameters = joined ? [split.join(' ')] : split.toReversed()
        const byName = (a: Scope, b: Scope) => (a.name < b.name ? -1 : 1)
        expect(parseScopes(parameters).sort(byName)).toEqual(parseScopes(scopes.map(formatScope)).sort(byName))
      }),
      { numRuns: 300 },
    )
  })

  test('reads back what formatScopes() writes', () => {
    fc.assert(
      fc.property(fc.array(scope, { maxLength: 8 }), (scopes) => {
        const parsed = parseScopes([formatScopes(scopes)])
        expect(parseScopes([formatScopes(parsed)])).toEqual(parsed)
      }),
      { numRuns: 300 },
    )
  })
})

describe('covers()', () => {
  const access = parseScopes(['repository:demo/app:pull,push', 'repository:demo/all:*'])
  const need = (text: string) => parseScopes([text])[0] as Scope

  test.each([
    ['repository:demo/app:pull', true],
    ['repository:demo/app:pull,push', true],
    ['repository:demo/app:pull,delete', false],
    ['repository:demo/app2:pull', false],
    ['repository:demo/ap:pull', false],
    ['repository:demo/App:pull', false],
    ['repository:demo:pull', false],
    ['repository:demo/app/x:pull', false],
    ['repository:demo/all:pull,push,delete', true],
    ['repository:demo/all:*', true],
    ['repository:demo/app:*', false],
    ['registry:catalog:*', false],
  ])('%s is %s', (text, expected) => {
    expect(covers(access, need(text))).toBe(expected)
  })

  test('joins the actions of several entries for one name', () => {
    const split = [
      { type: 'repository', name: 'demo/app', actions: ['pull'] },
      { type: 'repository', name: 'demo/app', actions: ['push'] },
    ]
    expect(covers(split, need('repository:demo/app:pull,push'))).toBe(true)
  })

  test('refuses a need without actions', () => {
    expect(covers(access, { type: 'repository', name: 'demo/app', actions: [] })).toBe(false)
  })

  test('holds only for the same type and name, whatever else is held', () => {
    fc.assert(
      fc.property(fc.array(scope, { maxLength: 6 }), scope, (held, needed) => {
        const same = held.filter((entry) => entry.name === needed.name).flatMap((entry) => entry.actions)
        const expected = needed.actions.every((one) => same.includes('*') || same.includes(one))
        expect(covers(held, needed)).toBe(expected)
      }),
      { numRuns: 500 },
    )
  })
})
