import { describe, expect, test } from 'vitest'
import { failure, type Reply, startFakeApi } from './fake-api.ts'
import { a, b, event, events, first, listed, moved, rolledBack, weir } from './ledger-api.ts'
import type { CliResult } from './run.ts'

const stream = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams/app'
const namespace = '/api/v1/namespaces/demo'
const demo = { body: { kind: 'Namespace', metadata: { name: 'demo' } } }

describe('rollback', () => {
  const answer = { ...rolledBack, previousImage: b }

  test.each<[string, string[], object]>([
    ['to the revision before', [], {}],
    ['to a revision', ['--to', '1'], { to: 1 }],
    ['to a digest', ['--to', a], { to: a }],
    ['with a reason', ['--reason', 'bad build'], { reason: 'bad build' }],
  ])('%s', async (_, flags, body) => {
    const api = await startFakeApi()
    api.answer('POST', events, { status: 201, body: answer })
    const result = await weir(api, 'rollback', 'demo/app:prod', ...flags)
    expect(result).toEqual({
      code: 0,
      stdout: `demo/app:prod  ${b} -> ${a}  revision 3, that of revision 1; held until \`weir resume demo/app:prod\`\n`,
      stderr: '',
    })
    expect(api.sent('POST', events)).toEqual([
      { kind: 'Rollback', apiVersion: 'weir.dev/v1', stream: 'app', tag: 'prod', ...body },
    ])
  })

  test('prints the event as JSON, and its name', async () => {
    const api = await startFakeApi()
    api.answer('POST', events, { status: 201, body: answer })
    expect(JSON.parse((await weir(api, 'rollback', 'demo/app:prod', '-o', 'json')).stdout)).toEqual(answer)
    expect((await weir(api, 'rollback', 'demo/app:prod', '-o', 'name')).stdout).toBe('app.prod.3\n')
  })

  test('that is refused says why, field by field', async () => {
    const api = await startFakeApi()
    const causes = [{ field: 'to', reason: 'FieldValueInvalid', message: 'there is no revision 7' }]
    api.answer('POST', events, failure(422, 'Invalid', 'invalid', { causes }))
    const result = await weir(api, 'rollback', 'demo/app:prod', '--to', '7')
    expect(result).toEqual({ code: 1, stdout: '', stderr: 'error: invalid\n  to: there is no revision 7\n' })
  })

  test.each([
    '0',
    '-1',
    '1.5',
    'x',
    'sha256:abc',
    a.slice(0, 13),
    'aaaaaa',
    a.toUpperCase(),
    `${a}a`.slice(3),
    '1e3',
    '',
  ])('--to "%s" is misuse', async (to) => {
    const api = await startFakeApi()
    const result = await weir(api, 'rollback', 'demo/app:prod', `--to=${to}`)
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain('neither a revision nor a digest')
    expect(api.requests).toEqual([])
  })
})

describe('rollback --to the beginning of a digest', () => {
  const close = `sha256:${'a'.repeat(63)}b`
  const ledger = async (...items: object[]) => {
    const api = await startFakeApi()
    api.answer('GET', events, ({ query }) =>
      query.continue === undefined ? listed(items.slice(0, 1), 'p2') : listed(items.slice(1)),
    )
    api.answer('POST', events, { status: 201, body: { ...rolledBack, previousImage: b } })
    return api
  }

  test.each([a.slice(0, 19), a.slice(0, 14), 'aaaaaaa', a.slice(7), a.slice(7, -1), a.slice(0, -1)])(
    '%s goes to the digest, wherever in the history it is',
    async (to) => {
      const api = await ledger(moved, first, event(4, '', { kind: 'delete' }))
      expect(await weir(api, 'rollback', 'demo/app:prod', '--to', to)).toMatchObject({ code: 0, stderr: '' })
      expect(api.sent('POST', events)).toMatchObject([{ to: a }])
    },
  )

  test('of the same digest twice in the history is no doubt', async () => {
    const api = await ledger(rolledBack, moved, first)
    expect(await weir(api, 'rollback', 'demo/app:prod', '--to', 'aaaaaaaa')).toMatchObject({ code: 0 })
    expect(api.sent('POST', events)).toMatchObject([{ to: a }])
  })

  test('that two digests have is refused, with both', async () => {
    const api = await ledger(event(2, close, { kind: 'import' }), first)
    const result = await weir(api, 'rollback', 'demo/app:prod', '--to', a.slice(0, 19))
    expect(result).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: 2 digests in the history of demo/app:prod begin with ${a.slice(0, 19)}: write more of it\n  ${close}\n  ${a}\n`,
    })
    expect(api.sent('POST', events)).toEqual([])
    await weir(api, 'rollback', 'demo/app:prod', '--to', close.slice(7))
    expect(api.sent('POST', events)).toMatchObject([{ to: close }])
  })

  test.each(['ccccccc', 'sha256:ccccccc', 'sha512:aaaaaaa', 'aaaaaaac', 'a'.repeat(65), '0000000'])(
    '%s, that none has, is refused',
    async (to) => {
      const api = await ledger(moved, event(1, close, { kind: 'import' }))
      const result = await weir(api, 'rollback', 'demo/app:prod', '--to', to)
      expect(result).toMatchObject({ code: 1, stdout: '' })
      expect(result.stderr).toContain(`no revision of demo/app:prod has a digest that begins with ${to}\n`)
      expect(api.sent('POST', events)).toEqual([])
    },
  )

  test('of digits alone is a revision, unless it is written as a digest', async () => {
    const digits = `sha256:${'1234567'.padEnd(64, '0')}`
    const api = await ledger(moved, event(1, digits, { kind: 'import' }))
    await weir(api, 'rollback', 'demo/app:prod', '--to', '1234567')
    await weir(api, 'rollback', 'demo/app:prod', '--to', 'sha256:1234567')
    expect(api.sent('POST', events)).toMatchObject([{ to: 1234567 }, { to: digits }])
  })

  test('of an immutable tag is refused without the words of the API', async () => {
    const api = await ledger(first)
    const why = 'is immutable (weir.dev/immutable: true, on the tag) and stays at sha256:0; use another tag'
    const causes = [{ field: 'tag', reason: 'FieldValueForbidden', message: `Forbidden: tag "prod" ${why}` }]
    api.answer('POST', events, failure(422, 'Invalid', `"app:prod" is invalid: tag: ${causes[0]?.message}`, { causes }))
    expect(await weir(api, 'rollback', 'demo/app:prod')).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: demo/app:prod ${why}\n`,
    })
  })

  test('of a tag without a history says that there is none', async () => {
    const api = await ledger()
    api.answer('GET', namespace, demo)
    const result = await weir(api, 'rollback', 'demo/app:prod', '--to', 'aaaaaaa')
    expect(result.stderr).toContain('demo/app:prod has no history')
    expect(api.sent('POST', events)).toEqual([])
  })
})

describe('resume', () => {
  const source = { kind: 'DockerImage', name: 'localhost:5100/lib/app:v1' }
  const condition = { type: 'ImportSuccess', status: 'False', reason: 'Unreachable', message: 'connection refused' }

  /** A tag that stands at `image` after it is resumed. */
  const resumed = async (answer: object, image: string, conditions: object[] = []) => {
    const api = await startFakeApi()
    api.answer('POST', events, { status: 201, body: answer })
    const list = { tag: 'prod', items: [{ image, created: '2026-01-01T00:00:00Z' }], conditions }
    const other = { tag: 'other', items: null, conditions: [{ ...condition, message: 'of another tag' }] }
    const spec = { tags: [{ name: 'prod', from: source }] }
    api.answer('GET', stream, { body: { metadata: { name: 'app' }, spec, status: { tags: [other, list] } } })
    return api
  }

  test('ends the hold and says where the tag moved', async () => {
    const api = await resumed(event(4, b, { kind: 'import' }), b)
    expect(await weir(api, 'resume', 'demo/app:prod', '--reason', 'fixed')).toEqual({
      code: 0,
      stdout: `demo/app:prod  ${b}  revision 4; no longer held\n`,
      stderr: '',
    })
    expect(api.sent('POST', events)).toEqual([
      { kind: 'Resume', apiVersion: 'weir.dev/v1', reason: 'fixed', stream: 'app', tag: 'prod' },
    ])
  })

  test('that moves nothing says where the tag stands', async () => {
    const api = await resumed(rolledBack, a)
    expect(await weir(api, 'resume', 'demo/app:prod')).toEqual({
      code: 0,
      stdout: `demo/app:prod  ${a}  unchanged at revision 3; no longer held\n`,
      stderr: '',
    })
  })

  test('whose check of the source fails says why, and that the tag stays', async () => {
    const api = await resumed(rolledBack, a, [{ type: 'Other', status: 'False' }, condition])
    for (const output of [[], ['-o', 'json']]) {
      const result = await weir(api, 'resume', 'demo/app:prod', ...output)
      expect(result.code).toBe(0)
      expect(result.stderr).toBe(
        [
          'note: demo/app:prod was not imported from localhost:5100/lib/app:v1: Unreachable: connection refused',
          `  demo/app:prod stays at ${a}`,
          '  check that localhost:5100 runs and that the server can reach it, or what else the message names',
          '',
        ].join('\n'),
      )
    }
  })

  test('that moves the tag only when its content is held says so', async () => {
    const message = `moves to ${b} when all that it needs of it is held; fetching: 3 of 7 parts, 1 MiB of 2 MiB`
    const waits = { type: 'AwaitsContent', status: 'True', reason: 'ContentIncomplete', message }
    const api = await resumed(rolledBack, a, [waits])
    expect(await weir(api, 'resume', 'demo/app:prod')).toEqual({
      code: 0,
      stdout: `demo/app:prod  ${a}  unchanged at revision 3; no longer held\n`,
      stderr: `note: demo/app:prod ${message}\n`,
    })
  })

  test('does not take a condition that is over for a failure', async () => {
    const api = await resumed(rolledBack, a, [{ ...condition, status: 'True' }])
    expect(await weir(api, 'resume', 'demo/app:prod')).toMatchObject({ code: 0, stderr: '' })
  })

  test('by somebody who may not read the stream says that the check is not known', async () => {
    const api = await resumed(rolledBack, a)
    api.answer('GET', stream, failure(403, 'Forbidden', 'no'))
    expect(await weir(api, 'resume', 'demo/app:prod')).toMatchObject({
      code: 0,
      stderr: 'note: you may not read stream demo/app, and so not whether its source could be imported\n',
    })
  })

  test('of a tag that is not held fails with the server’s words', async () => {
    const api = await startFakeApi()
    api.answer('POST', events, failure(422, 'Invalid', 'the tag is not held'))
    api.answer('GET', events, listed([first]))
    expect(await weir(api, 'resume', 'demo/app:prod')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: the tag is not held\n',
    })
  })

  test('tells what its reason is for', async () => {
    const api = await startFakeApi()
    expect((await weir(api, 'resume', '--help')).stdout).toMatch(/written down\s+only\s+if\s+the\s+tag\s+moves/)
  })
})

describe.each(['rollback', 'resume'])('%s of a tag that never was', (verb) => {
  const refusedWith = async (reply: Reply, ledger: Reply, project: Reply = demo) => {
    const api = await startFakeApi()
    api.answer('POST', events, reply)
    api.answer('GET', events, ledger)
    api.answer('GET', namespace, project)
    return weir(api, verb, 'demo/app:prod')
  }
  const none = `error: demo/app:prod has no history: there is no such tag, or it never stood anywhere\n`

  test.each([404, 422])('says so as history does, when the server refuses with %d', async (code) => {
    const result: CliResult = await refusedWith(failure(code, 'Invalid', 'unclear'), listed([]))
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(none)
    expect(result.stderr).not.toContain('unclear')
  })

  test('says what the server does where the history may not be read', async () => {
    const result = await refusedWith(failure(404, 'NotFound', 'unclear'), failure(403, 'Forbidden', 'no'))
    expect(result.stderr).toContain('error: unclear\n')
  })

  test('is told apart from a project that is not there', async () => {
    const refusal = failure(404, 'NotFound', 'unclear')
    const result = await refusedWith(refusal, listed([]), failure(404, 'NotFound', 'not found'))
    expect(result.stderr).toBe('error: project demo not found; create it with: weir new-project demo\n')
  })

  test('is told apart from a lost race', async () => {
    const result = await refusedWith(failure(409, 'Conflict', 'changed'), listed([]))
    expect(result.stderr).toContain('error: changed\n')
  })

  test('without a tag is misuse', async () => {
    const api = await startFakeApi()
    const result = await weir(api, verb, 'demo/app')
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain('names no tag')
    expect(api.requests).toEqual([])
  })
})
