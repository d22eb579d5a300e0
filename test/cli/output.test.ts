import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { ApiObject } from '../../src/cli/api.ts'
import {
  digestColumns,
  type Format,
  formatTable,
  printable,
  printDocuments,
  printObject,
  printRows,
  shortDigest,
} from '../../src/cli/output.ts'

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`
const columns = [
  { header: 'A', value: ([a]: string[]) => a ?? '' },
  { header: 'LONG', value: ([, b]: string[]) => b ?? '' },
  { header: 'WIDE', value: ([, , c]: string[]) => c ?? '', wide: true },
]

function printed(format: Format | undefined, items: ApiObject[]): string {
  const out: string[] = []
  const list = { kind: 'ThingList', apiVersion: 'things/v1', metadata: { resourceVersion: '7' }, items }
  const named = [{ header: 'NAME', value: (row: ApiObject) => row.metadata?.name ?? '' }]
  const printing = { columns: named, name: (row: ApiObject) => `${row.metadata?.name}` }
  const stdout = { write: (text: string) => out.push(text) }
  if (format === 'json' || format === 'yaml') printDocuments(stdout, format, list)
  else printRows(stdout, format, items, printing)
  return out.join('')
}

describe('a table', () => {
  test('stands in columns and has no spaces at its ends', () => {
    const rows = [
      ['1', 'x', 'wide'],
      ['22', '', ''],
    ]
    expect(formatTable(columns, rows, false)).toBe('A   LONG\n1   x\n22\n')
    expect(formatTable(columns, rows, true)).toBe('A   LONG  WIDE\n1   x     wide\n22\n')
  })

  test('of nothing is its header', () => {
    expect(formatTable(columns, [], false)).toBe('A  LONG\n')
  })

  test('has one line for each row, whatever is in the cells', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' })), { maxLength: 5 }),
        (rows) => {
          const text = formatTable(columns, rows, false)
          expect(text.split('\n')).toHaveLength(rows.length + 2)
          expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u)
        },
      ),
      { numRuns: 200 },
    )
  })

  test('shows a digest short, and whole when it is wide', () => {
    const digests = digestColumns<string>('DIGEST', (value) => value)
    expect(formatTable(digests, [digest], false)).toBe('DIGEST\nsha256:0123456789ab\n')
    expect(formatTable(digests, [digest], true)).toBe(`DIGEST\n${digest}\n`)
    expect(shortDigest('-')).toBe('-')
  })
})

describe('a list', () => {
  const items = [{ metadata: { name: 'a' } }, { kind: 'Own', metadata: { name: 'b' } }]

  test('in JSON is a List of whole objects', () => {
    const document: unknown = JSON.parse(printed('json', items))
    expect(document).toEqual({
      apiVersion: 'v1',
      kind: 'List',
      metadata: { resourceVersion: '7' },
      items: [
        { apiVersion: 'things/v1', kind: 'Thing', metadata: { name: 'a' } },
        { apiVersion: 'things/v1', kind: 'Own', metadata: { name: 'b' } },
      ],
    })
  })

  test('in YAML says the same as in JSON', () => {
    expect(parse(printed('yaml', items))).toEqual(JSON.parse(printed('json', items)))
  })

  test('by name is a name a line', () => {
    expect(printed('name', items)).toBe('a\nb\n')
    expect(printed('name', [])).toBe('')
  })

  test('else is a table', () => {
    expect(printed(undefined, items)).toBe('NAME\na\nb\n')
  })
})

test('YAML parses back, by its old rules too, where yes is a truth', () => {
  const text = fc.oneof(
    fc.string(),
    fc.constantFrom('yes', 'no', 'on', 'null', '~', '1e3', '0x1f', '2026-01-01', '1:30', '- a', '*x'),
  )
  fc.assert(
    fc.property(fc.dictionary(fc.string({ minLength: 1 }), fc.oneof(text, fc.array(text), fc.integer())), (object) => {
      fc.pre(!('__proto__' in object && Object.hasOwn(object, '__proto__')))
      const out: string[] = []
      printObject({ write: (part) => out.push(part) }, 'yaml', { ...object }, { name: '', text: '' })
      expect(parse(out.join(''))).toEqual({ ...object })
      expect(parse(out.join(''), { version: '1.1' })).toEqual({ ...object })
    }),
    { numRuns: 300 },
  )
})

test('printable() leaves letters of any script alone', () => {
  expect(printable('größe 画像 \u{1f680}')).toBe('größe 画像 \u{1f680}')
  expect(printable('a\u001b[31mb\u009bc\td')).toBe('a?[31mb?c?d')
})
