import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type FakeApi, failure, startFakeApi } from './fake-api.ts'
import { a, b, c, events, imageTag, istag, itag, ledger, path, streamPath, weir } from './tag-api.ts'

const docker = (name: string) => ({ kind: 'DockerImage', name })
const from = docker('quay.io/org/app:v1')
const short = (digest: string) => digest.slice(0, 19)
const at = (day: number) => `2026-01-${String(day).padStart(2, '0')}T00:00:00Z`
const entry = (revision: number, image: string, day: number, cause: object) => ({
  revision,
  image,
  cause,
  metadata: { creationTimestamp: at(day) },
})
const hold = JSON.stringify({ revision: 3, by: 'jane', at: at(29), reason: 'bad build' })
const failed = (reason: string, message = 'what happened') => ({
  conditions: [{ type: 'ImportSuccess', status: 'False', reason, message, generation: 2, lastTransitionTime: at(30) }],
})

/** The stream `demo/app` with these tags: what is wanted of each and where it stands and stood. */
function streamOf(
  tags: { tag: string; spec?: object; images?: string[]; status?: object }[],
  more: object = {},
): object {
  return {
    kind: 'ImageStream',
    metadata: { name: 'app', namespace: 'demo', creationTimestamp: at(1), ...more },
    spec: { tags: tags.flatMap(({ tag, spec }) => (spec === undefined ? [] : [{ name: tag, ...spec }])) },
    status: {
      publicDockerImageRepository: 'weir.test:5000/demo/app',
      tags: tags.map(({ tag, images = [], status }) => ({
        tag,
        items: images.map((image) => ({ image, created: at(20), generation: 1 })),
        ...status,
      })),
    },
  }
}

async function describing(stream: object, answers: (api: FakeApi) => void = () => undefined) {
  const api = await startFakeApi()
  api.answer('GET', streamPath('app'), { body: stream })
  api.answer('GET', events, ledger())
  answers(api)
  return { api, show: (...argv: string[]) => weir(api, 'describe', 'demo/app', ...argv) }
}

describe('a stream', () => {
  test('is told with its labels, what people wrote, and a sum of what is wrong', async () => {
    const annotations = {
      description: 'The shop.',
      'openshift.io/image.dockerRepositoryCheck': at(2),
      'kubectl.kubernetes.io/last-applied-configuration': '{}',
    }
    const stream = streamOf(
      [
        { tag: 'prod', spec: { from, annotations: { 'weir.dev/hold': hold } }, images: [a, b] },
        { tag: 'new', spec: { from, generation: 2 }, status: { items: null, ...failed('NotFound') } },
        { tag: 'wish', spec: { from, generation: 3 } },
      ],
      { labels: { team: 'shop' }, annotations },
    )
    const { show } = await describing(stream)
    const { stdout, code, stderr } = await show()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n\n')[0]?.split('\n')).toEqual([
      'Name:          app',
      'Project:       demo',
      'Created:       4 weeks ago (2026-01-01T00:00:00Z)',
      'Labels:        team=shop',
      'Annotations:   description=The shop.',
      'Repository:    weir.test:5000/demo/app',
      'Image lookup:  off',
      'Images:        2',
      'Tags:          3',
      'Attention:     held: prod',
      '               imports fail: new',
      '               imports are pending: wish',
    ])
  })

  test('tells of each tag where it stands, since when, by whom, what moves it and where it stood', async () => {
    const stream = streamOf([{ tag: 'prod', spec: { from }, images: [a, b] }])
    const { show } = await describing(stream, (api) =>
      api.answer(
        'GET',
        events,
        ledger(
          entry(2, a, 28, { kind: 'import', by: 'jane', from, reason: 'release' }),
          entry(1, b, 21, { kind: 'push', by: 'ci' }),
        ),
      ),
    )
    expect((await show()).stdout.split('\n\n')[1]).toBe(
      [
        'demo/app:prod',
        `  stands at ${short(a)} since 3 days ago (2026-01-28T00:00:00Z)`,
        '  revision 2: import by jane from quay.io/org/app:v1 (release)',
        '  follows quay.io/org/app:v1, looked at by hand: weir import-image demo/app:prod; by itself with --scheduled',
        '  before:',
        `    ${short(b)}  revision 1, 10 days ago (2026-01-21T00:00:00Z)`,
        '',
      ].join('\n'),
    )
    const wide = (await show('-o', 'wide')).stdout
    expect(wide).toContain(`stands at ${a} since`)
    expect(wide).toContain(`${b}  revision 1`)
  })

  test('tells a digest that came back by each of its revisions', async () => {
    const { show } = await describing(streamOf([{ tag: 'prod', images: [a, b, a, c] }]), (api) =>
      api.answer(
        'GET',
        events,
        ledger(entry(5, a, 28, {}), entry(4, '', 27, { kind: 'delete' }), entry(3, b, 26, {}), entry(2, a, 25, {})),
      ),
    )
    expect((await show()).stdout.split('  before:\n')[1]?.split('\n')).toEqual([
      `    ${short(b)}  revision 3, 5 days ago (2026-01-26T00:00:00Z)`,
      `    ${short(a)}  revision 2, 6 days ago (2026-01-25T00:00:00Z)`,
      `    ${short(c)}  11 days ago (2026-01-20T00:00:00Z)`,
      '',
    ])
  })

  test.each<[object | undefined, string]>([
    [undefined, 'follows nothing: it moves when it is pushed or tagged'],
    [
      { from, importPolicy: { scheduled: true, insecure: true } },
      'looked at by itself; at once: weir import-image demo/app:prod; insecure connections allowed',
    ],
    [{ from, reference: true }, 'a reference to quay.io/org/app:v1: nothing is imported'],
    [{ from: { kind: 'ImageStreamTag', name: 'latest' } }, 'tracks demo/app:latest: moves along with it'],
    [{ from: { kind: 'ImageStreamTag', name: 'gone' } }, 'tracks demo/app:gone, which is not there'],
    [
      { from: { kind: 'ImageStreamTag', name: 'web:1', namespace: 'base' } },
      'taken from base/web:1, which it does not follow',
    ],
    [{ from: { kind: 'ImageStreamImage', name: `web@${a}`, namespace: 'base' } }, `pinned to base/web@${short(a)}`],
    [
      { from: { kind: 'ImageStreamImage', name: `web@${b}`, namespace: 'base' } },
      `was tagged from base/web@${short(b)}, and stands elsewhere now`,
    ],
    [{ from, referencePolicy: { type: 'Source' } }, 'others are told to pull from the source'],
    [{ from, annotations: { description: 'Live.' } }, 'description=Live.'],
  ])('tells of a tag with %j what moves it', async (spec, line) => {
    const tags = [
      { tag: 'latest', spec: { from }, images: [b] },
      { tag: 'prod', ...(spec && { spec }), images: [a] },
    ]
    const { show } = await describing(streamOf(tags))
    expect((await show()).stdout).toContain(line)
  })

  test('folds tags that are other names of one, and no others', async () => {
    const tracks = (tag: string, of: string, more: object = {}, images = [a], status = {}) => ({
      tag,
      spec: { from: { kind: 'ImageStreamTag', name: of }, ...more },
      images,
      status,
    })
    const tags = [
      { tag: 'prod', spec: { from }, images: [a] },
      tracks('stable', 'prod'),
      tracks('web', 'stable'),
      tracks('held', 'prod', { annotations: { 'weir.dev/hold': hold } }),
      tracks('said', 'prod', { annotations: { description: 'x' } }),
      tracks('behind', 'prod', {}, [b]),
      tracks('round', 'about'),
      tracks('about', 'round'),
    ]
    const { api, show } = await describing(streamOf(tags))
    const { stdout } = await show()
    expect(stdout.match(/^demo\/app:.*$/gm)).toEqual([
      'demo/app:about',
      'demo/app:behind',
      'demo/app:held',
      'demo/app:prod  (tracked by stable, web)',
      'demo/app:round',
      'demo/app:said',
    ])
    expect(api.requests).toHaveLength(14)
  })

  test('of which the caller may not read the history is told without it', async () => {
    for (const refusal of [failure(403, 'Forbidden', 'no'), failure(404, 'NotFound', 'no such resource')]) {
      const { show } = await describing(streamOf([{ tag: 'prod', spec: { from }, images: [a] }]), (api) =>
        api.answer('GET', events, refusal),
      )
      const { code, stdout } = await show()
      expect(code).toBe(0)
      expect(stdout).toContain(`  stands at ${short(a)} since 11 days ago (2026-01-20T00:00:00Z)\n  follows `)
    }
  })

  test('of very many tags reads some ledgers, tells all, and says so', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({
      tag: `t${i}`,
      spec: { from, generation: 2 },
      images: [a],
      status: failed('NotFound'),
    }))
    const { api, show } = await describing(streamOf(many))
    const { stdout, stderr } = await show()
    expect(stdout.match(/^demo\/app:/gm)).toHaveLength(5000)
    expect(stdout).toContain(
      'Attention:     imports fail: t0, t1, t10, t100, t1000, t1001, t1002, t1003, t1004, t1005 and 4990 more\n',
    )
    expect(api.requests).toHaveLength(202)
    expect(stderr).toBe(
      'note: who moved a tag and why, and what is held, is told of the first 100; of one: weir describe demo/app:TAG\n',
    )
  })

  test('is printed as the API has it, or by its name', async () => {
    const stream = streamOf([{ tag: 'prod', images: [a] }])
    const { api, show } = await describing(stream)
    expect(JSON.parse((await show('-o', 'json')).stdout)).toEqual(stream)
    expect(parse((await show('-o', 'yaml')).stdout)).toEqual(stream)
    expect((await show('-o', 'name')).stdout).toBe('demo/app\n')
    expect(api.requests).toHaveLength(3)
  })

  test('that is not there says what is', async () => {
    const api = await startFakeApi()
    api.answer('GET', '/api/v1/namespaces/demo', { body: { kind: 'Namespace' } })
    api.answer('GET', path('imagestreams'), { body: { items: [{ metadata: { name: 'apps' } }] } })
    expect(await weir(api, 'describe', 'demo/app')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: there is no stream demo/app\n  did you mean demo/apps?\n  project demo has: apps\n',
    })
  })
})

describe('what is wrong with a tag', () => {
  const block = async (tag: Parameters<typeof streamOf>[0][number], ...others: Parameters<typeof streamOf>[0]) => {
    const { show } = await describing(streamOf([tag, ...others]), (api) =>
      api.answer('GET', events, ledger(entry(4, a, 28, { kind: 'import', by: 'jane' }))),
    )
    return (await show()).stdout
  }

  test.each([
    ['NotFound', 'check that quay.io/org/app:v1 is there, and spelled so'],
    ['Unauthorized', 'check the login of quay.io under upstreams'],
    ['Forbidden', 'projects (to cover "demo") and repositories (to cover "org/app")'],
    ['NotAllowed', 'imports.allowedRegistries'],
    ['Unreachable', 'check that quay.io runs'],
    ['Tls', 'certificateAuthorityFile; where it wants'],
    ['TooManyRequests', 'quay.io limits how often it is asked'],
    ['BadDigest', 'nothing of it was kept'],
  ])('a failed import (%s): since when, why, what next, and that pulls go on', async (reason, next) => {
    const text = await block({ tag: 'prod', spec: { from, generation: 2 }, images: [a], status: failed(reason) })
    expect(text).toContain(`  ! import fails since 24 hours ago (2026-01-30T00:00:00Z): ${reason}: what happened\n`)
    expect(text).toContain(next)
    expect(text).toContain('    to try again: weir import-image demo/app:prod\n')
    expect(text).toContain('    pulls go on from revision 4\n')
  })

  test('a move that waits for its content is no failed import', async () => {
    const status = failed('ContentIncomplete', 'not all content of it is held: quay.io answers 503')
    const text = await block({ tag: 'prod', spec: { from, generation: 2 }, images: [a], status })
    expect(text).toContain(
      `  ! waits to move since 24 hours ago (2026-01-30T00:00:00Z): not all content of it is held: quay.io answers 503
    pulls go on from revision 4
`,
    )
    expect(text).not.toContain('import fails')
  })

  const waits = (message: string) => ({
    conditions: [{ type: 'AwaitsContent', status: 'True', reason: 'ContentIncomplete', message, generation: 0 }],
  })

  test('a tag that stands nowhere yet and waits for its content: which image, and how far that is', async () => {
    const message = `moves to ${c} when all that it needs of it is held; fetching: 3 of 7 parts, 1 MiB of 2 MiB`
    const text = await block({ tag: 'new', spec: { from, generation: 2 }, status: { items: null, ...waits(message) } })
    expect(text).toContain('  stands at nothing yet\n')
    expect(text).toContain(
      `  ~ moves to ${short(c)} when all that it needs of it is held; fetching: 3 of 7 parts, 1 MiB of 2 MiB\n`,
    )
    expect(text).toContain('wait for content: new\n')
    expect(text).not.toContain('is being imported')
    expect(text).not.toContain('pending')
  })

  test('a first import that failed leaves nothing to pull', async () => {
    const text = await block({ tag: 'new', spec: { from, generation: 2 }, status: failed('NotFound') })
    expect(text).toContain('  stands at nothing yet\n')
    expect(text).toContain('    there is nothing to pull until it succeeds\n')
  })

  test('a pending import is said to be pending, not what failed before', async () => {
    const text = await block({ tag: 'prod', spec: { from, generation: 3 }, images: [a], status: failed('NotFound') })
    expect(text).toContain(
      '  ~ quay.io/org/app:v1 is being imported, or waits for it\n    pulls go on from revision 4\n',
    )
    expect(text).not.toContain('import fails')
  })

  test('a hold: at which revision, since when, by whom, why, what waits, and how it ends', async () => {
    const spec = { from: { kind: 'ImageStreamTag', name: 'latest' }, annotations: { 'weir.dev/hold': hold } }
    const text = await block({ tag: 'prod', spec, images: [a] }, { tag: 'latest', spec: { from }, images: [c] })
    expect(text).toContain(
      [
        '  ! held at revision 3 since 2 days ago (2026-01-29T00:00:00Z) by jane (bad build)',
        `    demo/app:latest stands at ${short(c)} meanwhile`,
        '    to let it move again: weir resume demo/app:prod',
        '',
      ].join('\n'),
    )
  })

  test('a hold of a tag that was only ever pushed, as its condition tells it', async () => {
    const held = {
      type: 'Held',
      status: 'True',
      lastTransitionTime: at(29),
      message: 'held at revision 3 by jane (bad build)',
    }
    const pushed = { tag: 'prod', images: [a] }
    const text = await block({ ...pushed, status: { conditions: [held] } })
    expect(text).toContain(
      [
        '  follows nothing: it moves when it is pushed or tagged, once it is no longer held',
        '  ! held at revision 3 by jane (bad build) since 2 days ago (2026-01-29T00:00:00Z)',
        '    to let it move again: weir resume demo/app:prod',
        '',
      ].join('\n'),
    )
    expect(await block({ ...pushed, status: { conditions: [{ ...held, status: 'False' }] } })).not.toContain('held')
  })

  test('a hold with what the tag would have moved to', async () => {
    const waiting = JSON.stringify({ revision: 3, by: 'jane', candidate: { image: c, seenAt: '2026-01-30T00:00:00Z' } })
    const text = await block({ tag: 'prod', spec: { from, annotations: { 'weir.dev/hold': waiting } }, images: [a] })
    const seen = 'first seen 24 hours ago (2026-01-30T00:00:00Z)'
    expect(text).toContain(`    it would have moved to ${short(c)}, ${seen}\n`)
  })

  test('what an immutable tag would have moved to, and nothing of how that is told', async () => {
    const annotations = {
      'weir.dev/immutable': 'true',
      'weir.dev/candidate': JSON.stringify({ image: c, seenAt: at(30) }),
    }
    const text = await block({ tag: 'prod', spec: { from, annotations }, images: [a] })
    expect(text).toContain(
      `  ! is immutable: it would have moved to ${short(c)}, first seen 24 hours ago (${at(30)})\n`,
    )
    expect(text).toContain('weir.dev/immutable=true')
    expect(text).not.toContain('weir.dev/candidate')
    for (const odd of ['null', 'true', '{"image":1}', 'not JSON']) {
      const spec = { from, annotations: { 'weir.dev/candidate': odd } }
      expect(await block({ tag: 'prod', spec, images: [a] })).not.toContain('immutable')
    }
  })

  test('which tags are immutable, and which of them no longer', async () => {
    const own = (written: string) => ({ from, annotations: { 'weir.dev/immutable': written } })
    const stream = streamOf(
      [
        { tag: 'v1', images: [a] },
        { tag: 'dev', images: [a] },
        { tag: 'v2', spec: own('false'), images: [b] },
        { tag: 'fix', spec: own('true'), images: [b] },
      ],
      { annotations: { 'weir.dev/immutable': 'v*' } },
    )
    const { show } = await describing(stream)
    const lines = (await show()).stdout.split('\n').filter((line) => /^demo|immutable: /.test(line))
    expect(lines).toEqual([
      'demo/app:dev',
      'demo/app:fix',
      '  immutable: yes (by its own annotation)',
      'demo/app:v1',
      '  immutable: yes (by the annotation of stream demo/app)',
      'demo/app:v2',
    ])
  })

  test('a hold where the source stands too has nothing that waits', async () => {
    const spec = { from: { kind: 'ImageStreamTag', name: 'latest' }, annotations: { 'weir.dev/hold': hold } }
    const text = await block({ tag: 'prod', spec, images: [a] }, { tag: 'latest', spec: { from }, images: [a] })
    expect(text).not.toContain('meanwhile')
  })

  test('a hold in a form of another version is still a hold', async () => {
    for (const form of ['true', 'null', '[]', 'not JSON']) {
      const text = await block({ tag: 'prod', spec: { from, annotations: { 'weir.dev/hold': form } }, images: [a] })
      expect(text).toContain('  ! held\n    to let it move again: weir resume demo/app:prod\n')
    }
  })
})

/** What `demo/app:prod` says of its content. */
function answerContent(api: FakeApi, content: string | undefined): void {
  const annotations = content === undefined ? null : { 'weir.dev/content': content }
  api.answer('GET', istag('app:prod'), { body: { kind: 'ImageStreamTag', metadata: { annotations } } })
}

/** The project with these annotations. */
function answerProject(api: FakeApi, annotations: Record<string, string>): void {
  api.answer('GET', '/api/v1/namespaces/demo', { body: { kind: 'Namespace', metadata: { annotations } } })
}

describe('what is held of a tag', () => {
  const standing = { tag: 'prod', spec: { from }, images: [a] }

  test.each<[string, string[]]>([
    ['held', ['  all that it needs is held']],
    ['fetching: 3 of 7 parts, 120 MiB of 500 MiB', ['  ~ content is being fetched: 3 of 7 parts, 120 MiB of 500 MiB']],
    [
      `fetching; moves to ${b} when all is held`,
      [`  ~ content is being fetched: moves to ${short(b)} when all is held`],
    ],
    [`held; moves to ${b} when all is held`, [`  ~ moves to ${short(b)} when all is held`]],
    [
      'failed: quay.io answers 503',
      [
        '  ! content can not be fetched: quay.io answers 503',
        '    pulls of what is not held yet go to the upstream',
        '    it is tried again by itself; at once with: weir prefetch demo/app:prod',
      ],
    ],
    [
      `failed: quay.io answers 404; tried again after 2026-11-23T18:12Z; moves to ${b} when all is held`,
      [
        `  ! content can not be fetched: quay.io answers 404; moves to ${short(b)} when all is held`,
        '    pulls of what is not held yet go to the upstream',
        '    it is tried again by itself, after 2026-11-23T18:12Z; at once with: weir prefetch demo/app:prod',
      ],
    ],
    [
      'pulled: 3 of 7 parts held, 120 MiB of 500 MiB',
      ['  what pulls bring is kept as long as there is room: 3 of 7 parts held, 120 MiB of 500 MiB'],
    ],
  ])('is told where the server says "%s"', async (content, lines) => {
    const { show } = await describing(streamOf([standing]), (api) => answerContent(api, content))
    const { stdout } = await show()
    expect(stdout).toContain(`\n${lines.join('\n')}\n`)
    expect(stdout.includes('all that it needs is held')).toBe(content === 'held')
    expect(stdout.includes('Attention:     content can not be fetched: prod\n')).toBe(content.startsWith('failed'))
  })

  test.each([undefined, '', 'thawing', 'failedly'])('is left out where the server says %j', async (content) => {
    const { show } = await describing(streamOf([standing]), (api) => answerContent(api, content))
    const { code, stdout } = await show()
    expect(code).toBe(0)
    expect(stdout).not.toMatch(/content|held|Attention/)
  })

  test('is left out where it may not be read', async () => {
    const { show } = await describing(streamOf([standing]), (api) => {
      for (const hidden of [istag('app:prod'), '/api/v1/namespaces/demo']) {
        api.answer('GET', hidden, failure(403, 'Forbidden', 'no'))
      }
    })
    expect(await show()).toMatchObject({ code: 0, stdout: expect.not.stringContaining('held') })
  })

  test('is told of one tag too', async () => {
    const { show } = await describingTag(tagAt(null), (api) => answerContent(api, 'held'))
    expect((await show()).stdout).toContain('\nContent:     all that it needs is held\n')
    const failing = await describingTag(tagAt(null), (api) => answerContent(api, 'failed: x'))
    expect((await failing.show()).stdout).toContain('\n! content can not be fetched: x\n  pulls of what')
  })
})

describe('what is kept', () => {
  const ofProject = {
    'weir.dev/retain': 'pulled',
    'weir.dev/platforms': 'linux/amd64',
    'weir.dev/hold': 'x',
    'weir.dev/home': 'registry.example.com/team',
    other: 'x',
  }

  test('by a project’s annotations is told of its streams, where they have none of their own', async () => {
    const stream = streamOf([], { annotations: { 'weir.dev/retain': 'pinned' } })
    const { show } = await describing(stream, (api) => answerProject(api, ofProject))
    expect((await show()).stdout).toContain(
      'Annotations:   weir.dev/retain=pinned\nInherited:     weir.dev/platforms=linux/amd64 (project demo)\n               weir.dev/home=registry.example.com/team (project demo)\nRepository',
    )
  })

  test('at home is told of the project alone, where it counts', async () => {
    const home = (path: string) => ({ 'weir.dev/home': path })
    const spec = { from, annotations: home('a.example/tag') }
    const { show, api } = await describingTag(imageTag('app:prod', spec, [a]), (fake) =>
      fake.answer('GET', streamPath('app'), { body: streamOf([], { annotations: home('a.example/stream') }) }),
    )
    expect((await show()).stdout).not.toContain('Inherited')
    answerProject(api, home('a.example/project'))
    for (const argv of ['demo/app', 'demo/app:prod']) {
      const { stdout } = await weir(api, 'describe', argv)
      expect(stdout).toMatch(/^Inherited: +weir\.dev\/home=a\.example\/project \(project demo\)$/m)
    }
  })

  test('tells that nothing of its project is deleted', async () => {
    const { show } = await describing(streamOf([]), (api) => answerProject(api, { 'weir.dev/deletes': 'denied' }))
    expect((await show()).stdout).toMatch(/^Inherited: +weir\.dev\/deletes=denied \(project demo\)$/m)
  })

  test('by the annotations of project and stream is told of a tag, the nearest of each', async () => {
    const annotations = { 'weir.dev/retain': 'pinned', 'weir.dev/move': 'when-held' }
    const spec = { from, annotations: { 'weir.dev/move': 'at-once' } }
    const { show } = await describingTag(imageTag('app:prod', spec, [a]), (api) => {
      answerProject(api, ofProject)
      api.answer('GET', streamPath('app'), { body: streamOf([], { annotations }) })
    })
    expect((await show()).stdout).toContain(
      `Annotations:  weir.dev/move=at-once
Inherited:    weir.dev/retain=pinned (stream demo/app)
              weir.dev/platforms=linux/amd64 (project demo)
              weir.dev/home=registry.example.com/team (project demo)
`,
    )
  })
})

const config = {
  Created: '2026-01-29T00:00:00Z',
  Architecture: 'arm64',
  Os: 'linux',
  Variant: 'v8',
  Size: 36_175_872,
  Author: 'Jane',
  Config: {
    User: 'app',
    WorkingDir: '/srv',
    Entrypoint: ['/bin/sh', '-c', "echo 'hi'"],
    Cmd: ['serve', '--port=80'],
    Env: ['PATH=/bin', 'A=b c'],
    ExposedPorts: { '80/tcp': {}, '443/tcp': {} },
    Volumes: { '/data': {} },
    Labels: { version: '1', author: 'j' },
    StopSignal: 'SIGINT',
  },
}
const image = (digest: string, more: object = {}) => ({
  metadata: { name: digest },
  dockerImageManifestMediaType: 'application/vnd.oci.image.manifest.v1+json',
  dockerImageMetadata: config,
  dockerImageLayers: [{}, {}, {}],
  ...more,
})

async function describingTag(shown: { body: object }, answers: (api: FakeApi) => void = () => undefined) {
  const api = await startFakeApi()
  api.answer('GET', itag('app:prod'), shown)
  api.answer('GET', events, ledger())
  api.answer('GET', streamPath('app'), {
    body: streamOf([{ tag: 'stable', spec: { from: { kind: 'ImageStreamTag', name: 'prod' } }, images: [a] }]),
  })
  answers(api)
  return { api, show: (...argv: string[]) => weir(api, 'describe', 'demo/app:prod', ...argv) }
}

function tagAt(of: object | null, images: string[] = [a, b]): { body: object } {
  return { body: { ...imageTag('app:prod', { from }, images).body, image: of } }
}

describe('a tag', () => {
  test('is told with its image and how it is pulled', async () => {
    const { show } = await describingTag(tagAt(image(a)), (api) =>
      api.answer(
        'GET',
        events,
        ledger(
          entry(7, a, 28, { kind: 'rollback', by: 'jane', restoredRevision: 5 }),
          entry(6, b, 22, { kind: 'import', by: 'ci', reason: 'nightly' }),
        ),
      ),
    )
    expect((await show()).stdout).toBe(
      `Name:        demo/app:prod
Stands:      at ${short(a)} since 3 days ago (2026-01-28T00:00:00Z)
             revision 7: rollback to 5 by jane; no longer held
Source:      follows quay.io/org/app:v1, looked at by hand: weir import-image demo/app:prod; by itself with --scheduled
Tracked by:  stable
Pull:        docker pull weir.test:5000/demo/app:prod
             docker pull weir.test:5000/demo/app@${a}

Digest:             ${a}
Media type:         application/vnd.oci.image.manifest.v1+json
Size:               34.5 MiB in 3 layers
Platform:           linux/arm64/v8
Built:              2 days ago (2026-01-29T00:00:00Z)
Author:             Jane
Entrypoint:         /bin/sh -c 'echo '\\''hi'\\'''
Command:            serve --port=80
Working directory:  /srv
User:               app
Ports:              80/tcp, 443/tcp
Volumes:            /data
Stop signal:        SIGINT
Environment:        PATH=/bin
                    A=b c
Labels:             author=j
                    version=1

REVISION  STOOD AT             SINCE                              CAUSE   BY  REASON
6         ${short(b)}  9 days ago (2026-01-22T00:00:00Z)  import  ci  nightly
all of it: weir history demo/app:prod
`,
    )
  })

  test('at an index shows its platforms, and what is known of each; what is alike is told once', async () => {
    const child = (digest: string, architecture: string) => ({ digest, architecture, os: 'linux', manifestSize: 400 })
    const manifests = [
      child(b, 'amd64'),
      child(c, 'arm64'),
      { ...child(`sha256:${'d'.repeat(64)}`, 'unknown'), os: 'unknown' },
    ]
    const index = image(a, {
      dockerImageManifestMediaType: 'application/vnd.oci.image.index.v1+json',
      dockerImageMetadata: { Size: 0, Config: {} },
      dockerImageManifests: manifests,
    })
    const { show } = await describingTag(tagAt(index, [a]), (api) => {
      for (const digest of [b, c]) {
        api.answer('GET', path('imagestreamimages', `app%40${digest}`), { body: { image: image(digest) } })
      }
    })
    const { stdout } = await show()
    expect(stdout).toContain('Index:       of 3 images\n')
    expect(stdout).toContain(
      `PLATFORM         DIGEST               MANIFEST  SIZE                  CREATED
linux/amd64      ${short(b)}  400 B     34.5 MiB in 3 layers  2 days ago (2026-01-29T00:00:00Z)
linux/arm64      ${short(c)}  400 B     34.5 MiB in 3 layers  2 days ago (2026-01-29T00:00:00Z)
unknown/unknown  sha256:dddddddddddd  400 B     -                     -

Platform:  linux/amd64, linux/arm64
  Built:              2 days ago`,
    )
    expect(stdout.match(/Working directory/g)).toHaveLength(1)
    expect((await show('-o', 'wide')).stdout).toContain(`linux/amd64      ${b}  400 B`)
  })

  test('is told with what makes it immutable: of tag, stream and project the nearest that can be read', async () => {
    const says = (written: string) => ({ 'weir.dev/immutable': written })
    const told = async (own: string | undefined, stream: string | undefined, project: string | undefined) => {
      const spec = { from, ...(own !== undefined && { annotations: says(own) }) }
      const { show } = await describingTag(imageTag('app:prod', spec, [a]), (api) => {
        answerProject(api, project === undefined ? {} : says(project))
        const annotations = stream === undefined ? {} : says(stream)
        api.answer('GET', streamPath('app'), { body: streamOf([], { annotations }) })
      })
      return /^Immutable: +(.*)$/m.exec((await show()).stdout)?.[1]
    }
    expect(await told(undefined, undefined, undefined)).toBeUndefined()
    expect(await told('true', undefined, undefined)).toBe('yes (by its own annotation)')
    expect(await told(undefined, 'v*,pr*', undefined)).toBe('yes (by the annotation of stream demo/app)')
    expect(await told(undefined, undefined, 'true')).toBe('yes (by the annotation of project demo)')
    expect(await told('v*', undefined, 'true')).toBe('yes (by the annotation of project demo)')
    expect(await told(undefined, 'v!', 'true')).toBe('yes (by the annotation of project demo)')
    expect(await told('false', undefined, 'true')).toBe('no (by its own annotation)')
    expect(await told(undefined, 'v*', 'true')).toBe('no (by the annotation of stream demo/app)')
  })

  test('that stands nowhere is not immutable yet', async () => {
    const shown = imageTag('app:prod', { from, annotations: { 'weir.dev/immutable': 'true' } }, [])
    const { show } = await describingTag(shown)
    expect((await show()).stdout).toContain('Immutable:    yes, once it stands (by its own annotation)\n')
  })

  test('does not tell when an image was built that does not know it', async () => {
    const dockerImageMetadata = { ...config, Created: '0001-01-01T00:00:00Z' }
    const { show } = await describingTag(tagAt(image(a, { dockerImageMetadata })))
    expect((await show()).stdout).not.toContain('Built')
  })

  test('at what is no image tells its type, and how it is pulled', async () => {
    const chart = 'application/vnd.cncf.helm.config.v1+json'
    for (const [type, pulls] of [
      ['example/sbom', ['oras pull weir.test:5000/demo/app:prod', `oras pull weir.test:5000/demo/app@${a}`]],
      [chart, ['helm pull oci://weir.test:5000/demo/app --version prod', `oras pull weir.test:5000/demo/app@${a}`]],
    ] as const) {
      const metadata = { name: a, annotations: { 'weir.dev/artifact-type': type } }
      const { show } = await describingTag(tagAt(image(a, { metadata, dockerImageMetadata: { Size: 7, Config: {} } })))
      const { stdout } = await show()
      expect(stdout).toContain(`\nPull:        ${pulls.join('\n             ')}\n`)
      expect(stdout).toContain(`\nArtifact type:  ${type}\n`)
      expect(stdout).not.toContain('docker pull')
    }
  })

  test('is told with what refers to it, where the server says so', async () => {
    const annotations = { 'weir.dev/referrers': '2: example/sbom (1), tag .sig (1)' }
    const told = async (more: object) => (await (await describingTag(tagAt(image(a, more)))).show()).stdout
    expect(await told({ metadata: { name: a, annotations } })).toMatch(
      /\nReferrers: +2: example\/sbom \(1\), tag \.sig \(1\)\n/,
    )
    expect(await told({})).not.toContain('Referrers')
  })

  test('is told with the product of the client that pushed it, and all that the client says where it is asked for', async () => {
    const docker =
      'docker/28.3.3 go/go1.24.5 git-commit/bea959c kernel/6.8.0 os/linux arch/amd64 UpstreamClient(Docker-Client/28.3.3 (linux))'
    for (const [client, short] of [
      [docker, 'docker/28.3.3'],
      ['Helm/3.19.0', 'Helm/3.19.0'],
      ['cosign/v2.4.1 (linux; amd64) go-containerregistry/v0.20.2', 'cosign/v2.4.1'],
      ['(a (comment) alone) x/1', 'x/1'],
      ['(unclosed', '(unclosed'],
      ['x'.repeat(200), `${'x'.repeat(60)}...`],
    ] as const) {
      const { show } = await describingTag(tagAt(image(a)), (api) =>
        api.answer('GET', events, ledger(entry(1, a, 28, { kind: 'push', by: 'ci', client }))),
      )
      expect((await show()).stdout).toContain(`revision 1: push by ci with ${short}\n`)
      expect((await show('-o', 'wide')).stdout).toContain(`push by ci with ${client}\n`)
    }
  })

  test('that stands nowhere is told with what is wrong, and has nothing to pull', async () => {
    const shown = imageTag('app:prod', { from, generation: 2 }, [], failed('NotFound'))
    const { show } = await describingTag(shown)
    const { stdout } = await show()
    expect(stdout).toContain('Stands:      at nothing yet\n')
    expect(stdout).toContain('\n! import fails since 24 hours ago (2026-01-30T00:00:00Z): NotFound: what happened\n')
    expect(stdout).not.toMatch(/docker pull|Digest/)
  })

  test('whose source stood nowhere when it was written is told how to take it now', async () => {
    const shown = imageTag('app:prod', { from: { kind: 'ImageStreamTag', name: 'web:1', namespace: 'base' } }, [])
    const { show } = await describingTag(shown)
    expect((await show()).stdout).toContain(
      'was to be taken from base/web:1, which stood at no image then; to take it now: weir tag base/web:1 demo/app:prod\n',
    )
  })

  test('is told as far as the caller may read', async () => {
    const { show } = await describingTag(tagAt(null), (api) => {
      for (const hidden of [streamPath('app'), events]) api.answer('GET', hidden, failure(403, 'Forbidden', 'no'))
    })
    const { code, stdout } = await show()
    expect(code).toBe(0)
    expect(stdout).toContain(`Digest:  ${a}\nImage:   nothing is known of it here\n`)
    expect(stdout).toContain(`-         ${short(b)}`)
    expect(stdout).not.toContain('docker pull')
  })

  test('is printed as an ImageStreamTag, or as an ImageTag where there is none', async () => {
    const shown = tagAt(null, [])
    const { api, show } = await describingTag(shown)
    expect(JSON.parse((await show('-o', 'json')).stdout)).toEqual(shown.body)
    api.answer('GET', istag('app:prod'), { body: { kind: 'ImageStreamTag' } })
    expect(parse((await show('-o', 'yaml')).stdout)).toEqual({ kind: 'ImageStreamTag' })
    expect((await show('-o', 'name')).stdout).toBe('demo/app:prod\n')
  })

  test('among tags that follow each other in a circle is told all the same', async () => {
    const tracks = (tag: string, of: string) => ({ tag, spec: { from: { kind: 'ImageStreamTag', name: of } } })
    const circle = [tracks('prod', 'web'), tracks('web', 'app:stable'), tracks('stable', 'prod')]
    const { show } = await describingTag(
      imageTag('app:prod', { from: { kind: 'ImageStreamTag', name: 'web' } }),
      (api) => api.answer('GET', streamPath('app'), { body: streamOf(circle) }),
    )
    const { code, stdout } = await show()
    expect(code).toBe(0)
    expect(stdout).toContain('Tracked by:  stable, web\n')
  })

  test('that is not there says what is', async () => {
    const { api } = await describingTag(tagAt(null))
    expect(await weir(api, 'describe', 'demo/app:stabel')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'error: demo/app has no tag "stabel"\n  did you mean demo/app:stable?\n  demo/app has: stable\n',
    })
  })

  test('with very long lists is cut, and whole when it is asked for', async () => {
    const Env = Array.from({ length: 1000 }, (_, i) => `V${i}=${'x'.repeat(5000)}`)
    const { show } = await describingTag(tagAt(image(a, { dockerImageMetadata: { ...config, Config: { Env } } })))
    const { stdout } = await show()
    expect(stdout.length).toBeLessThan(12_000)
    expect(stdout).toContain('and 960 more (-o wide)\n')
    expect((await show('-o', 'wide')).stdout.length).toBeGreaterThan(5_000_000)
  })

  test('at an index of very many images reads some of them', async () => {
    const dockerImageManifests = Array.from({ length: 2000 }, (_, i) => ({
      digest: `sha256:${String(i).padStart(64, '0')}`,
    }))
    const { api, show } = await describingTag(tagAt(image(a, { dockerImageManifests })))
    expect((await show()).stdout).toContain('of 2000 images')
    expect(api.requests).toHaveLength(55)
  })
})

describe('a hostile answer', () => {
  const evil = 'a\u001b]0;x\u0007b\r\nc\u202ed\u2028'

  test('prints no control characters, wherever they are', async () => {
    const metadata = { labels: { [evil]: evil }, annotations: { [evil]: evil }, name: evil, namespace: evil }
    const tags = [
      { tag: evil, spec: { from: docker(evil), annotations: { [evil]: evil } }, images: [evil, evil] },
      {
        tag: 'held',
        spec: {
          from: docker(evil),
          annotations: { 'weir.dev/hold': JSON.stringify({ by: evil, at: evil, reason: evil }) },
        },
        images: [a],
      },
      { tag: 'failed', spec: { from: docker(evil) }, status: failed(evil, evil) },
    ]
    const bad = {
      ...config,
      Author: evil,
      Config: { Env: [evil], Cmd: [evil], Labels: { [evil]: evil }, User: evil, ExposedPorts: { [evil]: {} } },
    }
    const { show, api } = await describing(streamOf(tags, metadata), (fake) =>
      fake.answer('GET', events, ledger(entry(1, a, 28, { kind: evil, by: evil, reason: evil, from: docker(evil) }))),
    )
    api.answer(
      'GET',
      itag('app:prod'),
      tagAt(image(evil, { dockerImageMetadata: bad, dockerImageManifestMediaType: evil })),
    )
    for (const { stdout } of [await show(), await weir(api, 'describe', 'demo/app:prod')]) {
      expect(stdout).toContain('a?]0;x?b??c?d?')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
      expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u202e]/)
      expect(stdout).not.toContain('\nc')
    }
  })

  test.each<[string, object]>([
    ['nothing', {}],
    ['null everywhere', { metadata: null, spec: { tags: null }, status: { tags: null } }],
    [
      'tags of nothing',
      {
        spec: { tags: [{ name: 'x' }] },
        status: { tags: [{ tag: 'x' }, { tag: 'y', items: null }, { tag: 'z', items: [{}], conditions: [{}] }] },
      },
    ],
    [
      'failures of nothing',
      {
        spec: { tags: [{ name: 'x', from: docker('') }] },
        status: { tags: [{ tag: 'x', conditions: [{ type: 'ImportSuccess', status: 'False' }] }] },
      },
    ],
  ])('with %s is told as far as it goes', async (_, stream) => {
    const { show } = await describing(stream, (api) => api.answer('GET', events, { body: {} }))
    expect(await show()).toMatchObject({ code: 0, stderr: '' })
  })

  test.each<[string, object]>([
    ['nothing', {}],
    ['no image', { spec: { from: null }, status: { items: [{ image: a }] }, image: {} }],
    [
      'nulls',
      {
        status: { items: [{ image: a }] },
        image: { dockerImageMetadata: null, dockerImageLayers: null, dockerImageManifests: null },
      },
    ],
    ['a bare index', { status: { items: [{ image: a }] }, image: { dockerImageManifests: [{}] } }],
  ])('about a tag with %s is told as far as it goes', async (_, shown) => {
    const { show } = await describingTag({ body: shown }, (api) => {
      api.answer('GET', events, ledger({}, { image: a, cause: {} }))
      api.answer('GET', streamPath('app'), { body: {} })
    })
    expect(await show()).toMatchObject({ code: 0, stderr: '' })
  })
})

test.each([[[]], [['app']], [[`demo/app@${a}`]], [['demo/app', 'demo/web']], [['demo/app', '-o', 'table']]])(
  'describe %j is misuse, and no server is asked',
  async (argv) => {
    const api = await startFakeApi()
    expect(await weir(api, 'describe', ...argv)).toMatchObject({ code: 2, stdout: '' })
    expect(api.requests).toEqual([])
  },
)
