import { describe, expect, test } from 'vitest'
import { apiWorld, refusal } from '../world.ts'

const users = '/apis/user.openshift.io/v1/users'

describe('users', () => {
  test('find themselves as ~ and by their name, as oc login and oc whoami ask', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    expect(await asAdmin('GET', `${users}/~`)).toMatchObject({
      status: 200,
      body: {
        kind: 'User',
        apiVersion: 'user.openshift.io/v1',
        metadata: { name: 'weir:admin' },
        identities: null,
        groups: expect.arrayContaining(['system:authenticated', 'system:masters']),
      },
    })
    const token = await robot('ci')
    const self = await send('GET', `${users}/~`, { token })
    expect(self.body).toMatchObject({ metadata: { name: 'system:serviceaccount:demo:ci', uid: expect.any(String) } })
    expect((await send('GET', `${users}/system:serviceaccount:demo:ci`, { token })).body).toEqual(self.body)
    expect((await send('GET', `${users}/%7E`, { token })).body).toEqual(self.body)
  })

  test('find nobody else', async () => {
    const { asAdmin, send, robot } = await apiWorld()
    const token = await robot('ci')
    for (const name of ['weir:admin', 'alice', '__proto__', 'system:anonymous']) {
      expect(await send('GET', `${users}/${name}`, { token })).toMatchObject(
        refusal(404, 'NotFound', `users.user.openshift.io "${name}" not found`),
      )
    }
    expect((await asAdmin('GET', `${users}/alice`)).status).toBe(404)
  })

  test('have to be somebody', async () => {
    const { send } = await apiWorld()
    expect(await send('GET', `${users}/~`)).toMatchObject(
      refusal(
        403,
        'Forbidden',
        'users.user.openshift.io "~" is forbidden: User "system:anonymous" cannot get resource "users" in API group "user.openshift.io" at the cluster scope',
      ),
    )
    expect((await send('GET', `${users}/system:anonymous`)).status).toBe(403)
    expect(await send('GET', `${users}/~`, { token: 'nobody' })).toMatchObject(refusal(401, 'Unauthorized'))
  })

  test('are not listed, made, changed or deleted', async () => {
    const { asAdmin } = await apiWorld()
    for (const [method, path] of [
      ['GET', users],
      ['POST', users],
      ['PUT', `${users}/~`],
      ['DELETE', `${users}/~`],
    ] as const) {
      const body = method === 'GET' ? undefined : { metadata: { name: '~' } }
      expect(await asAdmin(method, path, body)).toMatchObject(refusal(405, 'MethodNotAllowed'))
    }
  })

  test('and what oc version looks for beside them is not there', async () => {
    const { asAdmin, send } = await apiWorld()
    const path = '/apis/config.openshift.io/v1/clusterversions/version'
    const missing = refusal(404, 'NotFound', 'the server could not find the requested resource')
    expect(await asAdmin('GET', path)).toMatchObject(missing)
    expect(await send('GET', path)).toMatchObject(missing)
  })
})
