import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { parse, stringify } from 'yaml'
import { goBin, oldKubectl } from '../install.ts'
import { type Finished, type RunOptions, run } from './process.ts'

/** A command that goes on until it is stopped. */
export interface Following {
  /** What it has written to stdout so far. */
  lines: string[]
  /** The same of stderr; with `-v=6` it has a line for each request. */
  notes: string[]
  /** The exit code, when it ended by itself or was stopped. */
  ended: Promise<number | null>
  stop(): Promise<void>
}

/** kubectl of one release, as one person, in one project. */
export interface Kubectl {
  /** Runs a command that must succeed and answers its stdout. */
  (...args: string[]): Promise<string>
  /** Runs a command that may fail. */
  try(args: readonly string[], options?: RunOptions): Promise<Finished>
  /** Runs a command that must fail and answers its stderr. */
  fails(...args: string[]): Promise<string>
  /** Sends objects by a command that reads them from stdin, such as `apply`; answers stdout. */
  send(objects: string, ...args: string[]): Promise<string>
  /** Sends objects that must be refused; answers stderr. */
  refuses(objects: string, ...args: string[]): Promise<string>
  /** An object, or a list of them. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at field by field
  json(...args: string[]): Promise<any>
  /** Edits an object with the sed `script` as the editor; answers how that ended. */
  edit(script: string, ...args: string[]): Promise<Finished>
  follow(...args: string[]): Following
}

/** The two releases that are tried. */
export const kubectls = { '1.37': join(goBin, 'kubectl'), '1.20': oldKubectl } as const

export interface KubectlOptions {
  release?: keyof typeof kubectls
  kubeconfig: string
  /** Default `default`, which Weir need not have. */
  project?: string
  /** Kept between commands: what kubectl remembers of the server, and what it leaves. */
  home: string
}

export async function createKubectl({
  release = '1.37',
  kubeconfig,
  project = 'default',
  home,
}: KubectlOptions): Promise<Kubectl> {
  await mkdir(home, { recursive: true })
  const program = kubectls[release]
  const env = { HOME: home, TMPDIR: home, KUBECONFIG: kubeconfig }
  const named = (args: readonly string[]) => ['--namespace', project, ...args]
  const tried = (args: readonly string[], options: RunOptions = {}) =>
    run(program, named(args), { timeoutMs: 60_000, ...options, env: { ...env, ...options.env } })
  const succeeds = async (args: readonly string[], input?: string) => {
    const { code, stdout, stderr } = await tried(args, input === undefined ? {} : { input })
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`)
    return stdout
  }
  const fails = async (args: readonly string[], input?: string) => {
    const { code, stdout, stderr } = await tried(args, input === undefined ? {} : { input })
    if (code === 0) throw new Error(`kubectl ${args.join(' ')} should fail\n${stdout}\n${stderr}`)
    return stderr
  }
  return Object.assign((...args: string[]) => succeeds(args), {
    try: tried,
    fails: (...args: string[]) => fails(args),
    send: (objects: string, ...args: string[]) => succeeds([...args, '-f', '-'], objects),
    refuses: (objects: string, ...args: string[]) => fails([...args, '-f', '-'], objects),
    json: async (...args: string[]) => JSON.parse(await succeeds([...args, '-o', 'json'])),
    edit: (script: string, ...args: string[]) =>
      tried(['edit', ...args], { env: { KUBE_EDITOR: `sed -i -e '${script}'` } }),
    follow: (...args: string[]) => follow(program, named(args), env),
  })
}

function follow(program: string, args: readonly string[], env: Record<string, string>): Following {
  const child = spawn(program, [...args], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit').then(([code]) => code as number | null)
  return {
    lines: linesOf(child.stdout),
    notes: linesOf(child.stderr),
    ended,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

function linesOf(input: Readable): string[] {
  const lines: string[] = []
  createInterface(input).on('line', (line) => void lines.push(line))
  return lines
}

/** Writes a copy of a kubeconfig with another token, and answers its path. */
export async function kubeconfigOf(kubeconfig: string, token: string, file: string): Promise<string> {
  const config = parse(await readFile(kubeconfig, 'utf8')) as { users: { user: { token: string } }[] }
  for (const { user } of config.users) user.token = token
  await writeFile(file, stringify(config), { mode: 0o600 })
  return file
}
