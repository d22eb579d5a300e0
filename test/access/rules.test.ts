import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PolicyRule } from '../../src/access/access.ts'
import { anyAllows, compileRules, type Right, spellOut } from '../../src/access/rules.ts'
import { RegistryError } from '../../src/oci/errors.ts'

const pull: Right = { verb: 'get', group: 'image.openshift.io', resource: 'imagestreams/layers', name: 'app' }
const rule = (change: Partial<PolicyRule> = {}): PolicyRule => ({
  verbs: ['get'],
  apiGroups: ['image.openshift.io'],
  resources: ['imagestreams/layers'],
  ...change,
})

const ruleAllows = (given: PolicyRule, right: Right) => compileRules([given])(right)

describe('compileRules()', () => {
  test.each<[string, PolicyRule, boolean]>([
    ['its own right', rule(), true],
    ['every verb by *', rule({ verbs: ['*'] }), true],
    ['every group by *', rule({ apiGroups: ['*'] }), true],
    ['every resource by *', rule({ resources: ['*'] }), true],
    ['a subresource of all by */layers', rule({ resources: ['*/layers'] }), true],
    ['a named object', rule({ resourceNames: ['app'] }), true],
    ['all objects by an empty list of names', rule({ resourceNames: [] }), true],
    ['no other verb', rule({ verbs: ['update'] }), false],
    ['no verb in another case', rule({ verbs: ['GET'] }), false],
    ['no other group', rule({ apiGroups: [''] }), false],
    ['no subresource by its resource', rule({ resources: ['imagestreams'] }), false],
    ['nothing by imagestreams/*', rule({ resources: ['imagestreams/*'] }), false],
    ['no other subresource', rule({ resources: ['*/status'] }), false],
    ['no object whose name begins alike', rule({ resourceNames: ['app2', 'ap', 'App'] }), false],
    ['no object called *', rule({ resourceNames: ['*'] }), false],
    ['nothing by empty lists', rule({ verbs: [] }), false],
  ])('gives %s', (_, given, expected) => {
    expect(ruleAllows(given, pull)).toBe(expected)
  })

  test('gives a rule with names nothing where the request has no name', () => {
    expect(ruleAllows(rule({ resourceNames: ['app'] }), { ...pull, name: '' })).toBe(false)
  })

  test('gives an empty name nothing, neither requests without a name nor all objects', () => {
    const empty = rule({ resourceNames: [''] })
    expect(ruleAllows(empty, { ...pull, name: '' })).toBe(false)
    expect(ruleAllows(empty, { ...pull, name: undefined })).toBe(false)
    expect(spellOut([empty])).toEqual([{ ...pull, name: '' }])
  })

  test('gives all objects only where it has no names', () => {
    expect(ruleAllows(rule(), { ...pull, name: undefined })).toBe(true)
    expect(ruleAllows(rule({ resourceNames: ['app'] }), { ...pull, name: undefined })).toBe(false)
  })

  test('makes of the names of a rule no more than they are, whatever is asked', () => {
    let read = 0
    const names = Object.assign(['app'], {
      *[Symbol.iterator]() {
        read += 1
        yield 'app'
      },
    })
    const allows = compileRules([rule({ verbs: ['*'], resourceNames: names })])
    for (let i = 0; i < 100; i += 1) expect(allows({ ...pull, verb: `verb${i}` })).toBe(true)
    expect(read).toBe(1)
  })

  test('does not give the resource itself by */layers', () => {
    expect(ruleAllows(rule({ resources: ['*/layers'] }), { ...pull, resource: 'imagestreams' })).toBe(false)
  })
})

const words = (...values: string[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 })
const anyRule: fc.Arbitrary<PolicyRule> = fc.record({
  verbs: words('get', 'update', 'delete', '*'),
  apiGroups: words('', 'image.openshift.io', '*'),
  resources: words('imagestreams', 'imagestreams/layers', '*/layers', '*'),
  resourceNames: fc.oneof(fc.constant([]), words('app', 'app2')),
})
const anyRight: fc.Arbitrary<Right> = fc.record({
  verb: fc.constantFrom('get', 'update', 'delete', 'list'),
  group: fc.constantFrom('', 'image.openshift.io', 'weir.dev'),
  resource: fc.constantFrom('imagestreams', 'imagestreams/layers', 'imagestreams/status', 'tagevents'),
  name: fc.constantFrom('', 'app', 'app2'),
})

describe('spellOut()', () => {
  test('rules allow what one of them does, whatever was asked before', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 5 }), fc.array(anyRight, { maxLength: 100 }), (rules, rights) => {
        const allows = compileRules(rules)
        for (const right of [...rights, ...rights.toReversed()]) {
          expect(allows(right)).toBe(rules.some((one) => ruleAllows(one, right)))
          expect(anyAllows(rules, right)).toBe(allows(right))
          expect(anyAllows(rules, { ...right, name: undefined })).toBe(allows({ ...right, name: undefined }))
        }
      }),
      { numRuns: 300 },
    )
    const allows = compileRules([rule({ resourceNames: ['app'] }), rule({ verbs: ['update'] })])
    for (let i = 0; i < 100; i++) expect(allows({ ...pull, verb: `verb ${i}` })).toBe(false)
    expect([allows(pull), allows({ ...pull, name: 'other' }), allows({ ...pull, verb: 'update' })]).toEqual([
      true,
      false,
      true,
    ])
  })

  test('whoever holds every single right of a rule can do all that the rule allows', () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 3 }), anyRule, anyRight, (held, given, right) => {
        const holdsAll = spellOut([given]).every((single) => held.some((one) => ruleAllows(one, single)))
        fc.pre(holdsAll && ruleAllows(given, right))
        expect(held.some((one) => ruleAllows(one, right))).toBe(true)
      }),
      { numRuns: 300, maxSkipsPerRun: 1000 },
    )
  })

  test('a rule holds itself', () => {
    fc.assert(
      fc.property(anyRule, (one) => {
        expect(spellOut([one]).every((right) => ruleAllows(one, right))).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  test('refuses a role whose lists multiply beyond 2,000 rights', () => {
    const many = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}${i}`)
    const at = rule({ verbs: many('v', 100), resources: many('r', 20) })
    expect(spellOut([at])).toHaveLength(2_000)
    expect(() => spellOut([at, rule()])).toThrow(RegistryError)
    expect(() => spellOut([rule({ ...at, apiGroups: many('g', 1000), resourceNames: many('n', 1000) })])).toThrow(
      '2000',
    )
  })
})
