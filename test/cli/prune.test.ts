import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { a, b, c, prunes, review, weir } from './content-api.ts'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { run } from './run.ts'

const GiB = 1024 ** 3

const status = {
  freedBytes: 3 * GiB + 512,
  freed: [
    { digest: a, bytes: 2 * GiB, reason: 'unlinked' },
    { digest: b, bytes: GiB, reason: 'beyond history-keep' },
    { digest: c, bytes: 512, reason: 'unlinked' },
  ],
  freedCount: 3,
  kept: [
    { reason: 'pinned', count: 800, bytes: 45 * GiB },
    { reason: 'too young', count: 2, bytes: 1024 },
  ],
  removedLinks: 12,
}

async function pruning(found: object = status): Promise<FakeApi> {
  const api = await startFakeApi()
  api.answer('POST', prunes, ({ body }) => ({ status: 201, body: { ...(body as object), status: found } }))
  return api
}

function rows(stdout: string): string[][] {
  return stdout.split('\n').map((line) => line.split(/ {2,}/))
}

describe('prune', () => {
  test('tells what was freed and what is kept, by reason', async () => {
    const api = await pruning()
    const { code, stdout, stderr } = await weir(api, ['prune'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(rows(stdout)).toEqual([
      ['CONTENT', 'REASON', 'COUNT', 'SIZE'],
      ['freed', 'unlinked', '2', '2.0 GiB'],
      ['freed', 'beyond history-keep', '1', '1.0 GiB'],
      ['kept', 'pinned', '800', '45.0 GiB'],
      ['kept', 'too young', '2', '1.0 KiB'],
      ['freed 3.0 GiB in 3 files, and removed 12 links'],
      [''],
    ])
    expect(api.sent('POST', prunes)).toEqual([
      { kind: 'ContentPrune', apiVersion: 'weir.dev/v1', spec: { dryRun: false } },
    ])
  })

  test('--dry-run removes nothing, and says so', async () => {
    const api = await pruning()
    const { stdout } = await weir(api, ['prune', '--dry-run', '--keep-younger-than', '7d'])
    const lines = stdout.split('\n')
    expect(lines[0]).toBe('dry run: nothing was removed')
    expect(lines[2]).toMatch(/^would be freed {2}unlinked /)
    expect(lines.at(-2)).toBe('would free 3.0 GiB in 3 files, and remove 12 links')
    expect(stdout).not.toMatch(/^freed/m)
    expect(api.sent('POST', prunes)).toMatchObject([{ spec: { dryRun: true, keepYoungerThan: '7d' } }])
  })

  test('-o wide lists the digests', async () => {
    const api = await pruning()
    const { stdout } = await weir(api, ['prune', '-o', 'wide'])
    expect(rows(stdout).slice(6, 11)).toEqual([
      ['DIGEST', 'SIZE', 'REASON'],
      [a, '2.0 GiB', 'unlinked'],
      [b, '1.0 GiB', 'beyond history-keep'],
      [c, '512 B', 'unlinked'],
      [''],
    ])
  })

  test('of more than is listed counts all, and says that the list is not whole', async () => {
    const api = await pruning({ ...status, freedCount: 1003, freedBytes: 4 * GiB + 512 })
    const plain = await weir(api, ['prune', '--dry-run'])
    expect(rows(plain.stdout)[4]).toEqual(['would be freed', 'any of these', '1000', '1.0 GiB'])
    expect(plain.stderr).toBe('')
    const wide = await weir(api, ['prune', '--dry-run', '-o', 'wide'])
    expect(wide.stderr).toBe('note: the largest 3 of 1003 are listed\n')
  })

  test('that finds nothing says so', async () => {
    const api = await pruning({ freedBytes: 0, freed: [], freedCount: 0, kept: [], removedLinks: 0 })
    expect((await weir(api, ['prune'])).stdout).toBe('freed nothing\n')
    expect((await weir(api, ['prune', '--dry-run', '-o', 'wide'])).stdout).toBe(
      'dry run: nothing was removed\nwould free nothing\n',
    )
    const bare = await startFakeApi()
    bare.answer('POST', prunes, { body: { kind: 'ContentPrune' } })
    expect((await weir(bare, ['prune'])).stdout).toBe('freed nothing\n')
  })

  test('is printed as the API has it, or by its digests', async () => {
    const api = await pruning()
    const object = { kind: 'ContentPrune', apiVersion: 'weir.dev/v1', spec: { dryRun: true }, status }
    expect(JSON.parse((await weir(api, ['prune', '--dry-run', '-o', 'json'])).stdout)).toEqual(object)
    expect(parse((await weir(api, ['prune', '--dry-run', '-o', 'yaml'])).stdout)).toEqual(object)
    expect((await weir(api, ['prune', '--dry-run', '-o', 'name'])).stdout).toBe(`${a}\n${b}\n${c}\n`)
  })

  test('by who may not says which right is missing', async () => {
    const api = await startFakeApi()
    api.answer('POST', prunes, failure(403, 'Forbidden', 'contentprunes is forbidden'))
    api.answer('POST', review, { body: { status: { userInfo: { username: 'jane' } } } })
    expect(await weir(api, ['prune'])).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        'error: contentprunes is forbidden',
        '  missing right: create contentprunes; the administrator has it (data/admin.kubeconfig)',
        '',
      ].join('\n'),
    })
  })

  test.each(['', 'soon', '-1h', '7'])('--keep-younger-than "%s" is misuse', async (duration) => {
    const api = await pruning()
    expect(await weir(api, ['prune', `--keep-younger-than=${duration}`])).toMatchObject({ code: 2, stdout: '' })
    expect(api.requests).toEqual([])
  })

  test.each(['0s', '1s', '1m', '9m59s999ms'])(
    '--keep-younger-than %s is less than is kept anyway',
    async (duration) => {
      const api = await pruning()
      const { code, stderr } = await weir(api, ['prune', '--keep-younger-than', duration])
      expect(code).toBe(2)
      expect(stderr).toContain('Write a duration of at least 10m, such as 90m, 24h or 7d.')
      expect(api.requests).toEqual([])
    },
  )

  test.each(['10m', '600s', '7d'])('--keep-younger-than %s is asked as it was written', async (duration) => {
    const api = await pruning()
    await weir(api, ['prune', '--keep-younger-than', duration])
    expect(api.sent('POST', prunes)).toMatchObject([{ spec: { keepYoungerThan: duration } }])
  })

  test('says in its help what stays whatever is asked, and whose digests are listed', async () => {
    const { stdout } = await run(['prune', '--help'])
    expect(stdout).toContain('what streams got within the last 24h, whatever\n--keep-younger-than says')
    expect(stdout).toContain('-o wide lists the digests of what is freed')
  })
})

test('prune tells what crashes had left, where it cleared that away', async () => {
  const swept = { unfinished: 2, orphanFiles: 1, orphanRecords: 0, bytes: 3 * GiB }
  const { stdout } = await weir(await pruning({ ...status, swept }), ['prune'])
  expect(stdout).toContain(
    'cleared away what crashes had left: 2 unfinished downloads, 1 files without records, 0 records without files, 3.0 GiB\n',
  )
  const none = { unfinished: 0, orphanFiles: 0, orphanRecords: 0, bytes: 0 }
  expect((await weir(await pruning({ ...status, swept: none }), ['prune'])).stdout).not.toContain('crashes')
})
