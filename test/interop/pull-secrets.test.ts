/** A project opens a private registry for itself by a secret, as people make it with kubectl; clients pull through Weir. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { craneClient, type Login, type PullClient, skopeoClient } from './support/clients.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'
import { createKubectl, type Kubectl } from './support/kubectl.ts'
import { realImage } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

const image = realImage('private')
const password = 'pa55:word-of-the-robot'

let directory: string
let registry: DockerRegistry
let weir: RunningWeir
let demo: Kubectl
let login: Login
let clients: PullClient[]

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-secrets-'))
  registry = await startDockerRegistry(directory, { users: { robot: password, other: 'x' } })
  await registry.put('org/app', image, 'v1')
  weir = await startWeir(directory, { upstreams: [{ host: registry.host, insecure: true }], log: { level: 'debug' } })
  clients = [craneClient(directory), skopeoClient(directory)]
  for (const project of ['demo', 'shop']) await weir.weir('new-project', project)
  demo = await createKubectl({ kubeconfig: weir.kubeconfig, project: 'demo', home: join(directory, 'home') })
  await demo('create', 'serviceaccount', 'ci')
  await weir.weir('grant', 'pull', 'serviceaccount:ci', '-n', 'demo')
  login = { username: 'ci', password: (await demo('create', 'token', 'ci')).trim() }
})

afterAll(async () => {
  await weir?.stop()
  await registry?.stop()
  await rm(directory, { recursive: true, force: true })
})

const createRegcred = (name: string, server: string, secret: string) =>
  demo(
    'create',
    'secret',
    'docker-registry',
    name,
    `--docker-server=${server}`,
    '--docker-username=robot',
    `--docker-password=${secret}`,
  )
const importApp = (project: string) =>
  weir.tryWeir('import-image', `${project}/app:v1`, '--from', `${registry.host}/org/app:v1`)

test('an import without a secret says what to make, and one with a wrong secret names it', async () => {
  const without = await importApp('demo')
  expect(without.code).toBe(1)
  expect(without.stderr).toContain(
    `${registry.host} denied "org/app", or it is not there: tried without a login (401); project demo has no login for it`,
  )
  await createRegcred('a-wrong', `${registry.host}/org`, 'guessed')
  const wrong = await importApp('demo')
  expect(wrong.stderr).toContain('tried secret "a-wrong" (401), then without a login (401)')
})

test('kubectl create secret docker-registry opens the registry to the project at once, and clients pull', async () => {
  await createRegcred('regcred', registry.host, password)
  expect(await importApp('demo')).toMatchObject({ code: 0 })
  for (const client of clients) {
    const pulled = await client.pull(`${weir.host}/demo/app:v1`, login)
    expect(pulled, client.name).toMatchObject({ code: 0, digest: image.manifest.digest })
  }
})

test('I9: another project gets nothing by it', async () => {
  const other = await importApp('shop')
  expect(other.code).toBe(1)
  expect(other.stderr).toContain('tried without a login (401); project shop has no login for it')
})

test('a config file of docker login serves as well', async () => {
  const text = JSON.stringify({
    auths: { [`http://${registry.host}/v2/`]: { auth: Buffer.from(`robot:${password}`).toString('base64') } },
  })
  const shop = await createKubectl({ kubeconfig: weir.kubeconfig, project: 'shop', home: join(directory, 'shop') })
  await shop(
    'create',
    'secret',
    'generic',
    'from-docker',
    '--type=kubernetes.io/dockerconfigjson',
    `--from-literal=.dockerconfigjson=${text}`,
  )
  expect(await importApp('shop')).toMatchObject({ code: 0 })
})

test('a deleted secret is used no more, and what is pinned is pulled on', async () => {
  await demo('delete', 'secret', 'regcred')
  const failed = await importApp('demo')
  expect(failed.stderr).toContain('tried secret "a-wrong" (401), then without a login (401)')
  const { status } = await demo.json('get', 'imagestream', 'app')
  expect(status.tags[0].conditions[0].message).toContain('tried secret "a-wrong" (401), then without a login (401)')
  const token = await fetch(`${weir.url}/token?service=${weir.host}&scope=repository:demo/app:pull`, {
    headers: { authorization: `Basic ${Buffer.from(`ci:${login.password}`).toString('base64')}` },
  }).then(async (answer) => (await answer.json()) as { token: string })
  const pulled = await fetch(`${weir.url}/v2/demo/app/manifests/v1`, {
    headers: { authorization: `Bearer ${token.token}`, accept: image.manifest.mediaType },
  })
  expect([pulled.status, pulled.headers.get('docker-content-digest')]).toEqual([200, image.manifest.digest])
})

test('I9: the log at debug has no login', async () => {
  const log = await readFile(join(directory, 'weir.log'), 'utf8')
  for (const secret of [password, 'guessed', Buffer.from(`robot:${password}`).toString('base64')]) {
    expect(log).not.toContain(secret)
  }
})
