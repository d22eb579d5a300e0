import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { must } from '../interop/support/process.ts'

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** User and system CPU time that a process has used, in seconds. */
export function cpuSeconds(pid: number): number {
  // proc(5): the command, in parentheses, may hold blanks; utime and stime are the 14th and 15th fields.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const kib = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) * 1024
}

/** One round of load against one server. */
export interface Round {
  requestsPerSecond: number
  p50Ms: number
  p99Ms: number
  cpuMsPerRequest: number
  failures: number
}

export interface Load {
  pid: number
  url: string
  method: 'GET' | 'HEAD'
  headers: Record<string, string>
  connections: number
  seconds: number
  directory: string
}

/** Runs wrk once and takes the server's CPU time around it. */
export async function measure(load: Load): Promise<Round> {
  const script = join(load.directory, `${load.method}.lua`)
  await writeFile(script, `wrk.method = "${load.method}"\n`)
  const headers = Object.entries(load.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const before = cpuSeconds(load.pid)
  const output = await must('wrk', [
    '-t1',
    `-c${load.connections}`,
    `-d${load.seconds}s`,
    '--latency',
    '-s',
    script,
    ...headers,
    load.url,
  ])
  const cpu = cpuSeconds(load.pid) - before
  const requests = Number(/(\d+) requests in/.exec(output)?.[1])
  const failures = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0)
  return {
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(output)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(output)),
    cpuMsPerRequest: (cpu * 1000) / requests,
    failures,
  }
}

function milliseconds(match: RegExpExecArray | null): number {
  const factor = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? 'ms'] ?? 1
  return Number(match?.[1]) * factor
}

/** Median, least and most, as `m (min-max)`. */
export function spread(values: readonly number[], digits = 3): string {
  const sorted = [...values].sort((a, b) => a - b)
  const [least = Number.NaN] = sorted
  const most = sorted.at(-1) ?? Number.NaN
  return `${median(values).toFixed(digits)} (${least.toFixed(digits)}-${most.toFixed(digits)})`
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}
