/** Runs the long loops, one after the other; `--short` takes the form that CI has time for. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

const short = process.argv.includes('--short')
const programs = [
  ['store-kill.ts', '--kills', short ? '30' : '300'],
  ['content-kill.ts', '--kills', short ? '20' : '200'],
  ['push-kill.ts', '--kills', short ? '10' : '100'],
] as const

for (const [program, ...args] of programs) {
  const child = spawn(process.execPath, [resolve(import.meta.dirname, program), ...args], { stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) process.exitCode = 1
}
