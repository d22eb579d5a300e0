import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { failure, startFakeApi } from './fake-api.ts'
import { a, b, c, docker, event, events, imported, importing, imports, stream, streamOf } from './import-api.ts'

const itag = '/apis/image.openshift.io/v1/namespaces/demo/imagetags/app:prod'

describe('a tag', () => {
  test('that is new follows --from, and stands somewhere', async () => {
    const api = await startFakeApi()
    api.answer('POST', imports, imported(a))
    api.answer('GET', events, { body: { kind: 'TagEventList', items: [event(1, a)] } })
    const result = await importing(api, 'demo/app:prod', '--from', 'localhost:5100/lib/app:v1')
    expect(result).toEqual({ code: 0, stdout: `demo/app:prod  none -> ${a}  revision 1\n`, stderr: '' })
    expect(api.sent('POST', imports)).toEqual([
      {
        kind: 'ImageStreamImport',
        apiVersion: 'image.openshift.io/v1',
        metadata: { name: 'app', namespace: 'demo' },
        spec: {
          import: true,
          images: [
            {
              from: { kind: 'DockerImage', name: 'localhost:5100/lib/app:v1' },
              to: { name: 'prod' },
              importPolicy: { insecure: false, scheduled: false, importMode: 'PreserveOriginal' },
            },
          ],
        },
        status: {},
      },
    ])
    expect(api.requests.at(-1)?.query).toMatchObject({ fieldSelector: 'stream=app,tag=prod' })
  })

  test('is imported again from what it follows, with what it wants', async () => {
    const api = await startFakeApi()
    const importPolicy = { insecure: true, scheduled: true, importMode: 'Legacy' }
    const tag = docker('prod', 'quay.io/org/app:v1', { importPolicy, referencePolicy: { type: 'Source' } })
    api.answer('GET', stream, streamOf([tag], { prod: a }))
    api.answer('POST', imports, imported(b))
    api.answer('GET', events, { body: { items: [event(3, c, b), event(2, b, a), event(1, a)] } })
    const result = await importing(api, 'demo/app:prod', '--reason', 'release')
    expect(result).toEqual({ code: 0, stdout: `demo/app:prod  ${a} -> ${b}  revision 2\n`, stderr: '' })
    expect(api.sent('POST', imports)).toMatchObject([
      {
        metadata: { annotations: { 'kubernetes.io/change-cause': 'release' } },
        spec: {
          images: [
            {
              from: { kind: 'DockerImage', name: 'quay.io/org/app:v1' },
              importPolicy,
              referencePolicy: { type: 'Source' },
            },
          ],
        },
      },
    ])
    expect(api.sent('POST', imports)).not.toHaveProperty('0.metadata.resourceVersion')
  })

  test('that stands there already is unchanged, and its history is not asked', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, streamOf([docker('latest', 'quay.io/org/app')], { latest: a }))
    api.answer('POST', imports, imported(a))
    expect(await importing(api, 'demo/app')).toEqual({
      code: 0,
      stdout: `demo/app:latest  ${a}  unchanged\n`,
      stderr: '',
    })
    expect(api.asked()).toEqual([`GET ${stream}`, `POST ${imports}`])
  })

  test('of a history that the caller may not read moves without a revision', async () => {
    const api = await startFakeApi()
    api.answer('POST', imports, imported(a))
    api.answer('GET', events, failure(403, 'Forbidden', 'no'))
    const result = await importing(api, 'demo/app:prod', '--from', 'quay.io/org/app')
    expect(result).toEqual({ code: 0, stdout: `demo/app:prod  none -> ${a}\n`, stderr: '' })
  })

  test('can be told to follow another image, and says so', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, streamOf([docker('prod', 'quay.io/org/app:v1')], { prod: a }))
    api.answer('POST', imports, imported(a))
    const result = await importing(api, 'demo/app:prod', '--from', 'quay.io/org/app:v2', '--insecure')
    expect(result).toEqual({
      code: 0,
      stdout: `demo/app:prod  ${a}  unchanged\n`,
      stderr: 'note: demo/app:prod now follows quay.io/org/app:v2 instead of quay.io/org/app:v1\n',
    })
    expect(api.sent('POST', imports)).toMatchObject([
      {
        spec: {
          images: [{ from: { name: 'quay.io/org/app:v2' }, importPolicy: { insecure: true, scheduled: false } }],
        },
      },
    ])
  })

  test('that is told to follow what it follows says nothing of it', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, streamOf([docker('prod', 'quay.io/org/app:v1')], { prod: a }))
    api.answer('POST', imports, imported(a))
    expect(await importing(api, 'demo/app:prod', '--from', 'quay.io/org/app:v1')).toMatchObject({ code: 0, stderr: '' })
  })

  test.each([
    [['--scheduled'], true, []],
    [['--no-scheduled'], false, []],
    [['--interval', '1h'], true, [{ spec: { annotations: { 'weir.dev/import-interval': '1h' } } }]],
    [
      ['--interval', '30m', '--min-age', '3d', '--scheduled'],
      true,
      [{ spec: { annotations: { 'weir.dev/import-interval': '30m', 'weir.dev/min-age': '3d' } } }],
    ],
  ])('with %j is scheduled: %j', async (flags, scheduled, patches) => {
    for (const output of [[], ['-o', 'json']]) {
      const api = await startFakeApi()
      const before = docker('prod', 'quay.io/org/app:v1', { importPolicy: { scheduled: !scheduled } })
      api.answer('GET', stream, streamOf([before], { prod: a }))
      api.answer('POST', imports, imported(a))
      api.answer('PATCH', itag, { body: { kind: 'ImageTag' } })
      const result = await importing(api, 'demo/app:prod', ...flags, ...output)
      expect(result).toMatchObject({ code: 0, stderr: '' })
      expect(api.sent('POST', imports)).toMatchObject([{ spec: { images: [{ importPolicy: { scheduled } }] } }])
      expect(api.sent('PATCH', itag)).toEqual(patches)
    }
  })

  test('stays scheduled, or not, when nothing is said of it', async () => {
    for (const scheduled of [true, false]) {
      const api = await startFakeApi()
      api.answer('GET', stream, streamOf([docker('prod', 'quay.io/a/b', { importPolicy: { scheduled } })]))
      api.answer('POST', imports, imported(a))
      await importing(api, 'demo/app:prod')
      expect(api.sent('POST', imports)).toMatchObject([{ spec: { images: [{ importPolicy: { scheduled } }] } }])
    }
  })

  test.each([
    [['--interval', 'often'], 'Write a duration'],
    [['--min-age', '3'], 'Write a duration'],
    [['--no-scheduled', '--interval', '1h'], 'leave it out, or --no-scheduled'],
  ])('refuses %j, and sends nothing', async (flags, message) => {
    const api = await startFakeApi()
    const result = await importing(api, 'demo/app:prod', ...flags)
    expect(result).toMatchObject({ code: 2, stdout: '' })
    expect(result.stderr).toContain(message)
    expect(api.asked()).toEqual([])
  })
})

describe('nothing to follow', () => {
  test.each<[string, { body: object } | undefined, string]>([
    ['no stream', undefined, 'there is no stream demo/app\n'],
    ['no tag', streamOf([docker('other', 'quay.io/a/b')]), 'demo/app has no tag "prod"\n'],
    ['a tag without a source', streamOf([{ name: 'prod' }]), 'demo/app:prod follows no image\n'],
    ['a tag that stands and has no source', streamOf([], { prod: a }), 'demo/app:prod follows no image\n'],
    [
      'a tag of another stream',
      streamOf([{ name: 'prod', from: { kind: 'ImageStreamTag', name: 'base:1' } }]),
      'demo/app:prod comes from demo/base:1, not from a registry\n',
    ],
  ])('%s: nothing is sent, and --from is offered', async (_, reply, message) => {
    const api = await startFakeApi()
    if (reply !== undefined) api.answer('GET', stream, reply)
    const result = await importing(api, 'demo/app:prod')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(`error: ${message}`)
    expect(result.stderr).toContain('weir import-image demo/app:prod --from')
    expect(api.asked()).toEqual([`GET ${stream}`])
  })

  test('a stream that can not be read is not taken for a missing one', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, failure(403, 'Forbidden', 'forbidden'))
    const result = await importing(api, 'demo/app:prod', '--from', 'quay.io/a/b')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('missing right: get imagestreams app in demo')
    expect(result.stderr).toContain('registry-viewer')
    expect(api.sent('POST', imports)).toEqual([])
  })
})

describe('--all', () => {
  const tags = [
    docker('a', 'quay.io/org/app:a'),
    docker('b', 'quay.io/org/app:b'),
    docker('pointer', 'quay.io/org/app:c', { reference: true }),
    { name: 'alias', from: { kind: 'ImageStreamTag', name: 'a' } },
    { name: 'pushed' },
  ]

  test('imports what follows a registry, and fails when one of them does', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, streamOf(tags, { a }))
    api.answer('POST', imports, imported(a, { reason: 'NotFound', message: 'gone' }))
    const result = await importing(api, 'demo/app', '--all')
    expect(result.code).toBe(1)
    expect(result.stdout).toBe(`demo/app:a  ${a}  unchanged\n`)
    expect(result.stderr).toContain('error: demo/app:b was not imported from quay.io/org/app:b: NotFound: gone\n')
    expect(result.stderr).toContain('error: 1 of 2 tags were not imported\n')
    expect(api.sent('POST', imports)).toMatchObject([
      { spec: { images: [{ to: { name: 'a' } }, { to: { name: 'b' } }] } },
    ])
  })

  test('goes in steps of 100, and tells of a step before the next', async () => {
    const api = await startFakeApi()
    const many = Array.from({ length: 150 }, (_, i) => docker(`t${i}`, `quay.io/org/app:${i}`))
    api.answer('GET', stream, streamOf(many, Object.fromEntries(many.map(({ name }) => [name, a]))))
    let steps = 0
    api.answer('POST', imports, () => {
      steps += 1
      return steps === 1 ? imported(...Array.from({ length: 100 }, () => a)) : failure(500, 'InternalError', 'broken')
    })
    const result = await importing(api, 'demo/app', '--all')
    expect(result.code).toBe(1)
    expect(result.stdout.split('\n')).toHaveLength(101)
    expect(result.stderr).toContain('error: broken')
    expect(api.sent('POST', imports)).toHaveLength(2)
  })

  test('in JSON is one import of all, with what failed', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, streamOf(tags, { a }))
    api.answer('POST', imports, imported(a, { reason: 'NotFound', message: 'gone' }))
    const result = await importing(api, 'demo/app', '--all', '-o', 'json')
    expect(result.code).toBe(1)
    expect(JSON.parse(result.stdout)).toMatchObject({
      kind: 'ImageStreamImport',
      status: { images: [{}, { status: { reason: 'NotFound' } }] },
    })
    const yaml = await importing(api, 'demo/app', '--all', '-o', 'yaml')
    expect(parse(yaml.stdout)).toEqual(JSON.parse(result.stdout))
    const names = await importing(api, 'demo/app', '--all', '-o', 'name')
    expect(names.stdout).toBe('demo/app:a\n')
  })

  test('of a stream that follows nothing sends nothing', async () => {
    const api = await startFakeApi()
    api.answer('GET', stream, streamOf([{ name: 'pushed' }]))
    const result = await importing(api, 'demo/app', '--all')
    expect(result.code).toBe(1)
    expect(result.stderr).toContain("no tag of demo/app follows a registry's image")
    expect(api.asked()).toEqual([`GET ${stream}`])
  })
})

test.each([
  [['demo/app:prod', '--all'], '--all imports every tag'],
  [['demo/app:prod', '--from', 'quay.io/UPPER'], 'is not an image reference'],
  [['demo/app:prod', '--from', ''], 'is not an image reference'],
  [['demo/app@sha256:abc'], 'names a digest'],
  [['app'], 'has 1 part'],
  [[], "missing required argument 'project/stream[:tag]'"],
  [['demo/app', 'demo/other'], 'too many arguments'],
])('import-image %j is misuse, and no server is asked', async (argv, message) => {
  const api = await startFakeApi()
  const result = await importing(api, ...argv)
  expect(result).toMatchObject({ code: 2, stdout: '' })
  expect(result.stderr).toContain(message)
  expect(api.requests).toEqual([])
})
