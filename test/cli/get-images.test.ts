import { expect, test } from 'vitest'
import { failure, startFakeApi } from './fake-api.ts'
import { a, b, c, path, weir } from './tag-api.ts'

const allImages = '/apis/image.openshift.io/v1/images'
const at = (day: number) => `2026-01-${day}T00:00:00Z`
const single = (digest: string, more: object = {}) => ({
  metadata: { name: digest },
  dockerImageReference: `weir.test/demo/app@${digest}`,
  dockerImageMetadata: { Os: 'linux', Architecture: 'amd64', Size: 2048, Created: at(28) },
  dockerImageLayers: [],
  ...more,
})
const platforms = ['amd64', 'arm64', 's390x', 'ppc64le', 'amd64'].map((architecture) => ({ os: 'linux', architecture }))
const index = single(b, { dockerImageMetadata: { Size: 0 }, dockerImageManifests: platforms })

function streamOf(name: string, tags: Record<string, [image: string, day: number][]>): object {
  const status = Object.entries(tags).map(([tag, items]) => ({
    tag,
    items: items.map(([image, day]) => ({ image, created: at(day) })),
  }))
  return { metadata: { name, namespace: 'demo' }, status: { tags: status } }
}

async function project() {
  const api = await startFakeApi()
  const items = [
    streamOf('app', {
      prod: [
        [a, 20],
        [b, 12],
      ],
      stable: [[a, 20]],
      ptr: [['', 11]],
    }),
    streamOf('web', { v1: [[a, 21]], v2: [[c, 29]], v3: [[a, 20]] }),
  ]
  api.answer('GET', path('imagestreams'), { body: { kind: 'ImageStreamList', items } })
  api.answer('GET', path('imagestreamimages', `app%40${a}`), { body: { kind: 'ImageStreamImage', image: single(a) } })
  api.answer('GET', path('imagestreamimages', `app%40${b}`), { body: { kind: 'ImageStreamImage', image: index } })
  api.answer('GET', path('imagestreamimages', `web%40${c}`), failure(403, 'Forbidden', 'no'))
  return api
}

test('images of a project: the tags that stand at them, platforms and sizes, what came last first', async () => {
  const api = await project()
  const { code, stdout, stderr } = await weir(api, 'get', 'images', '-n', 'demo')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['DIGEST', 'TAGS', 'PLATFORM', 'SIZE', 'BUILT', 'CAME'],
    ['sha256:cccccccccccc', 'demo/web:v2', '-', '-', '-', '2 days ago'],
    [
      'sha256:aaaaaaaaaaaa',
      'demo/app:prod,demo/app:stable,demo/web:v1 + 1 more',
      'linux/amd64',
      '2.0 KiB',
      '3 days ago',
      '10 days ago',
    ],
    ['sha256:bbbbbbbbbbbb', '-', 'linux/amd64,linux/arm64,linux/s390x + 1 more', '-', '-', '2 weeks ago'],
    [''],
  ])
})

test('by name and whole', async () => {
  const api = await project()
  const names = await weir(api, 'get', 'images', '-n', 'demo', '-o', 'name')
  expect(names.stdout).toBe(`demo/web@${c}\ndemo/app@${a}\ndemo/app@${b}\n`)
  expect(api.requests).toHaveLength(1)
  const wide = await weir(api, 'get', 'images', '-n', 'demo', '-o', 'wide')
  expect(wide.stdout).toContain(`${a}  demo/app:prod,demo/app:stable,demo/web:v1,demo/web:v3  linux/amd64`)
})

test('in JSON are the objects of those that may be read', async () => {
  const api = await project()
  const json = JSON.parse((await weir(api, 'get', 'images', '-n', 'demo', '-o', 'json')).stdout)
  expect(json).toMatchObject({
    kind: 'List',
    items: [{ kind: 'ImageStreamImage' }, { image: { metadata: { name: b } } }],
  })
})

test('of one stream', async () => {
  const api = await project()
  api.answer('GET', path('imagestreams', 'app'), { body: streamOf('app', { prod: [[a, 20]] }) })
  const { stdout } = await weir(api, 'get', 'images', 'demo/app', '-o', 'name')
  expect(stdout).toBe(`demo/app@${a}\n`)
})

test('very many are told in part', async () => {
  const api = await startFakeApi()
  const items = Array.from({ length: 5000 }, (_, i): [string, number] => [`sha256:${String(i).padStart(64, '0')}`, 20])
  api.answer('GET', path('imagestreams'), { body: { items: [streamOf('app', { prod: items })] } })
  const { code, stdout, stderr } = await weir(api, 'get', 'images', '-n', 'demo')
  expect({ code, stderr }).toEqual({ code: 0, stderr: 'note: platforms and sizes are shown of the first 300 images\n' })
  expect(stdout.split('\n')).toHaveLength(5002)
  expect(api.requests).toHaveLength(301)
})

test('of all projects are the API’s', async () => {
  const api = await startFakeApi()
  api.answer('GET', allImages, {
    body: { kind: 'ImageList', apiVersion: 'image.openshift.io/v1', items: [single(a), index] },
  })
  expect((await weir(api, 'get', 'images')).stdout).toBe(
    `DIGEST               REFERENCE           PLATFORM                                      SIZE     BUILT
sha256:aaaaaaaaaaaa  weir.test/demo/app  linux/amd64                                   2.0 KiB  3 days ago
sha256:bbbbbbbbbbbb  weir.test/demo/app  linux/amd64,linux/arm64,linux/s390x + 1 more  -        -
`,
  )
  expect((await weir(api, 'get', 'images', '-o', 'name')).stdout).toBe(`${a}\n${b}\n`)
  const json = JSON.parse((await weir(api, 'get', 'images', '-o', 'json')).stdout)
  expect(json).toMatchObject({ kind: 'List', items: [{ kind: 'Image' }, {}] })
})

test('of all projects for those who may not says what to do instead', async () => {
  const api = await startFakeApi()
  api.answer('GET', allImages, failure(403, 'Forbidden', 'images is forbidden'))
  expect((await weir(api, 'get', 'images')).stderr).toBe(
    [
      'error: images is forbidden',
      '  missing right: list images in all projects; the administrator has it (data/admin.kubeconfig)',
      '  or name one project: -n PROJECT',
      '',
    ].join('\n'),
  )
})
