#!/usr/bin/env node
/**
 * The `weir` executable: `serve` runs the server, every other verb the command line over its API. The one file in
 * JavaScript: Node loads its TypeScript compiler for the first file that the compile cache does not have yet, and keeps
 * its 14 MB; an entry that needs none lets every file after it come stripped from the cache.
 */
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
  // A reader that has seen enough (`weir history ... | head`) is no failure.
  stdout.on('error', (error) => process.exit('code' in error && error.code === 'EPIPE' ? 0 : 1))
  process.exitCode = await runCli(process.argv.slice(2), { stdout, stderr, env, cwd: process.cwd(), home: homedir() })
}
