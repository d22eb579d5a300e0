/** A whole Weir pushes on to a registry before it says that it has something. */
import { describe, expect, test } from 'vitest'
import { failing, resetting } from '../support/fake-upstream-faults.ts'
import { makeImage } from '../support/images.ts'
import { annotate, demo, errorOf, homeWorld, push, pushBlob, pushManifest, send } from './home-weir.ts'

const image = makeImage('flow')
const [layer = image.config] = image.layers
describe('a push to a project with a home', () => {
  test('is there before it is acknowledged, and pulled like any location’s', async () => {
    const world = await homeWorld()
    const { upstream } = world
    await push(world, image)
    expect(upstream.manifest('team/app', 'v1')).toEqual(image.manifest)
    for (const { digest, bytes } of [image.config, layer])
      expect(upstream.blob('team/app', digest)?.bytes).toEqual(bytes)
    const pulled = await world.pull('demo/app:v1', world.adminToken)
    expect(pulled.body).toEqual(image.manifest.bytes)
    const blob = await send(world, 'GET', `/v2/demo/app/blobs/${layer.digest}`)
    expect(blob.body).toEqual(layer.bytes)
  })

  test.each([
    [503, 'UNAVAILABLE', 503],
    [429, 'TOOMANYREQUESTS', 429],
    [403, 'DENIED', 403],
    [401, 'DENIED', 403],
  ])('that answers %i is refused with %s, and a retry sends what is missing', async (status, code, answered) => {
    const world = await homeWorld()
    // A registry that says for how long it wants to be left alone after a 429 is.
    const headers = status === 429 ? {} : { 'retry-after': '9999' }
    const remove = world.upstream.intercept(failing(/uploads/, status, { headers }))
    const begun = await send(world, 'POST', '/v2/demo/app/blobs/uploads/')
    const put = () =>
      send(world, 'PUT', `${begun.headers.location}?digest=${layer.digest}`, layer.bytes.toString('latin1'))
    const refused = await put()
    expect(refused.status).toBe(answered)
    expect(errorOf(refused)).toMatchObject({ code })
    expect(refused.headers).not.toHaveProperty('www-authenticate')
    expect((await send(world, 'HEAD', `/v2/demo/app/blobs/${layer.digest}`)).status).toBe(404)
    remove()
    expect((await pushBlob(world, layer)).status).toBe(201)
    expect(world.upstream.blob('team/app', layer.digest)?.bytes).toEqual(layer.bytes)
  })

  test.each([400, 405, 409, 413, 422])('is refused for good by one that answers %i, which is named', async (status) => {
    const world = await homeWorld()
    world.upstream.intercept(failing(/uploads/, status))
    const refused = await pushBlob(world, layer)
    expect(refused.status).toBe(403)
    const { host } = world.upstream
    expect(errorOf(refused)).toEqual({
      code: 'DENIED',
      message: `${host}, the home registry of project demo, answered ${status}: it does not take this push`,
      detail: { host, reason: 'Invalid', status },
    })
  })

  test('is refused for good by a home that takes no manifest', async () => {
    const world = await homeWorld()
    for (const each of [image.config, ...image.layers]) await pushBlob(world, each)
    world.upstream.intercept(failing(/^PUT .*manifests/, 405))
    const refused = await pushManifest(world, image.manifest)
    expect(refused.status).toBe(403)
    expect(errorOf(refused)).toMatchObject({
      code: 'DENIED',
      message: expect.stringContaining('the home registry of project demo, answered 405'),
    })
  })

  test.each([
    [401, 'kubectl create secret docker-registry home -n demo --docker-server='],
    [403, 'kubectl create secret docker-registry home -n demo --docker-server='],
    [404, 'make the repository there first'],
    [408, 'not available'],
    [429, 'too many requests'],
    [503, 'not available'],
  ])('tells whose home answered %i, and what to do', async (status, told) => {
    const world = await homeWorld()
    world.upstream.intercept(failing(/uploads/, status, { headers: { 'retry-after': '9999' } }))
    const { message } = errorOf(await pushBlob(world, layer)) as { message: string }
    expect(message).toContain(`${world.upstream.host}, the home registry of project demo, answered ${status}: `)
    expect(message).toContain(told)
  })

  test('moves no tag where the home takes no manifest', async () => {
    const world = await homeWorld()
    await push(world, image)
    const next = makeImage('flow next')
    const remove = world.upstream.intercept(failing(/^PUT .*manifests/, 500))
    for (const each of [next.config, ...next.layers]) await pushBlob(world, each)
    const refused = await pushManifest(world, next.manifest)
    expect(refused.status).toBe(503)
    expect((await world.pull('demo/app:v1', world.adminToken)).body).toEqual(image.manifest.bytes)
    remove()
    expect((await pushManifest(world, next.manifest)).status).toBe(201)
    expect((await world.pull('demo/app:v1', world.adminToken)).body).toEqual(next.manifest.bytes)
  })

  test('bears with a connection that breaks', async () => {
    const world = await homeWorld()
    world.upstream.intercept(resetting(/^POST/, 1))
    world.upstream.intercept(resetting(/^PUT .*manifests/, 1))
    await push(world, image)
    expect(world.upstream.manifest('team/app', 'v1')).toEqual(image.manifest)
  })

  test('comes with the login of the project’s secret, which nobody is told', async () => {
    const world = await homeWorld({ kind: 'bearer', users: { robot: 'pa55word!' }, anonymous: false })
    const { upstream } = world
    const refused = await pushBlob(world, layer)
    expect(refused.status).toBe(403)
    expect(errorOf(refused)).toMatchObject({ code: 'DENIED' })
    const auths = { [upstream.host]: { username: 'robot', password: 'pa55word!' } }
    const secret = {
      metadata: { name: 'home' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
    }
    expect((await world.api('POST', `${demo}/secrets`, secret)).status).toBe(201)
    await push(world, image)
    expect(upstream.manifest('team/app', 'v1')).toEqual(image.manifest)
    expect(upstream.tokenRequests.at(-1)).toMatchObject({
      username: 'robot',
      scopes: ['repository:team/app:pull,push'],
    })
    expect(world.logged.join('')).not.toContain('pa55word!')
  })

  test('stays where it is once the home is another, or none', async () => {
    const world = await homeWorld()
    await push(world, image)
    await annotate(world, null)
    const next = makeImage('flow kept here')
    await push(world, next)
    expect(world.upstream.manifest('team/app', next.manifest.digest)).toBeUndefined()
    expect((await world.pull(`demo/app@${image.manifest.digest}`, world.adminToken)).body).toEqual(image.manifest.bytes)
  })

  test('is all that changes anything there: no rollback, tag or deletion does', async () => {
    const world = await homeWorld()
    const { upstream: home } = world
    const next = makeImage('flow next')
    await push(world, image)
    await push(world, next)
    home.requests.length = 0
    for (const argv of [
      ['rollback', 'demo/app:v1'],
      ['tag', 'demo/app:v1', 'demo/app:kept'],
      ['resume', 'demo/app:v1'],
      ['delete', 'demo/app:v1'],
      ['delete', `demo/app@${next.manifest.digest}`],
    ]) {
      expect(await world.cli(...argv), argv.join(' ')).toMatchObject({ exitCode: 0 })
    }
    expect(home.matching(/^(PUT|POST|PATCH|DELETE)/)).toEqual([])
    expect(home.manifest('team/app', 'v1')).toEqual(next.manifest)
    expect(home.manifest('team/app', image.manifest.digest)).toEqual(image.manifest)
    expect((await world.pull('demo/app:kept', world.adminToken)).body).toEqual(image.manifest.bytes)
  })
})
