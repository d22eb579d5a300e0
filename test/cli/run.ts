import { runCli } from '../../src/cli/cli.ts'

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
}

/** Runs a command line; without more, in a folder and a home that do not exist. */
export async function run(argv: readonly string[], world: CliWorld = {}): Promise<CliResult> {
  const out: string[] = []
  const err: string[] = []
  const code = await runCli(argv, {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    env: world.env ?? {},
    cwd: world.cwd ?? '/nowhere',
    home: world.home ?? '/nowhere',
  })
  return { code, stdout: out.join(''), stderr: err.join('') }
}
