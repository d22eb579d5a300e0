/**
 * The API under load: lists and gets over 10,000 streams, a thousand watchers of moving tags, and what a long history and
 * a stream with many tags cost beside fresh ones, in turn, every round counted.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { startDockerRegistry } from '../interop/support/docker-registry.ts'
import { realImage } from '../interop/support/real-images.ts'
import { type RunningWeir, startWeir } from '../interop/support/weir.ts'
import { type Filling, fillLedger, fillStore, fillStreams } from './api-fill.ts'
import { openWatchers } from './api-watchers.ts'
import { cpuSeconds, measure, median, spread } from './measure.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 7)
const watchers = 1_000
const moves = 100
const imageApi = '/apis/image.openshift.io/v1'

interface Api {
  weir: RunningWeir
  token: string
}

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  const registry = await startDockerRegistry(directory)
  const images = ['a', 'b'].map((seed) => realImage(seed))
  for (const [i, image] of images.entries()) await registry.put('lib/app', image, `v${i}`)
  const fillings = images.map(
    ({ manifest }): Filling => ({
      digest: manifest.digest,
      mediaType: manifest.mediaType,
      reference: `${registry.host}/lib/app@${manifest.digest}`,
    }),
  )
  const config = { upstreams: [{ host: registry.host, insecure: true }] }
  let weir = await startWeir(directory, { upstreams: config.upstreams })
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores; node ${process.version}; ${rounds} rounds; median (least-most)`,
  )
  for (const project of ['demo', 'many']) await weir.weir('new-project', project)
  for (const stream of ['fresh', 'ledger', 'wide', 'watched']) {
    for (const i of [0, 1])
      await weir.weir('import-image', `demo/${stream}:i${i}`, '--from', `${registry.host}/lib/app:v${i}`)
    await weir.weir('import-image', `demo/${stream}:prod`, '--from', `${registry.host}/lib/app:v0`)
  }
  await weir.stop()
  const [first] = fillings
  if (first === undefined) throw new Error('there is an image')
  await fillStore(join(directory, 'data'), async (store) => {
    const begunMs = performance.now()
    await fillStreams(store, 'many', 10_000, 10, first)
    await fillLedger(store, { project: 'demo', stream: 'ledger' }, 'prod', 100_000)
    console.log(
      `filled 10,000 streams of 10 tags and a ledger of 100,000 in ${((performance.now() - begunMs) / 1000).toFixed(0)} s`,
    )
  })
  weir = await startWeir(directory, { upstreams: config.upstreams })
  try {
    const api = { weir, token: await adminToken(weir) }
    await widen(api, fillings)
    await measureReads(api)
    await measureWatchers(api, fillings)
    await compareAppends(api, fillings)
    await comparePulls(api)
  } finally {
    await weir.stop()
    await registry.stop()
  }
  await rm(directory, { recursive: true, force: true })
}

/** Gives `demo/wide` 5,000 tags, by one PUT. */
async function widen(api: Api, [first]: readonly Filling[]): Promise<void> {
  const path = `${imageApi}/namespaces/demo/imagestreams/wide`
  const stream = (await send(api, 'GET', path)) as { spec: { tags: unknown[] } }
  for (let i = 0; i < 5_000 - 3; i += 1) {
    stream.spec.tags.push({ name: `t${i}`, from: { kind: 'ImageStreamImage', name: `wide@${first?.digest}` } })
  }
  const begunMs = performance.now()
  await send(api, 'PUT', path, stream)
  console.log(`PUT of a stream with 4,997 new tags: ${(performance.now() - begunMs).toFixed(0)} ms`)
}

async function measureReads(api: Api): Promise<void> {
  const page = `${imageApi}/namespaces/many/imagestreams?limit=500`
  const table = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
  const one = `${imageApi}/namespaces/many/imagestreams/s004711`
  const times = { page: [] as number[], table: [] as number[], one: [] as number[], wide: [] as number[] }
  for (let round = 0; round < rounds; round += 1) {
    times.page.push(await timed(() => send(api, 'GET', page)))
    times.table.push(await timed(() => send(api, 'GET', page, undefined, table)))
    for (let i = 0; i < 20; i += 1) times.one.push(await timed(() => send(api, 'GET', one)))
    times.wide.push(await timed(() => send(api, 'GET', `${imageApi}/namespaces/demo/imagestreams/wide`)))
  }
  console.log(`first page of 500 of 10,000 streams, parsed by the client, ms: ${spread(times.page, 1)}; bound 150`)
  console.log(`the same as a table, ms: ${spread(times.table, 1)}`)
  console.log(`get of one of them, ms: ${spread(times.one, 2)}; bound 3`)
  console.log(`get of a stream of 5,000 tags, ms: ${spread(times.wide, 1)}`)
}

async function measureWatchers(api: Api, fillings: readonly Filling[]): Promise<void> {
  const list = (await send(api, 'GET', `${imageApi}/namespaces/demo/imagestreams`)) as {
    metadata: { resourceVersion: string }
  }
  const version = list.metadata.resourceVersion
  const path = `${imageApi}/namespaces/demo/imagestreams?watch=true&resourceVersion=${version}&fieldSelector=metadata.name%3Dwatched`
  const port = Number(new URL(api.weir.url).port)
  const open = await openWatchers(port, { path, token: api.token, count: watchers })
  const delays: number[] = []
  const before = cpuSeconds(api.weir.pid)
  for (let i = 1; i <= moves; i += 1) {
    const begunMs = performance.now()
    await move(api, 'watched', fillings[i % 2])
    const stream = (await send(api, 'GET', `${imageApi}/namespaces/demo/imagestreams/watched`)) as {
      metadata: { resourceVersion: string }
    }
    delays.push(...(await open.told(stream.metadata.resourceVersion, begunMs)))
  }
  const cpu = (cpuSeconds(api.weir.pid) - before) / moves
  open.close()
  const sorted = delays.sort((a, b) => a - b)
  const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(1)
  console.log(
    `${watchers} watchers, ${moves} moves, each told to each (${sorted.length} of ${watchers * moves}), ms after the request for the move was sent: p50 ${at(0.5)}, p99 ${at(0.99)}, most ${sorted.at(-1)?.toFixed(1)}; bound for p99 250; CPU ${(cpu * 1000).toFixed(1)} ms a move`,
  )
}

/** A move by mapping, of the tag `prod` in each stream in turn; so many that the 10 ms steps of the CPU clock are no part of it. */
async function compareAppends(api: Api, fillings: readonly Filling[]): Promise<void> {
  const each = 500
  const streams = ['fresh', 'ledger', 'wide']
  const cpuMs = new Map<string, number[]>(streams.map((stream) => [stream, []]))
  const wallMs = new Map<string, number[]>(streams.map((stream) => [stream, []]))
  let flips = 0
  for (let round = 0; round < rounds + 1; round += 1) {
    for (const stream of streams) {
      const before = cpuSeconds(api.weir.pid)
      const begunMs = performance.now()
      for (let i = 0; i < each; i += 1) await move(api, stream, fillings[(i + 1 + flips) % 2])
      if (round === 0) continue
      cpuMs.get(stream)?.push(((cpuSeconds(api.weir.pid) - before) * 1000) / each)
      wallMs.get(stream)?.push((performance.now() - begunMs) / each)
    }
    flips += each
  }
  report('move of a tag', streams, cpuMs, wallMs)
}

async function comparePulls(api: Api): Promise<void> {
  const streams = ['fresh', 'wide', 'ledger']
  const token = await pullToken(api, streams)
  const accept = 'application/vnd.oci.image.manifest.v1+json'
  const cpuMs = new Map<string, number[]>(streams.map((stream) => [stream, []]))
  for (let round = 0; round < rounds + 1; round += 1) {
    for (const stream of streams) {
      const headers = { authorization: `Bearer ${token}`, accept }
      const url = `${api.weir.url}/v2/demo/${stream}/manifests/prod`
      const load = { pid: api.weir.pid, url, headers, method: 'GET' as const, connections: 32, seconds: 3 }
      const { cpuMsPerRequest } = await measure(load)
      if (round > 0) cpuMs.get(stream)?.push(cpuMsPerRequest)
    }
  }
  report('pull by tag', streams, cpuMs)
}

function report(
  what: string,
  streams: readonly string[],
  cpuMs: ReadonlyMap<string, number[]>,
  wallMs?: ReadonlyMap<string, number[]>,
): void {
  const meaning: Record<string, string> = {
    fresh: 'in a fresh stream',
    ledger: 'of a tag with 100,000 revisions',
    wide: 'in a stream of 5,000 tags',
  }
  const fresh = cpuMs.get('fresh') ?? []
  for (const stream of streams) {
    const own = cpuMs.get(stream) ?? []
    const wall = wallMs?.get(stream)
    const ratios = own.map((value, i) => value / (fresh[i] ?? Number.NaN))
    const against =
      stream === 'fresh'
        ? ''
        : `; of a fresh one's, round by round: ${spread(ratios, 2)}, medians ${(median(own) / median(fresh)).toFixed(2)}; bound 1.2`
    console.log(
      `${what} ${meaning[stream]}: CPU ${spread(own, 4)} ms${wall ? `; wall ${spread(wall, 2)} ms` : ''}${against}`,
    )
  }
}

async function move(api: Api, stream: string, filling: Filling | undefined): Promise<void> {
  await send(api, 'POST', `${imageApi}/namespaces/demo/imagestreammappings`, {
    metadata: { name: stream },
    image: { metadata: { name: filling?.digest }, dockerImageReference: filling?.reference },
    tag: 'prod',
  })
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begunMs = performance.now()
  await work()
  return performance.now() - begunMs
}

async function send(
  { weir, token }: Api,
  method: string,
  path: string,
  body?: unknown,
  accept = 'application/json',
): Promise<unknown> {
  const answer = await fetch(`${weir.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, accept, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text.slice(0, 500)}`)
  return JSON.parse(text)
}

async function adminToken(weir: RunningWeir): Promise<string> {
  const kubeconfig = parse(await readFile(weir.kubeconfig, 'utf8')) as { users: { user: { token: string } }[] }
  return kubeconfig.users[0]?.user.token ?? ''
}

async function pullToken({ weir, token }: Api, streams: readonly string[]): Promise<string> {
  const scopes = streams.map((stream) => `scope=repository:demo/${stream}:pull`).join('&')
  const answer = await fetch(`${weir.url}/token?service=${encodeURIComponent(weir.host)}&${scopes}`, {
    headers: { authorization: `Basic ${Buffer.from(`admin:${token}`).toString('base64')}` },
  })
  return ((await answer.json()) as { token: string }).token
}
