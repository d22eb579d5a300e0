import { expect, test } from 'vitest'
import { publicUrl, startHttp } from './harness.ts'

test('anybody is told how to log in: own issuer, issuers with their device flow, passwords', async () => {
  const device = { issuer: 'https://sso.test', clientId: 'weir', scopes: ['openid', 'groups'] }
  const { ask } = await startHttp({
    providers: [{ name: 'sso', device }, { name: 'github' }, { name: 'htpasswd' }],
  })
  const answer = await ask('/login')
  expect(answer.status).toBe(200)
  expect(answer.json()).toEqual({
    issuer: publicUrl,
    issuers: [{ name: 'sso', ...device }, { name: 'github' }],
    htpasswd: true,
  })
  expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' })
})

test('where nobody else is known, only Weir itself is told', async () => {
  const { ask } = await startHttp()
  expect((await ask('/login')).json()).toEqual({ issuer: publicUrl, issuers: [], htpasswd: false })
})

test('nothing of a provider is told but its name and its device flow', async () => {
  const provider = { name: 'sso', secret: 'hush', sessionLifetimeMs: 5, device: undefined }
  const { ask } = await startHttp({ providers: [provider as never] })
  expect((await ask('/login')).json()).toMatchObject({ issuers: [{ name: 'sso' }] })
  expect((await ask('/login')).body.toString()).not.toMatch(/hush|sessionLifetime/)
})

test('it is read, and nothing else', async () => {
  const { ask } = await startHttp()
  expect((await ask('/login', { method: 'POST', body: 'x' })).status).toBe(404)
  expect((await ask('/')).json()).toMatchObject({ paths: expect.arrayContaining(['/login']) })
})
