/** A current kubectl and the four kinds that say who may what: made, read, changed, reconciled and refused. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Kubectl } from './support/kubectl.ts'
import { type KubectlWorld, startKubectlWorld } from './support/kubectl-world.ts'

let world: KubectlWorld
let kubectl: Kubectl

beforeAll(async () => {
  world = await startKubectlWorld()
  kubectl = await world.inProject('demo')
})

afterAll(() => world?.stop())

const streams = 'imagestreams.image.openshift.io'
const toView = 'rbac.authorization.k8s.io/aggregate-to-view=true'

/** kubectl as a new service account of `demo` that is bound to `role`, in the project or by `binding`. */
async function robot(name: string, role?: string, binding = 'rolebinding'): Promise<Kubectl> {
  await kubectl('create', 'sa', name)
  if (role !== undefined)
    await kubectl('create', binding, name, `--clusterrole=${role}`, `--serviceaccount=demo:${name}`)
  const token = (await kubectl('create', 'token', name)).trim()
  return world.as(token, 'demo')
}

const manifest = (kind: string, name: string, fields: object, metadata: object = {}) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind,
  metadata: { name, ...metadata },
  ...fields,
})
const lines = (text: string) => text.trimEnd().split('\n')
const cells = (line = '') => line.trim().split(/ {2,}/)

describe('cluster roles', () => {
  test('are made by kubectl create, with names, subresources and paths, and shown', async () => {
    expect(
      await kubectl('create', 'clusterrole', 'one', '--verb=get,list', `--resource=${streams}`, '--resource-name=app'),
    ).toBe('clusterrole.rbac.authorization.k8s.io/one created\n')
    await kubectl('create', 'clusterrole', 'layers', '--verb=get', `--resource=${streams}/layers`)
    await kubectl('create', 'clusterrole', 'paths', '--verb=get', '--non-resource-url=/metrics,/healthz/*')
    expect((await kubectl.json('get', 'clusterrole', 'one')).rules).toEqual([
      {
        apiGroups: ['image.openshift.io'],
        resources: ['imagestreams'],
        resourceNames: ['app'],
        verbs: ['get', 'list'],
      },
    ])
    expect((await kubectl.json('get', 'clusterrole', 'layers')).rules).toMatchObject([
      { resources: ['imagestreams/layers'] },
    ])
    expect((await kubectl.json('get', 'clusterrole', 'paths')).rules).toEqual([
      { nonResourceURLs: ['/metrics', '/healthz/*'], verbs: ['get'] },
    ])
    const table = lines(await kubectl('get', 'clusterroles', 'one', 'view'))
    expect([cells(table[0]), cells(table[1])[0], cells(table[2])]).toEqual([
      ['NAME', 'CREATED AT'],
      'one',
      ['view', '<unknown>'],
    ])
    const described = await kubectl('describe', 'clusterrole', 'one')
    expect(described).toMatch(/imagestreams\.image\.openshift\.io +\[\] +\[app\] +\[get list\]/)
    expect(await kubectl('describe', 'clusterrole', 'paths')).toMatch(/\[\/healthz\/\*\] +\[\] +\[get\]/)
    expect(await kubectl('describe', 'clusterrole', 'admin')).toMatch(/rolebindings\.rbac\.authorization\.k8s\.io/)
    expect(await kubectl('get', 'clusterroles', '-o', 'name', '--chunk-size=5')).toBe(
      await kubectl('get', 'clusterroles', '-o', 'name', '--chunk-size=0'),
    )
  })

  test('are applied, edited, labelled, patched and deleted', async () => {
    const role = (...verbs: string[]) =>
      JSON.stringify(
        manifest('ClusterRole', 'applied', {
          rules: [{ apiGroups: ['image.openshift.io'], resources: ['imagestreams'], verbs }],
        }),
      )
    expect(await kubectl.send(role('get'), 'apply')).toContain('applied created')
    expect(await kubectl.send(role('get'), 'apply')).toContain('applied unchanged')
    expect(await kubectl.send(role('get', 'list'), 'diff').catch(String)).toContain('+  - list')
    expect(await kubectl.send(role('get', 'list'), 'apply')).toContain('applied configured')
    expect(await kubectl.send(role('watch'), 'apply', '--server-side', '--force-conflicts')).toContain(
      'serverside-applied',
    )
    expect(await kubectl.edit('s/- watch/- get/', 'clusterrole', 'applied')).toMatchObject({ code: 0 })
    await kubectl('label', 'clusterrole', 'applied', 'a=b')
    await kubectl(
      'patch',
      'clusterrole',
      'applied',
      '--type=json',
      '-p',
      '[{"op":"add","path":"/rules/0/verbs/-","value":"list"}]',
    )
    expect(await kubectl.json('get', 'clusterrole', '-l', 'a=b')).toMatchObject({
      items: [{ metadata: { name: 'applied' }, rules: [{ verbs: ['get', 'list'] }] }],
    })
    expect(await kubectl('delete', 'clusterrole', '-l', 'a=b')).toContain('"applied" deleted')
    expect(await kubectl.fails('get', 'clusterrole', 'applied')).toContain('"applied" not found')
  })

  test('gather others, and extend the built-in ones', async () => {
    await kubectl('create', 'clusterrole', 'gathers', '--aggregation-rule=team=a,stage=prod')
    expect((await kubectl.json('get', 'clusterrole', 'gathers')).aggregationRule).toEqual({
      clusterRoleSelectors: [{ matchLabels: { stage: 'prod', team: 'a' } }],
    })
    await kubectl('create', 'clusterrole', 'part', '--verb=get', '--resource=configmaps')
    await kubectl('label', 'clusterrole', 'part', 'team=a', 'stage=prod', toView)
    for (const name of ['gathers', 'view', 'admin']) {
      expect((await kubectl.json('get', 'clusterrole', name)).rules, name).toContainEqual({
        apiGroups: [''],
        resources: ['configmaps'],
        verbs: ['get'],
      })
    }
    expect(await kubectl('describe', 'clusterrole', 'gathers')).toMatch(/configmaps +\[\] +\[\] +\[get\]/)
    await kubectl('annotate', 'clusterrole', 'gathers', 'note=kept')
    expect(await kubectl.edit('s/stage: prod/stage: test/', 'clusterrole', 'gathers')).toMatchObject({ code: 0 })
    expect(await kubectl.json('get', 'clusterrole', 'gathers')).toMatchObject({
      metadata: { annotations: { note: 'kept' } },
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { stage: 'test', team: 'a' } }] },
      rules: [],
    })
    const gathers = JSON.stringify(
      manifest('ClusterRole', 'applied-gathers', {
        aggregationRule: { clusterRoleSelectors: [{ matchLabels: { team: 'a' } }] },
        rules: [],
      }),
    )
    for (const how of [[], ['--server-side']]) {
      await kubectl.send(gathers, 'apply', ...how)
      await kubectl.send(gathers, 'apply', ...how)
      expect((await kubectl.json('get', 'clusterrole', 'applied-gathers')).rules).toHaveLength(1)
      await kubectl('delete', 'clusterrole', 'applied-gathers')
    }
  })

  test('that are built in are not changed, and kubectl says what to do instead', async () => {
    const why = 'it is built in and cannot be'
    expect(await kubectl.fails('delete', 'clusterrole', 'view')).toContain(`"view" is forbidden: ${why} deleted`)
    expect(await kubectl.fails('label', 'clusterrole', 'edit', 'a=b')).toContain('aggregate-to-edit: "true"')
    expect(await kubectl.fails('patch', 'clusterrole', 'cluster-admin', '-p', '{"rules":[]}')).toContain(why)
    expect((await kubectl.edit('s/- get/- create/', 'clusterrole', 'view')).code).not.toBe(0)
    expect(await kubectl.fails('create', 'clusterrole', 'view', '--verb=get', '--resource=configmaps')).toContain(
      'already exists',
    )
    const everything = [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]
    expect(
      await kubectl.refuses(JSON.stringify(manifest('ClusterRole', 'view', { rules: everything })), 'apply'),
    ).toContain(why)
  })
})

describe('bindings', () => {
  test('for the whole cluster are made, shown, extended and deleted', async () => {
    await kubectl(
      'create',
      'clusterrolebinding',
      'readers',
      '--clusterrole=view',
      '--user=ann',
      '--group=devs',
      '--serviceaccount=demo:ci',
    )
    expect(
      await kubectl.fails('create', 'clusterrolebinding', 'readers', '--clusterrole=view', '--user=ann'),
    ).toContain('already exists')
    const wide = lines(await kubectl('get', 'clusterrolebinding', '-o', 'wide'))
    expect(cells(wide[0])).toEqual(['NAME', 'ROLE', 'AGE', 'USERS', 'GROUPS', 'SERVICEACCOUNTS'])
    expect(cells(wide.find((line) => line.startsWith('readers')))).toEqual([
      'readers',
      'ClusterRole/view',
      expect.any(String),
      'ann',
      'devs',
      'demo/ci',
    ])
    await kubectl('set', 'subject', 'clusterrolebinding', 'readers', '--user=bob')
    const described = await kubectl('describe', 'clusterrolebinding', 'readers')
    for (const [kind, name] of [
      ['User', 'ann'],
      ['Group', 'devs'],
      ['ServiceAccount', 'ci'],
      ['User', 'bob'],
    ]) {
      expect(described).toMatch(new RegExp(`${kind} +${name}`))
    }
    const other = manifest('ClusterRoleBinding', 'readers', {
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
    })
    expect(await kubectl.refuses(JSON.stringify(other), 'apply')).toContain('cannot change roleRef')
    await kubectl('delete', 'clusterrolebinding', 'readers')
    expect(await kubectl.fails('get', 'clusterrolebinding', 'readers')).toContain('not found')
  })

  test('and roles are applied in any order by who may bind any, and work once both are there', async () => {
    const ci = await robot('ordered')
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'later' }
    const subjects = [{ kind: 'ServiceAccount', name: 'ordered', namespace: 'demo' }]
    const rules = [{ apiGroups: ['image.openshift.io'], resources: ['imagestreams'], verbs: ['list'] }]
    const both = {
      apiVersion: 'v1',
      kind: 'List',
      items: [manifest('RoleBinding', 'later', { roleRef, subjects }), manifest('Role', 'later', { rules })],
    }
    expect(await kubectl.send(JSON.stringify(both), 'apply')).toMatch(/rolebinding\S+ created\nrole\S+ created/)
    await vi.waitFor(() => ci('get', 'is'), { timeout: 10_000 })
    expect(await kubectl('describe', 'role', 'later')).toMatch(
      /imagestreams\.image\.openshift\.io +\[\] +\[\] +\[list\]/,
    )
    expect(await kubectl('describe', 'rolebinding', 'later')).toMatch(/ServiceAccount +ordered +demo/)
  })

  test('and roles are reconciled: what is missing is added, what is too much only when asked', async () => {
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reconciled' }
    const role = (verbs: string[]) =>
      manifest('ClusterRole', 'reconciled', { rules: [{ apiGroups: [''], resources: ['configmaps'], verbs }] })
    const binding = (user: string, ref = roleRef) =>
      manifest('ClusterRoleBinding', 'reconciled', {
        roleRef: ref,
        subjects: [{ apiGroup: roleRef.apiGroup, kind: 'User', name: user }],
      })
    const list = (...items: object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
    const users = async () =>
      ((await kubectl.json('get', 'clusterrolebinding', 'reconciled')).subjects as { name: string }[]).map(
        ({ name }) => name,
      )
    await kubectl.send(list(role(['get']), binding('ann')), 'auth', 'reconcile')
    await kubectl.send(list(role(['list']), binding('bob')), 'auth', 'reconcile')
    expect((await kubectl.json('get', 'clusterrole', 'reconciled')).rules).toMatchObject([
      { verbs: ['get'] },
      { verbs: ['list'] },
    ])
    expect(await users()).toEqual(['ann', 'bob'])
    await kubectl.send(
      list(role(['list']), binding('bob')),
      'auth',
      'reconcile',
      '--remove-extra-permissions',
      '--remove-extra-subjects',
    )
    expect((await kubectl.json('get', 'clusterrole', 'reconciled')).rules).toMatchObject([{ verbs: ['list'] }])
    expect(await users()).toEqual(['bob'])
    // Another roleRef makes it delete the binding and create another.
    await kubectl.send(list(binding('eve', { ...roleRef, name: 'view' })), 'auth', 'reconcile')
    expect(await kubectl.json('get', 'clusterrolebinding', 'reconciled')).toMatchObject({ roleRef: { name: 'view' } })
    await kubectl('delete', 'clusterrolebinding,clusterrole', 'reconciled')
  })
})

describe('who would give more than he has', () => {
  test('is refused in words: by a role, a binding, a label, an aggregation', async () => {
    const boss = await robot('boss', 'admin')
    expect(
      await boss.fails('create', 'role', 'more', '--verb=get', '--resource=events,images.image.openshift.io'),
    ).toMatch(/is attempting to grant RBAC permissions not currently held/)
    expect(await boss.fails('create', 'rolebinding', 'more', '--clusterrole=cluster-admin', '--user=eve')).toMatch(
      /"more" is forbidden: user "system:serviceaccount:demo:boss".*Verbs:\["\*"\]/s,
    )
    expect(await boss.fails('create', 'rolebinding', 'more', '--clusterrole=nope', '--user=eve')).toMatch(
      /clusterroles.*"nope" not found; create it first/,
    )
    expect(await boss.fails('create', 'clusterrole', 'more', '--verb=get', '--resource=configmaps')).toContain(
      'cannot create resource "clusterroles"',
    )
    expect(await boss.fails('create', 'clusterrolebinding', 'more', '--clusterrole=view', '--user=eve')).toContain(
      'cannot create resource "clusterrolebindings"',
    )
    await kubectl(
      'create',
      'clusterrole',
      'writer',
      '--verb=create,patch,get',
      '--resource=clusterroles.rbac.authorization.k8s.io',
    )
    const writer = await robot('writer', 'writer', 'clusterrolebinding')
    await kubectl('create', 'clusterrole', 'strong', '--verb=*', '--resource=configmaps')
    expect(await writer.fails('label', 'clusterrole', 'strong', toView)).toContain('not currently held')
    expect(await writer.fails('create', 'clusterrole', 'all', '--aggregation-rule=a=b')).toContain('Verbs:["*"]')
    await writer('create', 'clusterrole', 'same', '--verb=get', '--resource=clusterroles.rbac.authorization.k8s.io')
  })

  test('gives what he has, and takes back what another gave', async () => {
    const boss = await robot('owner', 'admin')
    await boss('create', 'role', 'some', '--verb=get,create', '--resource=secrets')
    await boss('create', 'rolebinding', 'some', '--role=some', '--user=ann')
    await boss('create', 'rolebinding', 'editors', '--clusterrole=edit', '--group=devs')
    await kubectl('create', 'rolebinding', 'too-much', '--clusterrole=cluster-admin', '--user=eve')
    await boss('delete', 'rolebinding', 'too-much', 'some', 'editors')
    await boss('delete', 'role', 'some')
  })
})
