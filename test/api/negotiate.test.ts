import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Form, negotiate, parseAccept } from '../../src/api/negotiate.ts'

const plain: Form = { table: undefined, includeObject: 'Metadata' }
const table: Form = { table: 'v1', includeObject: 'Metadata' }
const ask = (accept: string | null, query = '') => negotiate(accept, new URLSearchParams(query))

const v1 = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const v1beta1 = 'application/json;as=Table;v=v1beta1;g=meta.k8s.io'
const partial = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'
const partialList = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'

describe('negotiate()', () => {
  test.each<[string, string | null, Form]>([
    ['no header', null, plain],
    ['an empty header', '', plain],
    ['commas alone', ',,', plain],
    ['JSON', 'application/json', plain],
    ['JSON in capitals', 'Application/JSON; Charset=UTF-8', plain],
    ['anything', '*/*', plain],
    ['any application', 'application/*', plain],
    ['a browser', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', plain],
    ['kubectl get', `${v1},${v1beta1},application/json`, table],
    ['an old kubectl get', `${v1beta1},application/json`, { ...table, table: 'v1beta1' }],
    ['typed clients', 'application/vnd.kubernetes.protobuf,application/json', plain],
    ['typed clients with a table', `application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1,${v1}`, table],
    ['metadata', partial, { ...plain, metadataOnly: 'v1' }],
    ['metadata of a list', `${partialList},application/json`, { ...plain, metadataOnly: 'v1' }],
    ['YAML', 'application/yaml', { ...plain, yaml: true }],
    ['a table as YAML', v1.replace('json', 'yaml'), { ...table, yaml: true }],
    ['an unknown form, then JSON', 'application/json;as=Chart;v=v1;g=meta.k8s.io,application/json', plain],
    ['a table of the future, then JSON', `${v1.replace('v=v1', 'v=v2')},application/json`, plain],
    ['a table of another group, then v1beta1', `${v1.replace('meta', 'x')},${v1beta1}`, { ...table, table: 'v1beta1' }],
    ['what is wanted most', `${v1};q=0.5,application/json;q=0.9`, plain],
    ['what is not wanted', `${v1};q=0,application/yaml`, { ...plain, yaml: true }],
    ['the exact before the general', `*/*,application/yaml`, { ...plain, yaml: true }],
    ['a quoted parameter', v1.replace('Table', '"Table"'), table],
  ])('of %s', (_name, accept, form) => {
    expect(ask(accept)).toEqual(form)
  })

  test.each([
    ['text/html'],
    ['application/vnd.kubernetes.protobuf'],
    ['application/json;as=Chart;v=v1;g=meta.k8s.io'],
    ['application/json;as=Table'],
    ['application/json;v=v1'],
    [v1.replace('v=v1', 'v=__proto__')],
    ['image/*'],
    ['application/json;q=0'],
  ])('refuses %s alone, in Kubernetes’ words', (accept) => {
    expect(() => ask(accept)).toThrow(
      expect.objectContaining({
        code: 'NOT_ACCEPTABLE',
        message: 'only the following media types are accepted: application/json, application/yaml',
      }),
    )
  })

  test('a watch is no YAML', () => {
    expect(ask('application/yaml,application/json', 'watch=true')).toEqual(plain)
    expect(() => ask('application/yaml', 'watch=true')).toThrow(
      expect.objectContaining({ code: 'NOT_ACCEPTABLE', message: expect.not.stringContaining('yaml') }),
    )
  })

  test('includeObject says what rows carry', () => {
    for (const includeObject of ['None', 'Metadata', 'Object'] as const) {
      expect(ask(v1, `includeObject=${includeObject}`)).toEqual({ ...table, includeObject })
    }
    expect(ask(v1, 'includeObject=')).toEqual(table)
    expect(() => ask(v1, 'includeObject=All')).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringContaining('includeObject') }),
    )
    expect(ask('application/json', 'includeObject=All')).toEqual(plain)
  })

  test('reads parameters however they are spaced, in linear time', () => {
    const [range] = parseAccept('application/json ; as = "Table" ; =x ; v ; g= meta.k8s.io; Q = 0.5 ; w="a"b"')
    const parameters = { as: 'Table', g: 'meta.k8s.io', q: '0.5' }
    expect(range && Object.fromEntries(range.parameters)).toEqual(parameters)
    for (const end of ['', '=', '="']) {
      expect(parseAccept(`a/b;x${' '.repeat(200_000)}y${end}${' '.repeat(200_000)}"`)).toHaveLength(1)
    }
  })

  test('looks at a bounded part of any header, and finds a form or refuses', () => {
    expect(parseAccept('a/b,'.repeat(100_000))).toHaveLength(64)
    expect(() => ask(`${'text/html,'.repeat(100)}application/json`)).toThrow()
    const part = fc.constantFrom(
      v1,
      partial,
      'application/json',
      '*/*',
      ';',
      '=',
      'q=0',
      ';q=1e9',
      '"',
      ',',
      ' ',
      '\u0000',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(part, fc.string({ maxLength: 5 })), { maxLength: 20 }), (parts) => {
        try {
          expect(['v1', 'v1beta1', undefined]).toContain(ask(parts.join('')).table)
        } catch (error) {
          expect(error).toMatchObject({ code: 'NOT_ACCEPTABLE' })
        }
      }),
      { numRuns: 1000 },
    )
  })
})
