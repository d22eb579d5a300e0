import { describe, expect, test } from 'vitest'
import { makeImage } from '../support/images.ts'
import { startFakeApi } from './fake-api.ts'
import { docker, importing, imports, stream, streamOf } from './import-api.ts'
import { type Story, story } from './story-world.ts'

const tags = [
  'latest',
  '1',
  '1.26.0',
  '1.27.0',
  '1.27.1',
  '1.27.1-alpine',
  '2.0.0',
  'nightly',
  `sha256-${'a'.repeat(64)}.sig`,
]

async function world(): Promise<
  Story & { repository: string; importing(...argv: string[]): ReturnType<Story['weir']> }
> {
  const w = await story()
  for (const tag of tags) w.registry.put('lib/many', makeImage(`many ${tag}`), { tag })
  const repository = `${w.registry.host}/lib/many`
  return {
    ...w,
    repository,
    importing: (...argv) => w.weir(['import-image', 'demo/app', '--all', '--from', repository, ...argv]),
  }
}

function namesIn(stdout: string): string[] {
  return stdout
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [line.split('  ')[0]?.replace('demo/app:', '') ?? '']))
}

describe('the tags of a repository', () => {
  test('become tags of the stream, all but those derived from digests', async () => {
    const w = await world()
    const result = await w.importing()
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(namesIn(result.stdout)).toEqual([
      'latest',
      '1',
      '2.0.0',
      '1.27.1',
      '1.27.1-alpine',
      '1.27.0',
      '1.26.0',
      'nightly',
    ])
    expect((await w.reader.tag({ project: 'demo', stream: 'app' }, '1.27.1'))?.record).toMatchObject({
      spec: { from: { kind: 'DockerImage', name: `${w.repository}:1.27.1` } },
      items: [{ image: makeImage('many 1.27.1').manifest.digest }],
    })
  })

  test.each([
    [
      ['--include', '1.*'],
      ['1.27.1', '1.27.1-alpine', '1.27.0', '1.26.0'],
    ],
    [
      ['--include', '1.*,2.*', '--exclude', '*-alpine'],
      ['2.0.0', '1.27.1', '1.27.0', '1.26.0'],
    ],
    [
      ['--include', '1.*', '--include', 'nightly', '--exclude', '1.27.0', '--exclude', '1.26.0'],
      ['1.27.1', '1.27.1-alpine', 'nightly'],
    ],
    [
      ['--include', '*.*.*', '--newest', '2'],
      ['2.0.0', '1.27.1'],
    ],
    [
      ['--newest', '3'],
      ['latest', '1', '2.0.0'],
    ],
    [
      ['--exclude', '*a*'],
      ['1', '2.0.0', '1.27.1', '1.27.0', '1.26.0', 'nightly'],
    ],
    [['--include', 'sha256-*'], [`sha256-${'a'.repeat(64)}.sig`]],
  ])('with %j are %j', async (flags, expected) => {
    const w = await world()
    w.registry.requests.length = 0
    const planned = await w.importing(...flags, '--dry-run')
    expect(planned.code).toBe(0)
    expect(namesIn(planned.stdout)).toEqual(expected)
    expect(planned.stderr).toContain(`${expected.length} of the 9 tags of ${w.repository} would be imported`)
    // A plan costs the list alone, and makes nothing.
    expect(w.registry.requests.map(({ path }) => path.replace(/\?.*/, ''))).toEqual(['/v2/', '/v2/lib/many/tags/list'])
    expect(await w.reader.stream({ project: 'demo', stream: 'app' })).toBeUndefined()
    const done = await w.importing(...flags)
    expect(done.code).toBe(0)
    expect(namesIn(done.stdout)).toEqual(expected)
  })

  test('are planned with what stands there now', async () => {
    const w = await world()
    await w.weir(['import-image', 'demo/app:1', '--from', `${w.repository}:1`])
    await w.weir(['import-image', 'demo/app:latest', '--from', `${w.repository}:1`])
    const { stdout } = await w.importing('--newest', '3', '--dry-run')
    expect(stdout).toBe(
      `demo/app:latest  ${w.repository}:latest  follows ${w.repository}:1 now\n` +
        `demo/app:1  ${w.repository}:1  again\n` +
        `demo/app:2.0.0  ${w.repository}:2.0.0  new\n`,
    )
    const names = await w.importing('--newest', '2', '--dry-run', '-o', 'name')
    expect(names.stdout).toBe('demo/app:latest\ndemo/app:1\n')
  })

  test('that fail are told one by one, and the others come', async () => {
    const w = await world()
    w.registry.remove(makeImage('many 1.27.0').manifest.digest)
    const result = await w.importing('--include', '1.27.*')
    expect(result.code).toBe(1)
    expect(namesIn(result.stdout)).toEqual(['1.27.1', '1.27.1-alpine'])
    expect(result.stderr).toContain('demo/app:1.27.0 was not imported')
  })

  test('that are none of those meant are told of in words', async () => {
    const w = await world()
    const result = await w.importing('--include', 'v*')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(`${w.repository} has 9 tags, and none of them is meant`)
  })

  test('of a repository that is not there are told of in words', async () => {
    const w = await world()
    const result = await w.weir(['import-image', 'demo/app', '--all', '--from', `${w.registry.host}/lib/none`])
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain(`the tags of ${w.registry.host}/lib/none were not listed`)
    expect(await w.reader.stream({ project: 'demo', stream: 'app' })).toBeUndefined()
  })
})

test('more tags than one import takes are refused, and may be named closer', async () => {
  const api = await startFakeApi()
  const many = Array.from({ length: 1500 }, (_, i) => `t${i}`)
  api.answer('GET', stream, streamOf([docker('x', 'quay.io/a/b:x')]))
  api.answer('POST', imports, {
    status: 201,
    body: { status: { repository: { status: { status: 'Success' }, additionalTags: many } } },
  })
  const all = ['demo/app', '--all', '--from', 'quay.io/a/b', '--dry-run']
  const result = await importing(api, ...all)
  expect(result).toMatchObject({ code: 1, stdout: '' })
  expect(result.stderr).toContain('quay.io/a/b has 1500 such tags, and 1000 are imported at once at most')
  expect((await importing(api, ...all, '--newest', '5')).stdout.split('\n')).toHaveLength(6)
  expect(api.sent('POST', imports)[0]).toMatchObject({
    metadata: { annotations: { 'weir.dev/max-tags': '0' } },
    spec: { import: false, repository: { from: { kind: 'DockerImage', name: 'quay.io/a/b' } } },
  })
})

test.each([
  [['--all', '--from', 'quay.io/a/b:v1'], '--all takes a repository'],
  [['--all', '--from', `quay.io/a/b@sha256:${'a'.repeat(64)}`], '--all takes a repository'],
  [['--all', '--from', 'quay.io/UPPER'], '--all takes a repository'],
  [['--all', '--from', 'quay.io/a/b', '--include', 'a b'], '--include "a b" is no pattern'],
  [['--all', '--from', 'quay.io/a/b', '--exclude', ''], '--exclude "" is no pattern'],
  [['--all', '--from', 'quay.io/a/b', '--include', '/v1.*/'], 'is no pattern'],
  [['--all', '--from', 'quay.io/a/b', '--newest', '0'], 'whole number from 1'],
  [['--all', '--from', 'quay.io/a/b', '--dry-run', '-o', 'json'], '--dry-run says'],
  [['--all', '--include', 'v*'], '--include is about the tags of a repository'],
  [['--from', 'quay.io/a/b', '--newest', '3'], '--newest is about the tags of a repository'],
  [['--dry-run'], '--dry-run is about the tags of a repository'],
])('import-image demo/app %j is misuse, and no server is asked', async (argv, message) => {
  const api = await startFakeApi()
  const result = await importing(api, 'demo/app', ...argv)
  expect(result).toMatchObject({ code: 2, stdout: '' })
  expect(result.stderr).toContain(message)
  expect(api.requests).toEqual([])
})
