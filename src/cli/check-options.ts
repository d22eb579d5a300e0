/** What the command line says of how an upstream is looked at: `--scheduled`, `--interval`, `--min-age`, `--track`. */

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
  /** Which tag of the source's repository is followed. */
  track?: string
}

const intervalAnnotation = 'weir.dev/import-interval'
const minAgeAnnotation = 'weir.dev/min-age'
const trackAnnotation = 'weir.dev/track'

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
    .option(
      '--track <policy>',
      "follow that tag of the source's repository that semver:RANGE, regex:PATTERN or newest chooses; implies --scheduled",
    )
}

/** The wish with what it implies; a policy also decides what is imported by hand. @throws CliError misuse */
export function completeWish<T extends CheckWish>(wish: T): T {
  const flag = wish.interval !== undefined ? '--interval' : wish.minAge !== undefined ? '--min-age' : undefined
  if (flag !== undefined && wish.scheduled === false) {
    throw misuse(`${flag} is about looking by itself: leave it out, or --no-scheduled`)
  }
  if (flag === undefined && wish.track === undefined) return wish
  return { ...wish, scheduled: wish.scheduled ?? true }
}

/** The first of its flags that a wish has. */
export function checkFlag({ scheduled, interval, minAge, track }: CheckWish): string | undefined {
  if (track !== undefined) return '--track'
  if (interval !== undefined) return '--interval'
  if (minAge !== undefined) return '--min-age'
  if (scheduled === undefined) return undefined
  return scheduled ? '--scheduled' : '--no-scheduled'
}

/** The annotations of a tag that a wish writes. */
export function checkAnnotations({ interval, minAge, track }: CheckWish): Record<string, string> {
  return {
    ...(interval !== undefined && { [intervalAnnotation]: interval }),
    ...(minAge !== undefined && { [minAgeAnnotation]: minAge }),
    ...(track !== undefined && { [trackAnnotation]: track }),
  }
}

function durationText(value: string): string {
  if (parseDurationMs(value) === undefined) throw new InvalidArgumentError('Write a duration such as 15m, 1h30m or 3d.')
  return value
}
