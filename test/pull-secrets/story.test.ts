import { describe, expect, test } from 'vitest'
import type { FakeUpstream } from '../support/fake-upstream.ts'
import type { FakeAuth } from '../support/fake-upstream-auth.ts'
import { makeImage } from '../support/images.ts'
import { startWorld, type World } from '../support/world.ts'

const v1 = makeImage('private v1')
const v2 = makeImage('private v2')
const imageApi = '/apis/image.openshift.io/v1'
const base64 = (text: string) => Buffer.from(text).toString('base64')

const users = { robot: 'right-hush', stranger: 'shop-hush' }
const auths = [
  { kind: 'bearer', users, anonymous: false },
  { kind: 'basic', users },
] as const satisfies FakeAuth[]

/** Weir with projects `demo` and `shop` in front of a registry that lets nobody in without a login. */
async function privateWorld(auth: FakeAuth): Promise<World> {
  const world = await startWorld({ upstream: { auth } })
  world.upstream.put('lib/app', v1, { tag: 'v1' })
  for (const name of ['demo', 'shop']) {
    await world.api('POST', '/apis/project.openshift.io/v1/projects', { metadata: { name } })
  }
  return world
}

/** Creates a secret as `kubectl create secret docker-registry` does. */
async function createSecret(world: World, name: string, login: string, { project = 'demo', host = '' } = {}) {
  const [username, password] = login.split(':')
  const registry = host || world.upstream.host
  const config = { auths: { [registry]: { username, password, auth: base64(login) } } }
  const created = await world.api('POST', `/api/v1/namespaces/${project}/secrets`, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': base64(JSON.stringify(config)) },
  })
  expect(created.status).toBe(201)
}

async function deleteSecret(world: World, name: string): Promise<void> {
  expect((await world.api('DELETE', `/api/v1/namespaces/demo/secrets/${name}`)).status).toBe(200)
}

/** Imports by hand and answers the image's status. */
async function importApp(world: World, project = 'demo', tag = 'v1'): Promise<{ status: string; message?: string }> {
  const { status, body } = await world.api('POST', `${imageApi}/namespaces/${project}/imagestreamimports`, {
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStreamImport',
    metadata: { name: 'app' },
    spec: {
      import: true,
      images: [{ from: { kind: 'DockerImage', name: `${world.upstream.host}/lib/app:${tag}` }, to: { name: tag } }],
    },
  })
  expect(status).toBe(201)
  const [image] = (body as { status: { images: [{ status: { status: string; message?: string } }] } }).status.images
  return image.status
}

async function promoteToShop(world: World): Promise<void> {
  const promoted = await world.api('PUT', `${imageApi}/namespaces/shop/imagestreamtags/app:prod`, {
    metadata: { name: 'app:prod', namespace: 'shop' },
    tag: { name: 'prod', from: { kind: 'ImageStreamTag', name: 'app:v1', namespace: 'demo' } },
  })
  expect(promoted.status).toBe(201)
}

async function removeProject(world: World, name: string): Promise<void> {
  const path = `/apis/project.openshift.io/v1/projects/${name}`
  expect((await world.api('DELETE', path)).status).toBe(200)
  while ((await world.api('GET', path)).status !== 404);
}

async function conditionOf(world: World, tag = 'v1'): Promise<unknown> {
  const { body } = await world.api('GET', `${imageApi}/namespaces/demo/imagestreams/app`)
  const { tags } = (body as { status: { tags: { tag: string; conditions?: { message: string }[] }[] } }).status
  return tags.find((each) => each.tag === tag)?.conditions?.[0]?.message
}

async function pullLayer(world: World, stream: string): Promise<number> {
  const token = await world.pullToken(`repository:${stream}:pull`, world.adminToken)
  return (await world.request(`/v2/${stream}/blobs/${v1.layers[0]?.digest}`, { token })).status
}

/** The user names that the registry and its token endpoint saw. */
function usersSeen(upstream: FakeUpstream): string[] {
  const seen = upstream.requests.flatMap(({ headers }) => {
    const basic = /^Basic (.+)$/.exec(headers.authorization ?? '')?.[1]
    return basic === undefined ? [] : [Buffer.from(basic, 'base64').toString().split(':')[0] ?? '']
  })
  return [...new Set(seen)]
}

describe.each(auths)('a private registry that asks for $kind', (auth) => {
  test('is open to a project as soon as it has a secret for it, and says what is missing before', async () => {
    const world = await privateWorld(auth)
    const { host } = world.upstream
    const denied = `${host} denied "lib/app", or it is not there: tried `
    const advice = 'into a secret of type kubernetes.io/dockerconfigjson'
    const none = `${denied}without a login (401); project demo has no login for it: put one ${advice}`
    expect(await importApp(world)).toMatchObject({ status: 'Failure', message: expect.stringContaining(none) })
    expect(await conditionOf(world)).toContain(none)

    await createSecret(world, 'old', 'robot:wrong-hush')
    const wrong = `${denied}secret "old" (401), then without a login (401); put a working login ${advice}`
    expect(await importApp(world)).toMatchObject({ status: 'Failure', message: expect.stringContaining(wrong) })
    expect(await conditionOf(world)).toContain(wrong)

    // Wrong first, right second.
    await createSecret(world, 'regcred', 'robot:right-hush')
    expect(await importApp(world)).toMatchObject({ status: 'Success' })
    expect(await conditionOf(world)).toBeUndefined()
    const pulled = await world.pull('demo/app:v1', world.adminToken)
    expect(pulled.body.equals(v1.manifest.bytes)).toBe(true)
    expect(await pullLayer(world, 'demo/app')).toBe(200)
  })

  test('I8: a deleted secret breaks no pull of what Weir holds, and imports nothing more', async () => {
    const world = await privateWorld(auth)
    await createSecret(world, 'regcred', 'robot:right-hush')
    await importApp(world)
    await deleteSecret(world, 'regcred')
    await createSecret(world, 'other', 'robot:wrong-hush')
    world.upstream.put('lib/app', v2, { tag: 'v2' })

    const asked = world.upstream.requests.length
    expect((await world.pull('demo/app:v1', world.adminToken)).status).toBe(200)
    expect(world.upstream.requests.length).toBe(asked)
    // The token that the deleted secret got still lives; it is used no more.
    expect(await importApp(world)).toMatchObject({ status: 'Failure' })
    expect(await importApp(world, 'demo', 'v2')).toMatchObject({ status: 'Failure' })
    expect(await conditionOf(world, 'v2')).toContain('tried secret "other" (401), then without a login (401)')
    expect((await world.pull('demo/app:v1', world.adminToken)).body.equals(v1.manifest.bytes)).toBe(true)
  })

  test('I9, I5: neither secret nor token of one project serves another', async () => {
    const world = await privateWorld(auth)
    await createSecret(world, 'regcred', 'robot:right-hush')
    expect(await importApp(world)).toMatchObject({ status: 'Success' })
    const asked = world.upstream.requests.length
    expect(await importApp(world, 'shop')).toMatchObject({
      status: 'Failure',
      message: expect.stringContaining('tried without a login (401); project shop has no login for it'),
    })
    const since = world.upstream.requests.slice(asked)
    expect(since.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
  })

  test('I9: what is promoted is fetched with the secret of the project that imported it, and no other', async () => {
    const world = await privateWorld(auth)
    await createSecret(world, 'regcred', 'robot:right-hush')
    await createSecret(world, 'own', 'stranger:shop-hush', { project: 'shop' })
    await importApp(world)
    await promoteToShop(world)
    expect(await pullLayer(world, 'shop/app')).toBe(200)
    expect(usersSeen(world.upstream)).toEqual(['robot'])
  })

  test('I9: what was promoted by a project is never fetched with the secret of a later one of its name', async () => {
    const world = await privateWorld(auth)
    await createSecret(world, 'regcred', 'robot:right-hush')
    await importApp(world)
    await promoteToShop(world)
    await removeProject(world, 'demo')
    await world.api('POST', '/apis/project.openshift.io/v1/projects', { metadata: { name: 'demo' } })
    await createSecret(world, 'regcred', 'robot:right-hush')
    const asked = world.upstream.requests.length
    expect(await pullLayer(world, 'shop/app')).toBe(403)
    const since = world.upstream.requests.slice(asked)
    expect(since.filter(({ headers }) => headers.authorization !== undefined)).toEqual([])
    expect(await importApp(world)).toMatchObject({ status: 'Success' })
    expect(await pullLayer(world, 'demo/app')).toBe(200)
    expect((await world.pull('shop/app:prod', world.adminToken)).status).toBe(200)
  })

  test('DESIGN 7: who pulls what can not be had is told neither secret nor project', async () => {
    const world = await privateWorld(auth)
    await createSecret(world, 'regcred', 'robot:right-hush')
    await importApp(world)
    await deleteSecret(world, 'regcred')
    await createSecret(world, 'stale', 'robot:wrong-hush')
    const token = await world.pullToken('repository:demo/app:pull', world.adminToken)
    const answer = await world.request(`/v2/demo/app/blobs/${v1.layers[0]?.digest}`, { token })
    expect(answer.status).toBe(403)
    expect(answer.headers['www-authenticate']).toBeUndefined()
    const { host } = world.upstream
    expect(JSON.parse(answer.body.toString())).toEqual({
      errors: [
        {
          code: 'DENIED',
          message: `${host} answered 401: denied, or not there`,
          detail: { host, reason: 'Unauthorized', status: 401 },
        },
      ],
    })
  })

  test('I9: no answer, log line or metric of a whole story has a login', async () => {
    const world = await privateWorld(auth)
    await createSecret(world, 'old', 'robot:wrong-hush')
    const answers: unknown[] = [await importApp(world), await conditionOf(world)]
    await createSecret(world, 'regcred', 'robot:right-hush')
    answers.push(await importApp(world), await conditionOf(world))
    await createSecret(world, 'odd', 'robot:hush hush', { host: 'robot:odd-hush@quay.io' })
    answers.push(await importApp(world, 'shop'), await pullLayer(world, 'demo/app'))
    for (const path of ['/metrics', '/healthz', '/readyz']) answers.push((await world.request(path)).body.toString())
    answers.push(await world.cli('describe', 'demo/app'), await world.cli('import-image', 'demo/app:v1'))
    const text = [JSON.stringify(answers), ...world.logged].join('\n')
    for (const secret of ['hush', base64('robot:right-hush'), base64('robot:wrong-hush')]) {
      expect(text).not.toContain(secret)
    }
    expect(text).not.toMatch(/token-\d+-[0-9a-f]{8}/)
  })
})
