import { Readable } from 'node:stream'
import { runCli } from '../../src/cli/cli.ts'
import type { Input } from '../../src/cli/terminal.ts'
import type { Clock } from '../../src/cli/verbs.ts'

/** What a command line came to. */
export interface CliResult {
  code: number
  stdout: string
  stderr: string
}

export interface CliWorld {
  env?: Record<string, string>
  cwd?: string
  home?: string
  clock?: Clock
  /** Default: nobody is there, and nothing is piped in. */
  stdin?: Input
  /** Of the terminal that standard error is; default: it is none. */
  columns?: number
  /** Told what is written to standard error, as it is written. */
  onStderr?(text: string): void
}

/** When a command line runs that is given no clock. */
export const runsAt = Date.UTC(2026, 0, 31)

/** A clock that a pause moves on, and nothing else. */
export function pausingClock(): Clock {
  let nowMs = runsAt
  return {
    now: () => nowMs,
    async pause(ms) {
      nowMs += ms
    },
  }
}

/** Runs a command line; without more, in a folder and a home that do not exist. */
export async function run(argv: readonly string[], world: CliWorld = {}): Promise<CliResult> {
  const out: string[] = []
  const err: string[] = []
  const code = await runCli(argv, {
    stdout: { write: (text) => out.push(text) },
    stderr: {
      ...(world.columns === undefined ? {} : { isTTY: true, columns: world.columns }),
      write: (text) => {
        err.push(text)
        world.onStderr?.(text)
      },
    },
    env: world.env ?? {},
    cwd: world.cwd ?? '/nowhere',
    home: world.home ?? '/nowhere',
    clock: world.clock ?? pausingClock(),
    ...(world.stdin === undefined ? {} : { stdin: world.stdin }),
  })
  return { code, stdout: out.join(''), stderr: err.join('') }
}

/** Standard input with this piped in. */
export function piped(text: string): Input {
  return Readable.from([Buffer.from(text)])
}

/** A terminal where somebody types these lines, each at once; `modes` are those it was set to. */
export function typing(...lines: string[]): Input & { modes: boolean[] } {
  const modes: boolean[] = []
  const stream = Readable.from(lines.map((line) => Buffer.from(`${line}\r`)))
  return Object.assign(stream, { isTTY: true, modes, setRawMode: (isRaw: boolean) => modes.push(isRaw) })
}
