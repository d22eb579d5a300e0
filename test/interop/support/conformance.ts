import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { goBin } from '../install.ts'
import type { Login } from './clients.ts'
import { run } from './process.ts'

/** What one run of the OCI conformance program came to. */
export interface Conformance {
  /** Exit code: 0 also where its configuration is wrong, and nothing was tested. */
  code: number
  /** `Pass`, unless something failed. */
  overall: string | undefined
  /** How many tests ended how: `Pass`, `Skip`, `Disabled`, `FAIL`, `Error`, `Total`. */
  counts: Readonly<Record<string, number>>
  /** Tests that did not pass, each once, with how they ended and why. */
  notPassed: readonly string[]
  /** `results.yaml`, absent when it was not written: how each API and each kind of data ended. */
  results: { apis: Record<string, string>; data: Record<string, string> } | undefined
}

export interface ConformanceOptions {
  registry: string
  repositories: readonly [string, string]
  login: Login
  version: 'stable' | 'dev'
  /** Further settings of the program, without `OCI_`. */
  settings?: Readonly<Record<string, string>>
  /** Of this run alone. */
  directory: string
}

/** Runs the program against a registry on plain HTTP, with a login that may push, pull and delete in both repositories. */
export async function runConformance(options: ConformanceOptions): Promise<Conformance> {
  const { registry, repositories, login, version, settings = {}, directory } = options
  const all = {
    REGISTRY: registry,
    TLS: 'disabled',
    REPO1: repositories[0],
    REPO2: repositories[1],
    USERNAME: login.username,
    PASSWORD: login.password,
    VERSION: version,
    RESULTS_DIR: directory,
    ...settings,
  }
  const env = Object.fromEntries(Object.entries(all).map(([name, value]) => [`OCI_${name}`, value]))
  const { code, stdout } = await run(join(goBin, 'conformance'), [], { cwd: directory, env, timeoutMs: 600_000 })
  const text = await readFile(join(directory, 'results.yaml'), 'utf8').catch(() => undefined)
  return {
    code,
    overall: /^OCI Conformance Result: (\w+)$/m.exec(stdout)?.[1],
    counts: countsOf(stdout),
    notPassed: notPassed(stdout),
    results: text === undefined ? undefined : parse(text),
  }
}

function countsOf(stdout: string): Record<string, number> {
  const [, block = ''] = /^OCI Conformance Result: .*\n((?: {2}\w+\.*: +\d+\n)*)/m.exec(stdout) ?? []
  return Object.fromEntries([...block.matchAll(/(\w+)\.*: +(\d+)/g)].map(([, name, count]) => [name, Number(count)]))
}

/** The lines of the walk through all tests that tell of a test without children, and the reasons below them. */
function notPassed(stdout: string): string[] {
  const lines = stdout.slice(0, stdout.indexOf('\nConfiguration:')).split('\n')
  return lines.flatMap((line, i) => {
    const [, indent = '', name = '', status = ''] = /^( *)(\S.*): (Skip|FAIL|Error)$/.exec(line) ?? []
    const next = lines[i + 1] ?? ''
    if (name === '' || next.startsWith(`${indent}  `)) return []
    const reason = next.startsWith(`${indent} - `) ? next.trim() : ''
    return [`${status}: ${name} ${reason}`.trim()]
  })
}
