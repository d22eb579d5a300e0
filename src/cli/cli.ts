import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Command, CommanderError } from 'commander'
import { addAccessVerbs } from './access.ts'
import { addAuditVerb } from './audit.ts'
import { addCanIVerb } from './can-i.ts'
import { type Client, createClient } from './client.ts'
import { addDeleteVerb } from './delete.ts'
import { addDescribeVerb } from './describe.ts'
import { explain } from './explain.ts'
import { ApiError, CliError, SaidNo } from './failures.ts'
import { addGetVerb } from './get.ts'
import { addGrantVerbs } from './grants.ts'
import { addHistoryVerb } from './history.ts'
import { addImportVerb } from './images.ts'
import { addLoginVerb } from './login.ts'
import { noteEndingLogin } from './login-end.ts'
import { addLogoutVerbs } from './logout.ts'
import { type Output, printable } from './output.ts'
import { addPrefetchVerb } from './prefetch.ts'
import { createProgress, type ProgressOutput } from './progress.ts'
import { addProjectVerbs } from './projects.ts'
import { addPruneVerb } from './prune.ts'
import { addRollbackVerbs } from './rollback.ts'
import { findServer, type ServerFlags, type Surroundings } from './server.ts'
import { addTagVerb } from './tag.ts'
import { createTerminal, type Input } from './terminal.ts'
import { addUpstreamsVerb } from './upstreams.ts'
import { addVerb, type Clock, durationOption, type VerbContext } from './verbs.ts'
import { addVerifyVerb } from './verify.ts'
import { addWhoCanVerb } from './who-can.ts'

/** What a command line works with: `process.stdout`, `process.env` and so on, or a test's own. */
export interface CliIo extends Surroundings {
  stdout: Output
  stderr: ProgressOutput
  /** Default: nobody is there, and nothing is piped in. */
  stdin?: Input
  /** Default: the machine's. */
  clock?: Clock
}

interface GlobalFlags extends ServerFlags {
  requestTimeout?: number
}

/**
 * Runs one command line, `argv` without the executable: every verb but those of the server itself, and the help of all. Results go to
 * `stdout`, all else to `stderr`.
 *
 * @returns the exit code: 0, 1 (failed) or 2 (misused)
 */
export async function runCli(argv: readonly string[], io: CliIo): Promise<number> {
  const program = createProgram(io)
  const clients: Client[] = []
  const clock = io.clock ?? { now: Date.now, pause: (ms) => delay(ms) }
  const context: VerbContext = {
    stdout: io.stdout,
    clock,
    note: (line) => io.stderr.write(`${printable(line)}\n`),
    progress: () => createProgress(io.stderr, clock),
    async connect() {
      const client = context.connectTo(await findServer(context.flags(), io))
      noteEndingLogin(context, client.server)
      return client
    },
    connectTo(server) {
      const { requestTimeout } = program.opts<GlobalFlags>()
      const client = createClient({ server, ...(requestTimeout === undefined ? {} : { timeoutMs: requestTimeout }) })
      clients.push(client)
      return client
    },
    flags() {
      const { requestTimeout: _, ...flags } = program.opts<GlobalFlags>()
      return flags
    },
    surroundings: io,
    terminal: createTerminal(io.stdin, io.stderr),
  }
  addServe(program)
  addProjectVerbs(program, context)
  addImportVerb(program, context)
  addTagVerb(program, context)
  addDeleteVerb(program, context)
  addHistoryVerb(program, context)
  addRollbackVerbs(program, context)
  addGetVerb(program, context)
  addDescribeVerb(program, context)
  addLoginVerb(program, context)
  addLogoutVerbs(program, context)
  addAccessVerbs(program, context)
  addGrantVerbs(program, context)
  addCanIVerb(program, context)
  addWhoCanVerb(program, context)
  addAuditVerb(program, context)
  addPrefetchVerb(program, context)
  addPruneVerb(program, context)
  addVerifyVerb(program, context)
  addUpstreamsVerb(program, context)
  try {
    await program.parseAsync(argv, { from: 'user' })
    return 0
  } catch (error) {
    return await reportFailure(error, clients.at(-1), context)
  } finally {
    for (const client of clients) client.close()
  }
}

function createProgram(io: CliIo): Command {
  return new Command('weir')
    .description('Image streams for every Docker and OCI client, in front of any registry.')
    .version(`weir ${packageVersion()}`, '--version', 'print the version')
    .option('--server <url>', "the server's address (WEIR_SERVER)")
    .option('--token <token>', 'who you are to it (WEIR_TOKEN)')
    .option('--certificate-authority <file>', "the authority of the server's certificate, PEM")
    .option('--insecure-skip-tls-verify', 'trust any certificate; whoever answers learns the token')
    .option('--kubeconfig <file>', 'where server and token are (KUBECONFIG, ./data/admin.kubeconfig, ~/.kube/config)')
    .option('--request-timeout <duration>', 'how long one request may take', durationOption)
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [verb]', 'print the help of a verb')
    .showHelpAfterError('(weir --help lists verbs and options)')
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) })
    .exitOverride()
}

// The executable does these itself, without the rest of the command line; here is their help.
function addServe(program: Command): void {
  addVerb(program, 'serve', {
    does: 'Runs the server until it is told to stop.',
    example: 'weir serve --data /var/lib/weir --listen 127.0.0.1:5000',
  })
    .option('--config <file>', 'its configuration (WEIR_CONFIG, ./weir.yaml)')
    .option('--data <directory>', 'where everything is kept')
    .option('--listen <host:port>', 'the address of plain HTTP')
    .option('--discard-unreadable-secrets', 'remove what secret.key does not open, and start; for once')
    .action(notOverTheApi)
  addVerb(program, 'rotate-secret-key', {
    does: 'Prepares a new key for what the server keeps sealed: it takes the key in when it starts again.',
    example: 'weir rotate-secret-key --data /var/lib/weir',
  })
    .option('--config <file>', 'the configuration of the server (WEIR_CONFIG, ./weir.yaml)')
    .option('--data <directory>', 'where everything is kept')
    .action(notOverTheApi)
}

function notOverTheApi(): never {
  throw new TypeError('this is no verb over the API')
}

function packageVersion(): string {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return manifest.version
}

async function reportFailure(
  error: unknown,
  client: Client | undefined,
  { note, clock }: VerbContext,
): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof SaidNo) return 1
  const known = error instanceof ApiError && client !== undefined ? await explain(error, client, clock.now()) : error
  if (!(known instanceof CliError)) throw error
  note(`error: ${known.message}`)
  for (const hint of known.hints) note(`  ${hint}`)
  return known.exitCode
}
