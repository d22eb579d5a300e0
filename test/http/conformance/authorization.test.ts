/** Pushes as clients make them: which token, which challenge, in which order (the traces of their pushes). */
import { describe, expect, test } from 'vitest'
import { parseChallenges } from '../../../src/oci/challenge.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { types } from './content.ts'
import { addQuery, someBytes, useRegistry } from './registry.ts'

const registry = useRegistry()

async function robot(name: string, ...grants: string[][]): Promise<string> {
  const { world } = registry()
  for (const [role = '', project = '', ...stream] of grants) {
    const ran = await world.cli(
      'grant',
      role,
      `serviceaccount:demo/${name}`,
      '-n',
      project,
      ...stream.flatMap((each) => ['--stream', each]),
    )
    expect(ran).toMatchObject({ exitCode: 0 })
  }
  return (await world.cli('token', name, '-n', 'demo', '--duration', '24h')).stdout.trim()
}

async function scopeOf(path: string, method: string, token?: string): Promise<Record<string, string> | undefined> {
  const answer = await registry().world.request(path, { method, ...(token !== undefined && { token }) })
  expect(answer.status).toBe(401)
  const [challenge] = parseChallenges(answer.headers['www-authenticate'])
  return Object.fromEntries(challenge?.parameters ?? [])
}

describe('challenges', () => {
  test.each([
    ['POST', '/v2/demo/app/blobs/uploads/', 'repository:demo/app:pull,push'],
    ['PATCH', '/v2/demo/app/blobs/uploads/some', 'repository:demo/app:pull,push'],
    ['PUT', '/v2/demo/app/manifests/v1', 'repository:demo/app:pull,push'],
    ['DELETE', '/v2/demo/app/blobs/uploads/some', 'repository:demo/app:pull,push'],
    ['DELETE', '/v2/demo/app/manifests/v1', 'repository:demo/app:delete'],
    ['DELETE', `/v2/demo/app/blobs/${digestOf('x')}`, 'repository:demo/app:delete'],
    ['GET', `/v2/demo/app/referrers/${digestOf('x')}`, 'repository:demo/app:pull'],
  ])('%s %s asks for %s', async (method, path, scope) => {
    expect(await scopeOf(path, method)).toMatchObject({ scope })
    const token = await registry().world.pullToken('repository:demo/other:pull')
    expect(await scopeOf(path, method, token)).toMatchObject({ scope, error: 'insufficient_scope' })
  })

  test('oras cp: a mount with a token for the target alone is told both scopes, and with both it is 201', async () => {
    const { world, putBlob } = registry()
    const digest = await putBlob('second/source', someBytes('mounted by oras'))
    const path = addQuery('/v2/demo/app/blobs/uploads/', { mount: digest, from: 'second/source' })
    const login = await robot('oras', ['registry-editor', 'demo'], ['pull', 'second'])
    const target = await world.pullToken('repository:demo/app:pull,push', login)
    const challenge = await scopeOf(path, 'POST', target)
    expect(challenge).toMatchObject({ scope: 'repository:demo/app:pull,push repository:second/source:pull' })
    const both = await world.pullToken(String(challenge?.scope), login)
    const answer = await world.request(path, { method: 'POST', token: both })
    expect([answer.status, answer.headers.location]).toEqual([201, `/v2/demo/app/blobs/${digest}`])
  })

  test('a mount from what the subject may not pull is 202 at once, with whatever token, and so is one from nowhere', async () => {
    const { world, putBlob } = registry()
    const digest = await putBlob('second/source', someBytes('not his'))
    const login = await robot('stranger', ['registry-editor', 'demo'])
    for (const from of ['second/source', 'second/nothing', 'nowhere/nothing']) {
      const token = await world.pullToken(`repository:demo/app:pull,push repository:${from}:pull`, login)
      const answer = await world.request(addQuery('/v2/demo/app/blobs/uploads/', { mount: digest, from }), {
        method: 'POST',
        token,
      })
      expect([from, answer.status, answer.headers.range]).toEqual([from, 202, '0-0'])
    }
    const token = await world.pullToken('repository:demo/app:pull', login)
    expect((await world.request(`/v2/demo/app/blobs/${digest}`, { token })).status).toBe(404)
  })
})

describe('who may push', () => {
  const put = async (name: string, login: string) => {
    const { world } = registry()
    const token = await world.pullToken(`repository:${name}:pull,push`, login)
    return world.request(`/v2/${name}/blobs/uploads/`, { method: 'POST', token })
  }

  test('a pusher of one stream creates it only with the right to', async () => {
    const login = await robot('pusher', ['push', 'demo', 'made'])
    const refused = await put('demo/made', login)
    expect(refused.status).toBe(403)
    expect(JSON.parse(refused.body.toString())).toMatchObject({ errors: [{ code: 'DENIED' }] })
    expect((await put('demo/another', login)).status).toBe(401)
    await registry().putBlob('demo/made', someBytes('first'))
    expect((await put('demo/made', login)).status).toBe(202)
  })

  test('a project that is not there answers as one that may not be pushed to', async () => {
    const login = await robot('nobody')
    for (const name of ['second/app', 'nowhere/app']) {
      const answer = await put(name, login)
      const [challenge] = parseChallenges(answer.headers['www-authenticate'])
      expect([answer.status, challenge?.parameters.get('error')]).toEqual([401, 'insufficient_scope'])
    }
  })

  test('what the admin pushes to a project that is not there is refused, and makes none', async () => {
    const { world } = registry()
    const answer = await put('nowhere/app', world.adminToken)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.status).toBeLessThan(500)
    expect((await world.api('GET', '/api/v1/namespaces/nowhere')).status).toBe(404)
  })
})

test('docker push: HEAD of the blobs, POST, PATCH, PUT, HEAD, and PUT of the manifest; pulled at once', async () => {
  const { ask, world } = registry()
  const root = '/v2/demo/docker'
  const layer = someBytes('layer of docker', 70_000)
  const config = Buffer.from('{"architecture":"amd64","os":"linux"}')
  for (const bytes of [layer, config]) {
    const digest = digestOf(bytes)
    expect((await ask('HEAD', `${root}/blobs/${digest}`)).status).toBe(404)
    const begun = await ask('POST', `${root}/blobs/uploads/`, { headers: { 'content-length': '0' } })
    const patched = await ask('PATCH', String(begun.headers.location), { body: bytes, chunked: true })
    expect(patched.headers.range).toBe(`0-${bytes.length - 1}`)
    const done = await ask('PUT', addQuery(String(patched.headers.location), { digest }), {
      headers: { 'content-length': '0' },
    })
    expect(done.status).toBe(201)
    expect((await ask('HEAD', `${root}/blobs/${digest}`)).status).toBe(200)
  }
  const of = (bytes: Buffer, mediaType: string) => ({ mediaType, digest: digestOf(bytes), size: bytes.length })
  let before = ''
  for (const annotation of ['one', 'two']) {
    const document = { config: of(config, types.config), layers: [of(layer, types.layer)], annotations: { annotation } }
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.image, ...document }))
    const headers = { 'content-type': types.image, 'user-agent': 'docker/29.0 go/1.25' }
    const put = await ask('PUT', `${root}/manifests/latest`, { headers, body: bytes })
    expect([put.status, put.headers['docker-content-digest']]).toEqual([201, digestOf(bytes)])
    // Twice: what the first remembers must be what the second answers.
    for (const method of ['HEAD', 'GET', 'HEAD', 'GET']) {
      const got = await ask(method, `${root}/manifests/latest`)
      expect([got.status, got.headers['docker-content-digest']]).toEqual([200, digestOf(bytes)])
    }
    expect(digestOf(bytes)).not.toBe(before)
    before = digestOf(bytes)
  }
  const ledger = '/apis/weir.dev/v1/namespaces/demo/tagevents?fieldSelector=stream=docker,tag=latest'
  const { body } = await world.api('GET', ledger)
  expect(body.items).toMatchObject([
    { revision: 2, image: before, cause: { kind: 'push', by: 'system:serviceaccount:demo:ci' } },
    { revision: 1, cause: { kind: 'push' } },
  ])
  expect(JSON.stringify(body.items)).toContain('docker/29.0 go/1.25')
})
