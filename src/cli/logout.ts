import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Session } from './access-api.ts'
import { agoInWords } from './ages.ts'
import { resources } from './api.ts'
import type { Client } from './client.ts'
import { whoIs } from './explain.ts'
import { ApiError, CliError, misuse } from './failures.ts'
import { fieldSelector } from './field-selector.ts'
import { removeLogin } from './kubeconfig-edit.ts'
import { type Format, formatOption, type Printing, printDocuments, printRows } from './output.ts'
import { claimsOf } from './token-claims.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface LogoutOptions {
  session?: string
  all?: boolean
}

/** Adds `logout` and `sessions`. */
export function addLogoutVerbs(program: Command, context: VerbContext): void {
  addVerb(program, 'logout', {
    does: 'Ends a login: its session at the server, and its token in the kubeconfig.',
    example: 'weir logout',
    more: ['weir logout --session 3f2c...', 'weir logout --all'],
  })
    .option('--session <id>', 'end this session instead, as weir sessions shows it')
    .option('--all', 'end every session of yours; the token in the kubeconfig goes too')
    .action(async (options: LogoutOptions) => {
      if (options.session !== undefined && options.all === true) throw misuse('--session and --all exclude each other')
      if (options.session !== undefined) await endSession(context, await context.connect(), options.session)
      else await logOut(context, await context.connect(), options.all === true)
    })
  addVerb(program, 'sessions', {
    does: "Lists logins that go on: of weir login, and of docker login with a password or an issuer's token.",
    example: 'weir sessions -o wide',
    words: 'Everybody sees his own; who may list sessions sees all.',
  })
    .addOption(formatOption())
    .action(async ({ output }: { output?: Format }) => {
      const client = await context.connect()
      const sessions = await client.list<Session>({ resource: resources.sessions })
      if (output === 'json' || output === 'yaml') return printDocuments(context.stdout, output, sessions)
      if (sessions.items.length === 0) context.note('no sessions')
      printRows(context.stdout, output, sessions.items.toSorted(byUse), sessionPrinting(context.clock.now()))
    })
}

async function endSession(context: VerbContext, client: Client, id: string): Promise<void> {
  if (!/^[\w.-]+$/.test(id)) throw misuse(`"${id}" is not the name of a session; \`weir sessions\` shows them`)
  try {
    await client.request('DELETE', { resource: resources.sessions, name: id })
  } catch (error) {
    // What is not there is as forbidden as another's.
    const isAnothers = error instanceof ApiError && [403, 404].includes(error.code)
    if (!isAnothers || client.server.token === undefined) throw error
    throw new CliError(`there is no session ${id} that you could end`, {
      hints: ['weir sessions lists yours; others end by who may delete sessions'],
      cause: error,
    })
  }
  context.stdout.write(`session ${id} ended\n`)
}

/** The one that was used last comes first. */
function byUse(a: Session, b: Session): number {
  return (b.usedAt ?? '').localeCompare(a.usedAt ?? '')
}

async function logOut(context: VerbContext, client: Client, all: boolean): Promise<void> {
  const { url, token } = client.server
  if (token === undefined) throw new CliError(`not logged in to ${url}: there is no token of it`)
  // The token goes away even when the server can not be told; then it is said that the session goes on.
  const session = claimsOf(token.value)?.login?.session
  const ended = await settle(all ? endAll(client) : endOwn(client, session))
  const isRemoved = await forget(context, token.from)
  if (ended.error !== undefined) throw ended.error
  if (!isRemoved && ended.value === 0) {
    throw new CliError(`nothing to log out of: the token of ${token.from} is none of weir login`, {
      hints: ["a robot's token ends with its account: kubectl delete serviceaccount NAME -n PROJECT"],
    })
  }
  const sessions =
    all && ended.value !== undefined ? `; ${ended.value} session${ended.value === 1 ? '' : 's'} ended` : ''
  context.stdout.write(`logged out of ${url}${sessions}\n`)
  if (isRemoved && !all && session === undefined) {
    context.note(
      'note: this login had no session that goes on; its token, if you kept it elsewhere, is good until it ends',
    )
  }
}

/** @returns how many sessions ended */
async function endOwn(client: Client, session: string | undefined): Promise<number> {
  if (session === undefined) return 0
  return (await remove(client, session)) ? 1 : 0
}

async function endAll(client: Client): Promise<number> {
  const review = await whoIs(client)
  const user = review.status?.userInfo?.username
  const query = user === undefined ? {} : { fieldSelector: fieldSelector({ 'user.name': user }) }
  const { items } = await client.list<Session>({ resource: resources.sessions }, { query })
  // The session that the requests go by is the last to end.
  const own = claimsOf(client.server.token?.value ?? '')?.login?.session
  const names = items.flatMap(({ metadata, user: of }) => (of?.name === user && metadata?.name ? metadata.name : []))
  let ended = 0
  for (const name of names.toSorted((a, b) => Number(a === own) - Number(b === own))) {
    if (await remove(client, name)) ended += 1
  }
  return ended
}

/** False when the session had ended, and perhaps the token with it: what is not there is as forbidden as another's. */
async function remove(client: Client, name: string): Promise<boolean> {
  try {
    await client.request('DELETE', { resource: resources.sessions, name })
    return true
  } catch (error) {
    if (error instanceof ApiError && [401, 403, 404].includes(error.code)) return false
    throw error
  }
}

/** Takes the token out of the kubeconfig that it came from. @returns false when it came from none, or no login put it there */
async function forget(context: VerbContext, from: string): Promise<boolean> {
  if (from === '--token' || from === 'WEIR_TOKEN') return false
  return removeLogin({ file: resolve(context.surroundings.cwd, from), shown: from }, context.clock)
}

async function settle<T>(work: Promise<T>): Promise<{ value?: T; error?: unknown }> {
  try {
    return { value: await work }
  } catch (error) {
    return { error }
  }
}

function sessionPrinting(nowMs: number): Printing<Session> {
  return {
    name: ({ metadata }) => metadata?.name ?? '',
    columns: [
      { header: 'SESSION', value: ({ metadata }) => metadata?.name ?? '' },
      { header: 'USER', value: ({ user }) => user?.name ?? '' },
      { header: 'PROVIDER', value: ({ provider }) => provider ?? '' },
      { header: 'CLIENT', value: ({ clientId }) => clientId ?? '' },
      { header: 'BEGUN', value: ({ metadata }) => agoInWords(metadata?.creationTimestamp, nowMs), narrow: true },
      { header: 'BEGUN', value: ({ metadata }) => metadata?.creationTimestamp ?? '', wide: true },
      { header: 'USED', value: ({ usedAt }) => agoInWords(usedAt, nowMs), narrow: true },
      { header: 'USED', value: ({ usedAt }) => usedAt ?? '', wide: true },
      { header: 'ENDS', value: ({ endsAt }) => agoInWords(endsAt, nowMs), narrow: true },
      { header: 'ENDS', value: ({ endsAt }) => endsAt ?? '', wide: true },
      { header: 'ADDRESS', value: ({ client }) => client?.address ?? '', wide: true },
      { header: 'USER AGENT', value: ({ client }) => client?.userAgent ?? '', wide: true },
    ],
  }
}
