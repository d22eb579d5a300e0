/** Health as Kubernetes has it: plain `ok`, a line for each check with `?verbose` or when not all of them are well. */
import type { Hono } from 'hono'
import type { HttpContext, HttpEnv } from './exchange.ts'

/** Something that does not work as it should, and without which Weir serves all the same. */
export interface Degraded {
  /** What, and what comes of it. Anybody may read it. */
  degraded: string
}

/** One thing that must work for Weir to serve. It fails by throwing; the message is shown and is no secret. */
export interface HealthCheck {
  name: string
  check(): Promise<Degraded | undefined> | Promise<void> | Degraded | void
}

/**
 * `/livez`: the process answers. `/readyz` and `/healthz`: every check passes; one that is degraded does, and is always told of.
 *
 * @see https://kubernetes.io/docs/reference/using-api/health-checks/
 */
export function addHealthRoutes(app: Hono<HttpEnv>, { checks }: { checks: readonly HealthCheck[] }): void {
  app.get('/livez', (c) => report(c, 'livez', []))
  app.get('/readyz', (c) => report(c, 'readyz', checks))
  app.get('/healthz', (c) => report(c, 'healthz', checks))
}

async function report(c: HttpContext, name: string, checks: readonly HealthCheck[]): Promise<Response> {
  const outcomes = await Promise.all(checks.map(run))
  const hasFailed = outcomes.some(({ state }) => state === 'failed')
  const isWell = outcomes.every(({ state }) => state === 'ok')
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache, private' }
  if (isWell && !new URL(c.req.url).searchParams.has('verbose')) return new Response('ok', { headers })
  const lines = ['[+]ping ok', ...outcomes.map(line), `${name} check ${hasFailed ? 'failed' : 'passed'}`, '']
  return new Response(lines.join('\n'), { status: hasFailed ? 500 : 200, headers })
}

type Outcome = { check: string } & ({ state: 'ok' } | { state: 'degraded' | 'failed'; problem: string })

async function run({ name, check }: HealthCheck): Promise<Outcome> {
  try {
    const found = await check()
    return found ? { check: name, state: 'degraded', problem: found.degraded } : { check: name, state: 'ok' }
  } catch (error) {
    return { check: name, state: 'failed', problem: error instanceof Error ? error.message : 'failed' }
  }
}

function line(outcome: Outcome): string {
  if (outcome.state === 'ok') return `[+]${outcome.check} ok`
  const { check, state, problem } = outcome
  return `${state === 'failed' ? '[-]' : '[!]'}${check} ${state}: ${problem}`
}
