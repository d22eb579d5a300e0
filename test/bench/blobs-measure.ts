import { readFileSync, writeFileSync } from 'node:fs'
import { must } from '../interop/support/process.ts'
import { type Pull, pullAtOnce } from './blobs-client.ts'
import type { Contestant } from './blobs-contestants.ts'
import type { Blob, StaticUpstream } from './blobs-upstream.ts'
import { cpuSeconds, residentBytes } from './measure.ts'

export interface PartOptions {
  directory: string
  upstream: StaticUpstream
  rounds: number
  blobBytes: number
}

/** How many clients many are. */
export const manyClients = 32

/** What pulls of one blob came to. */
export interface Figures {
  /** Until the last client had its last byte. */
  seconds: number
  bytesPerSecond: number
  /** Of the server, until it had nothing left to do, for each 10^9 bytes delivered. */
  cpuPerGb: number
  clientCpuPerGb: number
  /** Most resident memory meanwhile, above what the server had when it was idle before its first blob. */
  residentAboveIdle: number
  /** Of the client that waited longest. */
  firstByteMs: number
  failures: number
  /** Until it had the blob whole on its disk; NaN when that did not come. */
  keptSeconds: number
}

export interface Pulling {
  contestant: Contestant
  idleBytes: number
  blob: Blob
  clients: number
  /** How often, one after the other; default once. */
  times?: number
}

/** Pulls a blob with all clients at once, and takes what the server spent on it. */
export async function measurePulls({ contestant, idleBytes, blob, clients, times = 1 }: Pulling): Promise<Figures> {
  await must('sync', [])
  const { pid, authorization } = contestant
  resetPeak(pid)
  const cpuBefore = cpuSeconds(pid)
  const begin = performance.now()
  const pulls: Pull[] = []
  let seconds = 0
  let clientCpu = 0
  let kept = Number.NaN
  for (let i = 0; i < times; i += 1) {
    const done = await pullAtOnce({ url: contestant.urlOf(blob), authorization, clients })
    pulls.push(...done.pulls)
    seconds += done.seconds
    clientCpu += done.cpuSeconds
  }
  if (await becameKept(contestant, blob)) kept = (performance.now() - begin) / 1000
  await settled(pid)
  const delivered = pulls.reduce((sum, { bytes }) => sum + bytes, 0)
  const gigabytes = delivered / 1e9
  return {
    seconds: seconds / times,
    bytesPerSecond: delivered / seconds,
    cpuPerGb: (cpuSeconds(pid) - cpuBefore) / gigabytes,
    clientCpuPerGb: clientCpu / gigabytes,
    residentAboveIdle: peakBytes(pid) - idleBytes,
    firstByteMs: Math.max(...pulls.map((pull) => pull.firstByteMs)),
    failures: pulls.filter(({ status, bytes, error }) => status !== 200 || bytes !== blob.bytes || error).length,
    keptSeconds: kept,
  }
}

/** Resident memory when nothing was asked for a while. */
async function idleResident({ pid }: Contestant): Promise<number> {
  await settled(pid)
  return residentBytes(pid)
}

async function becameKept(contestant: Contestant, blob: Blob): Promise<boolean> {
  const deadline = performance.now() + 10_000
  while (performance.now() < deadline) {
    if (await contestant.keeps(blob)) return true
    await pause(5)
  }
  return false
}

/** Of each, before its first blob. */
export async function idleOf(all: readonly Contestant[]): Promise<Map<Contestant, number>> {
  const idle = new Map<Contestant, number>()
  for (const one of all) idle.set(one, await idleResident(one))
  return idle
}

export function resultsOf<F extends Figures>(all: readonly Contestant[]): Map<string, F[]> {
  return new Map(all.map(({ name }) => [name, []]))
}

/** Waits until the process has used no CPU for a third of a second, at most 10 s. */
export async function settled(pid: number): Promise<void> {
  const deadline = performance.now() + 10_000
  let used = Number.NaN
  while (performance.now() < deadline) {
    const now = cpuSeconds(pid)
    if (now - used < 0.015) return
    used = now
    await pause(330)
  }
}

// proc(5): 5 resets the peak that VmHWM tells.
function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function peakBytes(pid: number): number {
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
