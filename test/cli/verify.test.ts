import { describe, expect, test } from 'vitest'
import { a, b, c, review, verifications, weir } from './content-api.ts'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { runsAt } from './run.ts'

const GiB = 1024 ** 3

async function verifying(...pages: object[]): Promise<FakeApi> {
  const api = await startFakeApi()
  const waiting = [...pages]
  api.answer('POST', verifications, ({ body }) => ({
    status: 201,
    body: { ...(body as object), status: waiting.shift() ?? { checked: 0, bytes: 0, corrupt: [] } },
  }))
  return api
}

const pages = [
  { checked: 3, bytes: GiB, corrupt: [], continue: a },
  { checked: 2, bytes: GiB, corrupt: [], continue: b },
  { checked: 1, bytes: GiB / 2, corrupt: [] },
]
const corruptPages = [
  { checked: 3, bytes: GiB, corrupt: [a], continue: a },
  { checked: 2, bytes: GiB, corrupt: [c] },
]

describe('verify', () => {
  test('reads page after page to the end', async () => {
    const api = await verifying(...pages)
    expect(await weir(api, ['verify'])).toEqual({
      code: 0,
      stdout: '6 files read, 2.5 GiB: none corrupt\n',
      stderr: '3 files read, 1.0 GiB\n',
    })
    const asked = { kind: 'ContentVerification', apiVersion: 'weir.dev/v1' }
    expect(api.sent('POST', verifications)).toEqual([
      { ...asked, spec: {} },
      { ...asked, spec: { after: a } },
      { ...asked, spec: { after: b } },
    ])
  })

  test('on a terminal writes over one line, and takes it away', async () => {
    const api = await verifying(...pages)
    const { stderr } = await weir(api, ['verify'], { columns: 80 })
    expect(stderr).toBe(
      ['3 files read, 1.0 GiB', '5 files read, 2.0 GiB', ''].map((line) => `\r${line}\u001b[K`).join(''),
    )
  })

  test('that finds something lists it, says what becomes of it, and fails', async () => {
    const api = await verifying(...corruptPages)
    expect(await weir(api, ['verify'])).toEqual({
      code: 1,
      stdout: `${a}  corrupt\n${c}  corrupt\n5 files read, 2.0 GiB: 2 corrupt\n`,
      stderr: [
        '3 files read, 1.0 GiB, 1 corrupt',
        'error: 2 files were corrupt: put aside, and fetched again when needed, where an upstream still has it',
        '',
      ].join('\n'),
    })
  })

  test('lists what is missing, says what becomes of it, and fails', async () => {
    const missingPages = [
      { checked: 3, bytes: GiB, corrupt: [], missing: [a], continue: a },
      { checked: 2, bytes: GiB, corrupt: [], missing: [c] },
    ]
    expect(await weir(await verifying(...missingPages), ['verify'])).toEqual({
      code: 1,
      stdout: `${a}  missing\n${c}  missing\n5 files read, 2.0 GiB: none corrupt, 2 missing\n`,
      stderr: [
        '3 files read, 1.0 GiB, 1 missing',
        'error: 2 files were missing: fetched again when needed, where an upstream still has them',
        '',
      ].join('\n'),
    })
    const json = await weir(await verifying(...missingPages), ['verify', '-o', 'json'])
    expect(JSON.parse(json.stdout).status).toEqual({ checked: 5, bytes: 2 * GiB, corrupt: [], missing: [a, c] })
    const both = await weir(await verifying({ checked: 1, bytes: 5, corrupt: [a], missing: [b] }), ['verify'])
    expect(both.stdout).toBe(`${a}  corrupt\n${b}  missing\n1 file read, 5 B: 1 corrupt, 1 missing\n`)
    expect(both.stderr).toContain('1 file was missing: fetched again when needed, where an upstream still has it\n')
  })

  test('of nothing held is fine', async () => {
    const api = await verifying()
    expect(await weir(api, ['verify'])).toMatchObject({ code: 0, stdout: '0 files read, 0 B: none corrupt\n' })
  })

  test('--timeout ends it, and how to go on is told', async () => {
    const api = await verifying(...pages)
    let nowMs = runsAt
    const clock = { now: () => (nowMs += 1000), pause: async () => undefined }
    const { code, stdout, stderr } = await weir(api, ['verify', '--timeout', '1s'], { clock })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '3 files read, 1.0 GiB: none corrupt\n' })
    expect(stderr).toContain(
      `error: not everything was read in the time that --timeout gives\n  to go on: weir verify --after ${a}\n`,
    )
    expect(api.requests).toHaveLength(1)
  })

  test('--after goes on from there', async () => {
    const api = await verifying()
    await weir(api, ['verify', '--after', b])
    expect(api.sent('POST', verifications)).toMatchObject([{ spec: { after: b } }])
  })

  test('is printed as one object of all pages, or by the corrupt digests', async () => {
    const json = await weir(await verifying(...corruptPages), ['verify', '-o', 'json'])
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout)).toEqual({
      kind: 'ContentVerification',
      apiVersion: 'weir.dev/v1',
      status: { checked: 5, bytes: 2 * GiB, corrupt: [a, c], missing: [] },
    })
    expect((await weir(await verifying(...corruptPages), ['verify', '-o', 'name'])).stdout).toBe(`${a}\n${c}\n`)
  })

  test('does not go round where a server does not get on', async () => {
    const stuck = { checked: 0, bytes: 0, corrupt: [], continue: a }
    const api = await verifying(stuck, stuck, stuck, stuck)
    const { code, stderr } = await weir(api, ['verify'])
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('does not get past') })
    expect(api.requests).toHaveLength(2)
  })

  test('by who may not says which right is missing', async () => {
    const api = await startFakeApi()
    api.answer('POST', verifications, failure(403, 'Forbidden', 'no'))
    api.answer('POST', review, { body: { status: { userInfo: { username: 'jane' } } } })
    expect((await weir(api, ['verify'])).stderr).toContain(
      'missing right: create contentverifications; the administrator',
    )
  })

  test.each([
    ['--timeout', 'soon'],
    ['--after', 'sha256:abc'],
    ['--after', 'latest'],
  ])('%s %s is misuse', async (flag, value) => {
    const api = await verifying()
    expect(await weir(api, ['verify', flag, value])).toMatchObject({ code: 2, stdout: '' })
    expect(api.requests).toEqual([])
  })
})
