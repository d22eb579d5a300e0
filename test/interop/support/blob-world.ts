/** A Weir as its own process in front of an upstream of large blobs, with a project that anonymous may pull from. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type BlobUpstream, type PutImage, startBlobUpstream } from '../../support/blob-upstream.ts'
import type { Defer } from '../../support/directory.ts'
import type { GeneratedBlob } from '../../support/generated-blob.ts'
import { openPull } from './blob-clients.ts'
import { type RunningWeir, startWeir } from './weir.ts'

export interface BlobWorld {
  directory: string
  /** Where Weir keeps content. */
  contentDirectory: string
  upstream: BlobUpstream
  weir: RunningWeir
  /** Puts an image upstream, imports it as `demo/STREAM:prod`, and opens a session that may pull it. */
  image(stream: string, layers: readonly GeneratedBlob[]): Promise<Imported>
  /** A metric's value, summed over its labels; undefined when there is none. */
  metric(name: string): Promise<number | undefined>
  /** Stops Weir and starts it again where it was. */
  restart(): Promise<void>
}

export interface Imported extends PutImage {
  pull: Awaited<ReturnType<typeof openPull>>
}

export interface BlobWorldOptions {
  /** Of the config's `content`; `retain: pulled` unless it says otherwise: nothing is fetched that nobody asked for. */
  content?: Record<string, unknown>
  /** Where Weir's folder is; default a new one in the system's temporary folder. */
  directory?: string
  /** Default: it goes with the test. */
  defer?: Defer
}

export async function startBlobWorld(options: BlobWorldOptions = {}): Promise<BlobWorld> {
  const { content = {}, directory, defer = onTestFinished } = options
  const own = directory ?? (await mkdtemp(join(tmpdir(), 'weir-blobs-')))
  if (directory === undefined) defer(() => rm(own, { recursive: true, force: true }))
  const upstream = await startBlobUpstream()
  defer(() => upstream.close())
  const config = {
    upstreams: [{ host: upstream.host, insecure: true }],
    content: { retain: 'pulled', ...content },
  }
  const world: BlobWorld = {
    directory: own,
    contentDirectory: join(own, 'data/content'),
    upstream,
    weir: await startWeir(own, config),
    async image(stream, layers) {
      const image = upstream.put(`lib/${stream}`, 'v1', layers)
      await world.weir.weir('import-image', `demo/${stream}:prod`, '--from', `${upstream.host}/lib/${stream}:v1`)
      return { ...image, pull: await openPull(world.weir, `demo/${stream}`) }
    },
    metric: (name) => metricOf(world.weir, name),
    async restart() {
      await world.weir.stop()
      world.weir = await startWeir(own, config, world.weir.ports)
    },
  }
  defer(() => world.weir.stop())
  await world.weir.weir('new-project', 'demo')
  await world.weir.weir('grant', 'pull', 'anonymous', '-n', 'demo')
  return world
}

/** Every file below a directory, by path relative to it, sorted; none when it is not there. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort()
}

async function metricOf(weir: RunningWeir, name: string): Promise<number | undefined> {
  const text = await (await fetch(`${weir.url}/metrics`)).text()
  const lines = text.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  if (lines.length === 0) return undefined
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
