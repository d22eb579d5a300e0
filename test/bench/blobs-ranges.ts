import { join } from 'node:path'
import { type Contestant, startCaches } from './blobs-contestants.ts'
import { type PartOptions, pause, settled } from './blobs-measure.ts'
import { type Asked, type Blob, type StaticUpstream, sentBytes } from './blobs-upstream.ts'
import { spread } from './measure.ts'

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
