import { describe, expect, test } from 'vitest'
import { type FakeApi, failure } from './fake-api.ts'
import {
  accounts,
  apiGroup,
  app,
  type Body,
  binding,
  bindings,
  ci,
  clusterRoles,
  jane,
  layers,
  puller,
  rbacApi,
  roles,
  sentBinding,
  weir,
} from './rbac-api.ts'
import { run } from './run.ts'

describe('grant', () => {
  test.each([
    ['serviceaccount:ci', ci, 'serviceaccount:demo/ci', 'pull.serviceaccount.demo.ci'],
    ['jane', jane, 'jane', 'pull.user.jane'],
    ['group:devs', { kind: 'Group', apiGroup, name: 'devs' }, 'group:devs', 'pull.group.devs'],
    ['anonymous', { kind: 'Group', apiGroup, name: 'system:unauthenticated' }, 'anonymous', 'pull.anonymous'],
  ])('pull %s binds the puller role', async (subject, bound, shown, name) => {
    const api = await rbacApi()
    const result = await weir(api, 'grant', 'pull', subject)
    expect(result).toEqual({ code: 0, stdout: `granted: system:image-puller in demo for ${shown}\n`, stderr: '' })
    expect(api.sent('POST', bindings)).toEqual([
      {
        kind: 'RoleBinding',
        apiVersion: `${apiGroup}/v1`,
        metadata: { name, namespace: 'demo' },
        roleRef: puller,
        subjects: [bound],
      },
    ])
  })

  test.each([
    ['serviceaccount:cl', 'note: demo has no robot "cl" yet: weir token cl -n demo makes it\n'],
    ['ci', 'note: ci is a user here; the robot is serviceaccount:demo/ci\n'],
    ['demo/ci', 'note: demo/ci is a user here; the robot is serviceaccount:demo/ci\n'],
    ['user:ci', 'note: ci is a user here; the robot is serviceaccount:demo/ci\n'],
    ['group:ci', ''],
    ['demo/cl', ''],
    ['../ci', ''],
  ])('of a robot that %s may have been meant for says so', async (subject, note) => {
    expect(await weir(await rbacApi(), 'grant', 'pull', subject)).toMatchObject({ code: 0, stderr: note })
  })

  test('by somebody who may not read robots says nothing of them', async () => {
    const api = await rbacApi()
    api.answer('GET', `${accounts}/ci`, failure(403, 'Forbidden', 'no'))
    for (const subject of ['ci', 'serviceaccount:ci'])
      expect(await weir(api, 'grant', 'pull', subject)).toMatchObject({ code: 0, stderr: '' })
  })

  test('in a project and in all of them is misuse', async () => {
    const api = await rbacApi()
    const result = await weir(api, 'grant', 'pull', 'jane', '--all-projects')
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain('-n and --all-projects exclude each other')
    expect(api.requests).toEqual([])
  })

  test('gives each grant a name of its own, the same each time', async () => {
    const api = await rbacApi()
    api.answer('GET', `${clusterRoles}/system:image-pusher`, { body: { rules: [layers] } })
    const nameOf = async (...argv: string[]) => {
      await weir(api, 'grant', ...argv)
      return sentBinding(api).metadata.name
    }
    const names = [
      await nameOf('pull', 'a-b'),
      await nameOf('push', 'a-b'),
      await nameOf('pull', 'a.b'),
      await nameOf('pull', 'group:a-b'),
      await nameOf('pull', 'serviceaccount:a/b'),
    ]
    expect(new Set(names).size).toBe(names.length)
    expect(await nameOf('pull', 'a-b')).toBe(names[0])
    expect(await nameOf('system:image-puller', 'a-b')).toBe(names[0])
  })

  test('twice is no error', async () => {
    const api = await rbacApi()
    await weir(api, 'grant', 'pull', 'jane')
    const { metadata } = sentBinding(api)
    api.answer('POST', bindings, failure(409, 'AlreadyExists', 'there'))
    api.answer('GET', `${bindings}/${metadata.name}`, { body: binding(metadata.name, puller, [jane]) })
    const result = await weir(api, 'grant', 'pull', 'jane')
    expect(result).toEqual({ code: 0, stdout: 'granted already: system:image-puller in demo for jane\n', stderr: '' })
    expect(api.asked()).not.toContain(`PUT ${bindings}/${metadata.name}`)
  })

  test('puts a subject back that somebody took out of its binding, and keeps those who are there', async () => {
    const api = await rbacApi()
    await weir(api, 'grant', 'pull', 'jane')
    const path = `${bindings}/${sentBinding(api).metadata.name}`
    api.answer('POST', bindings, failure(409, 'AlreadyExists', 'there'))
    api.answer('GET', path, { body: binding('x', puller, [ci]) })
    api.answer('PUT', path, ({ body }) => ({ body: body as object }))
    expect((await weir(api, 'grant', 'pull', 'jane')).stdout).toBe('granted: system:image-puller in demo for jane\n')
    expect(api.sent('PUT', path)).toMatchObject([
      { kind: 'RoleBinding', metadata: { resourceVersion: '5' }, subjects: [ci, jane] },
    ])
  })

  test('does not take a binding of that name to another role for a grant', async () => {
    const api = await rbacApi()
    await weir(api, 'grant', 'pull', 'jane')
    const path = `${bindings}/${sentBinding(api).metadata.name}`
    api.answer('POST', bindings, failure(409, 'AlreadyExists', 'there'))
    api.answer('GET', path, { body: binding('x', { ...puller, name: 'view' }, [jane]) })
    const result = await weir(api, 'grant', 'pull', 'jane')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('binds view')
  })

  test('of a role of the project binds that', async () => {
    const api = await rbacApi()
    api.answer('GET', `${roles}/own`, { body: { metadata: { name: 'own' }, rules: [layers] } })
    await weir(api, 'grant', 'own', 'jane')
    expect(sentBinding(api).roleRef).toEqual({ apiGroup, kind: 'Role', name: 'own' })
  })

  test('of a role that is not there names those that are, and binds nothing', async () => {
    const api = await rbacApi()
    api.answer('GET', clusterRoles, {
      body: { items: [{ metadata: { name: 'view' } }, { metadata: { name: 'edit' } }] },
    })
    const result = await weir(api, 'grant', 'pul', 'jane')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('there is no role "pul"')
    expect(result.stderr).toContain('pull, push, view, edit')
    expect(api.sent('POST', bindings)).toEqual([])
  })

  test('by somebody who may bind roles but not read them is left to the server', async () => {
    const api = await rbacApi()
    api.answer('GET', `${clusterRoles}/system:image-puller`, failure(403, 'Forbidden', 'no'))
    expect(await weir(api, 'grant', 'pull', 'jane')).toMatchObject({ code: 0 })
    expect(sentBinding(api).roleRef).toEqual(puller)
  })

  test('of more than the caller has says that nobody can', async () => {
    const api = await rbacApi()
    api.answer(
      'POST',
      bindings,
      failure(403, 'Forbidden', 'user "x" is attempting to grant RBAC permissions not currently held: ...'),
    )
    const result = await weir(api, 'grant', 'pull', 'jane')
    expect(result.code).toBe(1)
    expect(result.stderr).toContain('nobody can give more than he has')
    expect(result.stderr).not.toContain('weir grant')
  })

  test('-o json prints the binding', async () => {
    const api = await rbacApi()
    const result = await weir(api, 'grant', 'pull', 'jane', '-o', 'json')
    expect(JSON.parse(result.stdout)).toEqual(sentBinding(api))
  })
})

describe('grant --stream', () => {
  test('binds a role of the project that has the rights for that stream alone', async () => {
    const api = await rbacApi()
    api.answer('POST', roles, ({ body }) => ({ status: 201, body: body as object }))
    api.answer('GET', app, { body: { metadata: { name: 'app' } } })
    const result = await weir(api, 'grant', 'pull', 'jane', '--stream', 'app')
    expect(result).toEqual({ code: 0, stdout: 'granted: system:image-puller in demo/app for jane\n', stderr: '' })
    const [role] = api.sent('POST', roles) as Body[]
    expect(role).toEqual({
      kind: 'Role',
      apiVersion: `${apiGroup}/v1`,
      metadata: { name: 'pull.stream.app', namespace: 'demo' },
      rules: [{ ...layers, resourceNames: ['app'] }],
    })
    expect(sentBinding(api).roleRef).toEqual({ apiGroup, kind: 'Role', name: role?.metadata.name })
  })

  test('gives nothing but rights on streams: a role named like the stream stays closed', async () => {
    const api = await rbacApi()
    const rules = [
      {
        verbs: ['get', 'update'],
        apiGroups: ['image.openshift.io'],
        resources: ['imagestreams', 'imagestreamtags', 'imagestreams/layers'],
      },
      { verbs: ['*'], apiGroups: [apiGroup], resources: ['roles', 'rolebindings'] },
      { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
      { verbs: ['get'], apiGroups: ['image.openshift.io'], resources: ['imagestreams'], resourceNames: ['other'] },
    ]
    api.answer('GET', `${clusterRoles}/admin`, { body: { rules } })
    api.answer('POST', roles, ({ body }) => ({ status: 201, body: body as object }))
    const result = await weir(api, 'grant', 'admin', 'jane', '--stream', 'app')
    expect(api.sent('POST', roles)).toMatchObject([
      {
        rules: [
          {
            verbs: ['get', 'update'],
            apiGroups: ['image.openshift.io'],
            resources: ['imagestreams', 'imagestreams/layers'],
            resourceNames: ['app'],
          },
        ],
      },
    ])
    expect(result.stderr).toContain('note: of admin, only rights on the stream itself')
    expect(result.stderr).toContain('note: demo has no stream "app" yet')
  })

  test('brings its role up to date when it is there already', async () => {
    const api = await rbacApi()
    api.answer('POST', roles, ({ body }) => {
      const { metadata } = body as Body
      api.answer('PUT', `${roles}/${metadata.name}`, { body: body as object })
      return failure(409, 'AlreadyExists', 'there')
    })
    api.answer('GET', app, failure(403, 'Forbidden', 'no'))
    expect(await weir(api, 'grant', 'pull', 'jane', '--stream', 'app')).toMatchObject({ code: 0, stderr: '' })
    expect(api.asked().filter((line) => line.startsWith('PUT'))).toHaveLength(1)
  })

  test('of a role without rights on streams is refused', async () => {
    const api = await rbacApi()
    api.answer('GET', `${clusterRoles}/cluster-admin`, {
      body: { rules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] },
    })
    const result = await weir(api, 'grant', 'cluster-admin', 'jane', '--stream', 'app')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('no right that can be given for one stream')
    expect(api.sent('POST', bindings)).toEqual([])
  })

  test('of a role that may not be read is refused', async () => {
    const api = await rbacApi()
    api.answer('GET', `${clusterRoles}/system:image-puller`, failure(403, 'Forbidden', 'no'))
    const result = await weir(api, 'grant', 'pull', 'jane', '--stream', 'app')
    expect(result.stderr).toContain('you may not read role system:image-puller')
    expect(api.sent('POST', bindings)).toEqual([])
  })
})

test.each([
  [['grant', 'pull']],
  [['grant', 'pull', 'group:']],
  [['grant', '', 'jane']],
  [['grant', 'a/b', 'jane']],
  [['grant', 'pull', 'jane', '--stream', 'demo/app']],
  [['grant', 'pull', 'jane', '--stream', 'app:prod']],
  [['revoke', 'pull', 'serviceaccount:a/b/c']],
])('%j is misuse', async (argv) => {
  const api = await rbacApi()
  expect(await weir(api, ...argv)).toMatchObject({ code: 2, stdout: '' })
  expect(api.requests).toEqual([])
})

test.each([
  [['grant', 'pull', 'jane']],
  [['revoke', 'pull', 'jane']],
  [['grant', 'pull', 'jane', '--all-projects', '--stream', 'app']],
  [['grant', 'pull', 'serviceaccount:ci', '--all-projects']],
])('%j, which says not where, is misuse', async (argv) => {
  const result = await run([...argv, '--server', 'https://127.0.0.1:1'])
  expect(result).toMatchObject({ code: 2, stdout: '' })
  expect(result.stderr).toMatch(/-n PROJECT|PROJECT\/NAME/)
})

describe('--all-projects', () => {
  const clusterBindings = `/apis/${apiGroup}/v1/clusterrolebindings`
  const everywhere = async (api: FakeApi, ...argv: string[]) =>
    run([...argv, '--all-projects', '--server', api.url, '--token', 't'])

  test('binds a cluster role for the whole cluster', async () => {
    const api = await rbacApi()
    api.answer('POST', clusterBindings, ({ body }) => ({ status: 201, body: body as object }))
    const result = await everywhere(api, 'grant', 'pull', 'serviceaccount:demo/ci')
    expect(result).toEqual({
      code: 0,
      stdout: 'granted: system:image-puller in all projects for serviceaccount:demo/ci\n',
      stderr: '',
    })
    expect(api.sent('POST', clusterBindings)).toEqual([
      {
        kind: 'ClusterRoleBinding',
        apiVersion: `${apiGroup}/v1`,
        metadata: { name: 'pull.serviceaccount.demo.ci' },
        roleRef: puller,
        subjects: [ci],
      },
    ])
  })

  test('knows no roles of projects', async () => {
    const api = await rbacApi()
    api.answer('GET', clusterRoles, { body: { items: [{ metadata: { name: 'view' } }] } })
    const result = await everywhere(api, 'grant', 'own', 'jane')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('roles: pull, push, view\n')
    expect(api.asked()).not.toContainEqual(expect.stringContaining('/roles/own'))
  })

  test('is taken back, with who else is bound left in', async () => {
    const api = await rbacApi()
    const bound = { metadata: { name: 'x', resourceVersion: '7' }, roleRef: puller, subjects: [jane, ci] }
    api.answer('GET', clusterBindings, { body: { items: [bound] } })
    api.answer('PUT', `${clusterBindings}/x`, ({ body }) => ({ body: body as object }))
    const result = await everywhere(api, 'revoke', 'pull', 'jane')
    expect(result).toMatchObject({ code: 0, stdout: 'revoked: system:image-puller in all projects for jane\n' })
    expect(api.sent('PUT', `${clusterBindings}/x`)).toMatchObject([
      { kind: 'ClusterRoleBinding', metadata: { resourceVersion: '7' }, subjects: [ci] },
    ])
    const other = await everywhere(api, 'revoke', 'pull', 'joe')
    expect(other.stderr).toContain('joe has nothing in all projects')
  })
})

describe('a subject with a word before a colon', () => {
  const offered = { body: { issuer: 'https://weir.test', issuers: [{ name: 'github' }], htpasswd: false } }

  test('is an issuer’s user where the server has an issuer of that name', async () => {
    const api = await rbacApi()
    api.answer('GET', '/login', offered)
    const name = 'github:repo:acme/app:ref:refs/heads/main'
    const result = await weir(api, 'grant', 'push', name)
    expect(result).toMatchObject({ code: 1 })
    api.answer('GET', `${clusterRoles}/system:image-pusher`, { body: { rules: [layers] } })
    expect(await weir(api, 'grant', 'push', name)).toMatchObject({
      code: 0,
      stdout: `granted: system:image-pusher in demo for user:${name}\n`,
    })
    expect(sentBinding(api)).toMatchObject({
      metadata: { name: expect.stringMatching(/^push\.user\.github-repo-acme-app-ref-refs-heads-main\.[0-9a-f]{16}$/) },
      subjects: [{ kind: 'User', name }],
    })
  })

  test.each([
    ['serviceacount:ci', 'did you mean serviceaccount:ci?'],
    ['users:jane', 'did you mean user:jane?'],
    ['gihtub:octo', 'did you mean github:octo?'],
    ['system:authenticated', 'a group group:system:authenticated'],
    ['corp:jane', 'written user:corp:jane'],
  ])('%s is refused, since nobody would have that name', async (subject, hint) => {
    const api = await rbacApi()
    api.answer('GET', '/login', offered)
    const result = await weir(api, 'grant', 'pull', subject)
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain(hint)
    expect(api.asked()).toEqual(['GET /login'])
  })

  test('is refused too where the server does not say which issuers it has', async () => {
    const api = await rbacApi()
    expect(await weir(api, 'grant', 'pull', 'github:octo')).toMatchObject({ code: 2, stdout: '' })
  })

  test('is a user’s name where it says so', async () => {
    const api = await rbacApi()
    expect(await weir(api, 'grant', 'pull', 'user:corp:jane')).toMatchObject({ code: 0 })
    expect(sentBinding(api).subjects).toEqual([{ kind: 'User', apiGroup, name: 'corp:jane' }])
    expect(await weir(api, 'grant', 'pull', 'weir:admin')).toMatchObject({ code: 0 })
    expect(sentBinding(api).subjects).toEqual([{ kind: 'User', apiGroup, name: 'weir:admin' }])
    expect(api.asked()).not.toContain('GET /login')
  })
})
