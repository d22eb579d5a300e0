/** What the command line says of how an upstream is looked at: `--scheduled`, `--interval`, `--min-age`. */

import { type Command, InvalidArgumentError } from 'commander'
import { parseDurationMs } from './duration.ts'
import { misuse } from './failures.ts'

/** What is not said stays as the tag has it. */
export interface CheckWish {
  /** Whether the server looks by itself. */
  scheduled?: boolean
  /** A duration. */
  interval?: string
  /** A duration. */
  minAge?: string
}

const intervalAnnotation = 'weir.dev/import-interval'
const minAgeAnnotation = 'weir.dev/min-age'

/** Adds the options. */
export function addCheckOptions(verb: Command): Command {
  return verb
    .option('--scheduled', 'let the server look by itself from now on, every 15m unless told otherwise')
    .option('--no-scheduled', 'let it look no more by itself')
    .option('--interval <duration>', 'how often it looks, from 1m to 30d; implies --scheduled', durationText)
    .option(
      '--min-age <duration>',
      'move by itself only to what was there for so long; implies --scheduled',
      durationText,
    )
}

/** The wish with what it implies. @throws CliError misuse */
export function completeWish<T extends CheckWish>(wish: T): T {
  const flag = wish.interval !== undefined ? '--interval' : wish.minAge !== undefined ? '--min-age' : undefined
  if (flag === undefined) return wish
  if (wish.scheduled === false) throw misuse(`${flag} is about looking by itself: leave it out, or --no-scheduled`)
  return { ...wish, scheduled: true }
}

/** The first of its flags that a wish has. */
export function checkFlag({ scheduled, interval, minAge }: CheckWish): string | undefined {
  if (interval !== undefined) return '--interval'
  if (minAge !== undefined) return '--min-age'
  if (scheduled === undefined) return undefined
  return scheduled ? '--scheduled' : '--no-scheduled'
}

/** The annotations of a tag that a wish writes. */
export function checkAnnotations({ interval, minAge }: CheckWish): Record<string, string> {
  return {
    ...(interval !== undefined && { [intervalAnnotation]: interval }),
    ...(minAge !== undefined && { [minAgeAnnotation]: minAge }),
  }
}

function durationText(value: string): string {
  if (parseDurationMs(value) === undefined) throw new InvalidArgumentError('Write a duration such as 15m, 1h30m or 3d.')
  return value
}
