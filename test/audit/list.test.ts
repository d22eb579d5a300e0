import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createFormatLine } from '../../src/audit/format-line.ts'
import { auditEvent } from './event.ts'
import { auditWorld, idsOf } from './world.ts'

const object = { group: 'image.openshift.io', resource: 'imagestreams/layers', project: 'demo', name: 'app:prod' }

describe('a query', () => {
  test('selects by subject, project, name, resource, verb, decision and time', async () => {
    const { write, ids } = await auditWorld()
    write('at0')
    write('at1', { subject: { name: 'ana', groups: [] } })
    write('at2', { object: { ...object, project: 'other' } })
    write('at3', { object: { ...object, name: 'app@sha256:0' } })
    write('at4', { object: { ...object, name: 'application:prod' } })
    write('at5', { object: { ...object, resource: 'secrets', name: 'app' } })
    write('at6', { verb: 'delete' })
    write('at7', { decision: 'denied' })
    write('at8', { object: { group: '', resource: 'namespaces', project: '', name: 'other' } })
    write('at9', {
      object: { ...object, resource: 'tokens', name: 'repository:demo/app:pull repository:demo/web:pull' },
    })
    expect(await ids({ subject: 'ana' })).toEqual(['at1'])
    expect(await ids({ project: 'other' })).toEqual(['at8', 'at2'])
    expect(await ids({ name: 'app' })).toEqual(['at9', 'at7', 'at6', 'at5', 'at3', 'at2', 'at1', 'at0'])
    expect(await ids({ name: 'web' })).toEqual(['at9'])
    expect(await ids({ name: 'app:prod', project: 'demo' })).toEqual(['at7', 'at6', 'at1', 'at0'])
    expect(await ids({ resource: 'secrets' })).toEqual(['at5'])
    expect(await ids({ verb: 'delete' })).toEqual(['at6'])
    expect(await ids({ decision: 'denied' })).toEqual(['at7'])
    const from = Date.UTC(2026, 0, 1)
    expect(await ids({ since: from + 3000, until: from + 5000 })).toEqual(['at5', 'at4', 'at3'])
    expect(await ids({ subject: '__proto__' })).toEqual([])
  })

  test('is answered in pages, which stand while files are put aside and lines are added', async () => {
    const { audit, write } = await auditWorld({ maxBytes: 1, maxFiles: 100 })
    for (let i = 0; i < 10; i += 1) {
      write(`a${i}`)
      if (i % 3 === 0) await audit.list({ limit: 1 })
    }
    const first = await audit.list({ limit: 4 })
    for (let i = 0; i < 5; i += 1) {
      write(`b${i}`)
      await audit.list({ limit: 1 })
    }
    const rest = await idsOf(audit, { limit: 4, ...(first.continue === undefined ? {} : { continue: first.continue }) })
    expect([...first.lines.map(({ requestId }) => requestId), ...rest]).toEqual(
      Array.from({ length: 10 }, (_, i) => `a${9 - i}`),
    )
  })

  test('reads at most so much for a page, which may then be empty and go on', async () => {
    const { audit, write, ids } = await auditWorld({ maxReadBytes: 1 })
    write('first', { verb: 'push' })
    for (let i = 0; i < 2000; i += 1) write(`r${i}`)
    const page = await audit.list({ verb: 'push' })
    expect(page.lines).toEqual([])
    expect(page.continue).toBeDefined()
    expect(await ids({ verb: 'push' })).toEqual(['first'])
    expect(await ids({})).toHaveLength(2001)
  })

  test('has at most 1,000 lines a page', async () => {
    const { audit, write } = await auditWorld()
    for (let i = 0; i < 1200; i += 1) write(`r${i}`)
    expect((await audit.list({})).lines).toHaveLength(1000)
    expect((await audit.list({ limit: 100_000 })).lines).toHaveLength(1000)
  })

  test('stops at what is much older than asked for', async () => {
    const { audit, write, clock, put } = await auditWorld({ maxBytes: 1, maxFiles: 100 })
    await put('audit-000001.log', `${'x'.repeat(100)}\n`)
    write('old')
    await audit.list({ limit: 1 })
    clock.advance(3_600_000)
    write('new')
    expect(await idsOf(audit, { since: clock.now() - 60_000 })).toEqual(['new'])
  })

  test.each(['x', '', 'e30', Buffer.from('{"file":1,"before":-1}').toString('base64url'), 'bnVsbA'])(
    'refuses a continue that no page gave: %j',
    async (token) => {
      const { audit } = await auditWorld()
      await expect(audit.list({ continue: token })).rejects.toMatchObject({ code: 'BAD_REQUEST' })
    },
  )

  test('goes on at the end where the file is gone that it was in', async () => {
    const { audit, write, ids } = await auditWorld({ maxBytes: 1, maxFiles: 1 })
    write('a')
    write('b')
    const { continue: token } = await audit.list({ limit: 1 })
    for (const id of ['c', 'd', 'e']) {
      write(id)
      await ids()
    }
    expect(await audit.list({ ...(token === undefined ? {} : { continue: token }) })).toEqual({ lines: [] })
  })
})

describe('bad bytes', () => {
  const good = (id: string): string => createFormatLine()(auditEvent({ requestId: id }), Date.UTC(2026, 0, 1))

  test('of any kind, anywhere in the files, break no list and hide no whole line', async () => {
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc
        .constantFrom('', '\n\n', '{}', '[]', 'null', '{"__proto__":{}}', good('torn').slice(0, 80), '\0'.repeat(9000))
        .map((text) => Buffer.from(text)),
    )
    const part = fc.oneof(
      garbage.map((bytes) => Buffer.from(bytes).filter((byte) => byte !== 0x0a)).map((bytes) => ({ bytes, id: '' })),
      fc.integer({ min: 0, max: 99 }).map((n) => ({ bytes: Buffer.from(good(`g${n}`).trimEnd()), id: `g${n}` })),
    )
    const file = fc.array(part, { maxLength: 8 })
    const world = await auditWorld()
    const maxReadBytes = fc.constantFrom(1, 70_000, 1_000_000)
    await fc.assert(
      fc.asyncProperty(fc.array(file, { minLength: 1, maxLength: 3 }), maxReadBytes, async (contents, most) => {
        const { put, reopen } = world
        const whole = contents.map((parts) => Buffer.concat(parts.flatMap(({ bytes }) => [bytes, Buffer.from('\n')])))
        for (let i = 0; i < 3; i += 1) {
          await put(i === 2 ? 'audit.log' : `audit-00000${i + 1}.log`, whole[i] ?? Buffer.alloc(0))
        }
        const expected = contents.flatMap((parts) => parts.map(({ id }) => id).filter((id) => id !== ''))
        expect(await idsOf(reopen({ maxReadBytes: most }))).toEqual(expected.reverse())
      }),
      { numRuns: 200 },
    )
  })

  test('without a line end for megabytes are passed over', async () => {
    const { put, ids } = await auditWorld({ maxReadBytes: 100_000 })
    await put(
      'audit.log',
      `${good('a')}${good('b').trimEnd()}${'x'.repeat(3_000_000)}\n${good('c')}${'y'.repeat(200_000)}`,
    )
    expect(await ids()).toEqual(['c', 'a'])
  })

  test('after what would be a line make it none, wherever it is cut in reading', async () => {
    const { put, ids } = await auditWorld()
    await put('audit.log', `${good('a')}${good('b').trimEnd()}${' '.repeat(64 * 1024 + 100)}\n`)
    expect(await ids()).toEqual(['a'])
  })

  test('in names of files beside them are nobody’s business', async () => {
    const { put, write, ids } = await auditWorld()
    await put('audit-000001.log.gz', good('gz'))
    await put('audit-1.log', good('short'))
    await put('other.log', good('other'))
    write('a')
    expect(await ids()).toEqual(['a'])
  })
})
