import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { failure, startFakeApi } from './fake-api.ts'
import { a, b, event, events, first, listed, moved, rolledBack, weir } from './ledger-api.ts'

const tag = '/apis/image.openshift.io/v1/namespaces/demo/imagestreamtags/app:prod'

function standing(image: string, annotations: object = {}): { body: object } {
  return { body: { metadata: { name: 'app:prod', annotations }, image: { metadata: { name: image } } } }
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

  test('tells that a hold was ended, which is no revision, as long as the tag stands where it held it', async () => {
    const ended = 'no longer held: it was resumed\n'
    for (const [entries, answer, isTold] of [
      [[rolledBack, moved, first], standing(a), true],
      [[moved, first], standing(b), false],
      [[event(4, '', { kind: 'delete', by: 'jane' }), rolledBack], failure(404, 'NotFound', 'no'), false],
      [[rolledBack, moved], failure(403, 'Forbidden', 'no'), false],
    ] as const) {
      const api = await startFakeApi()
      api.answer('GET', events, listed([...entries]))
      api.answer('GET', tag, answer)
      expect((await weir(api, 'history', 'demo/app:prod')).stdout.endsWith(ended)).toBe(isTold)
    }
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

  test('wide shows with what an image was pushed', async () => {
    const api = await startFakeApi()
    api.answer('GET', events, listed([event(2, a, { kind: 'push', by: 'ann', client: 'docker/27.0\u001b[2J' }), first]))
    const wide = await weir(api, 'history', 'demo/app:prod', '-o', 'wide')
    expect(wide.stdout).toMatch(/CLIENT/)
    expect(wide.stdout).toMatch(/^2 .* push +ann .* docker\/27\.0\?\[2J/m)
    expect((await weir(api, 'history', 'demo/app:prod')).stdout).not.toContain('docker/27.0')
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
    api.answer('GET', '/api/v1/namespaces/demo', { body: { kind: 'Namespace', metadata: { name: 'demo' } } })
    const result = await weir(api, 'history', 'demo/app:prod')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('demo/app:prod has no history')
  })
})

test('history demo/app names no tag: misuse', async () => {
  const api = await startFakeApi()
  const result = await weir(api, 'history', 'demo/app')
  expect(result).toMatchObject({ code: 2, stdout: '' })
  expect(result.stderr).toContain('names no tag')
  expect(api.requests).toEqual([])
})

test.each(['0', 'x', '-1', '1.5'])('history --limit %s is misuse', async (limit) => {
  const api = await startFakeApi()
  expect(await weir(api, 'history', 'demo/app:prod', `--limit=${limit}`)).toMatchObject({ code: 2, stdout: '' })
})
