/** Real clients push to Weir, and a real registry keeps what they pushed: for a second Weir, a small disk, and one that is lost. */
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TestImage, TestIndex } from '../support/images.ts'
import { artifactClientVersions, programOf } from './support/artifact-clients.ts'
import { craneClient, type Login, type PullClient, skopeoClient } from './support/clients.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'
import { createKubectl, type Kubectl } from './support/kubectl.ts'
import { run } from './support/process.ts'
import { realImage, realIndex } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

const image = realImage('home')
const index = realIndex('home')
const large = [1, 2, 3, 4, 5, 6].map((n) => realImage(`home of large ${n}`, { padding: 250_000 }))
const password = 'pa55:word-of-the-home'

let directory: string
let source: DockerRegistry
let home: DockerRegistry
let weir: RunningWeir
let demo: Kubectl
let login: Login
let clients: PullClient[]
/** Another Weir, with a disk for 1 MiB. */
let small: RunningWeir
let smallLogin: Login

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-home-'))
  const places = await Promise.all(
    ['source', 'home', 'weir', 'small'].map(async (name) => {
      await mkdir(join(directory, name))
      return join(directory, name)
    }),
  )
  const [atSource = '', atHome = '', atWeir = '', atSmall = ''] = places
  source = await startDockerRegistry(atSource)
  home = await startDockerRegistry(atHome, { users: { robot: password } })
  await source.put('lib/image', image, 'v1')
  await source.put('lib/index', index, 'v1')
  weir = await startWeir(atWeir, { upstreams: [{ host: home.host, insecure: true }], log: { level: 'debug' } })
  small = await startWeir(atSmall, smallConfig())
  clients = [craneClient(directory), skopeoClient(directory)]
  await weir.weir('new-project', 'demo')
  demo = await createKubectl({ kubeconfig: weir.kubeconfig, project: 'demo', home: join(directory, 'kubectl') })
  await demo('create', 'serviceaccount', 'ci')
  await weir.weir('grant', 'edit', 'serviceaccount:ci', '-n', 'demo')
  login = { username: 'ci', password: (await demo('create', 'token', 'ci')).trim() }
  await small.weir('new-project', 'demo')
  smallLogin = { username: 'ci', password: (await small.weir('token', 'ci', '-n', 'demo')).trim() }
  await small.weir('grant', 'edit', 'serviceaccount:ci', '-n', 'demo')
})

const smallConfig = () => ({
  upstreams: [{ host: home.host, insecure: true }],
  content: { maxBytes: '1MiB', retain: 'pulled' },
})

afterAll(async () => {
  await weir?.stop()
  await small?.stop()
  await home?.stop()
  await source?.stop()
  await rm(directory, { recursive: true, force: true })
})

/** Pushes what the source has, every platform and byte of it, with skopeo. */
const push = (from: string, to: string, at = weir, { username, password: secret } = login) =>
  run('skopeo', [
    'copy',
    '--all',
    '--preserve-digests',
    '--retry-times=0',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
    `--dest-creds=${username}:${secret}`,
    `docker://${source.host}/${from}`,
    `docker://${at.host}/${to}`,
  ])

async function atHome(path: string): Promise<Response> {
  const authorization = `Basic ${Buffer.from(`robot:${password}`).toString('base64')}`
  const accept = [image.manifest.mediaType, index.manifest.mediaType].join()
  return fetch(`${home.url}/v2/team/${path}`, { headers: { authorization, accept } })
}

async function expectPulled(
  reference: string,
  expected: TestImage | TestIndex,
  { at = weir, as = login } = {},
): Promise<void> {
  for (const client of clients) {
    const pulled = await client.pull(`${at.host}/${reference}`, as)
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

test('oras discovers what was attached to an image, at Weir and at home, which has no API for it', async () => {
  console.log((await artifactClientVersions()).find((version) => version.startsWith('oras')))
  const type = 'application/vnd.example.report'
  const robot = { username: 'robot', password }
  const oras = await programOf('oras', directory, weir.host, login)
  await writeFile(join(directory, 'oras-home', 'report.txt'), 'all is well\n')
  const name = `demo/image@${image.manifest.digest}`
  const attached = await oras('attach', '--plain-http', '--artifact-type', type, `${weir.host}/${name}`, 'report.txt')
  expect(attached.code, attached.stderr).toBe(0)
  const atHomeItself = await programOf('oras', join(directory, 'at-home'), home.host, robot)
  for (const [program, reference] of [
    [oras, `${weir.host}/${name}`],
    [atHomeItself, `${home.host}/team/image@${image.manifest.digest}`],
  ] as const) {
    const found = await program('discover', '--plain-http', '--format', 'json', reference)
    expect(found.code, found.stderr).toBe(0)
    const { referrers } = JSON.parse(found.stdout) as { referrers: { artifactType: string }[] }
    expect(referrers, reference).toMatchObject([{ artifactType: type }])
  }
})

test('a second Weir of its own data imports from home what was pushed to the first, and follows when it is told', async () => {
  const secret = ['--docker-server', home.host, '--docker-username', 'robot', '--docker-password', password]
  const there = await createKubectl({
    kubeconfig: small.kubeconfig,
    project: 'demo',
    home: join(directory, 'kubectl-2'),
  })
  await there('create', 'secret', 'docker-registry', 'home', ...secret)
  await there('annotate', 'namespace', 'demo', `weir.dev/home=${home.host}/team`)
  for (const name of ['image', 'index']) {
    await small.weir('import-image', `demo/${name}:v1`, '--from', `${home.host}/team/${name}:v1`)
  }
  const one = { at: small, as: smallLogin }
  await expectPulled('demo/image:v1', image, one)
  await expectPulled('demo/index:v1', index, one)
  const [first, next] = [realImage('home of both'), realImage('home of both, next')]
  await source.put('lib/image', first, 'both')
  expect(await push('lib/image:both', 'demo/image:both')).toMatchObject({ code: 0 })
  await small.weir('import-image', 'demo/image:both', '--from', `${home.host}/team/image:both`)
  await source.put('lib/image', next, 'both')
  expect(await push('lib/image:both', 'demo/image:both')).toMatchObject({ code: 0 })
  await small.weir('import-image', 'demo/image:both')
  await expectPulled('demo/image:both', next, one)
})

test('a small disk takes more than it has room for, and gives what it let go of, after a restart too', async () => {
  for (const [i, each] of large.entries()) {
    await source.put('lib/large', each, `v${i}`)
    const pushed = await push(`lib/large:v${i}`, `demo/large:v${i}`, small, smallLogin)
    expect(pushed.code, pushed.stderr).toBe(0)
    small = await hourLater(small)
    await small.weir('prune')
  }
  expect(await heldBytes(small)).toBeLessThan(1024 ** 2)
  for (const [i, each] of large.entries()) {
    await expectPulled(`demo/large:v${i}`, each, { at: small, as: smallLogin })
  }
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

test('while home is away a small disk gives what it holds, and names the home for the rest', async () => {
  small = await hourLater(small)
  await small.weir('prune')
  const held = await readdir(blobsOf(small))
  const outcomes = new Set<boolean>()
  for (const [i, each] of large.entries()) {
    const isHeld = each.layers.every(({ digest }) => held.includes(digest.slice('sha256:'.length)))
    outcomes.add(isHeld)
    if (isHeld) await expectPulled(`demo/large:v${i}`, each, { at: small, as: smallLogin })
    else {
      const [crane] = clients
      const refused = await crane?.pull(`${small.host}/demo/large:v${i}`, smallLogin)
      expect(refused?.code).not.toBe(0)
      expect(refused?.stderr).toContain(home.host)
    }
  }
  expect(outcomes).toEqual(new Set([true, false]))
})

const blobsOf = ({ directory: at }: RunningWeir) => join(at, 'data', 'content', 'blobs', 'sha256')

/** Starts it again, as if nothing had been used for an hour. */
async function hourLater(at: RunningWeir): Promise<RunningWeir> {
  await at.stop()
  const hourAgo = new Date(Date.now() - 3_600_000)
  for (const file of await readdir(blobsOf(at))) {
    const path = join(blobsOf(at), file)
    await utimes(path, hourAgo, (await stat(path)).mtime)
  }
  return startWeir(at.directory, smallConfig(), at.ports)
}

async function heldBytes(at: RunningWeir): Promise<number> {
  const sizes = (await readdir(blobsOf(at))).map(async (file) => (await stat(join(blobsOf(at), file))).size)
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
}
