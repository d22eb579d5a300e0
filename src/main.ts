#!/usr/bin/env node
/** The `weir` executable: `serve` runs the server, every other verb the command line over its API. */
import { enableCompileCache } from 'node:module'

enableCompileCache()
const [verb, ...rest] = process.argv.slice(2)
const wantsHelp = rest.includes('--help') || rest.includes('-h')
// Each side is loaded alone: neither carries the other's weight.
if (verb === 'serve' && !wantsHelp) {
  const { serve } = await import('./serve.ts')
  await serve(rest)
} else {
  const { runCli } = await import('./cli/cli.ts')
  const { homedir } = await import('node:os')
  const { stdout, stderr, env } = process
  process.exitCode = await runCli(process.argv.slice(2), { stdout, stderr, env, cwd: process.cwd(), home: homedir() })
}
