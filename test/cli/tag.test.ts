import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { failure, startFakeApi } from './fake-api.ts'
import { a, b, c, events, imageTag, invalid, istag, itag, ledger, path, streamPath, weir, written } from './tag-api.ts'

const namespace = '/api/v1/namespaces/demo'
const review = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
const docker = (name: string) => ({ from: { kind: 'DockerImage', name } })

/** An API with `demo/app:latest` at `a`; a write moves a tag to it. */
async function promoting() {
  const api = await startFakeApi()
  api.answer('GET', itag('app:latest'), imageTag('app:latest', docker('quay.io/org/app:v1'), [a]))
  api.answer('PUT', istag('app:prod'), written(a))
  api.answer('GET', events, ledger({ revision: 4, image: a, previousImage: b }))
  return api
}

describe('a tag of a stream', () => {
  test('is pinned: what is written is the image that it stands at', async () => {
    const api = await promoting()
    api.answer('GET', itag('app:prod'), imageTag('app:prod', null, [b]))
    const result = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod', '--reason', 'release 7')
    expect(result).toEqual({ code: 0, stdout: `demo/app:prod  ${b} -> ${a}  revision 4\n`, stderr: '' })
    expect(api.sent('PUT', istag('app:prod'))).toEqual([
      {
        kind: 'ImageStreamTag',
        apiVersion: 'image.openshift.io/v1',
        metadata: {
          name: 'app:prod',
          namespace: 'demo',
          annotations: { 'kubernetes.io/change-cause': 'release 7' },
        },
        tag: {
          name: 'prod',
          from: { kind: 'ImageStreamImage', name: `app@${a}` },
          generation: 0,
          importPolicy: {},
        },
      },
    ])
  })

  test('of another project is named with it', async () => {
    const api = await promoting()
    api.answer('PUT', istag('web:prod', 'live'), written(a))
    const result = await weir(api, 'tag', 'demo/app:latest', 'live/web:prod', 'demo/app:prod')
    expect(result.stdout).toMatch(/^live\/web:prod {2}none -> sha256:a+\ndemo\/app:prod /)
    expect(api.sent('PUT', istag('web:prod', 'live'))).toMatchObject([
      { tag: { from: { kind: 'ImageStreamImage', name: `app@${a}`, namespace: 'demo' } } },
    ])
    expect(api.asked().filter((each) => each === `GET ${itag('app:latest')}`)).toHaveLength(1)
  })

  test('keeps what the destination says of itself, and not the reason of its last move', async () => {
    const api = await promoting()
    const annotations = { description: 'Live.', 'weir.dev/hold': '{}', 'kubernetes.io/change-cause': 'old' }
    const before = { annotations, referencePolicy: { type: 'Source' }, importPolicy: { scheduled: true } }
    api.answer('GET', itag('app:prod'), imageTag('app:prod', { ...docker('quay.io/org/app:v0'), ...before }, [b]))
    const result = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')
    expect(result.stderr).toBe('note: demo/app:prod no longer follows quay.io/org/app:v0\n')
    const [sent] = api.sent('PUT', istag('app:prod')) as [{ metadata: object; tag: object }]
    expect(sent.metadata).toEqual({ name: 'app:prod', namespace: 'demo', annotations: { description: 'Live.' } })
    expect(sent.tag).toMatchObject({ importPolicy: {}, referencePolicy: { type: 'Source' } })
  })

  test('says nothing of what the destination did not follow', async () => {
    const api = await promoting()
    const taken = { from: { kind: 'ImageStreamTag', name: 'web:1', namespace: 'base' } }
    for (const before of [taken, { ...docker('quay.io/org/app:v0'), reference: true }]) {
      api.answer('GET', itag('app:prod'), imageTag('app:prod', before, [b]))
      expect((await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')).stderr).toBe('')
    }
  })

  test('where the destination stands already is unchanged, and its history is not asked', async () => {
    const api = await promoting()
    api.answer('GET', itag('app:prod'), imageTag('app:prod', null, [a]))
    const result = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')
    expect(result).toEqual({ code: 0, stdout: `demo/app:prod  ${a}  unchanged\n`, stderr: '' })
    expect(api.asked()).toEqual([`GET ${itag('app:latest')}`, `GET ${itag('app:prod')}`, `PUT ${istag('app:prod')}`])
  })

  test('of those who may not read history or destination moves all the same', async () => {
    const api = await promoting()
    for (const forbidden of [events, itag('app:prod'), streamPath('app')]) {
      api.answer('GET', forbidden, failure(403, 'Forbidden', 'no'))
    }
    const result = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')
    expect(result).toEqual({ code: 0, stdout: `demo/app:prod  none -> ${a}\n`, stderr: '' })
  })

  test('that is a mere reference is copied as what it refers to', async () => {
    const api = await promoting()
    const spec = { ...docker('quay.io/org/app:v1'), reference: true }
    const items = [{ image: '', dockerImageReference: 'quay.io/org/app:v1' }]
    api.answer('GET', itag('app:ptr'), imageTag('app:ptr', spec, [], { items }))
    await weir(api, 'tag', 'demo/app:ptr', 'demo/app:prod', '--reference')
    expect(api.sent('PUT', istag('app:prod'))).toMatchObject([
      { tag: { from: { kind: 'DockerImage', name: 'quay.io/org/app:v1' }, reference: true } },
    ])
  })

  test('tells which tags moved along, and which are held', async () => {
    const api = await promoting()
    const follows = (name: string, of: string) => ({ name, from: { kind: 'ImageStreamTag', name: of } })
    const held = { ...follows('held', 'prod'), annotations: { 'weir.dev/hold': '{}' } }
    const tags = [follows('stable', 'prod'), follows('web', 'app:stable'), held, follows('other', 'latest')]
    const stands = (tag: string, image: string) => ({ tag, items: [{ image }] })
    api.answer('GET', streamPath('app'), {
      body: {
        metadata: { name: 'app', namespace: 'demo' },
        spec: { tags },
        status: { tags: [stands('stable', a), stands('web', a), stands('held', b), stands('other', a)] },
      },
    })
    expect((await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')).stderr).toBe(
      'note: moved along: demo/app:stable, demo/app:web\nnote: held, and did not move along: demo/app:held\n',
    )
    api.answer('GET', streamPath('app'), failure(500, 'InternalError', 'broken'))
    expect(await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')).toMatchObject({
      code: 0,
      stderr: 'note: which tags moved along could not be read: broken\n',
    })
  })

  test('that the caller may pull and not read is asked of the server through a dry run', async () => {
    const api = await promoting()
    api.answer('GET', itag('app:latest', 'base'), failure(403, 'Forbidden', 'no'))
    api.answer('PUT', itag('app:prod'), ({ query }) => {
      expect(query).toEqual({ dryRun: 'All' })
      return imageTag('app:prod', { generation: 1 }, [a])
    })
    const result = await weir(api, 'tag', 'base/app:latest', 'demo/app:prod')
    expect(result).toMatchObject({ code: 0, stdout: `demo/app:prod  ${b} -> ${a}  revision 4\n` })
    expect(api.sent('PUT', istag('app:prod'))).toMatchObject([
      { tag: { from: { name: `app@${a}`, namespace: 'base' } } },
    ])
  })

  test('that stands nowhere is not taken for where the destination stood before', async () => {
    const api = await promoting()
    api.answer('GET', itag('app:latest', 'base'), failure(403, 'Forbidden', 'no'))
    api.answer('PUT', itag('app:prod'), imageTag('app:prod', { generation: 2 }, [b]))
    const result = await weir(api, 'tag', 'base/app:latest', 'demo/app:prod')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('base/app:latest is not there, or stands at no image')
    expect(api.sent('PUT', istag('app:prod'))).toEqual([])
  })

  test('that a destination waits for, which moves only when it is held, is told with why', async () => {
    const api = await promoting()
    const waits = {
      type: 'ImportSuccess',
      status: 'False',
      reason: 'ContentIncomplete',
      message: 'not all is held: 503',
    }
    const object = { metadata: { name: 'app:prod' }, tag: { generation: 5 }, generation: 4, conditions: [waits] }
    api.answer('GET', itag('app:prod'), imageTag('app:prod', null, [b]))
    api.answer('PUT', istag('app:prod'), {
      body: { kind: 'ImageStreamTag', ...object, image: { metadata: { name: b } } },
    })
    expect(await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        'error: demo/app:prod has not moved yet: not all is held: 503',
        `  demo/app:prod stays at ${b}`,
        '  it moves by itself; at once with: weir prefetch demo/app:prod',
        '  how far it is: weir describe demo/app:prod',
        '',
      ].join('\n'),
    })
  })
})

describe('an image of a stream', () => {
  test('by its whole digest is left to the server', async () => {
    const api = await promoting()
    expect((await weir(api, 'tag', `base/app@${a}`, 'demo/app:prod')).code).toBe(0)
    expect(api.sent('PUT', istag('app:prod'))).toMatchObject([
      { tag: { from: { kind: 'ImageStreamImage', name: `app@${a}`, namespace: 'base' } } },
    ])
  })

  test('by its first digits is looked for', async () => {
    const api = await promoting()
    api.answer('GET', path('imagestreamimages', 'app%40aaaaaaa'), { body: { image: { metadata: { name: a } } } })
    await weir(api, 'tag', 'demo/app@aaaaaaa', 'demo/app:prod')
    expect(api.sent('PUT', istag('app:prod'))).toMatchObject([{ tag: { from: { name: `app@${a}` } } }])
  })

  test('that is not there is no image of the stream', async () => {
    const api = await promoting()
    api.answer('GET', streamPath('app'), { body: { metadata: { name: 'app' } } })
    const result = await weir(api, 'tag', 'demo/app@bbbbbbb', 'demo/app:prod')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toContain('no image of demo/app has a digest that begins with bbbbbbb')
    api.answer('GET', path('imagestreamimages', 'app%40bbbbbbb'), failure(403, 'Forbidden', 'no'))
    expect((await weir(api, 'tag', 'demo/app@bbbbbbb', 'demo/app:prod')).stderr).toContain('write the whole digest')
  })
})

describe('--alias', () => {
  test('lets a tag follow another of its stream', async () => {
    const api = await promoting()
    const result = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod', '--alias')
    expect(result.stdout).toBe(`demo/app:prod  ${b} -> ${a}  revision 4; set up to track demo/app:latest\n`)
    expect(api.sent('PUT', istag('app:prod'))).toMatchObject([
      { tag: { from: { kind: 'ImageStreamTag', name: 'latest' } } },
    ])
  })

  test('of a tag that stands nowhere yet is set up and says so', async () => {
    const api = await promoting()
    api.answer('GET', itag('app:latest'), imageTag('app:latest', docker('quay.io/org/app:v1')))
    api.answer('PUT', istag('app:prod'), written(''))
    const result = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod', '--alias')
    const stdout = 'demo/app:prod  set up to track demo/app:latest, which stands nowhere yet\n'
    expect(result).toEqual({ code: 0, stdout, stderr: '' })
    // Where the destination stood before is not where its new source stands.
    const old = { tag: { generation: 5 }, generation: 2, image: { metadata: { name: b } } }
    api.answer('PUT', istag('app:prod'), { body: old })
    expect((await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod', '--alias')).stdout).toBe(stdout)
  })

  test('of a tag that tracks the destination is told as that', async () => {
    const api = await promoting()
    const message =
      'Invalid value: "latest": tag "prod" on the image stream is a reference to same tag, through "latest"'
    api.answer('PUT', istag('app:prod'), invalid('tag.from.name', 'FieldValueInvalid', message))
    const result = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod', '--alias')
    expect(result).toMatchObject({ code: 1, stdout: '' })
    expect(result.stderr).toBe(
      [
        'error: demo/app:prod can not track demo/app:latest: demo/app:latest tracks demo/app:prod, directly or through others',
        '  weir describe demo/app shows which tag tracks which',
        '',
      ].join('\n'),
    )
  })
})

describe('a source that is not there', () => {
  const tags = [{ name: 'latest' }, { name: 'v1' }, { name: 'v2' }]
  const app = { body: { metadata: { name: 'app', namespace: 'demo' }, spec: { tags } } }

  test('as a tag: what tags there are, the nearest first', async () => {
    const api = await startFakeApi()
    api.answer('GET', streamPath('app'), app)
    expect(await weir(api, 'tag', 'demo/app:lastet', 'demo/app:prod')).toEqual({
      code: 1,
      stdout: '',
      stderr: [
        'error: demo/app has no tag "lastet"',
        '  did you mean demo/app:latest?',
        '  demo/app has: latest, v1, v2',
        '',
      ].join('\n'),
    })
    expect(api.asked().filter((each) => !each.startsWith('GET'))).toEqual([])
  })

  test('as a stream: what streams there are', async () => {
    const api = await startFakeApi()
    api.answer('GET', namespace, { body: { kind: 'Namespace' } })
    api.answer('GET', path('imagestreams'), { body: { items: [{ metadata: { name: 'web' } }] } })
    const { stderr } = await weir(api, 'tag', 'demo/app:prod', 'demo/app:x')
    expect(stderr).toBe('error: there is no stream demo/app\n  project demo has: web\n')
    api.answer('GET', path('imagestreams'), { body: { items: [] } })
    expect((await weir(api, 'tag', 'demo/app:prod', 'demo/app:x')).stderr).toContain('project demo has no streams yet')
  })

  test('as a project: how to make one', async () => {
    const api = await startFakeApi()
    expect((await weir(api, 'tag', 'demo/app:prod', 'demo/app:x')).stderr).toBe(
      'error: project demo not found; create it with: weir new-project demo\n' +
        '  an image of Docker Hub is meant by docker.io/demo/app:prod, or with --source docker\n',
    )
  })

  test('among thousands is told in a few lines', async () => {
    const api = await startFakeApi()
    const many = Array.from({ length: 5000 }, (_, i) => ({ name: `build-${i}` }))
    api.answer('GET', streamPath('app'), { body: { metadata: { name: 'app' }, spec: { tags: many } } })
    const { stderr } = await weir(api, 'tag', `demo/app:${'x'.repeat(128)}`, 'demo/app:prod')
    expect(stderr.length).toBeLessThan(600)
    expect(stderr).toContain('and 4988 more')
  })
})

test('a tag that stands nowhere says why', async () => {
  const api = await startFakeApi()
  const conditions = [{ type: 'ImportSuccess', status: 'False', reason: 'NotFound', generation: 2 }]
  api.answer(
    'GET',
    itag('app:new'),
    imageTag('app:new', { ...docker('quay.io/a/b:1'), generation: 2 }, [], { conditions }),
  )
  expect(await weir(api, 'tag', 'demo/app:new', 'demo/app:prod')).toEqual({
    code: 1,
    stdout: '',
    stderr: 'error: demo/app:new stands at no image: failed (NotFound)\n  weir describe demo/app:new says why\n',
  })
})

describe('a refusal', () => {
  test('to pull from the source says who can give the right', async () => {
    const api = await promoting()
    api.answer('POST', review, { body: { status: { userInfo: { username: 'system:serviceaccount:demo:ci' } } } })
    const message = 'Forbidden: you may not pull from "base/app", or there is no such image stream'
    api.answer('PUT', istag('app:prod'), invalid('tag.from.name', 'FieldValueForbidden', message))
    const expected = [
      'error: you may not pull from base/app, or there is no such stream',
      '  who administers base can give it: weir grant pull serviceaccount:demo/ci -n base',
      '  for this stream alone: weir grant pull serviceaccount:demo/ci -n base --stream app',
      '',
    ].join('\n')
    expect((await weir(api, 'tag', `base/app@${a}`, 'demo/app:prod')).stderr).toBe(expected)
    api.answer('GET', itag('app:latest', 'base'), failure(403, 'Forbidden', 'no'))
    api.answer('PUT', itag('app:prod'), invalid('spec.from.name', 'FieldValueForbidden', message))
    expect((await weir(api, 'tag', 'base/app:latest', 'demo/app:prod')).stderr).toBe(expected)
  })

  test.each(['tag', 'spec'])('of a held destination (%s) says how it is resumed', async (field) => {
    const api = await promoting()
    const text =
      'tag "prod" is held at revision 3 since 2026-01-01T00:00:00Z by jane (bad); to let it move again: weir resume demo/app:prod'
    api.answer('PUT', istag('app:prod'), invalid(field, 'FieldValueForbidden', `Forbidden: ${text}`))
    const { code, stderr } = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')
    expect({ code, stderr }).toEqual({ code: 1, stderr: `error: demo/app:prod ${text.slice(11)}\n` })
  })

  test('of a registry says where it is allowed', async () => {
    const api = await promoting()
    const forbidden = (message: string) => invalid('tag.from.name', 'FieldValueForbidden', `Forbidden: ${message}`)
    api.answer(
      'PUT',
      istag('app:prod'),
      forbidden('importing images from registry "x.io" is forbidden: allowed are quay.io'),
    )
    const { stderr } = await weir(api, 'tag', 'x.io/a/b:1', 'demo/app:prod')
    expect(stderr).toContain('error: importing images from registry "x.io" is forbidden: allowed are quay.io\n')
    expect(stderr).toContain('imports.allowedRegistries')
    api.answer('PUT', istag('app:prod'), forbidden('importing is forbidden: that is this Weir itself'))
    expect((await weir(api, 'tag', 'weir.io/demo/app:1', 'demo/app:prod')).stderr).toContain(
      'to tag within Weir, leave its host out: demo/app:TAG\n',
    )
  })

  test('for any other reason keeps the words of its causes', async () => {
    const api = await promoting()
    api.answer(
      'PUT',
      istag('app:prod'),
      invalid('tag.annotations', 'FieldValueTooLong', 'Too long: \u001b[2J at most 1'),
    )
    const { stderr } = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')
    expect(stderr).toBe('error: demo/app:prod was not tagged: tag.annotations: Too long: ?[2J at most 1\n')
    api.answer('PUT', istag('app:prod'), failure(403, 'Forbidden', 'you may not'))
    expect((await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')).stderr).toContain('weir grant registry-editor')
    api.answer('PUT', istag('app:prod'), failure(422, 'Invalid', 'without causes'))
    expect((await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod')).stderr).toBe('error: without causes\n')
  })

  test('of one destination does not keep the others back', async () => {
    const api = await promoting()
    api.answer('PUT', istag('app:x'), invalid('tag', 'FieldValueForbidden', 'Forbidden: tag "x" is held'))
    const result = await weir(api, 'tag', 'demo/app:latest', 'demo/app:x', 'demo/app:prod')
    expect(result).toEqual({
      code: 1,
      stdout: `demo/app:prod  ${b} -> ${a}  revision 4\n`,
      stderr: 'error: demo/app:x is held\nerror: 1 of 2 tags were not set\n',
    })
  })
})

describe('-o', () => {
  test('json and yaml print the object, of several a List', async () => {
    const api = await promoting()
    api.answer('PUT', istag('app:x'), written(a))
    const one = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod', '-o', 'json')
    expect(JSON.parse(one.stdout)).toMatchObject({ kind: 'ImageStreamTag', image: { metadata: { name: a } } })
    const two = await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod', 'demo/app:x', '-o', 'yaml')
    expect(parse(two.stdout)).toMatchObject({
      kind: 'List',
      items: [{ kind: 'ImageStreamTag' }, { metadata: { name: 'app:x' } }],
    })
  })

  test('name prints what was set alone', async () => {
    const api = await promoting()
    expect((await weir(api, 'tag', 'demo/app:latest', 'demo/app:prod', '-o', 'name')).stdout).toBe('demo/app:prod\n')
  })
})

describe('tag -d', () => {
  const gone = { body: { kind: 'Status', status: 'Success' } }

  test('takes tags away, says where they stood and how to have them back', async () => {
    const api = await startFakeApi()
    api.answer('GET', itag('app:old'), imageTag('app:old', null, [c]))
    api.answer('DELETE', istag('app:old'), gone)
    api.answer('DELETE', istag('app:wish'), gone)
    api.answer('GET', events, ledger({ revision: 3, image: '', cause: { kind: 'delete' } }))
    const follower = { name: 'stable', from: { kind: 'ImageStreamTag', name: 'old' } }
    api.answer('GET', streamPath('app'), {
      body: { metadata: { name: 'app', namespace: 'demo' }, spec: { tags: [follower] } },
    })
    expect(await weir(api, 'tag', '-d', 'demo/app:old', 'demo/app:wish')).toEqual({
      code: 0,
      stdout: `demo/app:old  ${c} -> none  revision 3  deleted\ndemo/app:wish  deleted\n`,
      stderr: [
        'note: its history stays; to have it back: weir rollback demo/app:old --to 2',
        'note: what follows it stays where it is: demo/app:stable',
        '',
      ].join('\n'),
    })
  })

  test.each([
    [
      422,
      'Invalid',
      'ImageStreamTag.image.openshift.io "app:old" is invalid: tag: Forbidden: tag "old" is immutable',
      'tag "old" is immutable',
    ],
    [
      403,
      'Forbidden',
      'imagestreamtags.image.openshift.io "app:old" is forbidden: nothing can be deleted here: project demo has the annotation weir.dev/deletes: denied',
      'nothing can be deleted here: project demo has the annotation weir.dev/deletes: denied',
    ],
  ])('that is refused with %i says why in one sentence', async (code, reason, message, words) => {
    const api = await startFakeApi()
    const causes = [{ field: 'tag', reason: 'FieldValueForbidden', message: 'Forbidden: tag "old" is immutable' }]
    const status = { kind: 'Status', status: 'Failure', message, reason, code }
    api.answer('DELETE', istag('app:old'), {
      status: code,
      body: code === 422 ? { ...status, details: { causes } } : status,
    })
    expect(await weir(api, 'tag', '-d', 'demo/app:old')).toEqual({
      code: 1,
      stdout: '',
      stderr: `error: demo/app:old was not deleted: ${words}\n`,
    })
  })

  test('of what is not there fails, and takes the others away', async () => {
    const api = await startFakeApi()
    api.answer('DELETE', istag('app:old'), gone)
    api.answer('GET', streamPath('app'), { body: { metadata: { name: 'app' }, spec: { tags: [{ name: 'prod' }] } } })
    const result = await weir(api, 'tag', '--delete', 'demo/app:prd', 'demo/app:old')
    expect(result).toMatchObject({ code: 1, stdout: 'demo/app:old  deleted\n' })
    expect(result.stderr).toContain('error: demo/app has no tag "prd"\n  did you mean demo/app:prod?\n')
    expect(result.stderr).toContain('error: 1 of 2 tags were not deleted\n')
  })
})

test.each<[string[], string]>([
  [[], "missing required argument 'source'"],
  [['demo/app:v1'], 'name where to put it'],
  [['demo/app', 'demo/app:x'], 'names no tag'],
  [['demo/app:v1', 'demo/app'], 'names no tag'],
  [['demo/app:v1', `demo/app@${a}`], 'names a digest'],
  [['demo/app:v1', 'quay.io/org/app:v1'], 'has 3 parts'],
  [['demo/app:v1', 'demo/app:bad!tag'], 'is not a tag'],
  [['demo/app:v1', 'demo/app:x', 'demo/app:x'], 'demo/app:x is named twice'],
  [['nginx:1', 'demo/app:x'], 'write docker.io/... or add --source docker'],
  [['a/b/c:1', 'demo/app:x'], 'neither a stream'],
  [['demo/app@abc', 'demo/app:x'], 'at least the first 7 digits'],
  [[`demo/app:v1@${a}`, 'demo/app:x'], 'names a tag and a digest'],
  [['quay.io/UPPER', 'demo/app:x'], 'is not an image reference'],
  [['demo/app:v1', 'demo/app:x', '--scheduled'], '--scheduled is about imports'],
  [[`demo/app@${a}`, 'demo/app:x', '--insecure'], '--insecure is about imports'],
  [['demo/app:v1', 'demo/app:x', '--interval', '1h'], '--interval is about imports'],
  [['quay.io/a/b', 'demo/app:x', '--reference', '--scheduled'], '--reference imports nothing'],
  [['quay.io/a/b', 'demo/app:x', '--reference', '--min-age', '3d'], 'leave out --min-age'],
  [['quay.io/a/b', 'demo/app:x', '--no-scheduled', '--min-age', '3d'], 'or --no-scheduled'],
  [['quay.io/a/b', 'demo/app:x', '--interval', 'often'], 'Write a duration'],
  [['quay.io/a/b', 'demo/app:x', '--alias'], 'is followed without it'],
  [[`demo/app@${a}`, 'demo/app:x', '--alias'], 'which never moves'],
  [['demo/app:v1', 'demo/web:x', '--alias'], '--alias works within one stream'],
  [['demo/app:v1', 'base/app:x', '--alias'], 'tag again to promote the next'],
  [['demo/app:v1', 'demo/app:v1', '--alias'], 'can not track itself'],
  [['demo/app:v1', 'demo/app:x', '--alias', '--reference'], 'leave out one of them'],
  [['quay.io/a/b', 'demo/app:x', '--follow'], 'is followed with --scheduled'],
  [[`demo/app@${a}`, 'base/app:x', '--follow'], 'which never moves'],
  [['demo/app:v1', 'base/app:x', '--follow', '--alias'], 'leave out one of them'],
  [['demo/app:v1', 'base/app:x', '--follow', '--reference'], 'leave out one of them'],
  [['demo/app:v1', 'base/app:x', '--follow', '--scheduled'], '--scheduled is about imports'],
  [['demo/app:v1', 'demo/app:x', '--source', 'git'], 'Allowed choices are docker, istag'],
  [['demo/app:v1', 'demo/app:x', '--reference-policy', 'both'], 'Allowed choices are source, local'],
  [['-d', 'demo/app:v1', '--alias'], '--alias is for setting them'],
  [['-d', 'demo/app:v1', '--reference-policy', 'local'], '--reference-policy is for setting them'],
  [['-d', 'demo/app:v1', '--reason', 'x'], '--reason is for setting them'],
  [['-d', 'demo/app'], 'names no tag'],
  [['-d', 'demo/app:x', 'demo/app:x'], 'named twice'],
])('tag %j is misuse, and no server is asked', async (argv, message) => {
  const api = await startFakeApi()
  const result = await weir(api, 'tag', ...argv)
  expect(result).toMatchObject({ code: 2, stdout: '' })
  expect(result.stderr).toContain(message)
  expect(api.requests).toEqual([])
})
