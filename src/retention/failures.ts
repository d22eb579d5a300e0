/** What is made of an image that could not be fetched: why, in words, and when it is tried again. */
import { RegistryError } from '../oci/errors.ts'
import { formatTime } from '../streams/events.ts'
import type { HoldFailure } from '../streams/records.ts'

const secondMs = 1000
const firstPauseMs = secondMs
/** The longest pause after what passes by itself, as an upstream that does not answer. */
const longestPauseMs = 5 * 60 * secondMs
/** Between two questions for what is not there, or not for us: somebody has to do something about it. */
const rarePauseMs = 60 * 60 * secondMs
/** While the disk has no room there is no use in asking often. */
const roomPauseMs = 60 * secondMs

const maxMessageLength = 1024

/** Whether the registry said that it does not have what was asked for. */
export function isGone(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.status === 404
}

/** Whether an upstream asks to be left alone for a while. */
export function isThrottled(error: unknown): error is RegistryError {
  return error instanceof RegistryError && error.code === 'TOOMANYREQUESTS'
}

/** Whether Weir itself could not keep what it was given: the disk is full, or the store failed. */
export function isOwnTrouble(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'UNAVAILABLE' && error.upstream === undefined
}

/** A failure after `attempts` others in a row; the pause before the next try doubles, and differs from tag to tag. */
export function failureAfter(attempts: number, error: unknown, nowMs: number): HoldFailure {
  const known = error instanceof RegistryError ? error : undefined
  const pauseMs = pauseAfter(attempts, error)
  return {
    reason: known?.upstream?.reason ?? (isGone(error) ? 'NotFound' : isOwnTrouble(error) ? 'Unavailable' : 'Failed'),
    message: (known?.message ?? 'unexpected failure; the log of the server has it').slice(0, maxMessageLength),
    at: formatTime(nowMs),
    attempts: attempts + 1,
    retryAt: new Date(nowMs + pauseMs).toISOString(),
  }
}

/** Which of several failures is told: what passes soonest, for the image is tried again as soon as that may be over. */
export function mostTelling(failures: readonly unknown[]): unknown {
  return (
    failures.find(isThrottled) ??
    failures.find(isOwnTrouble) ??
    failures.find((error) => !isGone(error) && !isRefused(error)) ??
    failures[0]
  )
}

function isRefused(error: unknown): boolean {
  return error instanceof RegistryError && error.code === 'DENIED'
}

function pauseAfter(attempts: number, error: unknown): number {
  const jitter = 1 - Math.random() / 2
  if (isGone(error)) return rarePauseMs * jitter
  const most = isRefused(error) ? rarePauseMs : longestPauseMs
  const least = isOwnTrouble(error) ? roomPauseMs : 0
  const backoffMs = Math.max(least, Math.min(firstPauseMs * 2 ** Math.min(attempts, 30), most)) * jitter
  const askedMs = error instanceof RegistryError ? (error.retryAfterSeconds ?? 0) * secondMs : 0
  return Math.max(backoffMs, askedMs)
}
