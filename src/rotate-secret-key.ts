/** `weir rotate-secret-key`: prepares the key that the server takes in when it starts again. */
import { parseArgs } from 'node:util'
import { prepareNextKey, SecretKeyError, secretKeyFile } from './access/secret-key.ts'
import { ConfigError, loadConfig } from './config.ts'

/** Prepares the key; sets the exit code: 1 when it can not be made, 2 when it is misused. */
export async function rotateSecretKey(argv: readonly string[]): Promise<void> {
  const flags = readFlags(argv)
  if (typeof flags === 'string') return fail(2, [`${flags}; see weir rotate-secret-key --help`])
  process.umask(0o077)
  try {
    const file = secretKeyFile(loadConfig(flags, process.env).config.data)
    await prepareNextKey(file)
    const restart = 'restart weir serve: it takes the key in and seals everything with it, then the old one goes'
    process.stderr.write(`a new key is prepared beside ${file}; ${restart}\n`)
  } catch (error) {
    if (error instanceof ConfigError) return fail(1, error.problems)
    if (error instanceof SecretKeyError || isSystemError(error)) return fail(1, [error.message])
    throw error
  }
}

function readFlags(argv: readonly string[]): { config?: string; data?: string } | string {
  const text = { type: 'string' } as const
  try {
    return parseArgs({ args: [...argv], options: { config: text, data: text } }).values
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
  }
}

/** What the file system says: `EACCES: permission denied, open '...'`. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error
}

function fail(exitCode: 1 | 2, problems: readonly string[]): void {
  for (const problem of problems) process.stderr.write(`weir: ${problem}\n`)
  process.exitCode = exitCode
}
