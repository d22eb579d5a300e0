import { Option } from 'commander'
import { stringify } from 'yaml'
import type { ApiList } from './api.ts'

/** Where text goes: `process.stdout`, or a test's array. */
export interface Output {
  write(text: string): unknown
}

/** How a verb prints: the API's objects, or a table, wide or not, or names alone. */
export type Format = 'json' | 'yaml' | 'wide' | 'name'

/** The `-o` of every verb that prints objects. */
export function formatOption(): Option {
  return new Option('-o, --output <format>', 'how to print').choices(['json', 'yaml', 'wide', 'name'])
}

/** One column of a table. */
export interface Column<Row> {
  header: string
  value: (row: Row) => string
  /** Shown with `-o wide` alone. */
  wide?: boolean
  /** Shown without `-o wide` alone. */
  narrow?: boolean
}

/** How a kind of object is printed. */
export interface Printing<Row> {
  columns: readonly Column<Row>[]
  name: (row: Row) => string
}

/** Makes text safe to print: control and direction characters, which could rewrite a terminal's lines, become `?`. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, '?')
}

/** A digest short enough for a table; the whole one is in `-o wide`. */
export function shortDigest(digest: string): string {
  return digest.replace(/^(sha\d+:[0-9a-f]{12})[0-9a-f]+$/, '$1')
}

/** A text with every digest in it made short. */
export function shortDigests(text: string): string {
  return text.replace(/sha\d+:[0-9a-f]{13,}/g, shortDigest)
}

/** The two columns of a digest: short, or whole in a wide table. */
export function digestColumns<Row>(header: string, value: (row: Row) => string): Column<Row>[] {
  return [
    { header, value: (row) => shortDigest(value(row)), narrow: true },
    { header, value, wide: true },
  ]
}

/** Formats rows under their headers, columns two spaces apart; each line ends with a newline and with no space. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], wide: boolean): string {
  const shown = columns.filter((column) => (wide ? column.narrow !== true : column.wide !== true))
  const lines = [
    shown.map((column) => column.header),
    ...rows.map((row) => shown.map((column) => printable(column.value(row)))),
  ]
  const widths = shown.map((_, i) => lines.reduce((widest, line) => Math.max(widest, line[i]?.length ?? 0), 0))
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Prints a list as a `kind: List` whose items carry their kind, as kubectl does. */
export function printDocuments(out: Output, format: 'json' | 'yaml', list: ApiList): void {
  printDocument(out, format, completeList(list))
}

/** Prints rows as a table, wide or not, or by their names alone. */
export function printRows<Row>(
  out: Output,
  format: 'wide' | 'name' | undefined,
  rows: readonly Row[],
  { name, columns }: Printing<Row>,
): void {
  const names = () => rows.map((row) => `${printable(name(row))}\n`).join('')
  out.write(format === 'name' ? names() : formatTable(columns, rows, format === 'wide'))
}

/** Prints one object; `text` is what people read. */
export function printObject(
  out: Output,
  format: Format | undefined,
  object: object,
  printing: { name: string; text: string },
): void {
  if (format === 'json' || format === 'yaml') printDocument(out, format, object)
  else out.write(`${format === 'name' ? printable(printing.name) : printing.text}\n`)
}

function printDocument(out: Output, format: 'json' | 'yaml', value: object): void {
  const text =
    format === 'json'
      ? `${JSON.stringify(value, null, 2)}\n`
      : // kubectl reads YAML 1.1, where a bare `yes` is no string.
        stringify(value, { aliasDuplicateObjects: false, compat: 'yaml-1.1', lineWidth: 0 })
  out.write(text)
}

function completeList(list: ApiList): object {
  const type = {
    ...(list.apiVersion === undefined ? {} : { apiVersion: list.apiVersion }),
    ...(list.kind === undefined ? {} : { kind: list.kind.replace(/List$/, '') }),
  }
  const metadata = { resourceVersion: list.metadata?.resourceVersion ?? '' }
  return { apiVersion: 'v1', kind: 'List', metadata, items: list.items.map((item) => ({ ...type, ...item })) }
}
