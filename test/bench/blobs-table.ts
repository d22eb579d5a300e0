import type { Figures } from './blobs-measure.ts'
import { median, spread } from './measure.ts'

const mebibyte = 1024 * 1024

/** Prints a line for each contestant: medians, with least and most in parentheses. */
export function printFigures(title: string, results: ReadonlyMap<string, readonly Figures[]>): void {
  console.log(`\n${title}`)
  for (const [name, rounds] of results) {
    const of = (value: (figures: Figures) => number, digits: number): string => spread(rounds.map(value), digits)
    const failures = rounds.reduce((sum, figures) => sum + figures.failures, 0)
    console.log(
      `  ${name}: ${of((f) => f.bytesPerSecond / 1e6, 0)} MB/s; ${of((f) => f.seconds, 2)} s; CPU ${of((f) => f.cpuPerGb, 3)} s/GB (client ${of((f) => f.clientCpuPerGb, 3)}); first byte ${of((f) => f.firstByteMs, 1)} ms; RSS above idle ${of((f) => f.residentAboveIdle / mebibyte, 1)} MiB; failures ${failures}`,
    )
  }
}

/** Prints a figure with its bound. */
export function printBound(what: string, values: readonly number[], bound: number, digits = 2): void {
  const middle = median(values)
  const verdict = middle <= bound ? 'met' : 'MISSED'
  const missed = values.filter((value) => !(value <= bound)).length
  console.log(
    `  ${what}: ${spread(values, digits)}; bound ${bound.toFixed(digits)}: ${verdict} (${values.length - missed} of ${values.length} rounds)`,
  )
}

/** Of one figure, one contestant's over another's, round by round. */
export function ratios<F extends Figures>(
  results: ReadonlyMap<string, readonly F[]>,
  [one, other]: readonly [string, string],
  value: (figures: F) => number,
): number[] {
  const others = results.get(other) ?? []
  return (results.get(one) ?? []).map((figures, i) => {
    const against = others[i]
    return against === undefined ? Number.NaN : value(figures) / value(against)
  })
}

/** One figure of all rounds of a contestant. */
export function valuesOf<F extends Figures>(
  results: ReadonlyMap<string, readonly F[]>,
  name: string,
  value: (figures: F) => number,
): number[] {
  return (results.get(name) ?? []).map(value)
}

/** 64 MB and 4 MiB a client, in MiB (DESIGN section 8). */
export function memoryBoundMiB(clients: number): number {
  return 64e6 / mebibyte + 4 * clients
}

export const residentMiB = (figures: Figures): number => figures.residentAboveIdle / mebibyte
