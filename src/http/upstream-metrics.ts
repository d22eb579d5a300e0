import type { Registry } from 'prom-client'
import type { Budgets } from '../upstream/budget.ts'

export interface UpstreamMetricsOptions {
  /** Absent where no registries are asked. */
  budgets?: Pick<Budgets, 'requests'>
  /** When logins end that are known to, in milliseconds since the epoch; `id` is no secret. */
  loginEnds?(): readonly { id: string; host: string; expiresAt: number }[]
  now?: () => number
}

/** Adds what is told of registries behind Weir. Everything is read when it is asked for. */
export async function addUpstreamMetrics(
  registry: Registry,
  { budgets, loginEnds, now = Date.now }: UpstreamMetricsOptions,
): Promise<void> {
  const { Counter, Gauge } = await import('prom-client')
  const registers = [registry]
  if (budgets !== undefined)
    new Counter({
      name: 'weir_upstream_requests_total',
      help: 'Requests to registries, by who they were for and what came of them.',
      labelNames: ['host', 'purpose', 'result'],
      registers,
      collect() {
        this.reset()
        for (const { host, isBackground, result, count } of budgets.requests()) {
          this.inc({ host, purpose: isBackground ? 'background' : 'interactive', result }, count)
        }
      },
    })
  if (loginEnds !== undefined)
    new Gauge({
      name: 'weir_upstream_login_expiry_seconds',
      help: 'How long the login that a helper gave is good; below 0 it has expired, and none was to be had since.',
      labelNames: ['host', 'login'],
      registers,
      collect() {
        this.reset()
        for (const { host, id, expiresAt } of loginEnds()) this.set({ host, login: id }, (expiresAt - now()) / 1000)
      },
    })
}
