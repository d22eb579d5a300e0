/** Opens the logins of the config's rules for upstreams. */
import type { Logger } from 'pino'
import type { WeirConfig } from './config.ts'
import { secretIn } from './config-files.ts'
import type { UpstreamLogin } from './config-logins.ts'
import { createLoginFile } from './upstream/login-file.ts'
import type { Login, LoginSource, RuleLogin, UpstreamRule } from './upstream/upstream.ts'

export interface OpenLoginsOptions {
  now: () => number
  log: Logger
}

/** The rules, their logins as they stand when they are asked for. */
export function openLogins(upstreams: WeirConfig['upstreams'], options: OpenLoginsOptions): UpstreamRule[] {
  return upstreams.map(({ login, ...rule }, index) => {
    if (login === undefined) return rule
    const { projects, repositories } = login
    const opened: RuleLogin = { projects, repositories, source: sourceOf(login, `upstreams[${index}]`, options) }
    return { ...rule, login: opened }
  })
}

function sourceOf(login: UpstreamLogin, path: string, options: OpenLoginsOptions): LoginSource {
  const { username } = login
  if ('password' in login) {
    const { passwordFile: file, password } = login
    const parse = (text: string): Login => ({ username, password: secretIn(text) })
    return createLoginFile({ ...options, file, key: `${path}.passwordFile`, initial: { username, password }, parse })
  }
  const { identityTokenFile: file, identityToken } = login
  const parse = (text: string): Login => ({ username, identityToken: secretIn(text) })
  const initial = { username, identityToken }
  return createLoginFile({ ...options, file, key: `${path}.identityTokenFile`, initial, parse })
}
