import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { RegistryError } from '../oci/errors.ts'
import { errorCode } from './failure.ts'
import { retryAfterMs } from './retry-after.ts'

/** How often and how soon a GET or HEAD is tried again. */
export interface RetryPolicy {
  /** Tries in all; default 3. */
  attempts: number
  /** Pause before the second try, doubled before each later one, of which a random half is taken off; default 250. */
  baseMs: number
  /** A `Retry-After` beyond this ends the tries at once; default 5000. */
  maxRetryAfterMs: number
  /** Whether what was answered 429 is tried again too; default true. */
  retriesThrottled?: boolean
  wait(ms: number, signal?: AbortSignal): Promise<void>
  /** From 0 to 1. */
  random(): number
}

export const defaultRetryPolicy: RetryPolicy = {
  attempts: 3,
  baseMs: 250,
  maxRetryAfterMs: 5000,
  wait: (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
  random: Math.random,
}

/** What a try gives back; `discard` lets go of a body that nobody will read. */
export interface Attempt {
  status: number
  headers: IncomingHttpHeaders
  discard(): void
}

const passingStatuses = new Set([408, 429, 500, 502, 503, 504])
const passingCodes = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

/**
 * Repeats an idempotent request while its failure looks like one that passes. Gives the last answer, whatever its status.
 *
 * @throws what the last try threw
 */
export async function retried<A extends Attempt>(
  policy: RetryPolicy,
  now: () => number,
  signal: AbortSignal | undefined,
  ask: () => Promise<A>,
): Promise<A> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await ask().catch((error: unknown) => {
      if (attempt >= policy.attempts || !isPassing(error)) throw error
      return undefined
    })
    const delayMs = outcome === undefined ? 0 : (retryAfterMs(outcome.headers['retry-after'], now()) ?? 0)
    if (outcome !== undefined) {
      const isOver = attempt >= policy.attempts || (outcome.status === 429 && policy.retriesThrottled === false)
      const passing = passingStatuses.has(outcome.status) && delayMs <= policy.maxRetryAfterMs
      if (isOver || !passing) return outcome
      outcome.discard()
    }
    const backoffMs = policy.baseMs * 2 ** (attempt - 1) * (1 - policy.random() / 2)
    await policy.wait(Math.max(delayMs, backoffMs), signal)
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof RegistryError && passingCodes.has(errorCode(error.cause))
}
