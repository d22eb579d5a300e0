/** Opens the logins and certificates of the config's rules for upstreams. */
import type { Logger } from 'pino'
import type { WeirConfig } from './config.ts'
import { secretIn } from './config-files.ts'
import type { UpstreamLogin } from './config-logins.ts'
import { createHostTls } from './upstream/host-tls.ts'
import { createLoginFile } from './upstream/login-file.ts'
import { createLoginHelper, type HelperCommand } from './upstream/login-helper.ts'
import type { CommandOutcome, CommandRun } from './upstream/run-command.ts'
import type { Login, LoginSource, RuleLogin, UpstreamRule } from './upstream/upstream.ts'

export interface OpenLoginsOptions {
  /** Weir's own environment. */
  environment: Readonly<Record<string, string | undefined>>
  now: () => number
  /** Ends the programs that give logins. */
  signal: AbortSignal
  log: Logger
}

interface SourceOptions extends OpenLoginsOptions {
  host: string
  /** Of the rule. */
  path: string
  run(run: CommandRun): Promise<CommandOutcome>
}

/** How long a helper of docker may take. */
const helperTimeoutMs = 30_000

/** The rules, their logins and certificates as they stand when they are asked for. */
export function openLogins(upstreams: WeirConfig['upstreams'], options: OpenLoginsOptions): UpstreamRule[] {
  const run = oneAtATime()
  return upstreams.map(({ login, tlsFiles, ...told }, index) => {
    const tls = tlsFiles && createHostTls({ ...options, ...tlsFiles, path: `upstreams[${index}]` })
    const rule = { ...told, ...(tls && { tls }) }
    if (login === undefined) return rule
    const { projects, repositories } = login
    const source = sourceOf(login, { ...options, host: rule.host, path: `upstreams[${index}]`, run })
    const opened: RuleLogin = { projects, repositories, source }
    return { ...rule, login: opened }
  })
}

function sourceOf(login: UpstreamLogin, options: SourceOptions): LoginSource {
  const { path } = options
  const helper = (key: string, command: HelperCommand): LoginSource =>
    createLoginHelper({ ...options, ...command, key: `${path}.${key}` })
  const file = (key: string, name: string, initial: Login, parse: (text: string) => Login): LoginSource =>
    createLoginFile({ ...options, file: name, key: `${path}.${key}`, initial, parse })
  if ('credentialHelper' in login) {
    const command = [`docker-credential-${login.credentialHelper}`, 'get']
    return helper('credentialHelper', { command, timeoutMs: helperTimeoutMs })
  }
  if ('exec' in login) return helper('exec', login.exec)
  const { username } = login
  if ('password' in login) {
    const withPassword = (text: string): Login => ({ username, password: secretIn(text) })
    return file('passwordFile', login.passwordFile, withPassword(login.password), withPassword)
  }
  const withToken = (text: string): Login => ({ username, identityToken: secretIn(text) })
  return file('identityTokenFile', login.identityTokenFile, withToken(login.identityToken), withToken)
}

/** Runs each program, for however many rules, once at a time; what runs it is loaded when the first one does. */
function oneAtATime(): SourceOptions['run'] {
  const last = new Map<string, Promise<unknown>>()
  return (run) => {
    const key = JSON.stringify(run.command)
    const next = (last.get(key) ?? Promise.resolve()).then(async () => {
      const { runCommand } = await import('./upstream/run-command.ts')
      return runCommand(run)
    })
    last.set(key, next)
    return next
  }
}
