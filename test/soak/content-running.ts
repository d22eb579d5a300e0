/** The Weir that the kill test of content starts and kills: its folder, its config, its process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { stringify } from 'yaml'
import { type Connection, readLogin } from './content-requests.ts'

/** That Weir keeps: less than all tags need. */
export const maxBytes = 14 * 1024 * 1024
/** What a Weir may complain of here. */
const expectedProblems = new Set(['blobs can not be kept'])

export interface Prepared {
  directory: string
  config: string
  data: string
  /** Where held bytes are. */
  blobs: string
  kubeconfig: string
  ports: { http: number; https: number }
}

export interface Running extends Connection {
  /** Complaints in its log. */
  problems: string[]
  /** Kills it and waits for its end. */
  kill(): Promise<void>
}

/** Of a Weir in front of the upstream `host` that may keep less than it has to. */
export function crowded(host: string): Record<string, unknown> {
  return {
    upstreams: [{ host, insecure: true }],
    content: {
      maxBytes: `${maxBytes}B`,
      retain: 'pinned',
      historyKeep: 1,
      historyKeepDays: 0,
      backgroundDownloads: 8,
      backgroundDownloadsPerHost: 8,
    },
  }
}

/** Writes the config of a Weir, with `settings` beside what each of them has. */
export async function prepare(directory: string, settings: Record<string, unknown>): Promise<Prepared> {
  const ports = { http: await freePort(), https: await freePort() }
  const data = join(directory, 'data')
  const config = join(directory, 'weir.yaml')
  await writeFile(
    config,
    stringify({
      listen: `127.0.0.1:${ports.http}`,
      tls: { listen: `127.0.0.1:${ports.https}` },
      data,
      ...settings,
      audit: { output: 'none' },
      log: { level: 'error' },
    }),
  )
  return {
    directory,
    config,
    data,
    blobs: join(data, 'content/blobs/sha256'),
    ports,
    kubeconfig: join(data, 'admin.kubeconfig'),
  }
}

/** Starts a Weir. */
export function spawnWeir({ config, directory }: Prepared, session: number): ChildProcess {
  const program = new URL('content-weir.ts', import.meta.url).pathname
  return spawn(process.execPath, [program, config, String(session)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(directory, 'compile-cache') },
  })
}

/** Starts a Weir and waits until it listens. */
export async function start(prepared: Prepared, session: number): Promise<Running> {
  const child = spawnWeir(prepared, session)
  const gone = new AbortController()
  const closed = once(child, 'close').finally(() => gone.abort())
  const problems = problemsOf(child)
  if (child.stdout !== null) await Promise.race([once(child.stdout, 'data'), closed])
  if (gone.signal.aborted)
    throw new Error(`Weir ended by itself with ${child.exitCode ?? child.signalCode}: ${problems}`)
  return {
    ...prepared.ports,
    ...(await readLogin(prepared.kubeconfig)),
    signal: gone.signal,
    problems,
    async kill() {
      const hasEnded = gone.signal.aborted
      child.kill('SIGKILL')
      await closed
      if (hasEnded) throw new Error(`Weir ended by itself with ${child.exitCode ?? child.signalCode}`)
    },
  }
}

/** Fills with what is logged as an error, and not expected. */
function problemsOf(child: ChildProcess): string[] {
  const problems: string[] = []
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (!isExpected(line)) problems.push(line)
    })
  }
  return problems
}

function isExpected(line: string): boolean {
  if (!line.startsWith('{')) return false
  const { msg } = JSON.parse(line) as { msg?: string }
  return msg !== undefined && expectedProblems.has(msg)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  return address.port
}
