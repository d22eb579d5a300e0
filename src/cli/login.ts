import { delimiter, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { formatMoment } from './ages.ts'
import { whoIs } from './explain.ts'
import { CliError, misuse } from './failures.ts'
import { type KubeconfigFile, knownAuthority, requireRoom, writeLogin } from './kubeconfig-edit.ts'
import { timeOf } from './login-end.ts'
import { chooseWay, obtainToken, type WayOptions } from './login-ways.ts'
import { readOfferedLogins } from './offered-logins.ts'
import { printable } from './output.ts'
import { findServer, parseServerUrl, refuseToLeak, type Server, type ServerFlags } from './server.ts'
import { claimsOf } from './token-claims.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface LoginOptions extends WayOptions {
  context?: string
}

/** Adds `login`. */
export function addLoginVerb(program: Command, context: VerbContext): void {
  addVerb(program, 'login <server>', {
    does: 'Logs in to a server, and keeps it in the kubeconfig, for weir, kubectl and oc.',
    example: 'weir login https://weir.example.com',
    more: [
      'weir login https://weir.example.com --issuer corp',
      'weir login https://localhost:5443 --username jane --certificate-authority data/tls/ca.crt',
      'WEIR_TOKEN=$ID_TOKEN weir login https://weir.example.com',
    ],
    words: `Without a way of logging in, the one that the server offers is taken. --token is a robot's token, the administrator's, or
one of an issuer that the server knows (a CI job's); WEIR_TOKEN keeps it out of the list of processes. The kubeconfig is
--kubeconfig, else the first of KUBECONFIG, else ~/.kube/config; what else is in it stays.`,
  })
    .option('--username <name>', 'with a password, which is asked for')
    .option('--password-stdin', 'the password comes from standard input')
    .option('--issuer <name>', 'in the browser, at this issuer')
    .option('--context <name>', 'what the context is called (default: host and port of the server)')
    .action(async (address: string, options: LoginOptions) => {
      await logIn(context, address, options)
    })
}

async function logIn(context: VerbContext, address: string, options: LoginOptions): Promise<void> {
  const flags = context.flags()
  refuseTwoWays(flags, options)
  const url = parseServerUrl(address, 'SERVER')
  // Whatever the way, it ends with a token that goes there.
  refuseToLeak(url, 'a login')
  const place = loginKubeconfig(context)
  const server = await serverToLogIn(context, url, place)
  const name = options.context ?? new URL(url).host
  await requireRoom(place, { name, server: url })
  const client = context.connectTo(withoutToken(server))
  const offered = await readOfferedLogins(client)
  const way = await chooseWay(context, server, offered, options)
  const token = await obtainToken(context, client, offered, way)
  const user = await checkToken(context, server, token)
  await writeLogin(
    place,
    {
      name,
      server: url,
      token,
      certificateAuthority: server.certificateAuthority,
      insecureSkipTlsVerify: server.insecureSkipTlsVerify,
    },
    context.clock,
  )
  context.stdout.write(`logged in to ${url} as ${printable(user)}\n`)
  context.note(`context ${name} of ${place.shown} is the current one now`)
  const endsAtMs = claimsOf(token)?.endsAtMs
  if (endsAtMs !== undefined) {
    context.note(`the login ends ${formatMoment(timeOf(endsAtMs), context.clock.now())}`)
  }
  if (url.startsWith('http:')) {
    context.note('note: kubectl and oc send no token over plain HTTP; log in to the https:// address to use them')
  }
  await noteShadows(context, place)
}

function refuseTwoWays(flags: ServerFlags, { username, passwordStdin, issuer, context }: LoginOptions): void {
  const ways = [
    flags.token === undefined ? [] : ['--token'],
    username === undefined && passwordStdin === undefined ? [] : ['--username'],
    issuer === undefined ? [] : ['--issuer'],
  ].flat()
  if (ways.length > 1) throw misuse(`${ways.join(' and ')} are two ways to log in: choose one`)
  if (passwordStdin === true && username === undefined) throw misuse('--password-stdin needs --username NAME')
  if (username === '') throw misuse('--username is empty')
  if (context !== undefined && !/^[^\s\p{Cc}]+$/u.test(context)) throw misuse(`--context: "${context}" is no name`)
}

/** Where a login is kept. @throws CliError for the file that a server writes itself */
function loginKubeconfig({ flags, surroundings: { env, cwd, home } }: VerbContext): KubeconfigFile {
  const listed = (env.KUBECONFIG ?? '').split(delimiter).find((entry) => entry !== '')
  const shown = flags().kubeconfig ?? listed ?? join(home, '.kube', 'config')
  if (/(?:^|[\\/])admin\.kubeconfig$/.test(shown)) {
    throw new CliError(`${shown} is the server's own, which each of its starts writes anew: no login is kept there`, {
      hints: ['name another file with --kubeconfig FILE (~/.kube/config), or unset KUBECONFIG'],
    })
  }
  return { file: resolve(cwd, shown), shown }
}

/** The server, trusted by what the command line says or an earlier login knows, and the token that was given for it. */
async function serverToLogIn(context: VerbContext, url: string, place: KubeconfigFile): Promise<Server> {
  const flags = context.flags()
  const found = await findServer({ ...flags, server: url }, context.surroundings)
  const server = { ...found, from: 'the command line' }
  if (flags.certificateAuthority !== undefined || flags.insecureSkipTlsVerify === true) return server
  const certificateAuthority = await knownAuthority(place, url)
  return certificateAuthority === undefined ? server : { ...server, certificateAuthority }
}

function withoutToken({ token: _, ...server }: Server): Server {
  return server
}

/** Who a token is to the server. @throws ApiError, CliError when it is nobody's */
async function checkToken(context: VerbContext, server: Server, token: string): Promise<string> {
  const client = context.connectTo({ ...server, token: { value: token, from: 'this login' } })
  const review = await whoIs(client)
  const { username } = review.status?.userInfo ?? {}
  if (username === undefined || username === 'system:anonymous') {
    throw new CliError(`${server.url} knows nobody by this token`)
  }
  return username
}

/** Says what goes before the login just made: other commands would not use it. */
async function noteShadows(context: VerbContext, { file, shown }: KubeconfigFile): Promise<void> {
  const { kubeconfig: _, ...flags } = context.flags()
  const { env, cwd } = context.surroundings
  for (const variable of ['WEIR_SERVER', 'WEIR_TOKEN']) {
    if (env[variable])
      context.note(`note: ${variable} is set, and goes before what was written: unset it to use this login`)
  }
  if (env.WEIR_SERVER) return
  const next = await findServer(withoutAddress(flags), {
    ...context.surroundings,
    env: { KUBECONFIG: env.KUBECONFIG },
  }).catch(() => undefined)
  if (next === undefined || resolve(cwd, next.from) === file) return
  context.note(`note: weir uses ${next.from} before ${shown} here: export KUBECONFIG=${file} to use this login`)
}

function withoutAddress({ server: _, token: __, certificateAuthority: ___, ...flags }: ServerFlags): ServerFlags {
  return flags
}
