import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import protobuf from 'protobufjs'
import { describe, expect, test } from 'vitest'
import { decodeProtobuf } from '../../../src/api/protobuf/decode.ts'
import { RegistryError } from '../../../src/oci/errors.ts'

/** Objects as Go's `k8s.io/api` (v0.37.2) writes them in protobuf and in JSON. */
interface Vector {
  json: { kind: string; apiVersion: string }
  protobuf: string
}

const vectors: Vector[] = JSON.parse(readFileSync(new URL('./vectors.json', import.meta.url), 'utf8'))

const proto = readFileSync(new URL('../../../src/api/protobuf/kubernetes.proto', import.meta.url), 'utf8')
const { root } = protobuf.parse(proto, { keepCase: true })

function envelope(apiVersion: string, kind: string, raw: Uint8Array, more: object = {}): Buffer {
  const bytes = root
    .lookupType('Envelope')
    .encode({ typeMeta: { apiVersion, kind }, raw, ...more })
    .finish()
  return Buffer.concat([Buffer.from('k8s\0'), bytes])
}

function encoded(apiVersion: string, kind: string, object: Record<string, unknown>): Buffer {
  return envelope(apiVersion, kind, root.lookupType(kind).encode(object).finish())
}

/** Without what Go writes for what is empty, and without what only a server says. */
function trimmed(value: unknown, isTop = true): unknown {
  if (Array.isArray(value)) return value.map((each) => trimmed(each, false))
  if (typeof value !== 'object' || value === null) return value
  const fields = Object.entries(value).filter(([key]) => !(isTop && key === 'status'))
  const kept = fields.map(([key, field]) => [key, trimmed(field, false)] as const)
  return Object.fromEntries(kept.filter(([, field]) => field !== null && JSON.stringify(field) !== '{}'))
}

function refused(bytes: Uint8Array): RegistryError {
  try {
    decodeProtobuf(bytes)
  } catch (error) {
    if (error instanceof RegistryError) return error
    throw error
  }
  throw new Error('it was taken')
}

describe('an object in protobuf', () => {
  test.each(vectors.map(({ json, protobuf: hex }) => [json.kind, json, hex] as const))(
    'of kind %s is what its JSON says',
    (_, json, hex) => {
      expect(trimmed(decodeProtobuf(Buffer.from(hex, 'hex')))).toEqual(trimmed(json))
    },
  )

  test('keeps keys that other languages have a meaning for', () => {
    const { metadata } = decodeProtobuf(
      encoded('v1', 'ConfigMap', { metadata: { annotations: Object.fromEntries([['__proto__', 'x']]) } }),
    ) as { metadata: { annotations: object } }
    expect(Object.keys(metadata.annotations)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(metadata.annotations)).toBe(Object.prototype)
  })

  test('keeps what is unset apart from what is false or zero', () => {
    expect(decodeProtobuf(encoded('v1', 'ServiceAccount', { automountServiceAccountToken: false }))).toHaveProperty(
      'automountServiceAccountToken',
      false,
    )
    expect(decodeProtobuf(encoded('v1', 'ServiceAccount', {}))).not.toHaveProperty('automountServiceAccountToken')
  })

  test('tells the times that can be told', () => {
    const told = (seconds: number) =>
      decodeProtobuf(encoded('v1', 'Namespace', { metadata: { creationTimestamp: { seconds, nanos: 0 } } }))
    expect(told(0)).toHaveProperty('metadata.creationTimestamp', '1970-01-01T00:00:00Z')
    expect(refused(encoded('v1', 'Namespace', { metadata: { creationTimestamp: { seconds: 1e15 } } }))).toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining('creationTimestamp'),
    })
  })

  test('is what was encoded, whatever its strings', () => {
    const string = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed())
    const map = fc.dictionary(string, string, { noNullPrototype: true })
    const filled = string.filter((text) => text !== '')
    fc.assert(
      fc.property(filled, map, fc.array(fc.record({ kind: filled, name: filled })), (name, labels, subjects) => {
        const object = { metadata: { name, labels }, subjects }
        const wanted = { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', ...object }
        const told = decodeProtobuf(encoded('rbac.authorization.k8s.io/v1', 'RoleBinding', object))
        expect(trimmed({ subjects: [], ...told })).toEqual(trimmed(wanted))
      }),
      { numRuns: 200 },
    )
  })
})

describe('bytes that are no object', () => {
  const role = Buffer.from(vectors.find(({ json }) => json.kind === 'Role')?.protobuf ?? '', 'hex')

  test('are refused for whatever bytes, and with nothing but a RegistryError', () => {
    const anywhere = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.concat([Buffer.from('k8s\0'), bytes])),
      fc.uint8Array({ maxLength: 300 }).map((raw) => envelope('v1', 'Event', raw)),
    )
    const takenOrRefused = (bytes: Uint8Array) => {
      try {
        decodeProtobuf(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(RegistryError)
      }
    }
    fc.assert(fc.property(anywhere, takenOrRefused), { numRuns: 1000 })
  })

  test('are refused or read when any one byte of an object is another', () => {
    fc.assert(
      fc.property(fc.nat(role.length - 1), fc.nat(255), (at, byte) => {
        const bytes = Buffer.from(role)
        bytes[at] = byte
        try {
          decodeProtobuf(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(RegistryError)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('are refused when they are cut off', () => {
    for (let length = 0; length < role.length; length += 1) {
      const code = ((): string => {
        try {
          decodeProtobuf(role.subarray(0, length))
          return 'read'
        } catch (error) {
          return error instanceof RegistryError ? error.code : String(error)
        }
      })()
      // After the envelope's last field that says something, what is left out is empty.
      expect(code, `${length} of ${role.length} bytes`).toMatch(
        length < role.length - 4 ? /^(?:BAD_REQUEST|UNSUPPORTED_MEDIA_TYPE)$/ : /^(?:BAD_REQUEST|read)$/,
      )
    }
  })

  test.each([
    ['without the four bytes', Buffer.from('{}')],
    ['of nothing but them', Buffer.from('k8s')],
    ['with other four', Buffer.concat([Buffer.from('k8s\x01'), role.subarray(4)])],
  ])('are refused %s', (_, bytes) => {
    expect(refused(bytes)).toMatchObject({ code: 'BAD_REQUEST', message: expect.stringContaining('k8s') })
  })

  test.each([
    ['no kind', '', ''],
    ['an unknown kind', 'v1', 'Pod'],
    ['a kind that is never protobuf', 'image.openshift.io/v1', 'ImageStream'],
    ['a kind of another group', 'v1', 'Role'],
    ['a part of a kind', 'v1', 'ObjectMeta'],
    ['the envelope itself', 'v1', 'Envelope'],
    ['a word of the language', 'constructor', '__proto__'],
  ])('of %s are refused by media type', (_, apiVersion, kind) => {
    expect(refused(envelope(apiVersion, kind, new Uint8Array()))).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      message: expect.stringContaining('application/json'),
    })
  })

  test.each([{ contentEncoding: 'gzip' }, { contentType: 'application/json' }])('that say %j are refused', (more) => {
    expect(refused(envelope('v1', 'Namespace', new Uint8Array(), more))).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
    })
  })

  test.each([
    ['a number where a message is', [0x08, 0x01], 'metadata'],
    ['a group where a message is', [0x0b, 0x0c], 'metadata'],
    ['eight bytes where a list is', [0x11, 1, 2, 3, 4, 5, 6, 7, 8], 'rules'],
    ['a number in what is inside', [0x0a, 0x02, 0x08, 0x01], 'name'],
  ])('with %s are refused by the name of the field', (_, raw, field) => {
    expect(refused(envelope('rbac.authorization.k8s.io/v1', 'Role', Buffer.from(raw)))).toMatchObject({
      code: 'BAD_REQUEST',
      message: expect.stringContaining(`${field} is of another type`),
    })
  })

  test.each([
    ['a length of 2 GiB', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x07])],
    ['a length beyond 32 bits', Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01])],
    ['a number without an end', Buffer.alloc(1000, 0xff)],
    ['groups in groups', Buffer.alloc(100_000, 0xa3)],
    ['groups in groups of an unknown field', Buffer.alloc(100_000, 0x7b)],
    ['a group without an end', Buffer.from([0x7b])],
    ['field 0', Buffer.from([0x02, 0x00])],
    ['a string that is not UTF-8', Buffer.from([0x0a, 0x04, 0x0a, 0x02, 0xff, 0xfe])],
  ])('with %s are refused', (_, raw) => {
    expect(refused(envelope('rbac.authorization.k8s.io/v1', 'Role', raw))).toMatchObject({ code: 'BAD_REQUEST' })
  })

  test('with fields that Kubernetes may add one day are read without them', () => {
    const raw = Buffer.concat([
      root
        .lookupType('Role')
        .encode({ metadata: { name: 'r' } })
        .finish(),
      Buffer.from([0xf8, 0x07, 1]),
    ])
    expect(decodeProtobuf(envelope('rbac.authorization.k8s.io/v1', 'Role', raw))).toEqual({
      kind: 'Role',
      apiVersion: 'rbac.authorization.k8s.io/v1',
      metadata: { name: 'r' },
    })
  })
})
