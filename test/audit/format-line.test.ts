import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { AuditEvent } from '../../src/audit/event.ts'
import { createFormatLine, maxLineBytes, quote } from '../../src/audit/format-line.ts'
import { parseLine } from '../../src/audit/parse-line.ts'
import { auditEvent } from './event.ts'

const at = Date.UTC(2026, 0, 1)
const time = '2026-01-01T00:00:00.000Z'
const written = (event: AuditEvent): string => createFormatLine()(event, at)
const read = (line: string) => parseLine(Buffer.from(line.slice(0, -1)))

const text = (maxLength: number) => fc.string({ unit: 'grapheme', maxLength })
const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 3000 }),
  fc.string({
    unit: fc.constantFrom('\n', '\u2028', '"', '\\', '\u001b', '\ud800', '😀', '\u202e', '\0'),
    maxLength: 600,
  }),
)

function events(of: (maxLength: number) => fc.Arbitrary<string>): fc.Arbitrary<AuditEvent> {
  const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
  const role = fc.record({
    apiGroup: of(8),
    kind: fc.constantFrom('ClusterRole' as const, 'Role' as const),
    name: of(20),
  })
  return fc
    .record({
      subject: fc.record({ name: of(30), groups: groups(of(8)), provider: optional(of(8)) }),
      client: fc.record({ address: of(8), userAgent: of(30) }),
      requestId: of(8),
      surface: fc.constantFrom('api' as const, 'token' as const, 'registry' as const),
      verb: of(8),
      object: fc.record({ group: of(8), resource: of(8), project: of(8), name: of(30) }),
      decision: fc.constantFrom('allowed' as const, 'denied' as const),
      grant: optional(
        fc.record({
          kind: fc.constantFrom('RoleBinding' as const, 'ClusterRoleBinding' as const, 'Group' as const),
          name: of(20),
          project: of(8),
          role: optional(role),
        }),
      ),
      status: fc.integer({ min: 100, max: 599 }),
      reason: optional(of(8)),
    })
    .map((event) => withoutUndefined(event) as AuditEvent)
}

/** Those of somebody: what strangers say is cut harder. */
function groups(name: fc.Arbitrary<string>): fc.Arbitrary<string[]> {
  return fc.array(name, { maxLength: 4 }).map((names) => ['system:authenticated', ...names])
}

function withoutUndefined(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, field: unknown) => field)
}

test('an event is one line of JSON, and read back it is the same', () => {
  fc.assert(
    fc.property(events(text), (event) => {
      const line = written(event)
      expect(line.indexOf('\n')).toBe(line.length - 1)
      expect(read(line)).toEqual({ ...event, time })
    }),
    { numRuns: 300 },
  )
})

test('whatever an event holds, its line is one, bounded, free of control characters, and can be read', () => {
  fc.assert(
    fc.property(
      events(() => anyText),
      (event) => {
        const line = written(event)
        expect(Buffer.byteLength(line)).toBeLessThanOrEqual(maxLineBytes)
        expect(line.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u)
        expect(read(line)).toBeDefined()
      },
    ),
    { numRuns: 300 },
  )
})

test('a line stays within its bound when everything in it is as long as it can be', () => {
  for (const filler of ['x', 'é', '"', '\n', '😀', '\u202e']) {
    const long = filler.repeat(5000)
    const line = written(
      auditEvent({
        subject: { name: long, groups: Array.from({ length: 500 }, () => long), provider: long, session: long },
        client: { address: long, userAgent: long },
        requestId: long,
        verb: long,
        object: { group: long, resource: long, project: long, name: long },
        grant: {
          kind: 'ClusterRoleBinding',
          name: long,
          project: long,
          role: { apiGroup: long, kind: 'ClusterRole', name: long },
        },
        reason: long,
      }),
    )
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(maxLineBytes)
    expect(read(line)?.subject.name).toMatch(/…$/u)
    expect(read(line)?.subject.groups.at(-1)).toBe('…')
  }
})

test('what is cut ends in an ellipsis and within its bound; what fits is whole', () => {
  expect(quote('abcdefgh', 8)).toBe('"abcdefgh"')
  expect(quote('abcdefghi', 8)).toBe('"abcde…"')
  expect(quote('\n\n\n\n\n', 8)).toBe('"\\n\\n…"')
  expect(quote('éééé', 8)).toBe('"éééé"')
  expect(quote('ééééé', 8)).toBe('"éé…"')
})

test('a megabyte is cut in no time that matters', () => {
  const line = written(auditEvent({ client: { address: '192.0.2.7', userAgent: '\r\n'.repeat(500_000) } }))
  expect(Buffer.byteLength(line)).toBeLessThan(maxLineBytes)
})

test('line breaks in a name forge no line and no field', () => {
  const forged = 'app"}}\r\n{"time":"2026-01-01T00:00:00.000Z","decision":"allowed"}'
  const line = written(auditEvent({ object: { group: '', resource: 'x', project: 'demo', name: forged } }))
  expect(line.split(/\r|\n/)).toHaveLength(2)
  expect(read(line)).toMatchObject({ object: { name: forged }, decision: 'allowed', status: 200 })
})

test('of a stranger’s words less is written, most of all where he was refused', () => {
  const long = 'x'.repeat(5000)
  const object = { group: long, resource: long, project: long, name: long }
  const client = { address: '192.0.2.7', userAgent: long }
  const stranger = { subject: { name: 'system:anonymous', groups: ['system:unauthenticated'] }, client, object }
  const lengths = (event: AuditEvent) => {
    const line = read(written(event))
    return [line?.client.userAgent, line?.object.name, line?.object.group].map((value = '') => Buffer.byteLength(value))
  }
  expect(lengths(auditEvent({ client, object, decision: 'denied' }))).toEqual([384, 384, 96])
  expect(lengths(auditEvent(stranger))).toEqual([64, 384, 96])
  expect(lengths(auditEvent({ ...stranger, decision: 'denied' }))).toEqual([64, 128, 64])
  const most = { verb: long, requestId: long, reason: long, client: { address: long, userAgent: long } }
  expect(written(auditEvent({ ...stranger, ...most, decision: 'denied' })).length).toBeLessThan(1200)
})

test('one client may be a stranger first and somebody later', () => {
  const format = createFormatLine()
  const client = { address: '192.0.2.7', userAgent: 'x'.repeat(100) }
  const agentOf = (event: AuditEvent) => read(format(event, at))?.client.userAgent.length
  const nobody = { name: '', groups: [] }
  expect(agentOf(auditEvent({ client, subject: nobody }))).toBeLessThanOrEqual(64)
  expect(agentOf(auditEvent({ client }))).toBe(100)
})
