import type { LookupFunction } from 'node:net'
import type { Logger } from 'pino'
import { createAuthentication } from './authentication.ts'
import { fetchBlob, fetchBlobSize } from './blobs.ts'
import { type BudgetLimits, type Budgets, defaultLimits, type Purpose } from './budget.ts'
import { createBudgets } from './create-budgets.ts'
import { createExchange, type Exchange } from './exchange.ts'
import { createHosts, registryName } from './hosts.ts'
import { fetchManifest, resolveManifest } from './manifests.ts'
import { createOrigins } from './origins.ts'
import type { Proxies } from './proxies.ts'
import { pushBlob } from './push-blob.ts'
import { pushManifest } from './push-manifest.ts'
import { fetchReferrers } from './referrers.ts'
import { defaultRetryPolicy, type RetryPolicy } from './retry.ts'
import { fetchTagPages, fetchTags } from './tags.ts'
import { createTokens } from './tokens.ts'
import { createTransport, defaultTimeouts, type TransportTimeouts } from './transport.ts'
import type { CredentialsFor, Upstream, UpstreamRule } from './upstream.ts'

export interface UpstreamOptions {
  rules: readonly UpstreamRule[]
  credentialsFor: CredentialsFor
  /** `weir/<version>`; some registries refuse clients that do not say who they are. */
  userAgent: string
  log: Logger
  now: () => number
  timeouts?: Partial<TransportTimeouts>
  retry?: Partial<RetryPolicy>
  /** Default: registries are asked directly. */
  proxies?: Proxies | undefined
  /** Resolves host names; default the system's resolver. */
  lookup?: LookupFunction
  /** What asking may cost; default by the rules, with the same waits. */
  budgets?: Budgets
}

/** The limits of the rules, by host. */
export function limitsFromRules(rules: readonly UpstreamRule[]): (host: string) => BudgetLimits {
  const limits = new Map(rules.map((rule) => [registryName(rule.host), { ...defaultLimits, ...rule.limits }]))
  return (host) => limits.get(registryName(host)) ?? defaultLimits
}

/**
 * Creates the client for registries behind Weir. It never asks for more than pull, but for a push, and connects to addresses that are
 * not public only where a rule names the host with its port.
 */
export function createUpstream(options: UpstreamOptions): Upstream {
  const { rules, credentialsFor, userAgent, log, now, proxies, lookup } = options
  const timeouts = { ...defaultTimeouts, ...options.timeouts }
  const retry = { ...defaultRetryPolicy, ...options.retry }
  const hosts = createHosts(rules)
  const transport = createTransport({ hosts, userAgent, log, timeouts, proxies, ...(lookup && { lookup }) })
  const origins = createOrigins({ hosts, transport, probeMs: timeouts.probeMs })
  const tokens = createTokens({ hosts, transport, retry, log, now })
  const authentication = createAuthentication({ tokens, transport, credentialsFor, log, now })
  const budgets = options.budgets ?? createBudgets({ ...retry, limitsOf: limitsFromRules(rules), now })

  const view = (purpose: Purpose): Upstream => {
    const exchange = createExchange({ transport, origins, authentication, budgets, purpose, retry, now })
    return viewOf(exchange, timeouts, { onBehalf: view, close: () => transport.close() })
  }
  return view({ isBackground: false })
}

function viewOf(
  exchange: Exchange,
  timeouts: TransportTimeouts,
  common: Pick<Upstream, 'onBehalf' | 'close'>,
): Upstream {
  return {
    ...common,
    resolve: (from, reference, signal) => resolveManifest(exchange, { from, reference, signal }),
    manifest: (from, reference, signal) => fetchManifest(exchange, { from, reference, signal }),
    blobSize: (from, digest, signal) => fetchBlobSize(exchange, { from, reference: digest, signal }),
    blob: (from, digest, range, signal) => fetchBlob(exchange, { from, reference: digest, signal }, range),
    tags: (from, options = {}) => fetchTags(exchange, { from, timeoutMs: timeouts.tagsMs, ...options }),
    tagPages: (from, take, signal) => fetchTagPages(exchange, { from, timeoutMs: timeouts.tagsMs, signal }, take),
    referrers: (from, digest, signal) =>
      fetchReferrers(exchange, { from, digest, timeoutMs: timeouts.referrersMs, signal }),
    pushBlob: (to, digest, size, open, signal) => pushBlob(exchange, { to, digest, size, open, signal }),
    pushManifest: (to, reference, bytes, mediaType, signal) =>
      pushManifest(exchange, { to, reference, bytes, mediaType, signal }),
  }
}
