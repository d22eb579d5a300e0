import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../support/directory.ts'
import { makeImage } from '../support/images.ts'
import { startWorld } from '../support/world.ts'

const image = makeImage('promoted')
const projects = '/apis/project.openshift.io/v1/projects'
const imageApi = '/apis/image.openshift.io/v1'

test('what was promoted out of a project goes on when that is removed, by the login that was for it', async () => {
  const passwordFile = join(await temporaryDirectory(), 'password')
  await writeFile(passwordFile, 'hush')
  const world = await startWorld({ upstream: { auth: { kind: 'bearer', users: { robot: 'hush' }, anonymous: false } } })
  const { upstream, api } = world
  upstream.put('lib/app', image, { tag: 'v1' })
  const login = { username: 'robot', passwordFile, projects: ['demo'], repositories: ['lib/**'] }
  await world.restart({ upstreams: [{ host: upstream.host, insecure: true, ...login }] })
  for (const name of ['demo', 'shop']) await api('POST', projects, { metadata: { name } })
  const imported = await world.cli('import-image', 'demo/app:prod', '--from', `${upstream.host}/lib/app:v1`)
  expect(imported).toMatchObject({ exitCode: 0 })
  const promoted = await api('PUT', `${imageApi}/namespaces/shop/imagestreamtags/app:prod`, {
    metadata: { name: 'app:prod', namespace: 'shop' },
    tag: { name: 'prod', from: { kind: 'ImageStreamTag', name: 'app:prod', namespace: 'demo' } },
  })
  expect(promoted.status).toBe(201)

  expect((await api('DELETE', `${projects}/demo`)).status).toBe(200)
  while ((await api('GET', `${projects}/demo`)).status !== 404);

  const pulled = await world.pull('shop/app:prod', world.adminToken)
  expect(pulled.body.equals(image.manifest.bytes)).toBe(true)
  const [layer] = image.layers
  const token = await world.pullToken('repository:shop/app:pull', world.adminToken)
  const blob = await world.request(`/v2/shop/app/blobs/${layer?.digest}`, { token })
  expect(blob.status).toBe(200)
  expect(blob.body.equals(layer?.bytes ?? Buffer.alloc(0))).toBe(true)

  const before = upstream.requests.length
  const own = await world.pull('demo/app:prod', world.adminToken)
  expect(own.status).toBe(404)
  await api('POST', projects, { metadata: { name: 'demo' } })
  await api('POST', `${imageApi}/namespaces/demo/imagestreams`, { metadata: { name: 'app' } })
  for (const reference of ['demo/app:prod', `demo/app@${image.manifest.digest}`]) {
    expect((await world.pull(reference, world.adminToken)).status).toBe(404)
  }
  expect((await api('GET', `${imageApi}/namespaces/demo/imagestreams/app`)).body).toMatchObject({ status: {} })
  expect(upstream.requests.length).toBe(before)
})
