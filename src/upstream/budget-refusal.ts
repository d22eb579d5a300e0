/** What who may not ask a registry now is told. */
import { RegistryError } from '../oci/errors.ts'
import type { Payer } from './budget.ts'
import { minuteAfter, upstreamFailure } from './failure.ts'

export interface RefusalOptions {
  payer: Payer
  /** Why, in words that stay the same while the reason does. */
  why: string
  /** By the clock that people read. */
  untilMs: number
  nowMs: number
  /** 429 where the registry itself said so of such a request. */
  status?: number
}

/** The error for a request that is not sent now. */
export function budgetRefusal({ payer: { host }, why, untilMs, nowMs, status }: RefusalOptions): RegistryError {
  const retryAfterSeconds = Math.max(1, Math.ceil((untilMs - nowMs) / 1000))
  const options = { retryAfterSeconds, ...(status === undefined ? {} : { status }) }
  return upstreamFailure(host, 'TooManyRequests', `${why} until ${minuteAfter(untilMs)}`, options)
}

/** A failure that is known already, for who would only meet it again. */
export function repeated(error: RegistryError, untilMs: number, nowMs: number): RegistryError {
  const { code, message, detail, upstream } = error
  const retryAfterSeconds = Math.max(1, Math.ceil((untilMs - nowMs) / 1000))
  return new RegistryError(code, { message, detail, retryAfterSeconds, ...(upstream && { upstream }) })
}

/** Whether only the budget said no: nothing is known of what was to be asked for. */
export function isBudgetRefusal(error: unknown): boolean {
  if (!(error instanceof RegistryError)) return false
  return error.upstream?.reason === 'TooManyRequests' && error.upstream.status === undefined
}
