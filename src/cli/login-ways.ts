/** The ways to log in: by a token, with user and password, in the browser. */

import type { Client } from './client.ts'
import { logInByDevice } from './device-flow.ts'
import { exchangeLogin } from './exchange.ts'
import { CliError, misuse } from './failures.ts'
import { createIssuerClient } from './issuer-client.ts'
import type { OfferedIssuer, OfferedLogins } from './offered-logins.ts'
import type { Server } from './server.ts'
import { claimsOf } from './token-claims.ts'
import type { VerbContext } from './verbs.ts'

/** What the command line says of the way. */
export interface WayOptions {
  username?: string
  passwordStdin?: boolean
  issuer?: string
}

/** How somebody logs in. */
export type Way =
  | { by: 'token'; token: string }
  | { by: 'password'; user: string; password: string }
  | { by: 'device'; issuer: OfferedIssuer }

/**
 * The way that the command line names, or the one that there is; asks for what is missing.
 *
 * @throws CliError that lists the ways there are when none can be taken for the one that is meant
 */
export async function chooseWay(
  { terminal }: VerbContext,
  { url, token }: Server,
  offered: OfferedLogins,
  { username, passwordStdin, issuer }: WayOptions,
): Promise<Way> {
  const askPassword = async (user: string): Promise<Way> => {
    const password = await terminal.ask(`Password of ${user}: `, { secret: true })
    if (password === '') throw misuse('the password is empty')
    return { by: 'password', user, password }
  }
  if (username !== undefined && passwordStdin === true) {
    const password = (await terminal.readAll()).replace(/\r?\n$/, '')
    if (password === '') throw misuse('--password-stdin: standard input is empty')
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

/**
 * The token that a way leads to: the server's own is kept as it is, all else is exchanged for one.
 *
 * @param client one without a token
 */
export async function obtainToken(
  context: VerbContext,
  client: Client,
  offered: OfferedLogins,
  way: Way,
): Promise<string> {
  const exchange = (user: string, secret: string) => exchangeLogin(client, offered.issuer, { user, secret })
  if (way.by === 'password') return exchange(way.user, way.password)
  if (way.by === 'token') return isForeign(way.token, offered) ? exchange('token', way.token) : way.token
  const { name, device } = way.issuer
  if (device === undefined) throw new TypeError(`issuer ${name} has no device flow`)
  return exchange('token', await logInByDevice(context, createIssuerClient(client.server.certificateAuthority), device))
}

/** Whether a token is of an issuer that the server knows, and no token of the server itself. @throws CliError misuse */
function isForeign(token: string, { issuer }: OfferedLogins): boolean {
  if (token.startsWith('weir_refresh_')) {
    throw misuse('this is a refresh token, which is good at /token alone: log in with what it was made of')
  }
  const claimed = claimsOf(token)?.issuer
  return claimed !== undefined && claimed !== issuer
}
