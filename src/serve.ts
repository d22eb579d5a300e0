/** `weir serve`: from its flags to a Weir that runs until a signal ends it. */
import { parseArgs } from 'node:util'
import type { Logger } from 'pino'
import { ConfigError, loadConfig } from './config.ts'
import { createLog } from './log.ts'
import { StartError } from './start-error.ts'
import { startWeir, type Weir } from './weir.ts'

/** Runs the server; sets the exit code: 1 when it can not start, 2 when it is misused. */
export async function serve(argv: readonly string[]): Promise<void> {
  const flags = readFlags(argv)
  if (typeof flags === 'string') return fail(2, [`${flags}; see weir serve --help`])
  // Everything under the data directory is for this user alone.
  process.umask(0o077)
  try {
    const { config, warnings } = loadConfig(flags, process.env)
    const log = createLog(config.log)
    for (const warning of warnings) log.warn(warning)
    // From here on a signal means a clean stop: whoever saw the first answer may send one at once.
    const signal = nextSignal()
    const discardUnreadable = flags['discard-unreadable-secrets'] ?? false
    const weir = await startWeir(config, { log, discardUnreadable })
    void signal.then(() => stop(weir, log))
  } catch (error) {
    if (error instanceof ConfigError) return fail(1, error.problems)
    if (error instanceof StartError) return fail(1, [error.message])
    throw error
  }
}

interface Flags {
  config?: string
  data?: string
  listen?: string
  'discard-unreadable-secrets'?: boolean
}

function readFlags(argv: readonly string[]): Flags | string {
  const text = { type: 'string' } as const
  const options = { config: text, data: text, listen: text, 'discard-unreadable-secrets': { type: 'boolean' } } as const
  try {
    return parseArgs({ args: [...argv], options }).values
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
}

/** Settles at the first SIGTERM or SIGINT. */
function nextSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false
    const ask = (): void => {
      // A second signal is for those who do not want to wait.
      if (asked) process.exit(1)
      asked = true
      resolve()
    }
    process.on('SIGTERM', ask)
    process.on('SIGINT', ask)
  })
}

async function stop(weir: Weir, log: Logger): Promise<void> {
  log.info('weir is stopping')
  try {
    await weir.stop()
    process.exit(0)
  } catch (error) {
    log.error({ err: error }, 'weir did not stop cleanly')
    process.exit(1)
  }
}

function fail(exitCode: 1 | 2, problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`weir: ${problem}\n`)
  process.exitCode = exitCode
}
