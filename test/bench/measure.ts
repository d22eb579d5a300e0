import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { must } from '../interop/support/process.ts'
import { loadHead } from './head-load.ts'

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
}

/** Loads a server once, with wrk for GET, and takes the server's CPU time around it. */
export async function measure(load: Load): Promise<Round> {
  const before = cpuSeconds(load.pid)
  const { requests, ...round } = await (load.method === 'GET' ? measureGet(load) : measureHead(load))
  return { ...round, cpuMsPerRequest: ((cpuSeconds(load.pid) - before) * 1000) / requests }
}

type Measured = Omit<Round, 'cpuMsPerRequest'> & { requests: number }

async function measureGet({ url, headers, connections, seconds }: Load): Promise<Measured> {
  const lines = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const output = await must('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...lines, url])
  return {
    requests: Number(/(\d+) requests in/.exec(output)?.[1]),
    requestsPerSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(output)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(output)),
    failures: Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0),
  }
}

async function measureHead({ url, headers, connections, seconds }: Load): Promise<Measured> {
  const result = await loadHead(url, headers, connections, seconds)
  const at = (share: number): number => result.latenciesMs[Math.floor(result.latenciesMs.length * share)] ?? Number.NaN
  return {
    requests: result.requests,
    requestsPerSecond: result.requests / result.seconds,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failures: result.failures,
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
