/** Scopes that reach for more, and tokens that are used for more than they have. */
import { describe, expect, test } from 'vitest'
import { claimsOf, errorOf, hidden, image, prod, pull, useAttacked } from './attacks-world.ts'

const attacked = useAttacked()

describe('scopes', () => {
  const nothing: [string, string[]][] = [
    ['another project', ['repository:secret/app:pull']],
    ['a stream of which nothing was given', ['repository:demo/twin:pull']],
    ['a stream whose name begins so', ['repository:demo/app2:pull', 'repository:demo/ap:pull']],
    ['a project whose name begins so', ['repository:dem/app:pull', 'repository:demo2/app:pull']],
    ['capitals', ['repository:Demo/app:pull', 'repository:demo/APP:pull', 'REPOSITORY:demo/app:pull']],
    ['actions in capitals', ['repository:demo/app:PULL']],
    ['stars in the name', ['repository:*:pull', 'repository:demo/*:pull', 'repository:*/app:*']],
    ['a pattern', ['repository:demo/.*:pull', 'repository:demo/ap?:pull', 'repository:demo/[a]pp:pull']],
    ['a climbing name', ['repository:demo/../secret/app:pull', 'repository:demo/app/../../secret/app:pull']],
    ['slashes around', ['repository:/demo/app:pull', 'repository:demo/app/:pull', 'repository:demo//app:pull']],
    ['escapes', ['repository:demo%2fapp:pull', 'repository:demo/app%00:pull']],
    ['a host in front', ['repository:localhost:5000/demo/app:pull', 'repository:demo/app:5000:pull']],
    [
      'only what he may not',
      ['repository:demo/app:push', 'repository:demo/app:delete', 'repository:demo/app:push,delete'],
    ],
    ['no action', ['repository:demo/app:', 'repository:demo/app', 'repository::pull', ':demo/app:pull']],
    ['another type', ['registry:demo/app:pull', 'project:demo:pull', 'image:demo/app:pull', '__proto__:demo/app:pull']],
    ['another thing of the registry', ['registry:everything:*', 'registry:catalog:pull']],
    ['the words of RBAC', ['repository:demo/app:get', 'repository:demo/app:imagestreams/layers']],
    [
      'a tab and a new line',
      ['repository:demo/app\t:pull', 'repository:demo/app\n:pull', 'repository:demo\n/app:pull'],
    ],
  ]
  test.each(nothing)('%s: granted nothing', async (_, scopes) => {
    const world = attacked()
    const token = await world.tokenFor(...scopes)
    expect(claimsOf(token).access).toEqual([])
    expect((await world.request(prod, { token })).status).toBe(401)
  })

  test('a star is what he may, spelled out', async () => {
    const world = attacked()
    const token = await world.tokenFor('repository:demo/app:*', 'repository:secret/app:*', 'repository:demo/app:pull,*')
    expect(claimsOf(token).access).toEqual([{ type: 'repository', name: 'demo/app', actions: ['pull'] }])
  })

  test.each([
    ['51 scopes', 'repository:demo/app:pull '.repeat(51)],
    ['more than 8 KiB of scopes', `repository:demo/${'a'.repeat(9000)}:pull`],
  ])('%s: 400', async (_, scope) => {
    const { request, ci } = attacked()
    const form = { grant_type: 'password', username: 'ci', password: ci, scope }
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const body = new URLSearchParams(form).toString()
    expect((await request('/token', { method: 'POST', headers, body })).status).toBe(400)
  })

  test.each(['ci', 'weir:admin', 'system:admin', 'system:serviceaccount:secret:ci', 'system:masters'])(
    'the user name %s selects nobody: the token says who, and without one nobody is',
    async (name) => {
      const { request, ci } = attacked()
      const scope = 'repository:secret/app:pull'
      const form = new URLSearchParams({ grant_type: 'password', username: name, password: ci, account: name, scope })
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      const posted = await request('/token', { method: 'POST', headers, body: form.toString() })
      const { token } = JSON.parse(posted.body.toString())
      expect(claimsOf(token)).toMatchObject({ sub: 'system:serviceaccount:demo:ci', access: [] })
      const got = await request(`/token?${new URLSearchParams({ account: name, scope })}`)
      expect(claimsOf(JSON.parse(got.body.toString()).token)).toMatchObject({ sub: '', access: [] })
    },
  )

  const elsewhere: [string, string, string][] = [
    ['HEAD of a blob of another project', 'HEAD', `/v2/secret/app/blobs/${hidden.layers[0]?.digest}`],
    ['another stream of the project', 'GET', '/v2/demo/twin/manifests/prod'],
    ['another project', 'GET', '/v2/secret/app/manifests/prod'],
    ['another project, by digest', 'GET', `/v2/secret/app/manifests/${hidden.manifest.digest}`],
    ['the tags of another project', 'GET', '/v2/secret/app/tags/list'],
    ['the catalog', 'GET', '/v2/_catalog'],
    ['the catalog, all of it', 'GET', '/v2/_catalog?n=999999999'],
  ]

  test.each(elsewhere)('a token for pulling one stream does not do for %s', async (_, method, path) => {
    const { request, tokenFor } = attacked()
    const answer = await request(path, { method, token: await tokenFor(pull) })
    expect([answer.status, errorOf(answer)]).toEqual([401, 'insufficient_scope'])
  })

  test.each([
    ['DELETE of a tag', 'DELETE', prod],
    ['DELETE of a manifest', 'DELETE', `/v2/demo/app/manifests/${image.manifest.digest}`],
    ['DELETE of a blob', 'DELETE', `/v2/demo/app/blobs/${image.config.digest}`],
    ['PUT of a tag', 'PUT', prod],
    ['POST that is said to be a DELETE', 'POST', prod],
  ])('%s with a token for pulling does nothing', async (_, method, path) => {
    const { request, tokenFor } = attacked()
    const token = await tokenFor(pull)
    const headers = { 'x-http-method-override': 'DELETE', 'content-type': image.manifest.mediaType }
    const answer = await request(path, { method, token, headers, ...(method === 'PUT' ? { body: '{}' } : {}) })
    expect(answer.status).toBe(method === 'POST' ? 405 : 401)
    const after = await request(prod, { token })
    expect([after.status, after.headers['docker-content-digest']]).toEqual([200, image.manifest.digest])
    expect((await request(`/v2/demo/app/blobs/${image.config.digest}`, { token })).status).toBe(200)
  })

  test.each(['n=999999999', 'n=-1', 'n=1e3', 'n=0x10', 'n=1.0', 'n=+1', 'n=%00', 'n=', 'n=NaN', 'n=1&n=1'])(
    'lists with %s tell what may be seen, or 400',
    async (query) => {
      const { request, tokenFor } = attacked()
      const token = await tokenFor(pull, 'registry:catalog:*')
      const expected = query === 'n=999999999' ? 200 : 400
      const tags = await request(`/v2/demo/app/tags/list?${query}`, { token })
      const catalog = await request(`/v2/_catalog?${query}`, { token })
      expect([tags.status, catalog.status]).toEqual([expected, expected])
      if (expected === 400) return
      expect(JSON.parse(tags.body.toString())).toEqual({ name: 'demo/app', tags: ['prod'] })
      expect(JSON.parse(catalog.body.toString())).toEqual({ repositories: ['demo/app'] })
    },
  )
})
