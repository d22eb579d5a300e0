/** Real clients pull pinned stream tags through a Weir in front of Debian's docker-registry. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type Containerd,
  craneClient,
  type DockerEngine,
  dockerClient,
  type Login,
  type PullClient,
  podmanClient,
  skopeoClient,
  startContainerd,
  startDockerEngine,
} from './support/clients.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'
import { run } from './support/process.ts'
import { realImage, realIndex } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

const images = {
  'an OCI image': realImage('oci v1'),
  'a Docker image': realImage('docker v1', { docker: true }),
  'an OCI index': realIndex('oci index v1'),
  'a Docker manifest list': realIndex('docker list v1', { docker: true }),
}
const first = realImage('first')
const second = realImage('second')
const kinds = Object.keys(images) as (keyof typeof images)[]
const streams = {
  'an OCI image': 'oci',
  'a Docker image': 'docker',
  'an OCI index': 'index',
  'a Docker manifest list': 'list',
}
const clientNames = ['docker', 'podman', 'skopeo', 'ctr', 'crane'] as const

let directory: string
let registry: DockerRegistry
let weir: RunningWeir
let engine: DockerEngine
let containerd: Containerd
let login: Login
let stranger: Login
const clients = new Map<string, PullClient>()

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-interop-'))
  registry = await startDockerRegistry(directory)
  weir = await startWeir(directory, { upstreams: [{ host: registry.host, insecure: true }] })
  engine = await startDockerEngine(directory)
  containerd = await startContainerd(directory)
  for (const client of [
    dockerClient(engine),
    podmanClient(directory),
    skopeoClient(directory),
    containerd.client,
    craneClient(directory),
  ]) {
    clients.set(client.name, client)
    console.log(`client: ${await client.version()}`)
  }
  for (const project of ['demo', 'open', 'other']) await weir.weir('new-project', project)
  for (const kind of kinds) {
    await registry.put(`lib/${streams[kind]}`, images[kind], 'v1')
    for (const project of ['demo', 'open']) {
      await weir.weir(
        'import-image',
        `${project}/${streams[kind]}:prod`,
        '--from',
        `${registry.host}/lib/${streams[kind]}:v1`,
      )
    }
  }
  // The upstream moves on; what was accepted stays.
  for (const kind of kinds) await registry.put(`lib/${streams[kind]}`, realImage(`${kind} v2`), 'v1')
  await rollBackAndForth()
  login = { username: 'ci', password: (await weir.weir('token', 'ci', '-n', 'demo')).trim() }
  stranger = { username: 'ci', password: (await weir.weir('token', 'ci', '-n', 'other')).trim() }
  await weir.weir('grant', 'pull', 'serviceaccount:ci', '-n', 'demo')
  await weir.weir('grant', 'pull', 'anonymous', '-n', 'open')
}, 300_000)

/** Two streams whose upstream moved: `accepted` was imported again, `rolled` was imported again and rolled back. */
async function rollBackAndForth(): Promise<void> {
  await registry.put('lib/moving', first, 'v1')
  const from = `${registry.host}/lib/moving:v1`
  for (const stream of ['accepted', 'rolled']) await weir.weir('import-image', `demo/${stream}:prod`, '--from', from)
  await registry.put('lib/moving', second, 'v1')
  for (const stream of ['accepted', 'rolled']) await weir.weir('import-image', `demo/${stream}:prod`)
  await weir.weir('rollback', 'demo/rolled:prod', '--reason', 'bad build')
}

afterAll(async () => {
  await containerd?.stop()
  await engine?.stop()
  await weir?.stop()
  await registry?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
}, 120_000)

describe.each(clientNames)('%s', (name) => {
  const pull = (reference: string, as?: Login) => {
    const client = clients.get(name)
    if (client === undefined) throw new TypeError(`no client ${name}`)
    return client.pull(reference, as)
  }

  test.each(kinds)('pulls %s by tag with a login and gets the accepted digest', async (kind) => {
    const pulled = await pull(`${weir.host}/demo/${streams[kind]}:prod`, login)
    expect(pulled, pulled.stderr).toMatchObject({ code: 0, digest: images[kind].manifest.digest })
  })

  test.each(kinds)('pulls %s by digest with a login', async (kind) => {
    const pulled = await pull(`${weir.host}/demo/${streams[kind]}@${images[kind].manifest.digest}`, login)
    expect(pulled, pulled.stderr).toMatchObject({ code: 0 })
  })

  test.each(kinds)('pulls %s by tag without a login where anonymous may', async (kind) => {
    const pulled = await pull(`${weir.host}/open/${streams[kind]}:prod`)
    expect(pulled, pulled.stderr).toMatchObject({ code: 0, digest: images[kind].manifest.digest })
  })

  test('gets what was accepted by hand, and after a rollback the first digest again', async () => {
    const accepted = await pull(`${weir.host}/demo/accepted:prod`, login)
    expect(accepted, accepted.stderr).toMatchObject({ code: 0, digest: second.manifest.digest })
    const rolled = await pull(`${weir.host}/demo/rolled:prod`, login)
    expect(rolled, rolled.stderr).toMatchObject({ code: 0, digest: first.manifest.digest })
  })

  test('is refused without a login where anonymous may not', async () => {
    expect((await pull(`${weir.host}/demo/oci:prod`)).code).not.toBe(0)
  })

  test('is refused with a login that has no right there', async () => {
    expect((await pull(`${weir.host}/demo/oci:prod`, stranger)).code).not.toBe(0)
  })

  test('is refused with a wrong password', async () => {
    expect((await pull(`${weir.host}/demo/oci:prod`, { username: 'ci', password: 'wrong' })).code).not.toBe(0)
  })

  test('may pull what is open to all with a login that has no right of its own there', async () => {
    const pulled = await pull(`${weir.host}/open/oci:prod`, stranger)
    expect(pulled, pulled.stderr).toMatchObject({ code: 0, digest: images['an OCI image'].manifest.digest })
  })

  test('does not get the digest that the upstream moved to', async () => {
    const moved = realImage('an OCI image v2').manifest.digest
    expect((await pull(`${weir.host}/demo/oci@${moved}`, login)).code).not.toBe(0)
  })
})

test('skopeo pulls over HTTPS, trusting the CA that Weir made', async () => {
  const env = { SSL_CERT_FILE: join(weir.directory, 'data/tls/ca.crt') }
  const reference = `docker://${new URL(weir.apiUrl).host}/demo/oci:prod`
  const credentials = ['--creds', `${login.username}:${login.password}`]
  const inspected = await run('skopeo', ['inspect', ...credentials, reference], { env })
  expect(inspected.code, inspected.stderr).toBe(0)
  expect(JSON.parse(inspected.stdout)).toMatchObject({ Digest: images['an OCI image'].manifest.digest })
  const untrusting = await run('skopeo', ['inspect', ...credentials, reference])
  expect(untrusting.stderr).toContain('certificate')
})
