/** A real client pushes to Weir, and a real registry keeps what it pushed: Weir's own disk is lost, and a second Weir serves it. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestImage, TestIndex } from '../support/images.ts'
import { craneClient, type Login, type PullClient, skopeoClient } from './support/clients.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'
import { createKubectl, type Kubectl } from './support/kubectl.ts'
import { run } from './support/process.ts'
import { realImage, realIndex } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

const image = realImage('home')
const index = realIndex('home')
const password = 'pa55:word-of-the-home'

let directory: string
let source: DockerRegistry
let home: DockerRegistry
let weir: RunningWeir
let demo: Kubectl
let login: Login
let clients: PullClient[]

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-home-'))
  const places = await Promise.all(
    ['source', 'home', 'weir'].map(async (name) => {
      await mkdir(join(directory, name))
      return join(directory, name)
    }),
  )
  const [atSource = '', atHome = '', atWeir = ''] = places
  source = await startDockerRegistry(atSource)
  home = await startDockerRegistry(atHome, { users: { robot: password } })
  await source.put('lib/image', image, 'v1')
  await source.put('lib/index', index, 'v1')
  weir = await startWeir(atWeir, { upstreams: [{ host: home.host, insecure: true }], log: { level: 'debug' } })
  clients = [craneClient(directory), skopeoClient(directory)]
  await weir.weir('new-project', 'demo')
  demo = await createKubectl({ kubeconfig: weir.kubeconfig, project: 'demo', home: join(directory, 'kubectl') })
  await demo('create', 'serviceaccount', 'ci')
  await weir.weir('grant', 'edit', 'serviceaccount:ci', '-n', 'demo')
  login = { username: 'ci', password: (await demo('create', 'token', 'ci')).trim() }
})

afterAll(async () => {
  await weir?.stop()
  await home?.stop()
  await source?.stop()
  await rm(directory, { recursive: true, force: true })
})

/** Pushes what the source has, every platform and byte of it, with skopeo. */
const push = (from: string, to: string) =>
  run('skopeo', [
    'copy',
    '--all',
    '--preserve-digests',
    '--retry-times=0',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
    `--dest-creds=${login.username}:${login.password}`,
    `docker://${source.host}/${from}`,
    `docker://${weir.host}/${to}`,
  ])

async function atHome(path: string): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`robot:${password}`).toString('base64')}`
  const accept = [image.manifest.mediaType, index.manifest.mediaType].join()
  return fetch(`${home.url}/v2/team/${path}`, { headers: { authorization, accept } })
}

async function expectPulled(reference: string, expected: TestImage | TestIndex): Promise<void> {
  for (const client of clients) {
    const pulled = await client.pull(`${weir.host}/${reference}`, login)
    expect(pulled, `${client.name}: ${pulled.stderr}`).toMatchObject({ code: 0, digest: expected.manifest.digest })
  }
}

test('a home that is not allowed is refused, and named', async () => {
  await expect(demo('annotate', 'namespace', 'demo', 'weir.dev/home=evil.example/team')).rejects.toThrow(
    'pushing images on to registry "evil.example" is forbidden',
  )
  await demo('annotate', 'namespace', 'demo', `weir.dev/home=${home.host}/team`)
})

test('a push is refused while no login of the project opens its home, and the client is told whose trouble it is', async () => {
  const refused = await push('lib/image:v1', 'demo/image:v1')
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain(`denied: ${home.host}, the home registry of project demo, answered 401`)
  const secret = ['--docker-server', home.host, '--docker-username', 'robot', '--docker-password', password]
  await demo('create', 'secret', 'docker-registry', 'home', ...secret)
})

test('an image and an index are at home, byte for byte, when the client has pushed them', async () => {
  for (const [name, pushed] of [
    ['image', image],
    ['index', index],
  ] as const) {
    expect(await push(`lib/${name}:v1`, `demo/${name}:v1`)).toMatchObject({ code: 0 })
    const answer = await atHome(`${name}/manifests/v1`)
    expect(Buffer.from(await answer.arrayBuffer())).toEqual(pushed.manifest.bytes)
    await expectPulled(`demo/${name}:v1`, pushed)
  }
  for (const child of index.children) {
    expect((await atHome(`index/manifests/${child.manifest.digest}`)).status).toBe(200)
  }
})

test('what Weir holds may be lost: it comes from home again', async () => {
  await weir.stop()
  await rm(join(weir.directory, 'data', 'content'), { recursive: true })
  const { directory: at, ports } = weir
  weir = await startWeir(at, { upstreams: [{ host: home.host, insecure: true }], log: { level: 'debug' } }, ports)
  await expectPulled('demo/image:v1', image)
  await expectPulled('demo/index:v1', index)
})

test('nothing is acknowledged while home is away, and the tag stays', async () => {
  const next = realImage('home next')
  await source.put('lib/image', next, 'v2')
  await home.stop()
  const refused = await push('lib/image:v2', 'demo/image:v1')
  expect(refused.code).not.toBe(0)
  // skopeo tells the status alone of what is the server’s trouble.
  expect(refused.stderr).toContain('503 Service Unavailable')
  await expectPulled('demo/image:v1', image)
})
