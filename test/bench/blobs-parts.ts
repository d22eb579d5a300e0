import { join } from 'node:path'
import {
  type Contestant,
  startProxyContestant,
  startRegistryContestant,
  startWeirContestant,
  staticContestant,
} from './blobs-contestants.ts'
import { type Figures, idleResident, measurePulls, pause, settled } from './blobs-measure.ts'
import { memoryBoundMiB, printBound, printFigures, ratios, residentMiB, valuesOf } from './blobs-table.ts'
import type { Asked, Blob, Door, StaticUpstream } from './blobs-upstream.ts'
import { median, spread } from './measure.ts'

export interface PartOptions {
  directory: string
  upstream: StaticUpstream
  rounds: number
  blobBytes: number
}

const proxyName = 'docker-registry (proxy)'
const manyClients = 32

/** A blob that is held: DESIGN section 8, row 3. */
export async function warm({ directory, upstream, rounds, blobBytes }: PartOptions): Promise<void> {
  const weir = await startWeirContestant(join(directory, 'weir'), upstream.fast)
  const registry = await startRegistryContestant(join(directory, 'registry'), upstream)
  const all = [weir, registry, staticContestant(upstream)]
  try {
    const blob = await upstream.publish(blobBytes, { keep: true })
    for (const one of all) await one.admit(blob)
    const idle = await idleOf(all)
    // The first serving since the start verifies what is held; later ones do not.
    for (const contestant of all) await measurePulls({ contestant, idleBytes: 0, blob, clients: 1, times: 2 })
    const askedBefore = (await upstream.fast.asked(blob)).length
    let askedOfNginx = 0
    for (const clients of [1, manyClients]) {
      const times = clients === 1 ? 4 : 1
      const results = resultsOf(all)
      for (let round = 0; round < rounds; round += 1) {
        for (const contestant of all) {
          const idleBytes = idle.get(contestant) ?? 0
          results.get(contestant.name)?.push(await measurePulls({ contestant, idleBytes, blob, clients, times }))
          if (contestant.name === 'nginx') askedOfNginx += clients * times
        }
      }
      printFigures(`warm, ${blobBytes / 1e6} MB, ${clients} client(s), ${clients * times} pulls a round`, results)
      const weirsCpu = ratios(results, ['weir', 'docker-registry'], (f) => f.cpuPerGb)
      printBound("weir's CPU per GB / docker-registry's", weirsCpu, 0.9)
      printBound('weir, RSS above idle, MiB', valuesOf(results, 'weir', residentMiB), memoryBoundMiB(clients), 1)
    }
    const asked = (await upstream.fast.asked(blob)).length - askedBefore - askedOfNginx
    console.log(`  upstream requests during the rounds: ${asked}`)
  } finally {
    for (const one of all) await one.stop()
  }
}

/** A blob that nobody has yet, from a fast upstream: DESIGN section 8, row 4. */
export async function cold({ directory, upstream, rounds, blobBytes }: PartOptions): Promise<void> {
  const all = await startCaches(join(directory, 'cold'), upstream.fast)
  try {
    const idle = await idleOf(all)
    const results = resultsOf(all)
    await coldRound(all, idle, await upstream.publish(blobBytes), 1)
    for (let round = 0; round < rounds; round += 1) {
      const figures = await coldRound(all, idle, await upstream.publish(blobBytes), 1)
      for (const [name, one] of figures) results.get(name)?.push(one)
    }
    printFigures(`cold, ${blobBytes / 1e6} MB, 1 client: fetched, verified, kept, served`, results)
    for (const { name } of all) {
      const kept = valuesOf(results, name, (f) => f.keptSeconds)
      console.log(
        `  ${name}, until it is kept, s: ${spread(kept, 2)}; not kept in ${kept.filter(Number.isNaN).length} rounds`,
      )
    }
    const pair = ['weir', proxyName] as const
    const seconds = ratios(results, pair, (f) => f.seconds)
    const cpu = ratios(results, pair, (f) => f.cpuPerGb)
    printBound("weir's wall / the proxy's", seconds, 1)
    printBound("weir's CPU / the proxy's", cpu, 1)
    printBound("weir's CPU / the proxy's (the aim)", cpu, 0.5)
    printBound('weir, RSS above idle, MiB', valuesOf(results, 'weir', residentMiB), memoryBoundMiB(1), 1)
  } finally {
    for (const one of all) await one.stop()
  }
}

/** Many clients at once on a blob that nobody has yet, from a slow upstream: DESIGN section 8, row 5. */
export async function shared({ directory, upstream, rounds, blobBytes }: PartOptions): Promise<void> {
  const all = await startCaches(join(directory, 'shared'), upstream.slow)
  try {
    const idle = await idleOf(all)
    const single = resultsOf(all)
    const many = resultsOf(all)
    const asked = new Map<string, Asked[][]>(all.map(({ name }) => [name, []]))
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, one] of await coldRound(all, idle, await upstream.publish(blobBytes), 1))
        single.get(name)?.push(one)
      const blob = await upstream.publish(blobBytes)
      for (const contestant of all) {
        const before = (await upstream.slow.asked(blob)).length
        const figures = await coldRound([contestant], idle, blob, manyClients)
        many.get(contestant.name)?.push(...figures.values())
        asked.get(contestant.name)?.push((await upstream.slow.asked(blob)).slice(before))
      }
    }
    printFigures(`cold, ${blobBytes / 1e6} MB, 1 client, upstream at 25 MB/s a connection`, single)
    printFigures(`cold, ${blobBytes / 1e6} MB, ${manyClients} clients, upstream at 25 MB/s a connection`, many)
    for (const [name, lists] of asked) {
      const gets = lists.map((list) => list.filter(({ method }) => method === 'GET').length)
      const share = lists.map((list) => sentBytes(list) / (manyClients * blobBytes))
      console.log(
        `  ${name}: upstream GETs of the blob ${spread(gets, 0)}; upstream / delivered bytes ${spread(share, 4)}`,
      )
      if (name === 'weir') printBound('weir, upstream GETs of the blob', gets, 1, 0)
    }
    const singleSeconds = median(valuesOf(single, 'weir', (f) => f.seconds))
    const stretch = valuesOf(many, 'weir', (f) => f.seconds / singleSeconds)
    printBound("weir, last byte of the last client / the single client's time", stretch, 1.1)
    printBound(
      'weir, first byte of the last client, ms',
      valuesOf(many, 'weir', (f) => f.firstByteMs),
      200,
      1,
    )
    printBound('weir, RSS above idle, MiB', valuesOf(many, 'weir', residentMiB), memoryBoundMiB(manyClients), 1)
  } finally {
    for (const one of all) await one.stop()
  }
}

const rangeBytes = 64 * 1024
const rangeCount = 200

/** A lazy puller: random ranges of a blob that nobody has yet. */
export async function ranges({ directory, upstream, rounds, blobBytes }: PartOptions): Promise<void> {
  const all = await startCaches(join(directory, 'ranges'), upstream.slow)
  try {
    console.log(
      `\ncold, ${blobBytes / 1e6} MB, ${rangeCount} random ranges of 64 KiB, 4 at once, upstream at 25 MB/s a connection`,
    )
    const lines = new Map(
      all.map(({ name }) => [name, { seconds: [] as number[], megabytes: [] as number[], failures: 0 }]),
    )
    for (let round = 0; round < rounds; round += 1) {
      const blob = await upstream.publish(blobBytes)
      const starts = Array.from({ length: rangeCount }, () => Math.floor(Math.random() * (blobBytes - rangeBytes)))
      for (const contestant of all) {
        await contestant.admit(blob)
        const before = (await upstream.slow.asked(blob)).length
        const begin = performance.now()
        const failures = await readRanges(contestant, blob, starts)
        const line = lines.get(contestant.name)
        line?.seconds.push((performance.now() - begin) / 1000)
        const asked = await quietUpstream(upstream, contestant, blob)
        line?.megabytes.push(sentBytes(asked.slice(before)) / 1e6)
        if (line !== undefined) line.failures += failures
        await contestant.forget(blob)
      }
    }
    const wanted = (rangeCount * rangeBytes) / 1e6
    for (const [name, { seconds, megabytes, failures }] of lines) {
      console.log(
        `  ${name}: ${spread(seconds, 2)} s; upstream bytes ${spread(megabytes, 1)} MB for ${wanted.toFixed(1)} MB asked (the blob is ${blobBytes / 1e6} MB); failures ${failures}`,
      )
    }
  } finally {
    for (const one of all) await one.stop()
  }
}

async function readRanges(contestant: Contestant, blob: Blob, starts: readonly number[]): Promise<number> {
  let failures = 0
  const left = [...starts]
  const work = async (): Promise<void> => {
    for (let start = left.pop(); start !== undefined; start = left.pop()) {
      const range = `bytes=${start}-${start + rangeBytes - 1}`
      const headers = {
        range,
        ...(contestant.authorization === undefined ? {} : { authorization: contestant.authorization }),
      }
      const answer = await fetch(contestant.urlOf(blob), { headers })
      const { byteLength } = await answer.arrayBuffer()
      if (answer.status !== 206 || byteLength !== rangeBytes) failures += 1
    }
  }
  await Promise.all(Array.from({ length: 4 }, work))
  return failures
}

/** What was asked of the upstream when the contestant has ended all that it went on with by itself. */
async function quietUpstream(upstream: StaticUpstream, contestant: Contestant, blob: Blob): Promise<Asked[]> {
  const deadline = performance.now() + (2 * blob.bytes) / 25_000 + 5000
  let quietSince = performance.now()
  let seen = -1
  while (performance.now() < deadline && performance.now() - quietSince < 3000) {
    await settled(contestant.pid)
    await pause(500)
    const { length } = await upstream.slow.asked(blob)
    if (length !== seen || (await upstream.isSending())) quietSince = performance.now()
    seen = length
  }
  return upstream.slow.asked(blob)
}

async function startCaches(directory: string, door: Door): Promise<Contestant[]> {
  return [
    await startWeirContestant(join(directory, 'weir'), door),
    await startProxyContestant(join(directory, 'proxy'), door),
  ]
}

async function coldRound(
  all: readonly Contestant[],
  idle: ReadonlyMap<Contestant, number>,
  blob: Blob,
  clients: number,
): Promise<Map<string, Figures>> {
  const figures = new Map<string, Figures>()
  for (const contestant of all) {
    await contestant.admit(blob)
    figures.set(
      contestant.name,
      await measurePulls({ contestant, idleBytes: idle.get(contestant) ?? 0, blob, clients }),
    )
    await contestant.forget(blob)
  }
  return figures
}

async function idleOf(all: readonly Contestant[]): Promise<Map<Contestant, number>> {
  const idle = new Map<Contestant, number>()
  for (const one of all) idle.set(one, await idleResident(one))
  return idle
}

function resultsOf(all: readonly Contestant[]): Map<string, Figures[]> {
  return new Map(all.map(({ name }) => [name, []]))
}

function sentBytes(asked: readonly Asked[]): number {
  return asked.reduce((sum, one) => sum + one.sentBytes, 0)
}
