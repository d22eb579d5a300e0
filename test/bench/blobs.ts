/**
 * Blobs, Weir (token checked on each request) beside Debian's docker-registry as registry and as pull-through cache, and nginx
 * with static files as the floor; in turn, every round counted. `npm run bench -- blobs [warm] [cold] [shared] [ranges]`.
 */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { nginx } from '../interop/install.ts'
import { must } from '../interop/support/process.ts'
import { buildClient } from './blobs-client.ts'
import { cold, shared } from './blobs-cold.ts'
import { ranges } from './blobs-ranges.ts'
import { startUpstream } from './blobs-upstream.ts'
import { warm } from './blobs-warm.ts'

const rounds = Number(process.env.BENCH_ROUNDS ?? 5)
const blobBytes = Number(process.env.BENCH_MB ?? 500) * 1e6

const parts = { warm, cold, shared, ranges }

export async function run(): Promise<void> {
  if (!existsSync(nginx)) throw new Error(`there is no ${nginx}: node test/interop/install.ts brings it`)
  await buildClient()
  const asked = process.argv.slice(3)
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-'))
  const upstream = await startUpstream(directory)
  try {
    console.log(
      `${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}; node ${process.version}; ${(await must('docker-registry', ['--version'])).trim()}; nginx 1.22`,
    )
    console.log(
      `blob of ${blobBytes / 1e6} MB (BENCH_MB), ${rounds} interleaved rounds (BENCH_ROUNDS), plain HTTP on loopback; median (least-most). All files are warm in the page cache. CPU: user and system time of the server with all its threads, GB = 10^9 bytes delivered; the client throws the bytes away in the kernel (MSG_TRUNC), its CPU apart. First byte: of the body, of the client that waited longest. RSS: most during the round (VmHWM) above idle.`,
    )
    for (const [name, part] of Object.entries(parts)) {
      if (asked.length === 0 || asked.includes(name)) await part({ directory, upstream, rounds, blobBytes })
    }
    console.log(`\nload at the end ${loadavg()[0]?.toFixed(1)}`)
  } finally {
    await upstream.stop()
    await rm(directory, { recursive: true, force: true })
  }
}
