/** Opens what asks the registries behind Weir, and says which of them may be asked. */
import type { Logger } from 'pino'
import type { WeirConfig } from './config.ts'
import type { Lifetime } from './lifetime.ts'
import { openLogins } from './open-logins.ts'
import { pullSecretCredentials } from './pull-secrets.ts'
import type { Sealing } from './store/sealing.ts'
import type { Store } from './store/store.ts'
import { type AllowList, createAllowList } from './upstream/allow-list.ts'
import type { Budgets } from './upstream/budget.ts'
import { createUpstream, limitsFromRules, type UpstreamOptions } from './upstream/client.ts'
import { createBudgets } from './upstream/create-budgets.ts'
import { credentialsFromRules, credentialsInTurn, loginEndsOfRules, loginIdsFromRules } from './upstream/credentials.ts'
import { createProxies } from './upstream/proxies.ts'
import { defaultRetryPolicy } from './upstream/retry.ts'
import type { Upstream } from './upstream/upstream.ts'

/** How long registries are waited for, how often they are asked again, and what waits in between. */
export type Patience = Pick<UpstreamOptions, 'timeouts' | 'retry'>

export interface OpenUpstreamOptions {
  config: Pick<WeirConfig, 'upstreams' | 'imports' | 'proxies'>
  store: Store
  /** Opens the secrets of projects. */
  sealing: Sealing
  /** The names under which this Weir is reached, as image references have them. */
  own: readonly string[]
  userAgent: string
  patience: Patience
  lifetime: Lifetime
  now: () => number
  log: Logger
}

/** Opens the client for registries, and the list of those that may be named. A project's own logins come before the config's. */
export function openUpstream(options: OpenUpstreamOptions): {
  upstream: Upstream
  budgets: Pick<Budgets, 'states' | 'requests'>
  /** When logins of the config end, in milliseconds since the epoch. */
  loginEnds(): { id: string; host: string; expiresAt: number }[]
  allowed: AllowList
  /** Names the logins that a project may use for a repository, in their order; never what is secret of them. */
  loginsOf(project: string, host: string, repository: string): Promise<string>
} {
  const { config, store, sealing, own, userAgent, patience, lifetime, now, log } = options
  const rules = openLogins(config.upstreams, { environment: process.env, now, signal: lifetime.closing, log })
  const pullSecrets = pullSecretCredentials({ store, sealing, signal: lifetime.closing, log })
  const idsFromRules = loginIdsFromRules(rules)
  const credentialsFor = credentialsInTurn(pullSecrets, credentialsFromRules(rules))
  const { wait, random } = { ...defaultRetryPolicy, ...patience.retry }
  const named = rules.map(({ host }) => host)
  const budgets = createBudgets({ limitsOf: limitsFromRules(rules), named, now, wait, random })
  const proxies = config.proxies && createProxies(config.proxies)
  const upstream = createUpstream({ ...patience, proxies, rules, credentialsFor, userAgent, log, now, budgets })
  lifetime.defer(() => upstream.close())
  const allowed = createAllowList({ patterns: config.imports.allowedRegistries, named, own })
  return {
    upstream,
    budgets,
    loginEnds: () => loginEndsOfRules(rules),
    allowed,
    async loginsOf(project, host, repository) {
      const ids: string[] = []
      for await (const { id } of pullSecrets(project, host, repository)) ids.push(id)
      return [...ids, ...idsFromRules(project, host, repository)].join(' ')
    },
  }
}
