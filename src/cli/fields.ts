import { printable } from './output.ts'

/** A label and what stands beside it: one line or more; without any, and where it is undefined, it is left out. */
export type Field = readonly [label: string, value: string | readonly string[] | undefined]

/** Formats fields under each other, their values in one column; each line ends with a newline. */
export function formatFields(fields: readonly Field[], indent = ''): string {
  const shown = fields.flatMap(([label, value]) => {
    const lines = typeof value === 'string' ? [value] : (value ?? [])
    return lines.length === 0 ? [] : [{ label: `${label}:`, lines }]
  })
  const width = shown.reduce((widest, { label }) => Math.max(widest, label.length), 0) + 2
  return shown
    .flatMap(({ label, lines }) => lines.map((line, i) => `${(i === 0 ? label : '').padEnd(width)}${printable(line)}`))
    .map((line) => `${indent}${line.trimEnd()}\n`)
    .join('')
}

/** Formats lines at an indent; each ends with a newline. */
export function formatLines(lines: readonly string[], indent = ''): string {
  return lines.map((line) => `${indent}${printable(line)}`.trimEnd().concat('\n')).join('')
}

/** `key=value` for each, in the order of the keys; a value longer than `most` characters is cut. */
export function pairsOf(
  values: Readonly<Record<string, string>> | null | undefined,
  most = Number.POSITIVE_INFINITY,
): string[] {
  return Object.entries(values ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${shorten(value, most)}`)
}

/** Cuts what is longer than `most` characters. */
export function shorten(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}... (${text.length} characters)`
}
