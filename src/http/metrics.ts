import type { Hono } from 'hono'
import type { Registry } from 'prom-client'
import type { Audit } from '../audit.ts'
import type { Notifications } from '../notifications.ts'
import { addContentMetrics, type ContentMetricsOptions } from './content-metrics.ts'
import type { HttpEnv } from './exchange.ts'
import { addFollowingMetrics, type FollowingMetricsOptions } from './following-metrics.ts'
import { addScheduleMetrics, type ScheduleMetricsOptions } from './schedule-metrics.ts'
import { addUpstreamMetrics, type UpstreamMetricsOptions } from './upstream-metrics.ts'

/** What requests are counted under. */
export type Route =
  | 'ping'
  | 'catalog'
  | 'manifest'
  | 'blob'
  | 'upload'
  | 'tags'
  | 'referrers'
  | 'v2'
  | 'token'
  | 'api'
  | 'health'
  | 'hook'
  | 'other'

/** One line of the request counter, to be held by whoever counts often. */
export interface RequestCount {
  value: number
}

export interface Metrics {
  /** The counter of a route, method and status: the same object each time. */
  requests(route: Route, method: string, status: number): RequestCount
  /** All metrics in the Prometheus text format. */
  render(): Promise<{ contentType: string; text: string }>
}

export interface MetricsOptions
  extends ContentMetricsOptions,
    FollowingMetricsOptions,
    ScheduleMetricsOptions,
    UpstreamMetricsOptions {
  audit: Pick<Audit, 'lost'>
  /** Absent where nobody sends any. */
  notifications?: Pick<Notifications, 'checks'>
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

interface LabelledCount extends RequestCount {
  labels: { route: Route; method: string; status: string }
}

/** Counts in plain numbers; the Prometheus client, and its process metrics, are loaded when first asked for. */
export function createMetrics(options: MetricsOptions): Metrics {
  const counts = new Map<string, LabelledCount>()
  let registry: Promise<Registry> | undefined
  return {
    requests(route, method, status) {
      const known = methods.has(method) ? method : 'other'
      const key = `${route} ${known} ${status}`
      const found = counts.get(key)
      if (found !== undefined) return found
      const created = { value: 0, labels: { route, method: known, status: String(status) } }
      counts.set(key, created)
      return created
    },
    async render() {
      registry ??= createRegistry(counts, options)
      const loaded = await registry
      return { contentType: loaded.contentType, text: await loaded.metrics() }
    },
  }
}

/** Adds `/metrics`. */
export function addMetricsRoute(app: Hono<HttpEnv>, { metrics }: { metrics: Metrics }): void {
  app.get('/metrics', async () => {
    const { contentType, text } = await metrics.render()
    return new Response(text, { headers: { 'content-type': contentType } })
  })
}

/** The route that a path is counted under. */
export function routeOf(path: string): Route {
  if (path === '/v2' || path === '/v2/') return 'ping'
  if (path.startsWith('/v2/')) {
    if (/\/blobs\/uploads(?:\/[^/]*)?$/.test(path)) return 'upload'
    const [, kind] = /\/(manifests|blobs|tags|referrers)\/[^/]+$/.exec(path) ?? []
    if (kind === 'manifests') return 'manifest'
    if (kind === 'blobs') return 'blob'
    if (kind === 'tags' || kind === 'referrers') return kind
    return path === '/v2/_catalog' ? 'catalog' : 'v2'
  }
  if (path === '/token') return 'token'
  if (/^\/apis?(?:\/|$)/.test(path)) return 'api'
  if (path.startsWith('/hooks/')) return 'hook'
  return /^\/(?:healthz|livez|readyz)$/.test(path) ? 'health' : 'other'
}

async function createRegistry(
  counts: ReadonlyMap<string, LabelledCount>,
  { audit, notifications, ...options }: MetricsOptions,
): Promise<Registry> {
  const { Counter, Registry, collectDefaultMetrics } = await import('prom-client')
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  new Counter({
    name: 'weir_http_requests_total',
    help: 'HTTP requests answered, by route, method and status.',
    labelNames: ['route', 'method', 'status'],
    registers: [registry],
    collect() {
      this.reset()
      for (const { labels, value } of counts.values()) this.inc(labels, value)
    },
  })
  new Counter({
    name: 'weir_audit_lost_total',
    help: 'Lines of the audit log that could not be written.',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(audit.lost)
    },
  })
  if (notifications !== undefined)
    new Counter({
      name: 'weir_notification_checks_total',
      help: 'Checks of tags that notifications of registries brought forward.',
      registers: [registry],
      collect() {
        this.reset()
        this.inc(notifications.checks)
      },
    })
  await addContentMetrics(registry, options)
  await addScheduleMetrics(registry, options)
  await addFollowingMetrics(registry, options)
  await addUpstreamMetrics(registry, options)
  return registry
}
