import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BindingSubject, PolicyRule, Rbac, Subject } from '../../src/access/access.ts'
import { createBindings } from '../../src/access/bindings.ts'
import { createClusterRoles } from '../../src/access/cluster-roles.ts'
import { builtinRoles } from '../../src/access/roles.ts'
import { objectKey } from '../../src/store/objects.ts'
import {
  type Asked,
  grants,
  type Model,
  type ModelBinding,
  type ModelRole,
  mayByModel,
  rulesByModel,
} from './rbac-reference.ts'
import { accessWorld } from './world.ts'

const verbs = ['get', 'update', 'list']
const groups = ['', 'image.openshift.io']
const resources = ['imagestreams', 'imagestreams/layers', 'imagestreams/status', 'secrets']
const names = ['', 'app', 'app2']
const projects = ['', 'a', 'b']
const some = <T>(...values: T[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 })

const anyRule: fc.Arbitrary<PolicyRule> = fc.record({
  verbs: some(...verbs, '*'),
  apiGroups: some(...groups, '*'),
  resources: some(...resources, '*', '*/layers', 'imagestreams/*'),
  resourceNames: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, some('app', 'app2', '')),
})
const labelKeys = [
  'x',
  'y',
  'rbac.authorization.k8s.io/aggregate-to-view',
  'rbac.authorization.k8s.io/aggregate-to-edit',
]
const anyLabels = fc.dictionary(fc.constantFrom(...labelKeys), fc.constantFrom('true', 'false'), { maxKeys: 2 })
const anySelector = fc.record(
  {
    matchLabels: anyLabels,
    matchExpressions: fc.array(
      fc.oneof(
        fc.record({
          key: fc.constantFrom(...labelKeys),
          operator: fc.constantFrom('In' as const, 'NotIn' as const),
          values: some('true', 'false'),
        }),
        fc.record({
          key: fc.constantFrom(...labelKeys),
          operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const),
        }),
      ),
      { maxLength: 2 },
    ),
  },
  { requiredKeys: [] },
)
const anyRole: fc.Arbitrary<ModelRole> = fc
  .record({
    project: fc.constantFrom(...projects),
    name: fc.constantFrom('r1', 'r2', 'r3', 'r4', 'r5'),
    labels: anyLabels,
    rules: fc.array(anyRule, { maxLength: 3 }),
    selectors: fc.option(fc.array(anySelector, { minLength: 1, maxLength: 2 }), { freq: 2 }),
  })
  .map(({ selectors, ...role }) => (role.project === '' && selectors !== null ? { ...role, selectors } : role))
const anyBindingSubject: fc.Arbitrary<BindingSubject> = fc.oneof(
  fc
    .constantFrom('ann', 'bob', 'devs', 'system:anonymous', 'system:serviceaccount:a:ci')
    .map((name): BindingSubject => ({ kind: 'User', name })),
  fc
    .constantFrom('devs', 'ann', 'system:authenticated', 'system:unauthenticated', 'system:serviceaccounts:a')
    .map((name): BindingSubject => ({ kind: 'Group', name })),
  fc.constantFrom('a', 'b').map((namespace): BindingSubject => ({ kind: 'ServiceAccount', name: 'ci', namespace })),
  fc.constant<BindingSubject>({ kind: 'ServiceAccount', name: 'ci' }),
)
const anyBinding: fc.Arbitrary<ModelBinding> = fc.record({
  project: fc.constantFrom(...projects),
  name: fc.constantFrom('b1', 'b2', 'b3', 'b4'),
  role: fc.record({
    kind: fc.constantFrom('Role' as const, 'ClusterRole' as const),
    name: fc.constantFrom('r1', 'r2', 'r3', 'r4', 'r5', 'none', 'view', 'edit', 'cluster-admin'),
  }),
  subjects: fc.array(anyBindingSubject, { maxLength: 3 }),
})
const builtin: ModelRole[] = builtinRoles.map(({ name, labels, rules, aggregationRule }) => ({
  project: '',
  name,
  labels: { ...labels },
  rules: [...rules],
  ...(aggregationRule && { selectors: aggregationRule.clusterRoleSelectors as ModelRole['selectors'] & object }),
}))
const byPlace = ({ project, name }: { project: string; name: string }) => `${project}/${name}`
const anyModel: fc.Arbitrary<Model> = fc.record({
  roles: fc.uniqueArray(anyRole, { selector: byPlace, maxLength: 8 }).map((roles) => [...builtin, ...roles]),
  bindings: fc.uniqueArray(anyBinding, { selector: byPlace, maxLength: 6 }),
})
const anyAsked: fc.Arbitrary<Asked> = fc.record({
  verb: fc.constantFrom(...verbs),
  group: fc.constantFrom(...groups),
  resource: fc.constantFrom(...resources),
  name: fc.constantFrom(...names),
  project: fc.constantFrom(...projects),
})
const subjects: Subject[] = [
  { name: 'ann', groups: ['system:authenticated'] },
  { name: 'bob', groups: ['devs', 'system:authenticated'] },
  { name: 'system:serviceaccount:a:ci', groups: ['system:serviceaccounts:a', 'system:authenticated'] },
  { name: 'system:serviceaccount:b:ci', groups: ['system:serviceaccounts:b', 'system:authenticated'] },
  { name: 'system:anonymous', groups: ['system:unauthenticated'] },
  { name: 'root', groups: ['system:masters', 'system:authenticated'] },
]
const anonymous = subjects[4] as Subject

/** An evaluator whose records become those of one model after another, by changes, additions and deletions. */
async function evaluator(): Promise<(model: Model) => Promise<Rbac>> {
  const world = await accessWorld()
  let stored: ReadonlySet<string> = new Set()
  return async (model) => {
    const records = recordsOf(model)
    const gone = [...stored].filter((key) => !records.has(key))
    const operations = [
      ...gone.map((key) => ({ type: 'delete' as const, key })),
      ...[...records].map(([key, value]) => ({ type: 'put' as const, key, value: JSON.stringify(value) })),
    ]
    stored = new Set(records.keys())
    if (operations.length === 0) return world.authorizer
    const result = await world.store.commit({ operations })
    if (result.status !== 'committed') throw new Error(result.status)
    await world.authorizer.reached(result.revision)
    return world.authorizer
  }
}

function recordsOf(model: Model): Map<string, object> {
  const records = new Map<string, object>()
  for (const { project, name, labels, rules, selectors } of model.roles.slice(builtin.length)) {
    const key = objectKey(project === '' ? 'clusterroles' : 'roles', project, name)
    const aggregationRule = selectors && { aggregationRule: { clusterRoleSelectors: selectors } }
    records.set(key, { metadata: { name, labels }, rules, ...aggregationRule })
  }
  for (const { project, name, role, subjects } of model.bindings) {
    const key = objectKey(project === '' ? 'clusterrolebindings' : 'rolebindings', project, name)
    records.set(key, { roleRef: { apiGroup: 'rbac.authorization.k8s.io', ...role }, subjects })
  }
  return records
}

const asTuple = ({ verb, group, resource, name, project }: Asked) => [verb, group, resource, name, project] as const

describe('of any roles and bindings', () => {
  test('can() decides as Kubernetes does, explain() agrees and names a binding that gives it', async () => {
    const store = await evaluator()
    await fc.assert(
      fc.asyncProperty(anyModel, fc.array(anyAsked, { minLength: 1, maxLength: 12 }), async (model, questions) => {
        const authorizer = await store(model)
        for (const asked of questions) {
          for (const subject of subjects) {
            const may = mayByModel(model, subject, asked)
            expect(authorizer.can(subject, ...asTuple(asked))).toBe(may)
            const grant = authorizer.explain(subject, ...asTuple(asked))
            expect(grant !== undefined).toBe(may)
            if (grant === undefined || grant.kind === 'Group') continue
            const binding = model.bindings.find((one) => byPlace(one) === byPlace(grant)) as ModelBinding
            expect([binding.role, binding.project === '']).toEqual([
              { kind: grant.role?.kind, name: grant.role?.name },
              grant.kind === 'ClusterRoleBinding',
            ])
            const to = grant.to as BindingSubject
            const givesToHim = [subject, anonymous].some(
              (one) => isNamed(to, one) && grants(model, binding, one, asked),
            )
            expect(givesToHim).toBe(true)
          }
        }
      }),
      { numRuns: 300 },
    )
  }, 120_000)

  test('whoCan() names whoever can, each once, with what gives it, and nobody else', async () => {
    const store = await evaluator()
    await fc.assert(
      fc.asyncProperty(anyModel, anyAsked, async (model, asked) => {
        const authorizer = await store(model)
        const { project, ...right } = asked
        const told = authorizer.whoCan(right, project)
        expect(told.incomplete).toBe(false)
        const keys = told.subjects.map(({ kind, namespace = '', name }) => `${kind} ${namespace} ${name}`)
        expect(new Set(keys).size).toBe(keys.length)
        expect(keys).toContain('Group  system:masters')
        for (const { grant, ...one } of told.subjects) {
          if (grant.kind === 'Group') continue
          const binding = model.bindings.find((each) => byPlace(each) === byPlace(grant)) as ModelBinding
          expect(grants(model, binding, subjectNamed(one), asked)).toBe(true)
        }
        for (const subject of subjects) {
          const isTold = [subject, anonymous].some((one) => told.subjects.some((each) => isNamed(each, one)))
          expect([subject.name, isTold]).toEqual([subject.name, authorizer.can(subject, ...asTuple(asked))])
        }
      }),
      { numRuns: 300 },
    )
  }, 120_000)

  test('rulesFor() gives what can() allows, and no more', async () => {
    const store = await evaluator()
    await fc.assert(
      fc.asyncProperty(anyModel, fc.array(anyAsked, { minLength: 1, maxLength: 12 }), async (model, questions) => {
        const authorizer = await store(model)
        for (const asked of questions) {
          for (const subject of subjects) {
            const rules = [...authorizer.rulesFor(subject, asked.project)]
            const role = { project: '', name: 'all', labels: {}, rules }
            const binding = {
              project: '',
              name: 'all',
              role: { kind: 'ClusterRole' as const, name: 'all' },
              subjects: [{ kind: 'User' as const, name: subject.name }],
            }
            const may = mayByModel({ roles: [role], bindings: [binding] }, { ...subject, groups: [] }, asked)
            expect(may).toBe(authorizer.can(subject, ...asTuple(asked)))
          }
        }
      }),
      { numRuns: 200 },
    )
  }, 120_000)

  test('an aggregated role has the rules that copying from role to role would come to', async () => {
    const store = await evaluator()
    await fc.assert(
      fc.asyncProperty(anyModel, async (model) => {
        const authorizer = await store(model)
        for (const role of model.roles.filter(({ project }) => project === '')) {
          const rules = authorizer.rulesOf({ kind: 'ClusterRole', name: role.name }, '') ?? []
          expect([role.name, asSet(rules)]).toEqual([role.name, asSet(rulesByModel(model, role))])
        }
      }),
      { numRuns: 300 },
    )
  }, 120_000)
})

function isNamed({ kind, name, namespace }: BindingSubject, subject: Subject): boolean {
  if (kind === 'Group') return subject.groups.includes(name)
  return subject.name === (kind === 'User' ? name : `system:serviceaccount:${namespace}:${name}`)
}

function subjectNamed({ kind, name, namespace }: BindingSubject): Subject {
  if (kind === 'Group') return { name: '', groups: [name] }
  return { name: kind === 'User' ? name : `system:serviceaccount:${namespace}:${name}`, groups: [] }
}

function asSet(rules: readonly PolicyRule[]): string[] {
  return [
    ...new Set(
      rules.map(({ verbs, apiGroups, resources, resourceNames = [] }) =>
        JSON.stringify([verbs, apiGroups, resources, resourceNames]),
      ),
    ),
  ].sort()
}

describe('aggregation', () => {
  const warned: object[] = []
  const log = { warn: (line: object) => void warned.push(line) }
  const rule = (resource: string): PolicyRule => ({ verbs: ['get'], apiGroups: [''], resources: [resource] })
  const taking = (labels: Record<string, string>, matchLabels: Record<string, string>) => ({
    labels,
    rules: [],
    aggregationRule: { clusterRoleSelectors: [{ matchLabels }] },
  })

  test('of roles that select themselves and one another ends, with the rules of all', () => {
    const roles = createClusterRoles([], log)
    roles.set('a', taking({ t: 'b' }, { t: 'a' }))
    roles.set('b', taking({ t: 'a' }, { t: 'b' }))
    roles.set('self', taking({ t: 'self' }, { t: 'self' }))
    roles.set('x', { labels: { t: 'a' }, rules: [rule('x')] })
    roles.set('y', { labels: { t: 'b' }, rules: [rule('y')] })
    const resourcesOf = (name: string) =>
      roles
        .get(name)
        ?.rules.flatMap(({ resources }) => resources)
        .sort()
    expect([resourcesOf('a'), resourcesOf('b'), resourcesOf('self')]).toEqual([['x', 'y'], ['x', 'y'], []])
    roles.set('x', undefined)
    expect([resourcesOf('a'), resourcesOf('b')]).toEqual([['y'], ['y']])
  })

  test('drops the rules that an aggregated role came with', () => {
    const roles = createClusterRoles([], log)
    roles.set('a', { ...taking({}, { t: 'a' }), rules: [rule('secrets')] })
    expect(roles.get('a')?.rules).toEqual([])
  })

  test('through a long chain of roles ends after 100, without a deep stack', () => {
    const roles = createClusterRoles([], log)
    for (let i = 0; i < 20_000; i += 1) roles.set(`r${i}`, taking({ n: `${i}` }, { n: `${i + 1}` }))
    for (const i of [50, 150]) roles.set(`leaf${i}`, { labels: { n: `${i}` }, rules: [rule(`at${i}`)] })
    expect(roles.get('r0')?.rules).toEqual([rule('at50')])
  })

  test('takes at most 1 MiB of rules, the built-in ones first, and says so in the log', () => {
    const view = builtinRoles.find(({ name }) => name === 'view')?.aggregationRule?.clusterRoleSelectors[0]
    const roles = createClusterRoles(builtinRoles, log)
    const whole = roles.get('view')?.rules ?? []
    const wide = { ...rule('x'), resourceNames: ['n'.repeat(300_000)] }
    for (let i = 0; i < 5; i += 1) roles.set(`a${i}`, { labels: { ...view?.matchLabels }, rules: [wide] })
    expect(roles.get('view')?.rules).toEqual([...whole, wide, wide, wide])
    expect(warned).toContainEqual(expect.objectContaining({ clusterRole: 'view' }))
  })

  test('is made anew only for those who take from what changed', () => {
    const roles = createClusterRoles(builtinRoles, log)
    const before = ['view', 'edit', 'admin', 'cluster-reader'].map((name) => roles.get(name))
    roles.set('other', { labels: { a: 'b' }, rules: [rule('x')] })
    expect(['view', 'edit', 'admin', 'cluster-reader'].map((name) => roles.get(name))).toEqual(before)
    const labels = { 'rbac.authorization.k8s.io/aggregate-to-edit': 'true' }
    roles.set('more', { labels, rules: [rule('x')] })
    const isSame = ['view', 'edit', 'admin', 'cluster-reader'].map((name, i) => roles.get(name) === before[i])
    expect(isSame).toEqual([true, false, false, true])
  })

  test('takes nothing from a stored role that is called as a built-in one, nor lets it take', () => {
    const roles = createClusterRoles(builtinRoles, log)
    const before = roles.get('edit')?.rules
    const labels = { 'rbac.authorization.k8s.io/aggregate-to-edit': 'true' }
    roles.set('self-provisioner', { labels, rules: [rule('x')] })
    roles.set('view', { ...taking(labels, {}), rules: [rule('x')] })
    expect(roles.get('edit')?.rules).toEqual(before)
    roles.set('view', undefined)
    expect(roles.get('view')?.rules).toContainEqual(expect.objectContaining({ resources: ['imagestreams/layers'] }))
  })

  test('looks at labels alone, whatever a selector is called', () => {
    const roles = createClusterRoles([], log)
    roles.set('a', {
      labels: {},
      rules: [],
      aggregationRule: {
        clusterRoleSelectors: [{ matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }],
      },
    })
    roles.set('x', { labels: {}, rules: [rule('x')] })
    expect(roles.get('a')?.rules).toEqual([])
  })
})

describe('who is named', () => {
  test('is at most 10,000, and it is told that there are more', async () => {
    const { authorizer, put } = await accessWorld()
    const bind = (name: string, from: number, count: number) =>
      put(`object/rolebindings/demo/${name}`, {
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
        subjects: Array.from({ length: count }, (_, i) => ({ kind: 'User', name: `u${from + i}` })),
      })
    const ask = () => authorizer.whoCan({ verb: 'get', group: '', resource: 'imagestreams', name: '' }, 'demo')
    await bind('a', 0, 5_000)
    await bind('b', 4_000, 5_999)
    expect([ask().subjects.length, ask().incomplete]).toEqual([10_000, false])
    const everywhere = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' }
    await put('object/clusterrolebindings//c', { roleRef: everywhere, subjects: [{ kind: 'User', name: 'u0' }] })
    expect([ask().subjects.length, ask().incomplete]).toEqual([10_000, false])
    expect(ask().subjects.find(({ name }) => name === 'u0')?.grant.kind).toBe('RoleBinding')
    await bind('c', 20_000, 1)
    expect([ask().subjects.length, ask().incomplete]).toEqual([10_000, true])
  })

  test('is asked of each role once, however many are bound to it', () => {
    const bindings = createBindings()
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' } as const
    for (let i = 0; i < 1_000; i += 1)
      bindings.set('demo', `b${i}`, { roleRef, subjects: [{ kind: 'User', name: `u${i}` }] })
    let asked = 0
    const told = [...bindings.named('demo', () => ++asked > 0)]
    expect([told.length, asked]).toEqual([1_000, 1])
  })
})
