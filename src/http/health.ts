/** Health as Kubernetes has it: plain `ok`, a line for each check with `?verbose` or when one fails. */
import type { Hono } from 'hono'
import type { HttpContext, HttpEnv } from './exchange.ts'

/** One thing that must work for Weir to serve. It fails by throwing; the message is shown and is no secret. */
export interface HealthCheck {
  name: string
  check(): Promise<void> | void
}

/**
 * `/livez`: the process answers. `/readyz` and `/healthz`: every check passes.
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
  const failed = outcomes.some(({ problem }) => problem !== undefined)
  const lines = ['[+]ping ok', ...outcomes.map(({ check, problem }) => line(check, problem))]
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache, private' }
  if (failed) return new Response(`${lines.join('\n')}\n${name} check failed\n`, { status: 500, headers })
  const verbose = new URL(c.req.url).searchParams.has('verbose')
  return new Response(verbose ? `${lines.join('\n')}\n${name} check passed\n` : 'ok', { headers })
}

async function run({ name, check }: HealthCheck): Promise<{ check: string; problem: string | undefined }> {
  try {
    await check()
    return { check: name, problem: undefined }
  } catch (error) {
    return { check: name, problem: error instanceof Error ? error.message : 'failed' }
  }
}

function line(check: string, problem: string | undefined): string {
  return problem === undefined ? `[+]${check} ok` : `[-]${check} failed: ${problem}`
}
