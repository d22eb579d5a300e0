import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { createServer } from 'node:net'

/** What a finished command left. */
export interface Finished {
  code: number
  stdout: string
  stderr: string
}

export interface RunOptions {
  cwd?: string
  env?: Record<string, string>
  input?: string
  /** Default 120 s; the command is killed then. */
  timeoutMs?: number
}

/** Runs a command to its end; a failure is an answer, not an exception. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const { cwd, env, input, timeoutMs = 120_000 } = options
  return new Promise((resolve) => {
    const child = execFile(
      command,
      [...args],
      { cwd, env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        resolve({
          code,
          stdout,
          stderr: error?.killed === true ? `${stderr}\ntimed out after ${timeoutMs} ms` : stderr,
        })
      },
    )
    // A command may end without reading its input.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}

/** Runs a command that must succeed and answers its stdout. */
export async function must(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`)
  return stdout
}

/** A server started for a test. */
export interface Service {
  pid: number
  stop(): Promise<void>
}

/** Starts a server, its output into `logFile`, and waits until `ready` holds. */
export async function startService(
  command: string,
  args: readonly string[],
  options: {
    cwd?: string
    env?: Record<string, string>
    logFile: string
    ready: () => Promise<boolean>
    timeoutMs?: number
  },
): Promise<Service> {
  const log = createWriteStream(options.logFile)
  await once(log, 'open')
  const child = spawn(command, [...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', log, log],
  })
  const service = { pid: child.pid ?? 0, stop: () => stopProcess(child) }
  const deadline = Date.now() + (options.timeoutMs ?? 30_000)
  while (!(await options.ready().catch(() => false))) {
    if (child.exitCode !== null) throw new Error(`${command} ended with ${child.exitCode}; see ${options.logFile}`)
    if (Date.now() > deadline) {
      await service.stop()
      throw new Error(`${command} is not ready after ${options.timeoutMs ?? 30_000} ms; see ${options.logFile}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return service
}

async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000)
  await ended
  clearTimeout(timer)
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new TypeError('no port')
  return address.port
}

/** Whether an HTTP server answers at `url` with success: 503 is what it says while it starts. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url)
  await response.arrayBuffer()
  return response.ok
}
