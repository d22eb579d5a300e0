import { parseDurationMs as parse } from '../oci/duration.ts'

/** Parses `90s`, `1h30m`, `365d` into milliseconds; undefined when it is none, or nothing at all. */
export function parseDurationMs(value: string): number | undefined {
  return parse(value) || undefined
}
