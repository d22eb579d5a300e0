import { describe, expect, test } from 'vitest'
import { anonymous, mastersGroup, type Subject } from '../../src/access/access.ts'
import { type AccessWorld, accessWorld, group, person, robot, user } from './world.ts'

const pull = (world: AccessWorld, subject: Subject, stream = 'app', project = 'demo') =>
  world.authorizer.can(subject, 'get', 'image.openshift.io', 'imagestreams/layers', stream, project)
const ann = person('ann')
const puller = 'system:image-puller'

describe('can()', () => {
  test('nobody may anything in a new project, save the masters', async () => {
    const world = await accessWorld()
    const { subject } = await world.account('demo', 'ci')
    expect(pull(world, ann)).toBe(false)
    expect(pull(world, subject)).toBe(false)
    expect(pull(world, anonymous)).toBe(false)
    expect(pull(world, person('root', mastersGroup))).toBe(true)
  })

  test('a binding gives its role to a user, in its project alone', async () => {
    const world = await accessWorld()
    await world.bind('demo', puller, user('ann'))
    expect(pull(world, ann)).toBe(true)
    expect(pull(world, ann, 'app', 'demo2')).toBe(false)
    expect(pull(world, ann, 'app', 'dem')).toBe(false)
    expect(pull(world, ann, 'app', '')).toBe(false)
    expect(pull(world, person('Ann'))).toBe(false)
    expect(pull(world, person('annette'))).toBe(false)
  })

  test('a user is not a group of the same name', async () => {
    const world = await accessWorld()
    await world.bind('demo', puller, group('ann'))
    expect(pull(world, ann)).toBe(false)
    expect(pull(world, person('bob', 'ann'))).toBe(true)
  })

  test('a service account has its user name and its groups', async () => {
    const world = await accessWorld()
    const { subject: ci } = await world.account('demo', 'ci')
    const { subject: other } = await world.account('other', 'ci')
    await world.bind('a', puller, robot('demo', 'ci'))
    await world.bind('b', puller, group('system:serviceaccounts:demo'))
    await world.bind('c', puller, group('system:serviceaccounts'))
    await world.bind('d', puller, group('system:authenticated'))
    const projects = (subject: Subject) =>
      ['a', 'b', 'c', 'd'].filter((project) => pull(world, subject, 'app', project))
    expect(projects(ci)).toEqual(['a', 'b', 'c', 'd'])
    expect(projects(other)).toEqual(['c', 'd'])
    expect(projects(anonymous)).toEqual([])
  })

  test("a service account without a namespace is one of the binding's project", async () => {
    const world = await accessWorld()
    const { subject } = await world.account('demo', 'ci')
    await world.bind('demo', puller, { kind: 'ServiceAccount', name: 'ci' })
    await world.bind('', puller, { kind: 'ServiceAccount', name: 'ci' })
    expect(pull(world, subject)).toBe(true)
    expect(pull(world, subject, 'app', 'other')).toBe(false)
  })

  test.each([user('system:anonymous'), group('system:unauthenticated')])(
    'what $kind $name may, everybody may',
    async (subject) => {
      const world = await accessWorld()
      await world.bind('demo', puller, subject)
      expect(pull(world, anonymous)).toBe(true)
      expect(pull(world, ann)).toBe(true)
    },
  )

  test("a project's own Role counts there, with its resource names", async () => {
    const world = await accessWorld()
    const rules = [
      { verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'], resourceNames: ['app'] },
    ]
    await world.role('demo', 'app-puller', rules)
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'app-puller' }
    await world.put('object/rolebindings/demo/one', { roleRef, subjects: [user('ann')] })
    await world.put('object/rolebindings/other/one', { roleRef, subjects: [user('ann')] })
    await world.put('object/clusterrolebindings//one', { roleRef, subjects: [user('ann')] })
    expect(pull(world, ann)).toBe(true)
    expect(pull(world, ann, 'app2')).toBe(false)
    expect(pull(world, ann, 'app', 'other')).toBe(false)
  })

  test('a cluster role binding holds in every project', async () => {
    const world = await accessWorld()
    const key = await world.bind('', puller, user('ann'))
    expect([pull(world, ann), pull(world, ann, 'x', 'any')]).toEqual([true, true])
    await world.remove(key)
    expect(pull(world, ann)).toBe(false)
  })

  test('a stored cluster role can be bound, and does not replace a built-in one', async () => {
    const world = await accessWorld()
    const everything = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]
    await world.role('', 'mine', everything)
    await world.role('', 'view', everything)
    await world.bind('demo', 'mine', user('ann'))
    await world.bind('demo', 'view', user('bob'))
    const mayDelete = (name: string) => world.authorizer.can(person(name), 'delete', '', 'imagestreams', 'app', 'demo')
    expect([mayDelete('ann'), mayDelete('bob')]).toEqual([true, false])
  })

  test('a removed binding, a changed one and a removed role end the right, and the version grows', async () => {
    const world = await accessWorld()
    const versions = [world.authorizer.version]
    const note = () => versions.push(world.authorizer.version)
    const key = await world.bind('demo', puller, user('ann'), 'one')
    note()
    expect(pull(world, ann)).toBe(true)
    await world.bind('demo', puller, user('bob'), 'one')
    note()
    expect([pull(world, ann), pull(world, person('bob'))]).toEqual([false, true])
    await world.remove(key)
    note()
    expect(pull(world, person('bob'))).toBe(false)
    await world.account('demo', 'ci')
    note()
    expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b))
  })

  test('two bindings of one role to one user end one by one', async () => {
    const world = await accessWorld()
    const keys = [await world.bind('demo', puller, user('ann')), await world.bind('demo', puller, user('ann'))]
    await world.remove(keys[0] ?? '')
    expect(pull(world, ann)).toBe(true)
    await world.remove(keys[1] ?? '')
    expect(pull(world, ann)).toBe(false)
  })

  test.each<[string, unknown]>([
    ['a string', 'admin'],
    ['no roleRef', { subjects: [user('ann')] }],
    ['a foreign apiGroup', { roleRef: { apiGroup: 'x', kind: 'ClusterRole', name: 'admin' }, subjects: [user('ann')] }],
    ['an unknown kind of subject', { roleRef: roleRef('admin'), subjects: [{ kind: 'Users', name: 'ann' }] }],
    ['no such role', { roleRef: roleRef('Admin'), subjects: [user('ann')] }],
    ['no subjects', { roleRef: roleRef('admin') }],
  ])('a stored binding with %s gives nothing, and the others go on', async (_, value) => {
    const world = await accessWorld()
    await world.put('object/rolebindings/demo/broken', value)
    await world.bind('demo', puller, user('bob'))
    expect([pull(world, ann), pull(world, person('bob'))]).toEqual([false, true])
  })

  test('what cannot be read is logged by its key', async () => {
    const world = await accessWorld()
    await world.put('object/roles/demo/broken', { rules: 'all' })
    expect(world.lines).toContainEqual(expect.objectContaining({ level: 40, key: 'object/roles/demo/broken' }))
  })

  test('what was bound before the start counts', async () => {
    const world = await accessWorld()
    await world.bind('demo', puller, user('ann'))
    const { authorizer } = await world.open()
    expect(authorizer.can(ann, 'get', 'image.openshift.io', 'imagestreams/layers', 'app', 'demo')).toBe(true)
  })
})

describe('holdsAll()', () => {
  test('an admin of a project may give its roles there, and nowhere else', async () => {
    const world = await accessWorld()
    await world.bind('demo', 'admin', user('ann'))
    for (const name of ['admin', 'edit', 'view', puller, 'system:image-builder', 'registry-admin']) {
      const rules = world.authorizer.rulesOf({ kind: 'ClusterRole', name }, 'demo') ?? []
      expect(world.authorizer.holdsAll(ann, rules, 'demo')).toEqual([])
      expect(world.authorizer.holdsAll(ann, rules, 'other')).not.toEqual([])
      expect(world.authorizer.holdsAll(ann, rules, '')).not.toEqual([])
    }
  })

  test('a role that he holds whole he may give, however many rights it has, and not a wider one', async () => {
    const world = await accessWorld()
    const names = Array.from({ length: 1000 }, (_, i) => `n${i}`)
    const wide = { verbs: ['get', 'list', 'watch'], apiGroups: [''], resources: ['imagestreams'], resourceNames: names }
    const labels = { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' }
    await world.put('object/clusterroles//wide', { metadata: { labels }, rules: [wide] })
    await world.bind('demo', 'admin', user('ann'))
    const rules = world.authorizer.rulesOf({ kind: 'ClusterRole', name: 'view' }, 'demo') ?? []
    expect(rules).toContainEqual(wide)
    expect(world.authorizer.holdsAll(ann, rules, 'demo')).toEqual([])
    expect(() => world.authorizer.holdsAll(ann, rules, 'other')).toThrow(expect.objectContaining({ code: 'INVALID' }))
    const { resourceNames: _, ...all } = wide
    expect(world.authorizer.holdsAll(ann, [...rules, { ...all, resources: ['nodes'] }], 'demo')).toHaveLength(3)
  })

  test('names what is missing', async () => {
    const world = await accessWorld()
    const pusher = { kind: 'ClusterRole', name: 'system:image-pusher' } as const
    await world.bind('demo', puller, user('ann'))
    expect(world.authorizer.holdsAll(ann, world.authorizer.rulesOf(pusher, 'demo') ?? [], 'demo')).toEqual([
      { verbs: ['update'], apiGroups: [''], resources: ['imagestreams/layers'] },
      { verbs: ['update'], apiGroups: ['image.openshift.io'], resources: ['imagestreams/layers'] },
    ])
  })

  test('whoever holds one stream can not give all streams', async () => {
    const world = await accessWorld()
    const one = { verbs: ['get'], apiGroups: [''], resources: ['imagestreams/layers'], resourceNames: ['app'] }
    await world.role('demo', 'one', [one])
    await world.put('object/rolebindings/demo/one', { roleRef: roleRef('one', 'Role'), subjects: [user('ann')] })
    const { resourceNames: _, ...all } = one
    expect(world.authorizer.holdsAll(ann, [one], 'demo')).toEqual([])
    expect(world.authorizer.holdsAll(ann, [{ ...one, resourceNames: ['app', 'b'] }], 'demo')).toEqual([
      { ...one, resourceNames: ['b'] },
    ])
    expect(world.authorizer.holdsAll(ann, [all], 'demo')).toEqual([all])
    expect(world.authorizer.holdsAll(person('root', mastersGroup), [all], 'demo')).toEqual([])
  })
})

describe('many bindings to one role', () => {
  const names = Array.from({ length: 1000 }, (_, i) => `n${i}`)
  const wide = { verbs: ['get'], apiGroups: [''], resources: ['imagestreams/layers'], resourceNames: names }

  async function manyBindings(): Promise<AccessWorld> {
    const world = await accessWorld()
    await world.role('demo', 'wide', [wide])
    const value = JSON.stringify({ roleRef: roleRef('wide', 'Role'), subjects: [user('ann')] })
    for (let i = 0; i < 5; i += 1) {
      const operations = names.slice(0, 100).map((name) => ({
        type: 'put' as const,
        key: `object/rolebindings/demo/${i}${name}`,
        value,
      }))
      const written = await world.store.commit({ operations })
      await world.authorizer.reached(written.status === 'committed' ? written.revision : 0)
    }
    return world
  }

  test('are decided as one is, and so is what they give', async () => {
    const { authorizer } = await manyBindings()
    expect(authorizer.can(ann, 'get', '', 'imagestreams/layers', 'n999', 'demo')).toBe(true)
    expect(authorizer.can(ann, 'get', '', 'imagestreams/layers', 'other', 'demo')).toBe(false)
    expect(authorizer.holdsAll(ann, [wide], 'demo')).toEqual([])
  })

  test('of many rules do not make the check of a wide role take seconds: it is refused', async () => {
    const world = await accessWorld()
    for (let i = 0; i < 41; i += 1) {
      await world.role('demo', `many${i}`, Array(100).fill({ ...wide, resourceNames: ['x'] }))
      const binding = { roleRef: roleRef(`many${i}`, 'Role'), subjects: [user('ann')] }
      await world.put(`object/rolebindings/demo/many${i}`, binding)
    }
    expect(() => world.authorizer.holdsAll(ann, [wide], 'demo')).toThrow(expect.objectContaining({ code: 'INVALID' }))
    expect(world.authorizer.holdsAll(ann, [{ ...wide, resourceNames: ['x'] }], 'demo')).toEqual([])
  })

  test('of rules with long lists do not either, be it the same word again and again', async () => {
    const world = await accessWorld()
    const long = { ...wide, verbs: Array<string>(1000).fill('get'), resourceNames: ['x'] }
    for (let i = 0; i < 20; i += 1) {
      await world.role('demo', `long${i}`, [long])
      const binding = { roleRef: roleRef(`long${i}`, 'Role'), subjects: [user('ann')] }
      await world.put(`object/rolebindings/demo/long${i}`, binding)
    }
    expect(() => world.authorizer.holdsAll(ann, [wide], 'demo')).toThrow(expect.objectContaining({ code: 'INVALID' }))
    expect(world.authorizer.holdsAll(ann, [{ ...wide, resourceNames: ['x'] }], 'demo')).toEqual([])
  })

  test('give it until the last of them is gone', async () => {
    const world = await accessWorld()
    const first = await world.bind('demo', puller, user('ann'))
    const second = await world.bind('demo', puller, user('ann'))
    await world.remove(second)
    expect(pull(world, ann)).toBe(true)
    await world.remove(first)
    expect(pull(world, ann)).toBe(false)
  })
})

test('whoever holds an empty resource name can give neither all objects nor create any', async () => {
  const world = await accessWorld()
  const empty = { verbs: ['create', 'get'], apiGroups: [''], resources: ['imagestreams'], resourceNames: [''] }
  const { resourceNames: _, ...all } = empty
  await world.role('demo', 'empty', [empty])
  await world.put('object/rolebindings/demo/one', { roleRef: roleRef('empty', 'Role'), subjects: [user('ann')] })
  expect(world.authorizer.can(ann, 'create', '', 'imagestreams', '', 'demo')).toBe(false)
  expect(world.authorizer.holdsAll(ann, [all], 'demo')).toHaveLength(2)
})

test('rulesOf() finds built-in and stored roles, a Role in its project alone', async () => {
  const world = await accessWorld()
  await world.role('demo', 'mine', [])
  const { rulesOf } = world.authorizer
  expect(rulesOf({ kind: 'ClusterRole', name: 'view' }, 'demo')).toBeDefined()
  expect(rulesOf({ kind: 'ClusterRole', name: 'mine' }, 'demo')).toBeUndefined()
  expect(rulesOf({ kind: 'Role', name: 'mine' }, 'demo')).toEqual([])
  expect(rulesOf({ kind: 'Role', name: 'mine' }, 'other')).toBeUndefined()
  expect(rulesOf({ kind: 'Role', name: 'view' }, 'demo')).toBeUndefined()
})

function roleRef(name: string, kind = 'ClusterRole') {
  return { apiGroup: 'rbac.authorization.k8s.io', kind, name }
}
