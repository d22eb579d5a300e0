import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

const events = '/apis/weir.dev/v1/namespaces/demo/tagevents'
const tag = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamtags/app:prod'
const [a, b] = ['a', 'b'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string]

function event(revision: number, image: string, cause: object): object {
  const metadata = {
    name: `app.prod.${revision}`,
    namespace: 'demo',
    creationTimestamp: `2026-01-0${revision}T00:00:00Z`,
  }
  return { metadata, stream: 'app', tag: 'prod', revision, image, cause }
}

const from = { kind: 'DockerImage', name: 'quay.io/org/app:v1' }
const rolledBack = event(3, a, { kind: 'rollback', by: 'jane', reason: 'bad build', restoredRevision: 1 })
const moved = event(2, b, { kind: 'import', by: 'weir:admin', from })
const first = event(1, a, { kind: 'import', by: 'weir:admin', from })

function listed(items: object[], next?: string): { body: object } {
  const metadata = next === undefined ? {} : { continue: next }
  return { body: { kind: 'TagEventList', apiVersion: 'weir.dev/v1', metadata, items } }
}

function standing(image: string, annotations: object = {}): { body: object } {
  return { body: { metadata: { name: 'app:prod', annotations }, image: { metadata: { name: image } } } }
}

async function weir(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run([...argv, '--server', api.url, '--token', 't'])
}

describe('history', () => {
  test('shows every revision, marks the one in force, and tells of the hold', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, listed([rolledBack, moved, first]))
    const hold = JSON.stringify({ revision: 3, by: 'jane', at: '2026-01-03T00:00:00Z', reason: 'bad\u001b[2J build' })
    api.answer('GET', tag, standing(a, { 'weir.dev/hold': hold }))
    const result = await weir(api, 'history', 'demo/app:prod')
    expect(result).toEqual({
      code: 0,
      stderr: '',
      stdout: [
        'REVISION  WHEN                  DIGEST               CAUSE          BY          FROM                REASON',
        '3*        2026-01-03T00:00:00Z  sha256:aaaaaaaaaaaa  rollback to 1  jane        -                   bad build',
        '2         2026-01-02T00:00:00Z  sha256:bbbbbbbbbbbb  import         weir:admin  quay.io/org/app:v1',
        '1         2026-01-01T00:00:00Z  sha256:aaaaaaaaaaaa  import         weir:admin  quay.io/org/app:v1',
        'held since 2026-01-03T00:00:00Z by jane (bad?[2J build); weir resume demo/app:prod ends it',
        '',
      ].join('\n'),
    })
    expect(api.requests[0]?.query).toEqual({ fieldSelector: 'stream=app,tag=prod', limit: '500' })
  })

  test('of a deleted tag marks nothing', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, listed([event(2, '', { kind: 'delete', by: 'jane' }), first]))
    const result = await weir(api, 'history', 'demo/app:prod')
    expect(result.code).toBe(0)
    expect(result.stdout).toMatch(/^2 .* - +delete/m)
    expect(result.stdout).not.toContain('*')
  })

  test('of a stream deleted with the tag in force marks nothing', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, listed([first]))
    expect((await weir(api, 'history', 'demo/app:prod')).stdout).not.toContain('*')
  })

  test('is shown to those who may not read the tag itself, without a mark', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, listed([first]))
    api.answer('GET', tag, failure(403, 'Forbidden', 'no'))
    expect(await weir(api, 'history', 'demo/app:prod')).toMatchObject({ code: 0, stderr: '' })
  })

  test('with a hold in a form of another version still says that it is held', async () => {
    for (const hold of ['true', 'null', 'not JSON']) {
      const api = await startFakeApi()
      api.answer('GET', events, listed([first]))
      api.answer('GET', tag, standing(a, { 'weir.dev/hold': hold }))
      expect((await weir(api, 'history', 'demo/app:prod')).stdout).toContain(
        '\nheld; weir resume demo/app:prod ends it\n',
      )
    }
  })

  test('wide shows whole digests', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, listed([first]))
    const result = await weir(api, 'history', 'demo/app:prod', '-o', 'wide')
    expect(result.stdout).toContain(`  ${a}  `)
  })

  test('follows page after page', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, ({ query }) => {
      if (query.continue === undefined) return listed([rolledBack], 'p2')
      return query.continue === 'p2' ? listed([moved], 'p3') : listed([first])
    })
    const result = await weir(api, 'history', 'demo/app:prod', '-o', 'name')
    expect(result.stdout).toBe('app.prod.3\napp.prod.2\napp.prod.1\n')
    expect(api.requests.map(({ query }) => query.continue)).toEqual([undefined, 'p2', 'p3'])
  })

  test('--limit asks for no more than that, over pages too', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, ({ query }) =>
      query.continue === undefined ? listed([rolledBack], 'p2') : listed([moved, first], 'p3'),
    )
    const result = await weir(api, 'history', 'demo/app:prod', '-o', 'name', '--limit', '2')
    expect(result.stdout).toBe('app.prod.3\napp.prod.2\n')
    expect(api.requests.map(({ query }) => query.limit)).toEqual(['2', '1'])
  })

  test('in JSON and YAML is the API’s events in a List', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, listed([moved, first]))
    const json = await weir(api, 'history', 'demo/app:prod', '-o', 'json')
    const type = { kind: 'TagEvent', apiVersion: 'weir.dev/v1' }
    const expected = {
      kind: 'List',
      apiVersion: 'v1',
      metadata: { resourceVersion: '' },
      items: [
        { ...type, ...moved },
        { ...type, ...first },
      ],
    }
    expect(JSON.parse(json.stdout)).toEqual(expected)
    expect(parse((await weir(api, 'history', 'demo/app:prod', '-o', 'yaml')).stdout)).toEqual(expected)
  })

  test('of what never was is a failure', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, listed([]))
    const result = await weir(api, 'history', 'demo/app:prod')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('demo/app:prod has no history')
  })
})

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

  test.each(['0', '-1', '1.5', 'x', 'sha256:abc', a.slice(0, -1), a.toUpperCase(), '1e3', ''])(
    '--to "%s" is misuse',
    async (to) => {
      const api = await startFakeApi()
      const result = await weir(api, 'rollback', 'demo/app:prod', `--to=${to}`)
      expect(result).toMatchObject({ code: 2, stdout: '' })
      expect(result.stderr).toContain('neither a revision nor a whole digest')
      expect(api.requests).toEqual([])
    },
  )
})

describe('resume', () => {
  test('ends the hold and says where the tag stands', async () => {
    const api = await startFakeApi()
    api.answer('POST', events, { status: 201, body: event(4, b, { kind: 'import' }) })
    const result = await weir(api, 'resume', 'demo/app:prod', '--reason', 'fixed')
    expect(result).toEqual({ code: 0, stdout: `demo/app:prod  ${b}  revision 4; no longer held\n`, stderr: '' })
    expect(api.sent('POST', events)).toEqual([
      { kind: 'Resume', apiVersion: 'weir.dev/v1', reason: 'fixed', stream: 'app', tag: 'prod' },
    ])
  })

  test('of a tag that is not held fails with the server’s words', async () => {
    const api = await startFakeApi()
    api.answer('POST', events, failure(422, 'Invalid', 'the tag is not held'))
    expect(await weir(api, 'resume', 'demo/app:prod')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'error: the tag is not held\n',
    })
  })
})

test.each([
  ['history', 'demo/app'],
  ['rollback', 'demo/app'],
  ['resume', 'demo/app'],
])('%s %s names no tag: misuse', async (verb, target) => {
  const api = await startFakeApi()
  const result = await weir(api, verb, target)
  expect(result).toMatchObject({ code: 2, stdout: '' })
  expect(result.stderr).toContain('names no tag')
  expect(api.requests).toEqual([])
})

test.each(['0', 'x', '-1', '1.5'])('history --limit %s is misuse', async (limit) => {
  const api = await startFakeApi()
  expect(await weir(api, 'history', 'demo/app:prod', `--limit=${limit}`)).toMatchObject({ code: 2, stdout: '' })
})
