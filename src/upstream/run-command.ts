import { type ChildProcess, spawn } from 'node:child_process'

export interface CommandRun {
  /** The program and its arguments; no shell reads them. */
  command: readonly string[]
  environment: Readonly<Record<string, string>>
  stdin: string
  timeoutMs: number
  /** Most bytes of what it prints. */
  maxBytes: number
  /** Ends it. */
  signal: AbortSignal
}

/** What a program printed, and the beginning of what it complained of. */
export interface CommandOutcome {
  stdout: string
  stderr: string
  /** Why it counts as failed; undefined where it ended with 0. */
  problem: string | undefined
}

const maxComplaintBytes = 4096

/** Runs a program to its end, or ends it and all that it started. Never fails. */
export async function runCommand(run: CommandRun): Promise<CommandOutcome> {
  const { command, environment, stdin, timeoutMs, maxBytes, signal } = run
  const [program = '', ...args] = command
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  const outcome = (problem?: string): CommandOutcome => ({
    stdout: Buffer.concat(stdout).toString('utf8'),
    stderr: Buffer.concat(stderr).toString('utf8'),
    problem,
  })
  if (signal.aborted) return outcome('was not run: Weir stops')
  const done = Promise.withResolvers<CommandOutcome>()
  let child: ChildProcess
  try {
    // A group of its own, so that what it starts ends with it.
    child = spawn(program, args, { env: environment, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
  } catch (error) {
    return outcome(`can not be run (${(error as NodeJS.ErrnoException).code})`)
  }
  const end = (problem: string): void => {
    done.resolve(outcome(problem))
    killGroup(child)
    for (const stream of [child.stdout, child.stderr]) stream?.destroy()
  }
  const stop = (): void => end('was ended: Weir stops')
  const timer = setTimeout(() => end(`did not end within ${timeoutMs / 1000} s`), timeoutMs)
  signal.addEventListener('abort', stop)
  child.on('error', (error: NodeJS.ErrnoException) => {
    const hint = error.code === 'ENOENT' ? 'is not there' : `can not be run (${error.code})`
    done.resolve(outcome(hint))
  })
  let isClosed = false
  child.on('close', (code, killer) => {
    isClosed = true
    if (code === 0) done.resolve(outcome())
    else done.resolve(outcome(code === null ? `was ended by ${killer}` : `ended with ${code}`))
  })
  // What it started may hold the pipes open: it has had its say.
  child.on('exit', () => setTimeout(() => isClosed || killGroup(child), 100).unref())
  collect(child.stdout, stdout, maxBytes, () => end(`printed more than ${maxBytes} bytes`))
  collect(child.stderr, stderr, maxComplaintBytes, () => undefined)
  child.stdin?.on('error', () => undefined).end(stdin)
  try {
    return await done.promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

function collect(stream: NodeJS.ReadableStream | null, into: Buffer[], maxBytes: number, onMore: () => void): void {
  let length = 0
  stream?.on('error', () => undefined)
  stream?.on('data', (chunk: Buffer) => {
    const rest = maxBytes - length
    length += chunk.length
    if (rest > 0) into.push(chunk.subarray(0, rest))
    if (length > maxBytes) onMore()
  })
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
