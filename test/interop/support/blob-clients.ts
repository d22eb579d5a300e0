/** Clients that fetch one blob each, every one a process group of its own: it can be stopped, killed, and left hanging. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { RunningWeir } from './weir.ts'

/** What a client came to: `code` tells whether it takes what it got for the whole blob. */
export interface FetchedBlob {
  /** -1 when it was ended by a signal. */
  code: number
  digest: string | undefined
  bytes: number
  /** Until its first byte, and its last; milliseconds since it started. */
  firstByteMs: number
  totalMs: number
  stderr: string
}

export interface BlobClient {
  readonly isDone: boolean
  readonly result: Promise<FetchedBlob>
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
}

/** A session that may pull from a stream. */
export interface PullSession {
  authorization: string
  manifest(reference: string): Promise<Response>
  /** Fetches a blob with a process that costs little. */
  blob(digest: string): BlobClient
  /** Fetches a blob with curl, its output hashed; `args` go to curl. */
  curl(digest: string, ...args: string[]): BlobClient
}

/** Opens a session on a stream that anonymous may pull: what clients send before they ask for blobs. */
export async function openPull(weir: Pick<RunningWeir, 'host' | 'url'>, repository: string): Promise<PullSession> {
  const query = new URLSearchParams({ service: weir.host, scope: `repository:${repository}:pull` })
  const answer = await fetch(`${weir.url}/token?${query}`)
  const { token } = (await answer.json()) as { token: string }
  const authorization = `Bearer ${token}`
  const accept = 'application/vnd.oci.image.manifest.v1+json'
  const urlOf = (digest: string): string => `${weir.url}/v2/${repository}/blobs/${digest}`
  return {
    authorization,
    manifest: (reference) =>
      fetch(`${weir.url}/v2/${repository}/manifests/${reference}`, { headers: { authorization, accept } }),
    blob: (digest) => startClient(process.execPath, [program, urlOf(digest), authorization], readJson),
    curl: (digest, ...args) =>
      startClient(
        'bash',
        ['-c', script, 'bash', '-H', `authorization: ${authorization}`, ...args, urlOf(digest)],
        readCurl,
      ),
  }
}

const program = join(import.meta.dirname, 'blob-client.ts')

/** `--fail` makes a refusal a failure; a body shorter than promised is one for curl anyway. */
const script = `set -o pipefail
curl --silent --show-error --fail --no-buffer --max-time 120 \\
  --write-out '%{stderr}%{size_download} %{time_starttransfer} %{time_total}\\n' "$@" | sha256sum`

type Read = (stdout: string, stderr: string) => Omit<FetchedBlob, 'code'>

function startClient(command: string, args: readonly string[], read: Read): BlobClient {
  const child = spawn(command, [...args], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let isDone = false
  return {
    get isDone() {
      return isDone
    },
    result: resultOf(child, read).finally(() => {
      isDone = true
    }),
    signal(name) {
      if (child.pid === undefined || isDone) return
      process.kill(-child.pid, name)
    },
  }
}

async function resultOf(child: ChildProcess, read: Read): Promise<FetchedBlob> {
  const written = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      written[name] += text
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { ...read(written.stdout, written.stderr), code: code ?? -1 }
}

const readJson: Read = (stdout, stderr) =>
  stdout.endsWith('\n')
    ? JSON.parse(stdout)
    : { digest: undefined, bytes: 0, firstByteMs: 0, totalMs: 0, stderr: stderr }

const readCurl: Read = (stdout, stderr) => {
  const hex = /^([a-f0-9]{64}) /.exec(stdout)?.[1]
  const [, bytes, firstByte, total] = /^(\d+) ([\d.]+) ([\d.]+)$/m.exec(stderr) ?? []
  return {
    digest: hex === undefined ? undefined : `sha256:${hex}`,
    bytes: Number(bytes ?? 0),
    firstByteMs: Number(firstByte ?? 0) * 1000,
    totalMs: Number(total ?? 0) * 1000,
    stderr,
  }
}
