/**
 * The warm pull: one manifest by tag, GET and HEAD, 32 connections, Weir (token checked on each request) beside Debian's
 * docker-registry (no auth), in turn, every round counted. Weir's upstream is stopped before the first round: whatever it
 * answers it has from itself.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { type DockerRegistry, startDockerRegistry } from '../interop/support/docker-registry.ts'
import { must } from '../interop/support/process.ts'
import { realImage } from '../interop/support/real-images.ts'
import { type RunningWeir, startWeir } from '../interop/support/weir.ts'
import { measure, median, type Round, residentBytes, spread } from './measure.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 7)
const seconds = Number(process.env.BENCH_SECONDS ?? 5)
const connections = 32
const accept = 'application/vnd.oci.image.manifest.v1+json'

interface Contestant {
  name: string
  pid: number
  url: string
  headers: Record<string, string>
}

async function prepareWeir(directory: string, upstream: DockerRegistry): Promise<{ weir: RunningWeir; token: string }> {
  const weir = await startWeir(directory, { upstreams: [{ host: upstream.host, insecure: true }] })
  await weir.weir('new-project', 'demo')
  await weir.weir('import-image', 'demo/app:prod', '--from', `${upstream.host}/lib/app:v1`)
  const password = (await weir.weir('token', 'ci', '-n', 'demo')).trim()
  await weir.weir('grant', 'pull', 'serviceaccount:ci', '-n', 'demo')
  const query = `service=${encodeURIComponent(weir.host)}&scope=repository:demo/app:pull`
  const answer = await fetch(`${weir.url}/token?${query}`, {
    headers: { authorization: `Basic ${Buffer.from(`ci:${password}`).toString('base64')}` },
  })
  const { token } = (await answer.json()) as { token: string }
  return { weir, token }
}

/** DESIGN section 8, last row: memory of an idle process, and the time from a second start to its first answer. */
async function measureIdle(directory: string): Promise<string[]> {
  const first = await startWeir(directory)
  await first.stop()
  const startsMs: number[] = []
  const idleBytes: number[] = []
  for (let round = 0; round < 5; round += 1) {
    const begin = performance.now()
    const weir = await startWeir(directory)
    startsMs.push(performance.now() - begin)
    await new Promise((resolve) => setTimeout(resolve, 3000))
    idleBytes.push(residentBytes(weir.pid) / 1024 / 1024)
    await weir.stop()
  }
  return [
    `idle RSS, MiB: ${spread(idleBytes, 1)}; bound 125 MB = 119.2 MiB`,
    `second start to first answer (polled each 50 ms), ms: ${spread(startsMs, 0)}; bound 700`,
  ]
}

export async function run(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  const image = realImage('bench')
  const registry = await startDockerRegistry(directory)
  await registry.put('lib/app', image, 'prod')
  const upstreamDirectory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  const upstream = await startDockerRegistry(upstreamDirectory)
  await upstream.put('lib/app', image, 'v1')
  const { weir, token } = await prepareWeir(directory, upstream)
  await upstream.stop()
  try {
    const contestants: Contestant[] = [
      {
        name: 'weir',
        pid: weir.pid,
        url: `${weir.url}/v2/demo/app/manifests/prod`,
        headers: { authorization: `Bearer ${token}`, accept },
      },
      {
        name: 'docker-registry',
        pid: registry.pid,
        url: `${registry.url}/v2/lib/app/manifests/prod`,
        headers: { accept },
      },
    ]
    console.log(
      `${cpus()[0]?.model}, ${cpus().length} cores; node ${process.version}; ${(await must('docker-registry', ['--version'])).trim()}`,
    )
    console.log(
      `${rounds} interleaved rounds of ${seconds} s, ${connections} connections (GET: wrk -t1, HEAD: our own loop), manifest of ${image.manifest.bytes.length} bytes; median (least-most)`,
    )
    for (const method of ['GET', 'HEAD'] as const) await compare(method, contestants)
    console.log(
      `weir RSS after the rounds: ${(residentBytes(weir.pid) / 1024 / 1024).toFixed(1)} MiB; upstream requests during the rounds: 0 (it was stopped)`,
    )
  } finally {
    await weir.stop()
    await registry.stop()
  }
  const idleDirectory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  for (const line of await measureIdle(idleDirectory)) console.log(line)
  for (const used of [directory, upstreamDirectory, idleDirectory]) await rm(used, { recursive: true, force: true })
}

async function compare(method: 'GET' | 'HEAD', contestants: readonly Contestant[]): Promise<void> {
  const results = new Map<string, Round[]>(contestants.map(({ name }) => [name, []]))
  for (const one of contestants) await measure({ ...one, method, connections, seconds: 2 })
  for (let round = 0; round < rounds; round += 1) {
    for (const one of contestants) results.get(one.name)?.push(await measure({ ...one, method, connections, seconds }))
  }
  for (const [name, list] of results) {
    const of = (key: keyof Round, digits?: number): string =>
      spread(
        list.map((round) => round[key]),
        digits,
      )
    console.log(
      `${method} ${name}: ${of('requestsPerSecond', 0)} requests/s; p50 ${of('p50Ms', 2)} ms; p99 ${of('p99Ms', 2)} ms; CPU ${of('cpuMsPerRequest', 4)} ms a request; failures ${list.reduce((sum, round) => sum + round.failures, 0)}`,
    )
  }
  const [ours, theirs] = contestants.map(({ name }) => results.get(name) ?? [])
  const ratios = (ours ?? []).map((round, i) => (theirs?.[i]?.cpuMsPerRequest ?? Number.NaN) / round.cpuMsPerRequest)
  console.log(
    `${method} CPU per request, docker-registry / weir, pair by pair: ${spread(ratios, 1)}; bound 15; weir's median ${median((ours ?? []).map((round) => round.cpuMsPerRequest)).toFixed(4)} ms, bound 0.065`,
  )
}
