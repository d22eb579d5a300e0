import { expect, test } from 'vitest'
import { type FakeApi, failure } from './fake-api.ts'
import { binding, bindings, ci, clusterRoles, jane, layers, puller, rbacApi, roles, weir } from './rbac-api.ts'
import { run } from './run.ts'

const clusterBindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'

async function grantedApi(): Promise<FakeApi> {
  const api = await rbacApi()
  const local = { kind: 'ServiceAccount', name: 'local' }
  const narrowed = { ...puller, kind: 'Role', name: 'pull.stream.app' }
  api.answer('GET', bindings, {
    body: {
      kind: 'RoleBindingList',
      items: [
        binding('pull.user.jane', puller, [jane, local]),
        binding('x', narrowed, [ci]),
        binding('none', puller, []),
      ],
    },
  })
  const admins = { kind: 'Group', name: 'corp:admins' }
  api.answer('GET', clusterBindings, {
    body: {
      items: [{ metadata: { name: 'admins' }, roleRef: { ...puller, name: 'cluster-admin' }, subjects: [admins] }],
    },
  })
  api.answer('GET', roles, {
    body: {
      items: [
        { metadata: { name: 'pull.stream.app', namespace: 'demo' }, rules: [{ ...layers, resourceNames: ['app'] }] },
      ],
    },
  })
  api.answer('GET', clusterRoles, { body: { items: [{ metadata: { name: 'system:image-puller' } }] } })
  return api
}

test('get grants shows who has what, with the stream, and what is of all projects', async () => {
  const api = await grantedApi()
  const result = await weir(api, 'get', 'grants')
  expect(result).toMatchObject({ code: 0, stderr: '' })
  expect(result.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['SUBJECT', 'ROLE', 'PROJECT', 'STREAM'],
    ['group:corp:admins', 'cluster-admin', '*', '*'],
    ['jane', 'system:image-puller', 'demo', '*'],
    ['serviceaccount:demo/local', 'system:image-puller', 'demo', '*'],
    ['serviceaccount:demo/ci', 'system:image-puller', 'demo', 'app'],
    [''],
  ])
  expect((await weir(api, 'get', 'grants', '-o', 'wide')).stdout).toMatch(/ pull\.user\.jane$/m)
  expect((await weir(api, 'get', 'grants', '-o', 'name')).stdout).toBe(
    'admins\ndemo/pull.user.jane\ndemo/x\ndemo/none\n',
  )
  const { items } = JSON.parse((await weir(api, 'get', 'grants', '-o', 'json')).stdout)
  expect(items.map(({ kind }: { kind: string }) => kind)).toEqual([
    'ClusterRoleBinding',
    'RoleBinding',
    'RoleBinding',
    'RoleBinding',
  ])
})

test('who may read a project’s alone is told that others are not shown', async () => {
  const api = await grantedApi()
  api.answer('GET', clusterBindings, failure(403, 'Forbidden', 'no'))
  api.answer('GET', clusterRoles, failure(403, 'Forbidden', 'no'))
  const result = await weir(api, 'get', 'grants')
  expect(result).toMatchObject({ code: 0 })
  expect(result.stderr).toContain('not shown')
  expect(result.stdout).not.toContain('cluster-admin')
  expect(result.stdout).toContain('pull.stream.app')
})

test('get grants of a project that is not there says so, whatever is granted in all', async () => {
  const api = await grantedApi()
  api.answer('GET', bindings, { body: { kind: 'RoleBindingList', items: [] } })
  expect(await weir(api, 'get', 'grants')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error: project demo not found; create it with: weir new-project demo\n',
  })
  api.answer('GET', '/api/v1/namespaces/demo', { body: { metadata: { name: 'demo' } } })
  expect((await weir(api, 'get', 'grants')).stdout).toContain('cluster-admin')
})

test('get with a project in place of a stream says how to name either', async () => {
  const api = await grantedApi()
  for (const what of ['grants', 'tags']) {
    const result = await run(['get', what, 'demo', '--server', api.url, '--token', 't'])
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain(`${what} of a project: -n demo; of a stream: PROJECT/demo`)
  }
})

test('get grants of a stream is misuse, and names the verb that answers', async () => {
  const api = await grantedApi()
  const result = await run(['get', 'grants', 'demo/app', '--server', api.url, '--token', 't'])
  expect(result).toMatchObject({ code: 2, stdout: '' })
  expect(result.stderr).toContain('weir who-can')
})
