import { join, resolve } from 'node:path'
import { must } from '../interop/support/process.ts'

/** One pull of a client; times since all clients began. */
export interface Pull {
  status: number
  bytes: number
  /** Of the body, not of the header. */
  firstByteMs: number
  lastByteMs: number
  /** Why it failed. */
  error?: string
}

export interface Pulled {
  pulls: Pull[]
  seconds: number
  /** Of the client. */
  cpuSeconds: number
}

export interface PullRequest {
  url: string
  authorization: string | undefined
  clients: number
}

const sources = join(import.meta.dirname, 'blobs-client')
const program = resolve(import.meta.dirname, '../../node_modules/.cache/bench-bin/blobs-client')

/** Builds the client that throws bytes away in the kernel: it takes next to nothing from the server beside it. */
export async function buildClient(): Promise<void> {
  await must('go', ['build', '-trimpath', '-o', program, '.'], { cwd: sources, timeoutMs: 300_000 })
}

/** Pulls a URL with all clients at once. A pull that fails is told in its `error`. */
export async function pullAtOnce({ url, authorization, clients }: PullRequest): Promise<Pulled> {
  const login = authorization === undefined ? [] : ['-authorization', authorization]
  const output = await must(program, ['-clients', String(clients), ...login, url], { timeoutMs: 3_600_000 })
  return JSON.parse(output) as Pulled
}
