import { delimiter, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { formatMoment } from './ages.ts'
import { logInByDevice } from './device-flow.ts'
import { exchangeLogin } from './exchange.ts'
import { whoIs } from './explain.ts'
import { CliError, misuse } from './failures.ts'
import { createIssuerClient } from './issuer-client.ts'
import { type KubeconfigFile, knownAuthority, writeLogin } from './kubeconfig-edit.ts'
import { timeOf } from './login-end.ts'
import { type OfferedIssuer, type OfferedLogins, readOfferedLogins } from './offered-logins.ts'
import { findServer, parseServerUrl, refuseToLeak, type Server, type ServerFlags } from './server.ts'
import { claimsOf } from './token-claims.ts'
import { addVerb, type VerbContext } from './verbs.ts'

interface LoginOptions {
  username?: string
  passwordStdin?: boolean
  issuer?: string
  context?: string
}

/** How somebody logs in. */
type Way =
  | { by: 'token'; token: string }
  | { by: 'password'; user: string; password: string }
  | { by: 'device'; issuer: OfferedIssuer }

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
  const place = loginKubeconfig(context)
  const server = await serverToLogIn(context, url, place)
  const client = context.connectTo(withoutToken(server))
  const offered = await readOfferedLogins(client)
  const way = await chooseWay(context, server, offered, options)
  const token = await obtainToken(context, server, offered, way)
  const user = await checkToken(context, server, token)
  const name = options.context ?? new URL(url).host
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
  context.stdout.write(`logged in to ${url} as ${user}\n`)
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

async function chooseWay(
  { terminal }: VerbContext,
  { url, token }: Server,
  offered: OfferedLogins,
  { username, passwordStdin, issuer }: LoginOptions,
): Promise<Way> {
  const askPassword = async (user: string): Promise<Way> => {
    refuseToLeak(url, 'a password')
    const password = await terminal.ask(`Password of ${user}: `, { secret: true })
    if (password === '') throw misuse('the password is empty')
    return { by: 'password', user, password }
  }
  if (username !== undefined && passwordStdin === true) {
    const password = (await terminal.readAll()).replace(/\r?\n$/, '')
    if (password === '') throw misuse('--password-stdin: standard input is empty')
    refuseToLeak(url, 'a password')
    // docker's habit: a token where the password goes, with any user name.
    return claimsOf(password) === undefined
      ? { by: 'password', user: username, password }
      : { by: 'token', token: password }
  }
  if (username !== undefined) {
    if (!terminal.isInteractive) throw misuse('nobody is there to type a password: use --password-stdin')
    if (!offered.htpasswd) throw new CliError(`${url} knows no passwords`, { hints: waysOf(offered, url) })
    return askPassword(username)
  }
  const devices = offered.issuers.filter(({ device }) => device !== undefined)
  if (issuer !== undefined) {
    const chosen = devices.find(({ name }) => name === issuer)
    if (chosen !== undefined) return { by: 'device', issuer: chosen }
    throw new CliError(`${url} offers no login at an issuer "${issuer}"`, { hints: waysOf(offered, url) })
  }
  if (token !== undefined) return { by: 'token', token: token.value }
  const [only, ...others] = devices
  if (only !== undefined && others.length === 0 && !offered.htpasswd) return { by: 'device', issuer: only }
  if (only === undefined && offered.htpasswd && terminal.isInteractive) {
    const user = await terminal.ask(`User name at ${url}: `)
    if (user === '') throw misuse('the user name is empty')
    return askPassword(user)
  }
  throw misuse(`choose how to log in to ${url}`, ...waysOf(offered, url))
}

/** Every way in, each as a command line. */
function waysOf({ issuers, htpasswd }: OfferedLogins, url: string): string[] {
  return [
    ...issuers.filter(({ device }) => device !== undefined).map(({ name }) => `weir login ${url} --issuer ${name}`),
    ...(htpasswd ? [`weir login ${url} --username NAME`] : []),
    `weir login ${url} --token TOKEN`,
  ]
}

async function obtainToken(context: VerbContext, server: Server, offered: OfferedLogins, way: Way): Promise<string> {
  const exchange = (user: string, secret: string) =>
    exchangeLogin(context.connectTo(withoutToken(server)), offered.issuer, { user, secret })
  if (way.by === 'password') return exchange(way.user, way.password)
  if (way.by === 'token') return isForeign(way.token, offered) ? exchange('token', way.token) : way.token
  const { name, device } = way.issuer
  if (device === undefined) throw new TypeError(`issuer ${name} has no device flow`)
  refuseToLeak(server.url, `the identity token of ${name}`)
  return exchange('token', await logInByDevice(context, createIssuerClient(server.certificateAuthority), device))
}

/** Whether a token is of an issuer that the server knows, and no token of the server itself. @throws CliError misuse */
function isForeign(token: string, { issuer }: OfferedLogins): boolean {
  if (token.startsWith('weir_refresh_')) {
    throw misuse('this is a refresh token, which is good at /token alone: log in with what it was made of')
  }
  const claimed = claimsOf(token)?.issuer
  return claimed !== undefined && claimed !== issuer
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
