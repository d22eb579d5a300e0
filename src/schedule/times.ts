import { createHash } from 'node:crypto'

/**
 * When a source is checked: its interval is a circle, on which the hash of its name says where its time is. So nothing has to be
 * kept for it, checks spread evenly, and a restart brings none forward.
 */

/** Where in each interval the time of a source is, from 0 to below 1. */
export function phaseOf(source: string): number {
  return createHash('sha256').update(source).digest().readUInt32BE(0) / 2 ** 32
}

/** The first time of a source after `afterMs`, in milliseconds since the epoch. */
export function nextTime(phase: number, intervalMs: number, afterMs: number): number {
  const offset = Math.floor(phase * intervalMs)
  const next = Math.floor((afterMs - offset) / intervalMs + 1) * intervalMs + offset
  return next > afterMs ? next : next + intervalMs
}

/** Of a failure that may pass, before the source is asked again; doubled with each in a row, up to its interval. */
const firstPauseMs = 15_000
/** Of a failure that stays until somebody does something, at most. */
const longestPauseMs = 24 * 3_600_000

/**
 * How long a source rests after `failures` in a row, in milliseconds, of which a random half is taken off. What may pass is asked
 * again before its interval is over; what does not pass by itself, more and more seldom.
 */
export function pauseAfter(failures: number, isPassing: boolean, intervalMs: number, random: () => number): number {
  const doubled = 2 ** Math.min(failures - 1, 20)
  const pauseMs = isPassing
    ? Math.min(firstPauseMs * doubled, intervalMs)
    : Math.max(intervalMs, Math.min(intervalMs * doubled, longestPauseMs))
  return isPassing ? pauseMs * (1 - random() / 2) : pauseMs * (1 + random() / 10)
}
