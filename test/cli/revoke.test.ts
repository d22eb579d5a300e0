import { describe, expect, test } from 'vitest'
import { failure, startFakeApi } from './fake-api.ts'
import {
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

describe('revoke', () => {
  test('deletes the binding of the subject alone, as it was read', async () => {
    const api = await startFakeApi()
    api.answer('GET', bindings, { body: { items: [binding('mine', puller, [jane]), binding('other', puller, [ci])] } })
    api.answer('DELETE', `${bindings}/mine`, { body: { kind: 'Status', status: 'Success' } })
    const result = await weir(api, 'revoke', 'pull', 'jane')
    expect(result).toEqual({ code: 0, stdout: 'revoked: system:image-puller in demo for jane\n', stderr: '' })
    expect(api.asked()).toEqual([`GET ${bindings}`, `DELETE ${bindings}/mine`])
    expect(api.sent('DELETE', `${bindings}/mine`)).toEqual([
      { kind: 'DeleteOptions', apiVersion: 'v1', preconditions: { uid: 'uid-of-mine', resourceVersion: '5' } },
    ])
  })

  test('takes the subject out of bindings that others made, and leaves the rest in', async () => {
    const api = await startFakeApi()
    const local = { kind: 'ServiceAccount', name: 'ci' }
    api.answer('GET', bindings, {
      body: {
        items: [
          binding('theirs', puller, [jane, local]),
          binding('by-user-name', puller, [{ kind: 'User', name: 'system:serviceaccount:demo:ci' }]),
          binding('another-role', { ...puller, name: 'view' }, [ci]),
          binding('another-account', puller, [{ ...ci, namespace: 'other' }]),
        ],
      },
    })
    api.answer('PUT', `${bindings}/theirs`, { body: {} })
    api.answer('DELETE', `${bindings}/by-user-name`, { body: {} })
    expect(await weir(api, 'revoke', 'pull', 'serviceaccount:ci')).toMatchObject({ code: 0 })
    expect(api.asked()).toEqual([`GET ${bindings}`, `PUT ${bindings}/theirs`, `DELETE ${bindings}/by-user-name`])
    expect(api.sent('PUT', `${bindings}/theirs`)).toMatchObject([
      { metadata: { resourceVersion: '5' }, roleRef: puller, subjects: [jane] },
    ])
  })

  test('reads again what changed meanwhile, and keeps who was added', async () => {
    const api = await startFakeApi()
    api.answer('GET', bindings, { body: { items: [binding('mine', puller, [jane])] } })
    api.answer('DELETE', `${bindings}/mine`, failure(409, 'Conflict', 'changed'))
    api.answer('GET', `${bindings}/mine`, { body: binding('mine', puller, [jane, ci], '6') })
    api.answer('PUT', `${bindings}/mine`, { body: {} })
    expect(await weir(api, 'revoke', 'pull', 'jane')).toMatchObject({ code: 0 })
    expect(api.sent('PUT', `${bindings}/mine`)).toMatchObject([{ metadata: { resourceVersion: '6' }, subjects: [ci] }])
  })

  test('gives up on what never stands still', async () => {
    const api = await startFakeApi()
    api.answer('GET', bindings, { body: { items: [binding('mine', puller, [jane])] } })
    api.answer('DELETE', `${bindings}/mine`, failure(409, 'Conflict', 'changed'))
    api.answer('GET', `${bindings}/mine`, { body: binding('mine', puller, [jane]) })
    expect(await weir(api, 'revoke', 'pull', 'jane')).toMatchObject({ code: 1, stdout: '' })
    expect(api.sent('DELETE', `${bindings}/mine`)).toHaveLength(5)
  })

  test('does not mind that another revoked it at the same time', async () => {
    const api = await startFakeApi()
    api.answer('GET', bindings, { body: { items: [binding('mine', puller, [jane])] } })
    api.answer('DELETE', `${bindings}/mine`, failure(404, 'NotFound', 'gone'))
    expect(await weir(api, 'revoke', 'pull', 'jane')).toMatchObject({ code: 0 })
  })

  test('of what is not granted fails, and says what is', async () => {
    const api = await startFakeApi()
    api.answer('GET', bindings, {
      body: { items: [binding('a', { ...puller, name: 'view' }, [jane]), binding('b', puller, [ci])] },
    })
    const result = await weir(api, 'revoke', 'pull', 'jane')
    expect(result).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: not granted: system:image-puller in demo for jane\n  jane has in demo: view\n',
    })
    const other = await weir(api, 'revoke', 'pull', 'joe')
    expect(other.stderr).toContain('joe has nothing in demo')
  })

  describe('of a role that was granted with --stream', () => {
    const granted = async (role: string, stream: string) => {
      const api = await rbacApi()
      api.answer('GET', `${clusterRoles}/${role}`, { body: { metadata: { name: role }, rules: [layers] } })
      api.answer('POST', roles, ({ body }) => ({ status: 201, body: body as object }))
      await weir(api, 'grant', role, 'jane', '--stream', stream)
      const { roleRef, subjects } = sentBinding(api)
      api.answer('GET', bindings, { body: { items: [binding('one', roleRef, subjects)] } })
      api.answer('GET', roles, { body: { items: api.sent('POST', roles) } })
      api.answer('GET', clusterRoles, { body: { items: [{ metadata: { name: role } }] } })
      return { api, made: roleRef.name }
    }

    test.each([
      ['system:image-puller', 'app'],
      ['registry-viewer', 'a.b_c'],
    ])('%s in %s says with which', async (role, stream) => {
      const { api, made } = await granted(role, stream)
      const result = await weir(api, 'revoke', 'pull', 'jane')
      expect(result).toMatchObject({ code: 1, stdout: '' })
      expect(result.stderr).toContain(`jane has in demo: ${role} (granted with --stream ${stream})\n`)
      expect(result.stderr).not.toContain(made)
    })

    test('says the role’s name to those who may not read it', async () => {
      const { api, made } = await granted('system:image-puller', 'app')
      api.answer('GET', roles, failure(403, 'Forbidden', 'no'))
      expect((await weir(api, 'revoke', 'pull', 'jane')).stderr).toContain(`jane has in demo: ${made}\n`)
    })

    test('is not mixed up with a role that somebody made for one stream', async () => {
      const { api } = await granted('system:image-puller', 'app')
      const own = { metadata: { name: 'own' }, rules: [{ ...layers, resourceNames: ['app'] }] }
      api.answer('GET', roles, { body: { items: [own] } })
      api.answer('GET', bindings, {
        body: { items: [binding('one', { ...puller, kind: 'Role', name: 'own' }, [jane])] },
      })
      expect((await weir(api, 'revoke', 'pull', 'jane')).stderr).toContain('jane has in demo: own\n')
    })
  })

  test('--stream takes back that stream alone', async () => {
    const api = await rbacApi()
    api.answer('POST', roles, ({ body }) => ({ status: 201, body: body as object }))
    await weir(api, 'grant', 'pull', 'jane', '--stream', 'app')
    const { roleRef, subjects } = sentBinding(api)
    api.answer('GET', bindings, {
      body: { items: [binding('all', puller, [jane]), binding('one', roleRef, subjects)] },
    })
    api.answer('DELETE', `${bindings}/one`, { body: {} })
    expect(await weir(api, 'revoke', 'pull', 'jane', '--stream', 'app')).toMatchObject({
      code: 0,
      stdout: 'revoked: system:image-puller in demo/app for jane\n',
    })
    expect(api.asked().filter((line) => line.startsWith('DELETE'))).toEqual([`DELETE ${bindings}/one`])
    expect(await weir(api, 'revoke', 'pull', 'jane', '--stream', 'other')).toMatchObject({ code: 1 })
  })
})
