import type { Command } from 'commander'
import { apiVersion, resources, type TokenRequest } from './api.ts'
import type { Client } from './client.ts'
import { whoIs } from './explain.ts'
import { CliError, isAlreadyExists, isNotFound, misuse } from './failures.ts'
import { timeOf } from './login-end.ts'
import { type Format, formatOption, formatTable, printable, printObject } from './output.ts'
import { parseProject } from './references.ts'
import { claimsOf } from './token-claims.ts'
import { addVerb, durationOption, type VerbContext } from './verbs.ts'

interface TokenOptions {
  namespace: string
  duration?: number
}

/** Adds `token` and `whoami`. */
export function addAccessVerbs(program: Command, context: VerbContext): void {
  addVerb(program, 'token <serviceaccount>', {
    does: 'Prints a new token of a service account, which is created when absent.',
    example: 'weir token ci -n demo --duration 24h',
  })
    .requiredOption('-n, --namespace <project>', 'the project (required)')
    .option('--duration <duration>', "how long the token lives (default: the server's)", durationOption)
    .action(async (account: string, { namespace, duration }: TokenOptions) => {
      const project = parseProject(namespace)
      if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(account)) {
        throw misuse(
          `"${account}" is not a service account's name: lower case letters and digits, with . - between them`,
        )
      }
      const seconds = duration === undefined ? undefined : Math.floor(duration / 1000)
      await printToken(context, await context.connect(), project, account, seconds)
    })
  addVerb(program, 'whoami', {
    does: 'Prints who you are to the server.',
    example: 'weir whoami -o wide',
  })
    .addOption(formatOption())
    .action(async (options: { output?: Format }) => printCaller(context, await context.connect(), options.output))
}

async function printToken(
  context: VerbContext,
  client: Client,
  project: string,
  account: string,
  seconds: number | undefined,
): Promise<void> {
  const request = await requestToken(client, project, account, seconds).catch(async (error: unknown) => {
    if (!isNotFound(error)) throw error
    if (await createAccount(client, project, account)) context.note(`service account ${project}/${account} created`)
    return requestToken(client, project, account, seconds)
  })
  const { token, expirationTimestamp } = request.status ?? {}
  if (!token) throw new CliError('the server answered without a token')
  if (seconds !== undefined && (request.spec?.expirationSeconds ?? seconds) < seconds) {
    context.note(`the server lets this token live until ${expirationTimestamp} only`)
  }
  context.stdout.write(`${token}\n`)
}

async function requestToken(
  client: Client,
  project: string,
  name: string,
  seconds: number | undefined,
): Promise<TokenRequest> {
  const spec = seconds === undefined ? {} : { expirationSeconds: seconds }
  const body = { kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1', spec }
  const target = { resource: resources.serviceAccounts, project, name, subresource: 'token' }
  return client.request<TokenRequest>('POST', target, { body })
}

/** False when somebody else created it at the same time. */
async function createAccount(client: Client, project: string, name: string): Promise<boolean> {
  const resource = resources.serviceAccounts
  const body = { kind: 'ServiceAccount', apiVersion: apiVersion(resource), metadata: { name, namespace: project } }
  try {
    await client.request('POST', { resource, project }, { body })
    return true
  } catch (error) {
    if (isAlreadyExists(error)) return false
    throw error
  }
}

async function printCaller(context: VerbContext, client: Client, format: Format | undefined): Promise<void> {
  const review = await whoIs(client)
  const { username = '', groups = [], extra = {} } = review.status?.userInfo ?? {}
  const claims = claimsOf(client.server.token?.value ?? '')
  const columns = [
    { header: 'USER', value: () => username },
    { header: 'GROUPS', value: () => groups.join(',') },
    { header: 'PROVIDER', value: () => extra['weir.dev/provider']?.join(',') || claims?.login?.provider || '-' },
    { header: 'UNTIL', value: () => (claims?.endsAtMs === undefined ? '-' : timeOf(claims.endsAtMs)) },
    { header: 'SERVER', value: () => client.server.url },
    { header: 'FOUND IN', value: () => client.server.from },
  ]
  if (format === 'wide') context.stdout.write(formatTable(columns, [review], true))
  else printObject(context.stdout, format, review, { name: username, text: printable(username) })
}
