import { describe, expect, test } from 'vitest'
import { createClusterRoles } from '../../src/access/cluster-roles.ts'
import { builtinRoles } from '../../src/access/roles.ts'
import { compileRules, spellOut } from '../../src/access/rules.ts'

const clusterRoles = createClusterRoles(builtinRoles, { warn: () => undefined })
const rulesOf = (name: string) => {
  const role = clusterRoles.get(name)
  if (role === undefined) throw new Error(`no role ${name}`)
  return role.rules
}
/** Those that are there to be bound: the others are parts of them. */
const bound = (roles: readonly { name: string }[]) =>
  roles.map(({ name }) => name).filter((name) => !name.startsWith('system:aggregate-to-'))
const holds = (owner: string, given: string) =>
  spellOut(rulesOf(given)).every((right) => compileRules(rulesOf(owner))(right))
const may = (role: string, verb: string, resource: string, group = 'image.openshift.io') =>
  compileRules(rulesOf(role))({ verb, group, resource, name: 'app' })

describe('built-in roles', () => {
  test.each([
    ['admin', 'edit'],
    ['admin', 'registry-admin'],
    ['admin', 'system:image-builder'],
    ['edit', 'view'],
    ['edit', 'registry-editor'],
    ['view', 'registry-viewer'],
    ['registry-admin', 'registry-editor'],
    ['registry-editor', 'registry-viewer'],
    ['registry-editor', 'system:image-builder'],
    ['registry-viewer', 'system:image-puller'],
    ['system:image-builder', 'system:image-pusher'],
    ['system:image-pusher', 'system:image-puller'],
    ['cluster-admin', 'admin'],
    ['cluster-admin', 'system:image-pruner'],
  ])('%s holds all of %s, and so may give it', (owner, given) => {
    expect(holds(owner, given)).toBe(true)
  })

  test.each([
    ['edit', 'admin'],
    ['view', 'edit'],
    ['registry-admin', 'admin'],
    ['system:image-puller', 'system:image-pusher'],
    ['system:image-pusher', 'system:image-builder'],
    ['admin', 'cluster-admin'],
    ['admin', 'system:image-signer'],
  ])('%s does not hold all of %s', (owner, given) => {
    expect(holds(owner, given)).toBe(false)
  })

  test.each([
    ['system:image-puller', 'get', 'update'],
    ['view', 'get', 'update'],
    ['system:image-pusher', 'update', 'delete'],
    ['edit', 'delete', 'patch'],
  ])('%s may %s layers, not %s them', (role, allowed, refused) => {
    expect(may(role, allowed, 'imagestreams/layers')).toBe(true)
    expect(may(role, refused, 'imagestreams/layers')).toBe(false)
  })

  test('rules about streams hold in both groups alike', () => {
    for (const { name } of builtinRoles) {
      for (const right of spellOut(rulesOf(name)).filter(({ resource }) => resource.startsWith('image'))) {
        expect([name, may(name, right.verb, right.resource, '')]).toEqual([name, true])
        expect([name, may(name, right.verb, right.resource)]).toEqual([name, true])
      }
    }
  })

  test('only roles that are to say who may use a project touch its bindings', () => {
    const writers = builtinRoles.filter(({ name }) => may(name, 'create', 'rolebindings', 'rbac.authorization.k8s.io'))
    expect(bound(writers)).toEqual(['registry-admin', 'admin', 'cluster-admin'])
  })

  test('only those who change a project make tokens for its service accounts', () => {
    const makers = builtinRoles.filter(({ name }) => may(name, 'create', 'serviceaccounts/token', ''))
    expect(bound(makers)).toEqual(['edit', 'admin', 'cluster-admin'])
  })

  test('who changes tags may also map images to them, and who only pushes may not', () => {
    const mappers = builtinRoles.filter(({ name }) => may(name, 'create', 'imagestreammappings'))
    const changers = builtinRoles.filter(({ name }) => may(name, 'patch', 'imagestreamtags'))
    expect(bound(mappers).filter((name) => name !== 'system:registry')).toEqual(bound(changers))
    expect(bound(changers)).toEqual(['registry-editor', 'registry-admin', 'edit', 'admin', 'cluster-admin'])
  })

  const every = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection']
  const holders = (verb: string, resource: string, group?: string) =>
    bound(builtinRoles.filter(({ name }) => may(name, verb, resource, group)))

  test('secrets are for those who change a project: who reads alone reads none, not even of the whole cluster', () => {
    for (const verb of every)
      expect([verb, holders(verb, 'secrets', '')]).toEqual([verb, ['edit', 'admin', 'cluster-admin']])
    expect(holders('get', 'imagestreams/secrets')).toEqual([
      'system:registry',
      'registry-editor',
      'registry-admin',
      'edit',
      'admin',
      'cluster-admin',
    ])
  })

  test.each(['sessions', 'auditevents', 'upstreams'])('only who may do everything has to do with %s', (resource) => {
    for (const verb of every) expect(holders(verb, resource, 'weir.dev')).toEqual(['cluster-admin'])
  })

  test('only who may do everything writes cluster roles, their bindings, or beyond what he holds', () => {
    const group = 'rbac.authorization.k8s.io'
    for (const resource of ['clusterroles', 'clusterrolebindings']) {
      for (const verb of [...every.slice(3), 'escalate', 'bind']) {
        expect(holders(verb, resource, group)).toEqual(['cluster-admin'])
      }
      expect(holders('get', resource, group)).toEqual(['cluster-reader', 'cluster-admin'])
    }
    expect(holders('escalate', 'roles', group)).toEqual(['cluster-admin'])
    expect(holders('bind', 'roles', group)).toEqual(['cluster-admin'])
  })

  test('who says who may use a project may ask who may', () => {
    const admins = ['registry-admin', 'admin', 'cluster-reader', 'cluster-admin']
    expect(holders('create', 'localsubjectaccessreviews', 'authorization.k8s.io')).toEqual(admins)
    for (const resource of ['localsubjectaccessreviews', 'localresourceaccessreviews', 'subjectrulesreviews']) {
      expect(holders('create', resource, 'authorization.openshift.io')).toEqual(admins)
    }
  })

  test('self-provisioner alone makes projects, and nobody is bound to it', () => {
    expect(holders('create', 'projectrequests', 'project.openshift.io')).toEqual(['self-provisioner', 'cluster-admin'])
  })

  test('cluster-reader reads and changes nothing', () => {
    for (const right of spellOut(rulesOf('cluster-reader'))) {
      expect(['get', 'list', 'watch', 'create']).toContain(right.verb)
      if (right.verb === 'create') expect(right.resource).toMatch(/reviews$/)
    }
  })

  test('prune alone writes the status of a stream', () => {
    const writers = builtinRoles.filter(({ name }) => may(name, 'update', 'imagestreams/status'))
    expect(writers.map(({ name }) => name)).toEqual(['system:image-pruner', 'cluster-admin'])
  })
})
