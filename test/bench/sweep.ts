/**
 * Sweeps of many scheduled tags whose upstream has nothing new: how many questions, how much CPU, memory and time they take, and what
 * is written. The registry answers in this process; what is measured is Weir's. The first sweep after a start reads each tag once.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLevelStore } from '../../src/store/level.ts'
import type { Store } from '../../src/store/store.ts'
import { unheldKey } from '../../src/streams/keys.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { createStreamWriter } from '../../src/streams/writer.ts'
import { startWeir } from '../interop/support/weir.ts'
import { makeImage } from '../support/images.ts'
import { fillStore } from './api-fill.ts'
import { cpuSeconds, residentBytes } from './measure.ts'

const streams = Number(process.env.BENCH_STREAMS ?? 1000)
const tagsOfStream = 100
const sweeps = Number(process.env.BENCH_ROUNDS ?? 5)
const intervalSeconds = Number(process.env.BENCH_INTERVAL_SECONDS ?? 120)
const { manifest } = makeImage('stable')

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  const registry = await startRegistry()
  const upstreams = [
    { host: registry.host, insecure: true, limits: { concurrency: 64, requestsPerSecond: 10_000, reserve: 0 } },
  ]
  // The filled tags have no content: nobody is to look for it.
  const config = { upstreams, imports: { interval: `${intervalSeconds}s` }, content: { retain: 'pulled' } }
  const tags = streams * tagsOfStream
  try {
    let weir = await startWeir(directory, config)
    await weir.weir('new-project', 'many')
    await weir.stop()
    await fillStore(join(directory, 'data'), (store) => fill(store, registry.host))
    console.log(
      `${cpus()[0]?.model}, ${cpus().length} cores; node ${process.version}; ${tags} scheduled tags of as many sources, one check each in ${intervalSeconds} s`,
    )
    weir = await startWeir(directory, config)
    const idleMiB = mebibytes(weir.pid)
    for (let sweep = 0; sweep <= sweeps; sweep += 1) await measureSweep(weir.pid, registry, sweep, tags)
    console.log(`memory: ${idleMiB} MiB at the start, ${mebibytes(weir.pid)} MiB at the end`)
    await weir.stop()
    console.log(await written(join(directory, 'data')))
  } finally {
    registry.close()
    await rm(directory, { recursive: true, force: true })
  }
}

/** From the start on, each source has its time once in each interval. */
async function measureSweep(pid: number, registry: Registry, sweep: number, tags: number): Promise<void> {
  registry.asked.clear()
  registry.others = 0
  const [cpu, startedMs] = [cpuSeconds(pid), performance.now()]
  let peakMiB = 0
  while (performance.now() - startedMs < intervalSeconds * 1000) {
    await new Promise((done) => setTimeout(done, 250))
    peakMiB = Math.max(peakMiB, mebibytes(pid))
  }
  const counts = [...registry.asked.values()]
  const heads = counts.reduce((sum, count) => sum + count, 0)
  const name = sweep === 0 ? 'first after the start' : `sweep ${sweep}`
  console.log(
    `${name}: ${heads} HEAD of ${registry.asked.size} of ${tags} sources, at most ${counts.reduce((a, b) => Math.max(a, b), 0)} each, ${registry.others} other requests; ${(cpuSeconds(pid) - cpu).toFixed(1)} s CPU; RSS at most ${peakMiB} MiB; load ${loadavg()[0]?.toFixed(1)}`,
  )
}

interface Registry {
  host: string
  /** How often each path was asked for by HEAD. */
  asked: Map<string, number>
  others: number
  close(): void
}

async function startRegistry(): Promise<Registry> {
  const server = createServer((req, res) => {
    const path = req.url ?? ''
    if (path === '/v2/') {
      res.end('{}')
      return
    }
    if (req.method === 'HEAD') registry.asked.set(path, (registry.asked.get(path) ?? 0) + 1)
    else registry.others += 1
    res.setHeader('content-type', manifest.mediaType)
    res.setHeader('docker-content-digest', manifest.digest)
    res.setHeader('content-length', manifest.bytes.length)
    res.end(req.method === 'HEAD' ? undefined : manifest.bytes)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  const registry: Registry = {
    host: `127.0.0.1:${port}`,
    asked: new Map(),
    others: 0,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
  return registry
}

/** Streams of scheduled tags that stand where their upstream does. */
async function fill(store: Store, host: string): Promise<void> {
  const writer = createStreamWriter({ store, now: Date.now })
  const { digest, mediaType } = manifest
  for (let s = 0; s < streams; s += 1) {
    const tags = new Map<string, TagChange>()
    for (let t = 0; t < tagsOfStream; t += 1) {
      const dockerImageReference = `${host}/lib/app-${s}-${t}@${digest}`
      const from = { kind: 'DockerImage' as const, name: `${host}/lib/app-${s}-${t}:stable` }
      tags.set(`t${t}`, {
        spec: {
          name: `t${t}`,
          annotations: null,
          from,
          importPolicy: { scheduled: true },
          referencePolicy: { type: 'Local' },
        },
        event: { image: digest, mediaType, dockerImageReference, cause: { kind: 'import', by: 'bench' } },
        lastSeen: digest,
      })
    }
    const name = { project: 'many', stream: `s${s}` }
    await writer.changeStream(name, () => ({ tags }), { create: true })
    // They wait for no content: what looks for it is not measured here.
    for await (const { key } of await store.range({ prefix: unheldKey(name, '') })) {
      await store.commit({ operations: [{ type: 'delete', key }] })
    }
  }
}

/** What a stopped Weir has written since it was filled. */
async function written(data: string): Promise<string> {
  const store = await createLevelStore({ directory: join(data, 'store'), logged: ['object/'] })
  const counts = new Map<string, { records: number; bytes: number; newest: number }>()
  for (const prefix of ['tag/', 'index/scheduled/', 'event/', 'schedule/']) {
    const count = { records: 0, bytes: 0, newest: 0 }
    counts.set(prefix, count)
    for await (const { value, revision } of await store.range({ prefix })) {
      count.records += 1
      count.bytes += value.length
      count.newest = Math.max(count.newest, revision)
    }
  }
  const { revision } = await store.range({ prefix: 'none/' })
  await store.close()
  const told = [...counts].map(([prefix, { records, bytes, newest }]) => {
    return `${prefix} ${records} records, ${(bytes / 1024 ** 2).toFixed(1)} MiB, newest at revision ${newest}`
  })
  return `store at revision ${revision}; ${told.join('; ')}`
}

function mebibytes(pid: number): number {
  return Math.round(residentBytes(pid) / 1024 ** 2)
}
