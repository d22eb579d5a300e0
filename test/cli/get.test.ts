import { expect, test } from 'vitest'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { type CliResult, run } from './run.ts'

const group = '/apis/image.openshift.io/v1'
const digest = `sha256:${'a'.repeat(64)}`

async function get(api: FakeApi, ...argv: string[]): Promise<CliResult> {
  return run(['get', ...argv, '--server', api.url, '--token', 't'])
}

function stream(name: string, tags: Record<string, string>): object {
  const listed = Object.entries(tags).map(([tag, created]) => ({ tag, items: [{ created, image: digest }] }))
  const publicDockerImageRepository = `localhost:5000/demo/${name}`
  return { metadata: { name, namespace: 'demo' }, spec: {}, status: { publicDockerImageRepository, tags: listed } }
}

const tags = {
  kind: 'ImageStreamTagList',
  apiVersion: 'image.openshift.io/v1',
  items: [
    {
      metadata: {
        name: 'app:prod',
        namespace: 'demo',
        creationTimestamp: '2026-01-01T00:00:00Z',
        annotations: { 'weir.dev/hold': '{}' },
      },
      tag: { name: 'prod', from: { kind: 'DockerImage', name: 'quay.io/org/app:v1' } },
      image: { metadata: { name: digest } },
    },
    {
      metadata: { name: 'app:test', namespace: 'demo', creationTimestamp: '2026-01-02T00:00:00Z' },
      tag: null,
      conditions: [{ type: 'ImportSuccess', status: 'False', reason: 'NotFound', message: 'gone' }],
      image: { metadata: { name: digest } },
    },
  ],
}

test('get streams lists a project’s streams, newest tags first', async () => {
  const api = await startFakeApi()
  const many = Object.fromEntries(Array.from({ length: 14 }, (_, i) => [`v${i}`, `2026-01-${i + 10}T00:00:00Z`]))
  const two = { v1: '2026-01-01T00:00:00Z', v2: '2026-01-02T00:00:00Z' }
  const items = [stream('app', two), stream('empty', {}), stream('many', many)]
  api.answer('GET', `${group}/namespaces/demo/imagestreams`, { body: { kind: 'ImageStreamList', items } })
  expect((await get(api, 'streams', '-n', 'demo')).stdout).toBe(
    [
      'NAME        TAGS                                              UPDATED',
      'demo/app    v2,v1                                             2026-01-02T00:00:00Z',
      'demo/empty',
      'demo/many   v13,v12,v11,v10,v9,v8,v7,v6,v5,v4,v3,v2 + 2 more  2026-01-23T00:00:00Z',
      '',
    ].join('\n'),
  )
  expect((await get(api, 'streams', '-n', 'demo', '-o', 'name')).stdout).toBe('demo/app\ndemo/empty\ndemo/many\n')
  const wide = await get(api, 'streams', '-n', 'demo', '-o', 'wide')
  expect(wide.stdout).toContain(',v3,v2,v1,v0  ')
  expect(wide.stdout).toContain('localhost:5000/demo/app\n')
})

test('get tags shows where they stand, and what is the matter with them', async () => {
  const api = await startFakeApi()
  api.answer('GET', `${group}/namespaces/demo/imagestreamtags`, { body: tags })
  expect((await get(api, 'tags', '-n', 'demo')).stdout).toBe(
    [
      'NAME           DIGEST               UPDATED               STATE',
      'demo/app:prod  sha256:aaaaaaaaaaaa  2026-01-01T00:00:00Z  held',
      'demo/app:test  sha256:aaaaaaaaaaaa  2026-01-02T00:00:00Z  import failed: NotFound',
      '',
    ].join('\n'),
  )
  const wide = await get(api, 'tags', '-n', 'demo', '-o', 'wide')
  expect(wide.stdout).toContain(`${digest}  2026-01-01T00:00:00Z  held                     quay.io/org/app:v1\n`)
  expect((await get(api, 'tags', '-n', 'demo', '-o', 'name')).stdout).toBe('demo/app:prod\ndemo/app:test\n')
})

test('without -n both ask for all projects', async () => {
  const api = await startFakeApi()
  api.answer('GET', `${group}/imagestreams`, { body: { items: [] } })
  api.answer('GET', `${group}/imagestreamtags`, { body: { items: [] } })
  expect(await get(api, 'streams')).toEqual({
    code: 0,
    stdout: 'NAME  TAGS  UPDATED\n',
    stderr: 'no streams in any project\n',
  })
  expect(await get(api, 'tags')).toMatchObject({ code: 0 })
  expect(api.asked()).toEqual([`GET ${group}/imagestreams`, `GET ${group}/imagestreamtags`])
})

test('-o json gives a List of the API’s objects', async () => {
  const api = await startFakeApi()
  api.answer('GET', `${group}/imagestreamtags`, { body: tags })
  const document: unknown = JSON.parse((await get(api, 'tags', '-o', 'json')).stdout)
  const type = { kind: 'ImageStreamTag', apiVersion: 'image.openshift.io/v1' }
  expect(document).toMatchObject({ kind: 'List', items: tags.items.map((item) => ({ ...type, ...item })) })
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

test.each([[['pods']], [[]], [['streams', '-n', 'Bad Name']], [['streams', '-o', 'xml']], [['streams', '-n']]])(
  'get %j is misuse',
  async (argv) => {
    const api = await startFakeApi()
    expect(await run(['get', '--server', api.url, ...argv])).toMatchObject({ code: 2, stdout: '' })
    expect(api.requests).toEqual([])
  },
)
