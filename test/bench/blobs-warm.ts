import { join } from 'node:path'
import {
  orStop,
  startRegistryContestant,
  startWeirContestant,
  staticContestant,
  type WeirContestant,
} from './blobs-contestants.ts'
import { type Figures, idleOf, manyClients, measurePulls, type PartOptions, resultsOf } from './blobs-measure.ts'
import { memoryBoundMiB, printBound, printFigures, ratios, residentMiB, valuesOf } from './blobs-table.ts'
import type { Blob } from './blobs-upstream.ts'

/** A blob that is held: DESIGN section 8, row 3. */
export async function warm({ directory, upstream, rounds, blobBytes }: PartOptions): Promise<void> {
  const weir = await startWeirContestant(join(directory, 'weir'), upstream.fast)
  const registry = await orStop([weir], startRegistryContestant(join(directory, 'registry'), upstream))
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
    await firstServings(weir, blob, rounds)
  } finally {
    for (const one of all) await one.stop()
  }
}

/** What Weir did not write itself since its start it hashes when it gives it out for the first time. */
async function firstServings(contestant: WeirContestant, blob: Blob, rounds: number): Promise<void> {
  const results = new Map<string, Figures[]>([['weir', []]])
  for (let round = 0; round < rounds; round += 1) {
    await contestant.restart()
    const [idleBytes = 0] = (await idleOf([contestant])).values()
    results.get('weir')?.push(await measurePulls({ contestant, idleBytes, blob, clients: 1 }))
  }
  printFigures(
    `warm, ${blob.bytes / 1e6} MB, 1 client, the first serving since the start: verified while it passes`,
    results,
  )
}
