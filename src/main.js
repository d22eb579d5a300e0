#!/usr/bin/env node
/**
 * The `weir` executable: `serve` runs the server, `rotate-secret-key` works beside it on its data directory, every other verb
 * is the command line over its API. It is JavaScript: Node loads its TypeScript compiler for the first file that the
 * compile cache does not have yet, and keeps its 14 MB; an entry that needs none lets every file after it come stripped
 * from the cache.
 */
import * as module from 'node:module'
import { setFlagsFromString } from 'node:v8'

const major = Number(process.versions.node.split('.', 1)[0])
if (major < 24) {
  process.stderr.write(`weir: this is Node ${process.versions.node}, and Weir needs 24 or newer\n`)
  process.exit(1)
}
module.enableCompileCache()
const [verb, ...rest] = process.argv.slice(2)
const wantsHelp = rest.includes('--help') || rest.includes('-h')
// Each side is loaded alone: neither carries the other's weight.
if (verb === 'serve' && !wantsHelp) {
  // Reading all files in would grow V8's young generation to its most, 10 MB that an idle process keeps. It may grow from
  // the first request on.
  setFlagsFromString('--semi-space-growth-factor=1')
  const { serve } = await import('./serve.ts')
  await serve(rest)
  setFlagsFromString('--semi-space-growth-factor=2')
} else if (verb === 'rotate-secret-key' && !wantsHelp) {
  const { rotateSecretKey } = await import('./rotate-secret-key.ts')
  await rotateSecretKey(rest)
} else {
  const { runCli } = await import('./cli/cli.ts')
  const { homedir } = await import('node:os')
  const { stdout, stderr, env } = process
  // A reader that has seen enough (`weir history ... | head`) is no failure.
  stdout.on('error', (error) => process.exit('code' in error && error.code === 'EPIPE' ? 0 : 1))
  const surroundings = { env, cwd: process.cwd(), home: homedir() }
  process.exitCode = await runCli(process.argv.slice(2), { stdin: process.stdin, stdout, stderr, ...surroundings })
}
