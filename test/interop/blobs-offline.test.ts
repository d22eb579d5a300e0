/** Real clients pull what a tag stands at although nobody ever pulled it and its upstream is gone, or refuses. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type BlobUpstream, startBlobUpstream } from '../support/blob-upstream.ts'
import { generatedBlob } from '../support/generated-blob.ts'
import type { TestImage, TestIndex } from '../support/images.ts'
import {
  type Containerd,
  craneClient,
  type DockerEngine,
  dockerClient,
  type PullClient,
  podmanClient,
  skopeoClient,
  startContainerd,
  startDockerEngine,
} from './support/clients.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'
import { realImage, realIndex } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

const kinds = ['image', 'index'] as const
const clientNames = ['docker', 'podman', 'ctr', 'crane', 'skopeo'] as const
// Each client pulls what no client pulled before it: a stream of its own.
const images = new Map<string, TestImage | TestIndex>(
  clientNames.flatMap((name) => [
    [`${name}-image`, realImage(`offline ${name}`)] as const,
    [`${name}-index`, realIndex(`offline ${name}`)] as const,
  ]),
)

let directory: string
let registry: DockerRegistry
let failing: BlobUpstream
let weir: RunningWeir
let engine: DockerEngine
let containerd: Containerd
const clients = new Map<string, PullClient>()

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-offline-'))
  registry = await startDockerRegistry(directory)
  failing = await startBlobUpstream()
  const upstreams = [registry, failing].map(({ host }) => ({ host, insecure: true }))
  weir = await startWeir(directory, { upstreams, content: { retain: 'pinned' } })
  engine = await startDockerEngine(directory)
  containerd = await startContainerd(directory)
  for (const client of [
    dockerClient(engine),
    podmanClient(directory),
    containerd.client,
    craneClient(directory),
    skopeoClient(directory),
  ]) {
    clients.set(client.name, client)
  }
  await weir.weir('new-project', 'demo')
  await weir.weir('grant', 'pull', 'anonymous', '-n', 'demo')
  for (const [stream, image] of images) {
    await registry.put(`lib/${stream}`, image, 'v1')
    await weir.weir('import-image', `demo/${stream}:prod`, '--from', `${registry.host}/lib/${stream}:v1`)
  }
  failing.put('lib/refusing', 'v1', [generatedBlob('refusing', 3_000_000)])
  await weir.weir('import-image', 'demo/refusing:prod', '--from', `${failing.host}/lib/refusing:v1`)
  await untilAllHeld()
  await registry.stop()
}, 300_000)

afterAll(async () => {
  await containerd?.stop()
  await engine?.stop()
  await weir?.stop()
  await failing?.close()
  await registry?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
}, 120_000)

/** Asks for nothing to be fetched: what a tag stands at is fetched because it stands there. */
async function untilAllHeld(): Promise<void> {
  const states = async (): Promise<string[]> => {
    const tags = JSON.parse(await weir.weir('get', 'tags', '-n', 'demo', '-o', 'json')) as {
      items: { metadata: { name: string; annotations?: Record<string, string> } }[]
    }
    return tags.items.map(({ metadata: { name, annotations } }) => `${name} ${annotations?.['weir.dev/content']}`)
  }
  const held = [...images.keys(), 'refusing'].map((stream) => `${stream}:prod held`).sort()
  await vi.waitFor(async () => expect((await states()).sort()).toEqual(held), { timeout: 60_000, interval: 300 })
}

describe.each(clientNames)('%s', (name) => {
  test.each(kinds)('I8: pulls an %s that was never pulled, with the upstream stopped', async (kind) => {
    const client = clients.get(name)
    const image = images.get(`${name}-${kind}`)
    if (client === undefined || image === undefined) throw new TypeError(`no ${kind} for ${name}`)
    await expect(fetch(registry.url), 'the upstream is stopped').rejects.toThrow()
    const pulled = await client.pull(`${weir.host}/demo/${name}-${kind}:prod`)
    expect(pulled, pulled.stderr).toMatchObject({ code: 0, digest: image.manifest.digest })
  })
})

test.each([401, 403, 404, 429, 500, 503])('I8: skopeo copies while the upstream answers %i', async (status) => {
  failing.status = status
  const before = [failing.requests.length, failing.others.length]
  const copied = await clients.get('skopeo')?.pull(`${weir.host}/demo/refusing:prod`)
  expect(copied, copied?.stderr).toMatchObject({ code: 0 })
  expect([failing.requests.length, failing.others.length], 'the upstream is not asked').toEqual(before)
})
