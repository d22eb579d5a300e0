import { open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/directory.ts'
import { auditEvent } from './event.ts'
import { auditWorld, idsOf } from './world.ts'

const lineOf = (text: string): unknown[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

describe('the file', () => {
  test('has a line of JSON for each event, in order, with its time', async () => {
    const { audit, write, text } = await auditWorld()
    write('a')
    write('b', { decision: 'denied', status: 401, reason: 'UNAUTHORIZED' })
    await audit.close()
    expect(lineOf(await text())).toEqual([
      { ...auditEvent({ requestId: 'a' }), time: '2026-01-01T00:00:00.000Z' },
      {
        ...auditEvent({ requestId: 'b', decision: 'denied', status: 401, reason: 'UNAUTHORIZED' }),
        time: '2026-01-01T00:00:01.000Z',
      },
    ])
  })

  test('is its user’s alone, as is its directory, and neither is made before there is a line', async () => {
    const { audit, write, directory } = await auditWorld()
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' })
    write('a')
    await audit.close()
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    expect((await stat(join(directory, 'audit.log'))).mode & 0o777).toBe(0o600)
  })

  test('is written without being asked, soon after the first line and at once for many', async () => {
    const { write, text } = await auditWorld()
    write('a')
    expect(await text()).toBe('')
    await expect.poll(text).toContain('"requestId":"a"')
    for (let i = 0; i < 200; i += 1) write(`b${i}`)
    await expect.poll(text).toContain('"requestId":"b199"')
  })

  test('goes on in a line of its own after one that was torn', async () => {
    const { audit, write, put, text, ids } = await auditWorld()
    await put('audit.log', '{"time":"2026-01-01T00:00:00.000Z","sub')
    write('a')
    expect(await ids()).toEqual(['a'])
    await audit.close()
    expect((await text()).split('\n')[0]).toBe('{"time":"2026-01-01T00:00:00.000Z","sub')
  })

  test('is begun anew when it was moved away', async () => {
    const { audit, write, directory, ids } = await auditWorld()
    write('a')
    await ids()
    await rename(join(directory, 'audit.log'), join(directory, 'taken.log'))
    write('b')
    await audit.close()
    expect(await readFile(join(directory, 'audit.log'), 'utf8')).toContain('"requestId":"b"')
  })
})

describe('rotation', () => {
  test('puts files aside when they have grown, and keeps so many', async () => {
    const { audit, write, files, ids } = await auditWorld({ maxBytes: 1, maxFiles: 2 })
    for (const id of ['a', 'b', 'c', 'd', 'e']) {
      write(id)
      await ids()
    }
    expect(await files()).toEqual(['audit-000003.log', 'audit-000004.log', 'audit.log'])
    expect(await ids()).toEqual(['e', 'd', 'c'])
    expect(audit.lost).toBe(0)
  })

  test('goes on with the numbers after a restart', async () => {
    const { audit, write, reopen, files, ids } = await auditWorld({ maxBytes: 1, maxFiles: 9 })
    write('a')
    await ids()
    write('b')
    await audit.close()
    const again = reopen()
    again.write(auditEvent({ requestId: 'c' }))
    expect(await idsOf(again)).toEqual(['c', 'b', 'a'])
    expect(await files()).toEqual(['audit-000001.log', 'audit-000002.log', 'audit.log'])
  })

  test('loses nothing and tears nothing under load, while others list', async () => {
    const { audit, write, files, ids, text } = await auditWorld({ maxBytes: 64 * 1024, maxFiles: 1000 })
    const expected: string[] = []
    for (let round = 0; round < 40; round += 1) {
      for (let i = 0; i < 250; i += 1) {
        expected.push(`r${round}-${i}`)
        write(`r${round}-${i}`)
      }
      const page = await audit.list({ limit: 300 })
      expect(page.lines.map(({ requestId }) => requestId)).toEqual(expected.slice(-300).reverse())
    }
    expect((await files()).length).toBeGreaterThan(20)
    expect(lineOf(await text())).toHaveLength(expected.length)
    expect(await ids()).toEqual(expected.reverse())
    expect(audit.lost).toBe(0)
  })
})

describe('trouble', () => {
  test('with the directory keeps the lines until it is over, and is told once', async () => {
    const { audit, write, directory, logged, ids } = await auditWorld()
    await writeFile(directory, 'a file where the directory should be')
    write('a')
    await ids().catch(() => undefined)
    write('b')
    await ids().catch(() => undefined)
    expect(logged).toHaveLength(1)
    expect(logged[0]).toContain('the audit log can not be written')
    await unlink(directory)
    write('c')
    expect(await ids()).toEqual(['c', 'b', 'a'])
    expect(logged).toHaveLength(2)
    expect(audit.lost).toBe(0)
  })

  test('that does not end loses what is beyond the bound, counted and told once', async () => {
    const { audit, write, directory, logged } = await auditWorld()
    await writeFile(directory, '')
    for (let i = 0; i < 40_000; i += 1) write(`r${i}`)
    const { lost } = audit
    expect(lost).toBeGreaterThan(1000)
    await audit.close()
    expect(audit.lost).toBe(40_000)
    expect(logged.filter((line) => line.includes('faster than they are written'))).toHaveLength(1)
  })

  // /dev/full answers every write with ENOSPC.
  test('with a full disk loses no line that fits the memory', async () => {
    const full = await open('/dev/full', 'w')
    const { audit, logged } = await auditWorld({ output: 'stdout', stdout: full.fd })
    audit.write(auditEvent())
    await audit.close()
    await full.close()
    expect(logged[0]).toContain('ENOSPC')
    expect(audit.lost).toBe(1)
  })
})

describe('other outputs', () => {
  test('stdout gets the same lines, and no list; the refusal says where they are', async () => {
    const path = join(await temporaryDirectory(), 'out')
    const out = await open(path, 'w')
    const { audit, write, directory } = await auditWorld({ output: 'stdout', stdout: out.fd })
    const ids = Array.from({ length: 300 }, (_, i) => `r${i}`)
    for (const id of ids) write(id)
    await expect(audit.list({})).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('standard output'),
    })
    await audit.close()
    await out.close()
    const lines = lineOf(await readFile(path, 'utf8')) as { requestId: string }[]
    expect(lines.map(({ requestId }) => requestId)).toEqual(ids)
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('none keeps nothing and says so', async () => {
    const { audit, write, directory } = await auditWorld({ output: 'none' })
    write('a')
    await expect(audit.list({})).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('audit.output is none'),
    })
    await audit.close()
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
