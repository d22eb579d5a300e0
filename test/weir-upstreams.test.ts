/** What a whole Weir tells of the registries that it asked. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeImage, makeIndex, piecesOf } from './support/images.ts'
import { startWorld, type World } from './support/world.ts'

async function run(world: World, ...argv: string[]): Promise<void> {
  expect(await world.cli(...argv), argv.join(' ')).toMatchObject({ exitCode: 0 })
}

/** Requests by stream, as the API tells them. */
async function spent(world: World): Promise<Record<string, number>> {
  const { body } = await world.api('GET', `/apis/weir.dev/v1/upstreams/${world.upstream.host}`)
  const spenders = body.spent as { namespace: string; stream: string; requests: number }[]
  return Object.fromEntries(spenders.map(({ namespace, stream, requests }) => [`${namespace}/${stream}`, requests]))
}

async function metrics(world: World, name: string): Promise<string[]> {
  const { body } = await world.request('/metrics')
  return body
    .toString()
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`))
}

const asked = (world: World) => world.upstream.matching(/\/(?:manifests|blobs|tags)\//).length

describe('requests spent by stream', () => {
  test('are those of imports by hand and of pulls, manifests and blobs', async () => {
    const world = await startWorld()
    const image = makeImage('one', { layers: [Buffer.from('first'), Buffer.from('second')] })
    world.upstream.put('lib/app', image, { tag: 'v1' })
    world.upstream.put('lib/many', makeIndex('many'), { tag: 'v1' })
    await run(world, 'new-project', 'demo')
    await run(world, 'grant', 'pull', 'anonymous', '-n', 'demo')
    await run(world, 'import-image', 'demo/app:prod', '--from', `${world.upstream.host}/lib/app:v1`)
    const imported = asked(world)
    expect(imported).toBeGreaterThan(1)
    expect(await spent(world)).toEqual({ 'demo/app': imported })
    const token = await world.pullToken('repository:demo/app:pull')
    for (const { digest } of piecesOf(image)) {
      if (digest === image.manifest.digest) continue
      for (const method of ['HEAD', 'GET']) {
        expect((await world.request(`/v2/demo/app/blobs/${digest}`, { method, token })).status).toBe(200)
      }
    }
    const pulled = asked(world)
    expect(pulled).toBeGreaterThan(imported)
    expect(await spent(world)).toEqual({ 'demo/app': pulled })
    await run(world, 'import-image', 'demo/many:prod', '--from', `${world.upstream.host}/lib/many:v1`)
    expect(await spent(world)).toEqual({ 'demo/app': pulled, 'demo/many': asked(world) - pulled })
  })
})

test('metrics count requests by registry, purpose and result', async () => {
  const world = await startWorld()
  const { host } = world.upstream
  world.upstream.put('lib/app', makeImage('one'), { tag: 'v1' })
  await run(world, 'new-project', 'demo')
  await run(world, 'import-image', 'demo/app:prod', '--from', `${host}/lib/app:v1`)
  const imported = asked(world)
  expect((await world.cli('import-image', 'demo/app:other', '--from', `${host}/lib/app:none`)).exitCode).toBe(1)
  expect(await metrics(world, 'weir_upstream_requests_total')).toEqual([
    `weir_upstream_requests_total{host="${host}",purpose="interactive",result="ok"} ${imported}`,
    `weir_upstream_requests_total{host="${host}",purpose="interactive",result="not_found"} ${asked(world) - imported}`,
  ])
})

test('metrics tell how long a login that a program gave is good', async () => {
  const config = (host: string, file: string) => ({
    upstreams: [
      {
        host,
        insecure: true,
        exec: { command: ['/bin/cat', file] },
        projects: ['demo'],
        repositories: ['**'],
      },
    ],
  })
  const world = await startWorld({ upstream: { auth: { kind: 'basic', users: { robot: 'hush-hush' } } } })
  const { host } = world.upstream
  const expiry = '2100-01-01T00:00:00Z'
  const file = join(world.dataDirectory, 'login.json')
  await writeFile(file, JSON.stringify({ username: 'robot', password: 'hush-hush', expiry }))
  await world.restart(config(host, file))
  expect(await metrics(world, 'weir_upstream_login_expiry_seconds')).toEqual([])
  world.upstream.put('lib/app', makeImage('one'), { tag: 'v1' })
  await run(world, 'new-project', 'demo')
  await run(world, 'import-image', 'demo/app:prod', '--from', `${host}/lib/app:v1`)
  const [line = '', ...more] = await metrics(world, 'weir_upstream_login_expiry_seconds')
  expect(more).toEqual([])
  const [labels = '', seconds = ''] = line.split(' ')
  expect(labels).toBe(`weir_upstream_login_expiry_seconds{host="${host}",login="upstreams[0]"}`)
  const leftSeconds = (Date.parse(expiry) - Date.now()) / 1000
  expect(Number(seconds)).toBeGreaterThan(leftSeconds - 1)
  expect(Number(seconds)).toBeLessThan(leftSeconds + 600)
  const { body } = await world.api('GET', '/apis/weir.dev/v1/upstreams')
  const { body: text } = await world.request('/metrics')
  for (const told of [JSON.stringify(body), text.toString(), ...world.logged]) expect(told).not.toContain('hush')
})

test('a login that no program gives any more is a condition that says whose, which and what to do', async () => {
  const world = await startWorld({ upstream: { auth: { kind: 'basic', users: { robot: 'hush-hush' } } } })
  const { host } = world.upstream
  const rule = { host, insecure: true, projects: ['demo'], repositories: ['**'] }
  const script = 'echo leaked-hush; echo "token hush" >&2; exit 3'
  await world.restart({ upstreams: [{ ...rule, exec: { command: ['/bin/sh', '-c', script] } }] })
  world.upstream.put('lib/app', makeImage('one'), { tag: 'v1' })
  await run(world, 'new-project', 'demo')
  await run(world, 'grant', 'pull', 'anonymous', '-n', 'demo')
  const { exitCode, stderr } = await world.cli('import-image', 'demo/app:prod', '--from', `${host}/lib/app:v1`)
  expect(exitCode).toBe(1)
  const problem = `the login for ${host} could not be had: upstreams[0].exec: /bin/sh ended with 3; Weir's log says more`
  expect(stderr).toContain(problem)
  expect(stderr).toContain(`renew the login for ${host} that the message names`)
  const { body } = await world.api('GET', '/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app')
  expect(body).toMatchObject({
    status: {
      tags: [
        { tag: 'prod', conditions: [{ reason: 'CredentialsExpired', message: expect.stringContaining(problem) }] },
      ],
    },
  })
  for (const told of [stderr, JSON.stringify(body)]) expect(told).not.toContain('hush')
  expect(world.upstream.matching(/manifests/).map(({ headers }) => headers.authorization)).toEqual([undefined])
})
