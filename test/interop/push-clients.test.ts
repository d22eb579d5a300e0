/** Real clients push images to a Weir that has no upstream at all, and pull them back. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { piecesOf, type TestImage } from '../support/images.ts'
import {
  type Containerd,
  type DockerEngine,
  type Login,
  startContainerd,
  startDockerEngine,
} from './support/clients.ts'
import { type Laid, layOut } from './support/oci-layout.ts'
import {
  buildahPusher,
  containerdPusher,
  cranePusher,
  dockerPusher,
  orasPusher,
  type PushClient,
  podmanPusher,
  regctlPusher,
  skopeoPusher,
} from './support/push-clients.ts'
import { openRepository, readImage } from './support/read-image.ts'
import { realImage, realIndex } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

const clientNames = ['docker', 'podman', 'skopeo', 'buildah', 'ctr', 'crane', 'oras', 'regctl'] as const
const exactNames = ['skopeo', 'ctr', 'crane', 'oras', 'regctl'] as const

let directory: string
let weir: RunningWeir
let engine: DockerEngine
let containerd: Containerd
let pusher: Login
let puller: Login
const clients = new Map<string, PushClient>()

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-push-'))
  weir = await startWeir(directory, { log: { level: 'debug' } })
  engine = await startDockerEngine(directory)
  containerd = await startContainerd(directory)
  for (const client of [
    dockerPusher(engine, directory),
    podmanPusher(directory),
    skopeoPusher(directory),
    buildahPusher(directory),
    containerdPusher(containerd),
    cranePusher(directory),
    orasPusher(directory),
    regctlPusher(directory),
  ]) {
    clients.set(client.name, client)
    console.log(`client: ${await client.version()}`)
  }
  await weir.weir('new-project', 'demo')
  const robot = async (name: string, role: string): Promise<Login> => {
    const password = (await weir.weir('token', name, '-n', 'demo')).trim()
    await weir.weir('grant', role, `serviceaccount:${name}`, '-n', 'demo')
    return { username: name, password }
  }
  pusher = await robot('builder', 'system:image-builder')
  puller = await robot('reader', 'pull')
}, 300_000)

afterAll(async () => {
  await containerd?.stop()
  await engine?.stop()
  await weir?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
}, 120_000)

function clientOf(name: string): PushClient {
  const client = clients.get(name)
  if (client === undefined) throw new TypeError(`no client ${name}`)
  return client
}

let laid = 0
function lay(image: Laid['image']): Promise<Laid> {
  laid += 1
  return layOut(join(directory, `laid-${laid}`), image)
}

interface Entry {
  revision: number
  image: string
  cause: { kind: string; by?: string; client?: string }
}

/** The ledger of a tag, oldest first. */
async function ledger(tag: string): Promise<Entry[]> {
  return (JSON.parse(await weir.weir('history', tag, '-o', 'json')) as { items: Entry[] }).items.toReversed()
}

const read = async (stream: string, tag: string) => readImage(await openRepository(weir, `demo/${stream}`, puller), tag)

/** What the layers hold, the pusher's own compression aside. */
function layersOf(image: TestImage): Buffer[] {
  return image.layers.map(({ bytes }) => gunzipSync(bytes))
}

describe.each(clientNames)('%s', (name) => {
  const images = [realImage(`${name} one`), realImage(`${name} two`)] as const

  test('pushes to a stream that is made by it, and again: each push is a revision, and what is pulled is what was pushed', async () => {
    const client = clientOf(name)
    const reference = `${weir.host}/demo/${name}:prod`
    const digests: string[] = []
    for (const image of images) {
      const pushed = await client.push(await lay(image), reference, pusher)
      expect(pushed, pushed.stderr).toMatchObject({ code: 0, digest: expect.any(String) })
      digests.push(pushed.digest ?? '')
      if (client.isExact) expect(pushed.digest).toBe(image.manifest.digest)
      const pulled = await client.pull(reference, puller)
      expect(pulled, pulled.stderr).toMatchObject({ code: 0, digest: pushed.digest })
      const whole = await read(name, 'prod')
      expect(whole.digest).toBe(pushed.digest)
      const unpacked = [...whole.blobs.values()].flatMap((bytes) => (isGzip(bytes) ? [gunzipSync(bytes)] : []))
      for (const layer of layersOf(image)) expect(unpacked.some((bytes) => bytes.equals(layer))).toBe(true)
    }
    const entries = await ledger(`demo/${name}:prod`)
    expect(entries.map(({ revision, image }) => [revision, image])).toEqual(digests.map((digest, i) => [i + 1, digest]))
    for (const { cause } of entries) {
      expect(cause).toMatchObject({
        kind: 'push',
        by: 'system:serviceaccount:demo:builder',
        client: expect.any(String),
      })
    }
    console.log(`${name} pushes as: ${entries[0]?.cause.client}`)
    const before = await client.pull(`${weir.host}/demo/${name}@${digests[0]}`, puller)
    expect(before.code, before.stderr).toBe(0)
  })

  test('is refused, and the stream is not made, where the login may pull alone', async () => {
    const refused = await clientOf(name).push(await lay(images[0]), `${weir.host}/demo/not-${name}:prod`, puller)
    expect(refused.code).not.toBe(0)
    expect(`${refused.stdout}${refused.stderr}`).toMatch(/denied|unauthorized|forbidden|insufficient|401|403/i)
    expect(await weir.weir('get', 'streams', '-n', 'demo', '-o', 'name')).not.toContain(`not-${name}`)
  })
})

describe.each(exactNames)('%s', (name) => {
  test('pushes an index of two platforms, and every byte comes back as it was', async () => {
    const client = clientOf(name)
    const index = realIndex(`${name} index`)
    const reference = `${weir.host}/demo/${name}-index:prod`
    const pushed = await client.push(await lay(index), reference, pusher)
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, digest: index.manifest.digest })
    const pulled = await client.pull(reference, puller)
    expect(pulled, pulled.stderr).toMatchObject({ code: 0, digest: index.manifest.digest })
    const whole = await read(`${name}-index`, 'prod')
    expect(whole.mediaType).toBe(index.manifest.mediaType)
    const got = new Map([...whole.manifests, ...whole.blobs])
    expect([...got.keys()].sort()).toEqual([...new Set(piecesOf(index).map(({ digest }) => digest))].sort())
    for (const { digest, bytes } of piecesOf(index)) expect(got.get(digest)?.equals(bytes), digest).toBe(true)
  })
})

test.each(['docker', 'crane'] as const)(
  'a push by %s to a name of three parts fails, tried once, with words that say what names look like',
  async (name) => {
    const refused = await clientOf(name).push(await lay(realImage(name)), `${weir.host}/demo/${name}/app:prod`, pusher)
    expect(refused.code).not.toBe(0)
    const told = `${refused.stdout}${refused.stderr}`
    expect(told).toContain('invalid repository name: it has 3 components, and a name here is project/stream')
    const begun = (await logged()).filter(
      ({ method, path }) => method === 'POST' && path?.startsWith(`/v2/demo/${name}/app/blobs/uploads/`),
    )
    // One for each blob at most, where docker tries an error that it takes for a passing one several times.
    expect([1, 2]).toContain(begun.length)
  },
)

test('what one client pushed the others pull', async () => {
  for (const from of exactNames) {
    for (const by of ['docker', 'podman', 'buildah', 'ctr'] as const) {
      const pulled = await clientOf(by).pull(`${weir.host}/demo/${from}:prod`, puller)
      expect(pulled, `${by} of what ${from} pushed: ${pulled.stderr}`).toMatchObject({
        code: 0,
        digest: realImage(`${from} two`).manifest.digest,
      })
    }
  }
})

async function logged(): Promise<{ method?: string; path?: string }[]> {
  const lines = (await readFile(join(directory, 'weir.log'), 'utf8')).split('\n')
  return lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { method?: string; path?: string })
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b
}
