import { describe, expect, test } from 'vitest'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

const group = '/apis/image.openshift.io/v1'
const streams = `${group}/namespaces/demo/imagestreams`
const imageStreamTags = `${group}/namespaces/demo/imagestreamtags`
const tagEvents = '/apis/weir.dev/v1/namespaces/demo/tagevents'
const namespace = '/api/v1/namespaces/demo'
const digest = `sha256:${'a'.repeat(64)}`

async function get(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run(['get', ...argv, '--server', api.url, '--token', 't'])
}

function stream(name: string, tags: Record<string, string>): object {
  const listed = Object.entries(tags).map(([tag, created]) => ({ tag, items: [{ created, image: digest }] }))
  const publicDockerImageRepository = `localhost:5000/demo/${name}`
  return { metadata: { name, namespace: 'demo' }, spec: {}, status: { publicDockerImageRepository, tags: listed } }
}

function source(name: string): object {
  return { kind: 'DockerImage', name }
}

function failed(reason: string): object {
  return { type: 'ImportSuccess', status: 'False', reason, message: 'gone' }
}

/** A stream of tags that stand, that are held, that fail, and that were never more than wanted. */
const app = {
  metadata: { name: 'app', namespace: 'demo' },
  spec: {
    tags: [
      { name: 'prod', from: source('quay.io/org/app:v1'), annotations: { 'weir.dev/hold': '{}' } },
      { name: 'new', from: source('quay.io/org/app:v9') },
      { name: 'test', from: source('quay.io/org/app:v2'), annotations: null },
      { name: 'Wanted', from: source('quay.io/org/app:v3'), generation: 3 },
      { name: 'alias', from: { kind: 'ImageStreamTag', name: 'prod' } },
      { name: 'pin', from: { kind: 'ImageStreamImage', name: `app@${digest}`, namespace: 'base' } },
      { name: 'ptr', from: source('quay.io/org/app:v4'), reference: true, generation: 9 },
      { name: 'retried', from: source('quay.io/org/app:v5'), generation: 3 },
    ],
  },
  status: {
    tags: [
      { tag: 'test', items: [{ created: '2026-01-02T00:00:00Z', image: digest }], conditions: [failed('NotFound')] },
      { tag: 'new', items: null, conditions: [failed('Unreachable')] },
      { tag: 'prod', items: [{ created: '2026-01-01T00:00:00Z', image: digest }], conditions: [failed('NotFound')] },
      { tag: 'pushed', items: [{ created: '2026-01-03T00:00:00Z', image: digest }] },
      { tag: 'alias', items: [{ created: '2026-01-03T00:00:00Z', image: digest }] },
      { tag: 'pin', items: [{ created: '2026-01-03T00:00:00Z', image: digest }] },
      { tag: 'retried', conditions: [{ ...failed('NotFound'), generation: 2 }] },
      { tag: 'ptr', items: [{ created: '2026-01-03T00:00:00Z', image: '' }] },
    ],
  },
}

const tags = {
  kind: 'ImageStreamTagList',
  apiVersion: 'image.openshift.io/v1',
  items: [
    {
      metadata: { name: 'app:prod', namespace: 'demo', creationTimestamp: '2026-01-01T00:00:00Z' },
      tag: { name: 'prod', from: source('quay.io/org/app:v1') },
      image: { metadata: { name: digest } },
    },
  ],
}

describe('get streams', () => {
  test('lists a project’s streams, their tags in the order of their bytes', async () => {
    const api = await startFakeApi()
    const many = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`v${i}`, `2026-01-${i + 10}T00:00:00Z`]))
    const three = { b: '2026-01-01T00:00:00Z', a: '2026-01-02T00:00:00Z', B: '2026-01-01T12:00:00Z' }
    const items = [stream('app', three), stream('empty', {}), stream('many', many)]
    api.answer('GET', streams, { body: { kind: 'ImageStreamList', items } })
    expect((await get(api, 'streams', '-n', 'demo')).stdout).toBe(
      [
        'NAME        TAGS                                              UPDATED',
        'demo/app    B,a,b                                             4 weeks ago',
        'demo/empty',
        'demo/many   v0,v1,v10,v11,v12,v13,v2,v3,v4,v5,v6,v7 + 2 more  8 days ago',
        '',
      ].join('\n'),
    )
    expect((await get(api, 'streams', '-n', 'demo', '-o', 'name')).stdout).toBe('demo/app\ndemo/empty\ndemo/many\n')
    const wide = await get(api, 'streams', '-n', 'demo', '-o', 'wide')
    expect(wide.stdout).toContain(',v6,v7,v8,v9  ')
    expect(wide.stdout).toContain('  2026-01-02T00:00:00Z  localhost:5000/demo/app\n')
  })

  test('shows that a tag is held which was only ever pushed', async () => {
    const api = await startFakeApi()
    const conditions = [{ type: 'Held', status: 'True', message: 'held at revision 3 by jane' }]
    const tag = { tag: 'pushed', items: [{ created: '2026-01-03T00:00:00Z', image: digest }], conditions }
    api.answer('GET', streams, { body: { items: [{ ...app, spec: {}, status: { tags: [tag] } }] } })
    expect((await get(api, 'tags', '-n', 'demo')).stdout).toMatch(/demo\/app:pushed .* held\n/)
  })

  test('names the tags that were never more than wanted', async () => {
    const api = await startFakeApi()
    api.answer('GET', streams, { body: { items: [app] } })
    expect((await get(api, 'streams', '-n', 'demo')).stdout).toContain('Wanted,alias,new,pin,prod,ptr,pushed')
  })
})

describe('get tags', () => {
  test('shows where they stand and what is the matter with them, also those that never stood', async () => {
    const api = await startFakeApi()
    api.answer('GET', streams, { body: { items: [app] } })
    expect((await get(api, 'tags', '-n', 'demo')).stdout).toBe(
      [
        'NAME              DIGEST               FROM                          UPDATED      STATE',
        'demo/app:Wanted   -                    quay.io/org/app:v3            -            pending',
        'demo/app:alias    sha256:aaaaaaaaaaaa  demo/app:prod                 4 weeks ago  tracking',
        'demo/app:new      -                    quay.io/org/app:v9            -            failed (Unreachable)',
        'demo/app:pin      sha256:aaaaaaaaaaaa  base/app@sha256:aaaaaaaaaaaa  4 weeks ago',
        'demo/app:prod     sha256:aaaaaaaaaaaa  quay.io/org/app:v1            4 weeks ago  held, failed (NotFound)',
        'demo/app:ptr      -                    quay.io/org/app:v4            4 weeks ago  reference',
        'demo/app:pushed   sha256:aaaaaaaaaaaa  -                             4 weeks ago',
        'demo/app:retried  -                    quay.io/org/app:v5            -            pending',
        'demo/app:test     sha256:aaaaaaaaaaaa  quay.io/org/app:v2            4 weeks ago  failed (NotFound)',
        '',
      ].join('\n'),
    )
    expect((await get(api, 'tags', '-n', 'demo', '-o', 'name')).stdout).toBe(
      ['Wanted', 'alias', 'new', 'pin', 'prod', 'ptr', 'pushed', 'retried', 'test']
        .map((tag) => `demo/app:${tag}\n`)
        .join(''),
    )
    expect(api.asked()).toEqual(Array.from({ length: 2 }, () => `GET ${streams}`))
  })

  test('wide shows whole digests, times and the revision that is in force', async () => {
    const api = await startFakeApi()
    api.answer('GET', streams, { body: { items: [app] } })
    api.answer('GET', tagEvents, ({ query }) =>
      query.fieldSelector === 'stream=app,tag=prod'
        ? {
            body: {
              items: [
                { revision: 8, image: `sha256:${'b'.repeat(64)}` },
                { revision: 7, image: digest },
              ],
            },
          }
        : failure(403, 'Forbidden', 'no'),
    )
    const wide = await get(api, 'tags', '-n', 'demo', '-o', 'wide')
    const prod = `${digest}  7         quay.io/org/app:v1 +2026-01-01T00:00:00Z +- +- +held, failed`
    expect(wide.stdout).toMatch(new RegExp(prod))
    expect(wide.stdout).toMatch(new RegExp(`base/app@${digest}`))
    expect(wide.stdout).toMatch(new RegExp(`demo/app:pushed +${digest}  -  `))
    expect(api.asked().filter((path) => path === `GET ${tagEvents}`)).toHaveLength(5)
  })

  test('wide of very many asks for some revisions, and says so', async () => {
    const api = await startFakeApi()
    const names = Array.from({ length: 5000 }, (_, i) => [`t${i}`, '2026-01-01T00:00:00Z'])
    api.answer('GET', streams, { body: { items: [stream('app', Object.fromEntries(names))] } })
    api.answer('GET', tagEvents, { body: { items: [{ revision: 7, image: digest }] } })
    const wide = await get(api, 'tags', '-n', 'demo', '-o', 'wide')
    expect(wide).toMatchObject({ code: 0, stderr: 'note: revisions are shown of the first 200 tags\n' })
    expect(wide.stdout.split('\n')).toHaveLength(5002)
    expect(api.requests).toHaveLength(201)
  })

  test('of one stream asks for it alone', async () => {
    const api = await startFakeApi()
    api.answer('GET', `${streams}/app`, { body: stream('app', { b: '2026-01-01T00:00:00Z' }) })
    expect((await get(api, 'tags', 'demo/app', '-o', 'name')).stdout).toBe('demo/app:b\n')
    expect((await get(api, 'streams', 'demo/app', '-n', 'demo', '-o', 'name')).stdout).toBe('demo/app\n')
    const json = JSON.parse((await get(api, 'streams', 'demo/app', '-o', 'json')).stdout)
    expect(json).toMatchObject({ kind: 'List', items: [{ kind: 'ImageStream', metadata: { name: 'app' } }] })
    const other = { metadata: { name: 'apple:prod', namespace: 'demo' } }
    api.answer('GET', imageStreamTags, { body: { ...tags, items: [...tags.items, other] } })
    expect(JSON.parse((await get(api, 'tags', 'demo/app', '-o', 'json')).stdout).items).toHaveLength(1)
    expect(api.asked().slice(-1)).toEqual([`GET ${imageStreamTags}`])
  })

  test.each([[[]], [['-o', 'json']]])('of a stream that is not there says what is %j', async (output) => {
    const api = await startFakeApi()
    api.answer('GET', namespace, { body: { kind: 'Namespace', metadata: { name: 'demo' } } })
    api.answer('GET', streams, { body: { items: [stream('app', {}), stream('base', {})] } })
    api.answer('GET', imageStreamTags, { body: { items: [] } })
    const stderr = 'error: there is no stream demo/ap\n  did you mean demo/app?\n  project demo has: app, base\n'
    expect(await get(api, 'tags', 'demo/ap', ...output)).toEqual({ code: 1, stdout: '', stderr })
  })

  test('a condition that is over, or another one, is no failure', async () => {
    const api = await startFakeApi()
    const conditions = [
      { ...failed('NotFound'), status: 'True' },
      { ...failed('NotFound'), type: 'Other' },
    ]
    const status = { tags: [{ tag: 'prod', items: [{ image: digest, created: '2026-01-01T00:00:00Z' }], conditions }] }
    api.answer('GET', streams, { body: { items: [{ ...app, spec: {}, status }] } })
    expect((await get(api, 'tags', '-n', 'demo')).stdout).toContain('4 weeks ago\n')
  })

  test.each(['json', 'yaml'])('-o %s gives a List of the API’s objects', async (format) => {
    const api = await startFakeApi()
    api.answer('GET', imageStreamTags, { body: tags })
    const { stdout } = await get(api, 'tags', '-n', 'demo', '-o', format)
    const type = { kind: 'ImageStreamTag', apiVersion: 'image.openshift.io/v1' }
    if (format === 'yaml') expect(stdout).toContain('kind: ImageStreamTag\n')
    else expect(JSON.parse(stdout)).toMatchObject({ kind: 'List', items: [{ ...type, ...tags.items[0] }] })
    expect(api.asked()).toEqual([`GET ${imageStreamTags}`])
  })
})

test('without -n both ask for all projects', async () => {
  const api = await startFakeApi()
  api.answer('GET', `${group}/imagestreams`, { body: { items: [] } })
  expect(await get(api, 'streams')).toEqual({
    code: 0,
    stdout: 'NAME  TAGS  UPDATED\n',
    stderr: 'no streams in any project\n',
  })
  expect(await get(api, 'tags')).toMatchObject({ code: 0, stderr: 'no tags in any project\n' })
  expect(api.asked()).toEqual([`GET ${group}/imagestreams`, `GET ${group}/imagestreams`])
})

describe.each([
  ['streams', [], streams],
  ['tags', [], streams],
  ['tags', ['-o', 'name'], streams],
  ['tags', ['-o', 'json'], imageStreamTags],
  ['images', [], streams],
  ['images', ['-o', 'json'], streams],
])('get %s %j of nothing', (what, output, path) => {
  const empty = async () => {
    const api = await startFakeApi()
    api.answer('GET', path, { body: { kind: 'XList', items: [] } })
    return { api, list: () => get(api, what, '-n', 'demo', ...output) }
  }

  test('in a project that is there is no failure', async () => {
    const { api, list } = await empty()
    api.answer('GET', namespace, { body: { kind: 'Namespace', metadata: { name: 'demo' } } })
    expect(await list()).toMatchObject({ code: 0, stderr: `no ${what} in demo\n` })
  })

  test('in a project that is not there says how to make it', async () => {
    const { list } = await empty()
    const stderr = 'error: project demo not found; create it with: weir new-project demo\n'
    expect(await list()).toEqual({ code: 1, stdout: '', stderr })
  })

  test('in a project that the caller may not read says no more than he may know', async () => {
    const { api, list } = await empty()
    api.answer('GET', namespace, failure(403, 'Forbidden', 'no'))
    expect(await list()).toMatchObject({ code: 0, stderr: `no ${what} in demo\n` })
  })

  test('is not taken for the answer when the project can not be asked for', async () => {
    const { api, list } = await empty()
    api.answer('GET', namespace, failure(500, 'InternalError', 'broken'))
    expect(await list()).toMatchObject({ code: 1, stdout: '' })
  })
})

test('a refusal prints no half table', async () => {
  const api = await startFakeApi()
  api.answer('GET', `${group}/imagestreams`, ({ query }) =>
    query.continue === undefined
      ? { body: { metadata: { continue: 'p2' }, items: [stream('app', {})] } }
      : failure(410, 'Expired', 'the list is too old'),
  )
  expect(await get(api, 'streams')).toEqual({ code: 1, stdout: '', stderr: 'error: the list is too old\n' })
})

test.each([
  [['pods']],
  [[]],
  [['streams', '-n', 'Bad Name']],
  [['streams', '-o', 'xml']],
  [['streams', '-n']],
  [['tags', 'demo/app:prod']],
  [['tags', 'demo/app', '-n', 'base']],
  [['tags', 'app']],
])('get %j is misuse', async (argv) => {
  const api = await startFakeApi()
  expect(await run(['get', '--server', api.url, ...argv])).toMatchObject({ code: 2, stdout: '' })
  expect(api.requests).toEqual([])
})
