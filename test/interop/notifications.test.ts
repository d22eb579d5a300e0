/** A real registry tells Weir of pushes, and the tags that follow them move at once. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'
import { createKubectl } from './support/kubectl.ts'
import { freePort } from './support/process.ts'
import { realImage, realIndex } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

const first = realImage('first')
const second = realImage('second')
const index = realIndex('third')
const key = 'a-key.of~demo_0123456789'

let directory: string
let registry: DockerRegistry
let weir: RunningWeir

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-notifications-'))
  const ports = { http: await freePort(), https: await freePort() }
  const [atRegistry, atWeir] = [join(directory, 'registry'), join(directory, 'weir')]
  await Promise.all([atRegistry, atWeir].map((each) => mkdir(each)))
  const url = `http://127.0.0.1:${ports.http}/hooks/v1/projects/demo/registry`
  registry = await startDockerRegistry(atRegistry, { notify: { url, authorization: `Bearer ${key}` } })
  // Nothing moves by itself as long as this test lasts.
  const config = { upstreams: [{ host: registry.host, insecure: true, interval: '30d' }], log: { level: 'debug' } }
  weir = await startWeir(atWeir, config, ports)
  await weir.weir('new-project', 'demo')
  const kubectl = await createKubectl({
    kubeconfig: weir.kubeconfig,
    project: 'demo',
    home: join(directory, 'kubectl'),
  })
  const type = '--type=weir.dev/notification-key'
  await kubectl('create', 'secret', 'generic', 'registry-hook', type, `--from-literal=token=${key}`)
})

afterAll(async () => {
  await registry?.stop()
  await weir?.stop()
  await rm(directory, { recursive: true, force: true })
})

test('a tag follows what is pushed, an image or an index, and others stay', async () => {
  for (const tag of ['stable', 'other']) {
    await registry.put('lib/app', first, tag)
    await weir.weir('import-image', `demo/app:${tag}`, '--from', `${registry.host}/lib/app:${tag}`, '--scheduled')
  }
  await registry.put('lib/app', second, 'stable')
  await expect.poll(() => standing('stable'), { timeout: 20_000 }).toBe(second.manifest.digest)
  await registry.put('lib/app', index, 'stable')
  await expect.poll(() => standing('stable'), { timeout: 20_000 }).toBe(index.manifest.digest)
  expect(await standing('other')).toBe(first.manifest.digest)
})

async function standing(tag: string): Promise<string | undefined> {
  const list = JSON.parse(await weir.weir('history', `demo/app:${tag}`, '-o', 'json')) as { items: { image: string }[] }
  return list.items[0]?.image
}
