import { join } from 'node:path'
import { type Contestant, proxyName, startCaches } from './blobs-contestants.ts'
import { type Figures, idleOf, manyClients, measurePulls, type PartOptions, resultsOf } from './blobs-measure.ts'
import { memoryBoundMiB, printBound, printFigures, ratios, residentMiB, valuesOf } from './blobs-table.ts'
import { type Blob, type Door, sentBytes, throttleBytesPerSecond } from './blobs-upstream.ts'
import { median, spread } from './measure.ts'

/** A blob that nobody has yet, from a fast upstream: DESIGN section 8, row 4. */
export async function cold({ directory, upstream, rounds, blobBytes }: PartOptions): Promise<void> {
  const all = await startCaches(join(directory, 'cold'), upstream.fast)
  try {
    const idle = await idleOf(all)
    const results = resultsOf<ColdFigures>(all)
    await coldRound({ all, idle, blob: await upstream.publish(blobBytes), clients: 1, door: upstream.fast })
    for (let round = 0; round < rounds; round += 1) {
      const blob = await upstream.publish(blobBytes)
      const figures = await coldRound({ all, idle, blob, clients: 1, door: upstream.fast })
      for (const [name, one] of figures) results.get(name)?.push(one)
    }
    printFigures(`cold, ${blobBytes / 1e6} MB, 1 client: fetched, verified, kept, served`, results)
    for (const { name } of all) {
      const kept = valuesOf(results, name, (f) => f.keptSeconds)
      const missing = kept.filter(Number.isNaN).length
      const gets = spread(
        valuesOf(results, name, (f) => f.upstreamGets),
        0,
      )
      console.log(
        `  ${name}, until it is kept as well: ${spread(kept, 2)} s; not kept in ${missing} rounds; upstream GETs ${gets}`,
      )
    }
    const pair = ['weir', proxyName] as const
    const cpu = ratios(results, pair, (f) => f.cpuPerGb)
    const doneSeconds = (f: Figures): number => Math.max(f.seconds, f.keptSeconds)
    printBound("weir's wall / the proxy's, until served, verified and kept", ratios(results, pair, doneSeconds), 1)
    printBound(
      "weir's wall / the proxy's, until the client's last byte (the proxy sends it from a second download, unverified)",
      ratios(results, pair, (f) => f.seconds),
      1,
    )
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
    const single = resultsOf<ColdFigures>(all)
    const many = resultsOf<ColdFigures>(all)
    for (let round = 0; round < rounds; round += 1) {
      for (const [clients, results] of [
        [1, single],
        [manyClients, many],
      ] as const) {
        const blob = await upstream.publish(blobBytes)
        const figures = await coldRound({ all, idle, blob, clients, door: upstream.slow })
        for (const [name, one] of figures) results.get(name)?.push(one)
      }
    }
    const what = `cold, ${blobBytes / 1e6} MB, upstream at ${throttleBytesPerSecond / 1e6} MB/s a connection`
    printFigures(`${what}, 1 client`, single)
    printFigures(`${what}, ${manyClients} clients`, many)
    for (const { name } of all) {
      const gets = valuesOf(many, name, (f) => f.upstreamGets)
      const share = valuesOf(many, name, (f) => f.upstreamBytes / (manyClients * blobBytes))
      console.log(`  ${name}: upstream GETs ${spread(gets, 0)}; upstream / delivered bytes ${spread(share, 4)}`)
    }
    printBound(
      'weir, upstream GETs',
      valuesOf(many, 'weir', (f) => f.upstreamGets),
      1,
      0,
    )
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

interface ColdFigures extends Figures {
  /** Of the blob. */
  upstreamGets: number
  upstreamBytes: number
}

interface ColdRound {
  all: readonly Contestant[]
  idle: ReadonlyMap<Contestant, number>
  /** None of them has it, but what is behind the door. */
  blob: Blob
  door: Door
  clients: number
}

async function coldRound({ all, idle, blob, door, clients }: ColdRound): Promise<Map<string, ColdFigures>> {
  const figures = new Map<string, ColdFigures>()
  for (const contestant of all) {
    await contestant.admit(blob)
    const before = (await door.asked(blob)).length
    const measured = await measurePulls({ contestant, idleBytes: idle.get(contestant) ?? 0, blob, clients })
    const asked = (await door.asked(blob)).slice(before)
    const upstreamGets = asked.filter(({ method }) => method === 'GET').length
    figures.set(contestant.name, { ...measured, upstreamGets, upstreamBytes: sentBytes(asked) })
    await contestant.forget(blob)
  }
  return figures
}
