/** The logins of the rules for upstreams: which keys make one, and what they come to. */
import type { z } from 'zod'

/**
 * The login for one upstream, with what its file held at the start, or what gives it; globs of the projects that may use it, and of the
 * repositories that it is for.
 */
export type UpstreamLogin = { projects: readonly string[]; repositories: readonly string[] } & (
  | { username: string; passwordFile: string; password: string }
  | { username: string; identityTokenFile: string; identityToken: string }
  | { credentialHelper: string }
  | { exec: { command: readonly string[]; timeoutMs: number } }
)

/** What a rule says of its login. */
export interface WrittenLogin {
  username?: string | null | undefined
  passwordFile?: string | null | undefined
  identityTokenFile?: string | null | undefined
  credentialHelper?: string | null | undefined
  exec?: { command: readonly string[]; timeout: number } | null | undefined
  projects?: readonly string[] | null | undefined
  repositories?: readonly string[] | null | undefined
}

/** Each makes a login. */
const loginKeys = ['passwordFile', 'identityTokenFile', 'credentialHelper', 'exec'] as const
const severalKeys = `${loginKeys.slice(0, -1).join(', ')} or ${loginKeys.at(-1)}`

export function hasLogin(upstream: WrittenLogin | null | undefined): boolean {
  return Boolean(upstream?.username) || loginKeys.some((key) => upstream?.[key])
}

/** Tells what is missing of a login, or too much; it sees values that may be wrong in other ways, or no object at all. */
export function checkLogin(upstream: WrittenLogin, context: z.RefinementCtx): void {
  if (typeof upstream !== 'object' || upstream === null) return
  const refuse = (key: keyof WrittenLogin, message: string): void =>
    void context.addIssue({ code: 'custom', path: [key], message })
  const require = (key: keyof WrittenLogin, why: string): void => {
    if (upstream[key] === undefined || upstream[key] === null) refuse(key, why)
  }
  if (!hasLogin(upstream)) {
    for (const key of ['projects', 'repositories'] as const) {
      if (upstream[key]) refuse(key, 'means nothing without a login: add username and passwordFile')
    }
    return
  }
  const [first, ...more] = loginKeys.filter((key) => upstream[key])
  for (const key of more) refuse(key, `one login has one of ${severalKeys}: put the other into a rule of its own`)
  if (upstream.username && (first === 'credentialHelper' || first === 'exec'))
    refuse('username', `leave it out: what ${first} runs tells the user name`)
  if (first === undefined) require('passwordFile', 'required with username: the file that holds the password')
  if (first === 'passwordFile') require('username', 'required with passwordFile')
  require('projects', 'required with a login: the projects that may use it, such as ["team-*"]')
  require('repositories', 'required with a login: the repositories it is for, such as ["lib/**"]')
}

/** The login of a rule; `secret` is what its file holds. */
export function loginOf(upstream: WrittenLogin, secret: string | undefined): UpstreamLogin | undefined {
  const { username, passwordFile, identityTokenFile, credentialHelper, exec, projects, repositories } = upstream
  if (!projects || !repositories) return undefined
  const scope = { projects, repositories }
  if (credentialHelper) return { ...scope, credentialHelper }
  if (exec) return { ...scope, exec: { command: exec.command, timeoutMs: exec.timeout } }
  if (secret === undefined) return undefined
  if (passwordFile && username) return { ...scope, username, passwordFile, password: secret }
  if (identityTokenFile) return { ...scope, username: username ?? '', identityTokenFile, identityToken: secret }
  return undefined
}
