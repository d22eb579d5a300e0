/** What whoever may push to one repository can not do: to others, to Weir, or to those who pull what he pushed. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { maxManifestBytes, mediaTypes } from '../../src/oci/media-types.ts'
import { types } from './conformance/content.ts'
import {
  type Answer,
  addQuery,
  createClient,
  type Registry,
  someBytes,
  told,
  useRegistry,
} from './conformance/registry.ts'

const registry = useRegistry({ uploads: { maxPerUser: 20 } })
const root = '/v2/demo/attacked'
const uploads = `${root}/blobs/uploads/`

let config: Digest
const secret = someBytes('secret of another project')
let mallory: Registry['ask']

beforeAll(async () => {
  const { world, putBlob } = registry()
  config = await putBlob('demo/attacked', Buffer.from('{}'))
  await putBlob('second/secret', secret)
  const argv = ['grant', 'registry-editor', 'serviceaccount:demo/mallory', '-n', 'demo']
  expect(await world.cli(...argv)).toMatchObject({ exitCode: 0 })
  const login = (await world.cli('token', 'mallory', '-n', 'demo', '--duration', '24h')).stdout.trim()
  mallory = createClient(() => world.weir.http.port, login).ask
})

/** An answer but for what is new in each. */
function same({ status, headers, body }: Answer, ...names: string[]): string {
  const { date: _, 'x-request-id': __, location, 'docker-upload-uuid': ___, ...rest } = headers
  const text = JSON.stringify({ status, rest, location: typeof location, body: body.toString() })
  return names.reduce((shown, name) => shown.replaceAll(name, 'NAME'), text)
}

async function begin(ask = registry().ask, into = uploads): Promise<string> {
  const answer = await ask('POST', into)
  expect(answer.status, told(answer)).toBe(202)
  return String(answer.headers.location)
}

describe('manifests that others read otherwise', () => {
  const descriptor = () => ({ mediaType: types.config, digest: config, size: 2 })
  const image = () => ({ schemaVersion: 2, mediaType: types.image, config: descriptor(), layers: [] })
  const text = (document: object) => JSON.stringify(document)
  const refused: [string, () => string | Buffer, string?][] = [
    ['both an image and an index', () => text({ ...image(), manifests: [] })],
    [
      'an index with layers',
      () => text({ schemaVersion: 2, mediaType: types.index, manifests: [], layers: [] }),
      types.index,
    ],
    ['a mediaType that is not its Content-Type', () => text({ ...image(), mediaType: types.index })],
    ['a Content-Type that is not its mediaType', () => text(image()), mediaTypes.dockerManifest],
    ['a key twice', () => text(image()).replace('{', '{"layers":[],')],
    ['a key twice, further down', () => text(image()).replace('"size":2', '"size":2,"size":2')],
    ['a key in other letters', () => text({ ...image(), Layers: [] })],
    ['a key in letters that Go folds', () => text({ ...image(), 'layer\u017f': [] })],
    [
      'schema 1',
      () => text({ schemaVersion: 1, name: 'x', tag: 'y', fsLayers: [], history: [] }),
      'application/vnd.docker.distribution.manifest.v1+json',
    ],
    [
      'schema 1 that is signed',
      () => text({ schemaVersion: 1 }),
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
    ],
    ['no schemaVersion', () => text({ ...image(), schemaVersion: undefined })],
    ['an order mark', () => `\ufeff${text(image())}`],
    [
      'bytes that are not UTF-8',
      () => Buffer.concat([Buffer.from(text(image()).slice(0, -1)), Buffer.from(',"a":"\xff"}', 'latin1')]),
    ],
    ['something behind it', () => `${text(image())} {}`],
    ['nothing', () => ''],
    ['an array', () => '[]'],
    ['null', () => 'null'],
    ['a depth that does not end', () => `${'['.repeat(100_000)}`],
    [
      'a depth beyond what is read',
      () => text(image()).replace('"layers":[]', `"layers":[],"x":${'['.repeat(40)}${']'.repeat(40)}`),
    ],
    ['very many values', () => text(image()).replace('"layers":[]', `"layers":[],"x":[${'0,'.repeat(1_500_000)}0]`)],
    ['a size with an exponent', () => text(image()).replace('"size":2', '"size":2e0')],
    ['a size below nothing', () => text(image()).replace('"size":2', '"size":-1')],
    ['a size beyond all', () => text(image()).replace('"size":2', `"size":${2 ** 53}`)],
    ['a digest in capitals', () => text(image()).replace(config, config.toUpperCase())],
    ['a digest that climbs', () => text(image()).replace(config, 'sha256:../../../etc/passwd')],
    ['data that are not the digest’s', () => text({ ...image(), config: { ...descriptor(), data: 'e30K' } })],
  ]

  test.each(refused)(
    'with %s are 400, by tag and by digest, and nothing is there',
    async (_, make, mediaType = types.image) => {
      const { ask, putManifest } = registry()
      const bytes = Buffer.from(make())
      for (const reference of ['confused', digestOf(bytes)]) {
        const answer = await putManifest('demo/attacked', reference, { bytes, mediaType })
        expect(answer.status, told(answer)).toBe(400)
        expect(JSON.parse(answer.body.toString())).toMatchObject({
          errors: [
            {
              code: expect.stringMatching(/^(MANIFEST_INVALID|DIGEST_INVALID|SIZE_INVALID)$/),
              message: expect.any(String),
            },
          ],
        })
        expect((await ask('HEAD', `${root}/manifests/${reference}`)).status).toBe(404)
      }
    },
  )

  test('of 4 MiB and a byte are 413; with 4 MiB they are read', async () => {
    const { putManifest } = registry()
    const bytes = Buffer.from(text(image()).padEnd(maxManifestBytes, ' '))
    expect((await putManifest('demo/attacked', 'large', { bytes, mediaType: types.image })).status).toBe(201)
    const answer = await putManifest('demo/attacked', 'larger', {
      bytes: Buffer.concat([bytes, Buffer.from(' ')]),
      mediaType: types.image,
    })
    expect(answer.status).toBe(413)
  })

  test('are served as what they were pushed as, whatever is asked for', async () => {
    const { ask, putManifest } = registry()
    const bytes = Buffer.from(text(image()))
    await putManifest('demo/attacked', 'typed', { bytes, mediaType: types.image })
    const headers = { accept: `${types.index}, text/html` }
    expect((await ask('GET', `${root}/manifests/typed`, { headers })).headers['content-type']).toBe(types.image)
  })

  test.each([
    ['', 201],
    ['x;;', 415],
    ['application/json', 415],
    ['text/html', 415],
    ['\tapplication/vnd.oci.image.index.v1+json', 400],
  ])('sent as "%s" are %i, and never what they do not say', async (contentType, status) => {
    const { ask } = registry()
    const headers = { 'content-type': contentType }
    const path = `${root}/manifests/odd-${status}`
    const answer = await ask('PUT', path, { headers, body: text(image()) })
    expect(answer.status, told(answer)).toBe(status)
    const there = await ask('HEAD', path)
    if (status === 201) expect(there.headers['content-type']).toBe(types.image)
    else expect(there.status).toBe(404)
  })
})

describe('content of others', () => {
  test('I5: a manifest that names it is as one that names what is nowhere', async () => {
    const { putManifest } = registry()
    const answers: string[] = []
    for (const digest of [digestOf(secret), digestOf('nowhere')]) {
      const layers = [{ mediaType: types.layer, digest, size: 512 }]
      const document = {
        schemaVersion: 2,
        mediaType: types.image,
        config: { mediaType: types.config, digest: config, size: 2 },
        layers,
      }
      const answer = await putManifest('demo/attacked', 'stolen', {
        bytes: Buffer.from(JSON.stringify(document)),
        mediaType: types.image,
      })
      expect(answer.status, told(answer)).toBe(400)
      answers.push(same(answer, digest))
    }
    expect(answers[1]).toBe(answers[0])
  })

  test('I5: an index that names it does not make it readable', async () => {
    const { ask, putManifest } = registry()
    const digest = digestOf(secret)
    const manifests = [{ mediaType: types.image, digest, size: secret.length }]
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests }))
    const answer = await putManifest('demo/attacked', 'names', { bytes, mediaType: types.index })
    expect([201, 400], told(answer)).toContain(answer.status)
    for (const kind of ['blobs', 'manifests']) {
      for (const method of ['GET', 'HEAD']) expect((await ask(method, `${root}/${kind}/${digest}`)).status).toBe(404)
    }
  })

  test('I5: to be mounted by who may not pull it is as what is nowhere, with and without from', async () => {
    const sources = [
      'from=second/secret',
      'from=second/nothing',
      'from=nowhere/nothing',
      'from=',
      '',
      'from=demo/nothing',
    ]
    const answers = new Set<string>()
    for (const digest of [digestOf(secret), digestOf('nowhere')]) {
      for (const source of sources) {
        const answer = await mallory('POST', `${uploads}?mount=${digest}&${source}`)
        expect(answer.status, told(answer)).toBe(202)
        answers.add(same(answer))
        expect((await mallory('DELETE', String(answer.headers.location))).status).toBe(204)
      }
    }
    expect(answers.size).toBe(1)
    expect((await mallory('HEAD', `${root}/blobs/${digestOf(secret)}`)).status).toBe(404)
  })

  test('I5: to be pushed without its bytes is an upload like any other', async () => {
    const answer = await mallory('POST', addQuery(uploads, { digest: digestOf(secret) }))
    expect(answer.status).toBe(202)
    const put = await mallory('PUT', addQuery(String(answer.headers.location), { digest: digestOf(secret) }))
    expect(put.status).toBe(400)
    expect((await mallory('HEAD', `${root}/blobs/${digestOf(secret)}`)).status).toBe(404)
  })

  test('referrers of an image are those of its repository', async () => {
    const { ask, putBlob, putManifest } = registry()
    const digest = await putBlob('second/secret', Buffer.from('{}'))
    const subject = { mediaType: types.image, digest: digestOf('subject of both'), size: 9 }
    const described = { mediaType: types.empty, digest, size: 2 }
    const document = { schemaVersion: 2, mediaType: types.image, config: described, layers: [], subject }
    const bytes = Buffer.from(JSON.stringify(document))
    expect((await putManifest('second/secret', 'signature', { bytes, mediaType: types.image })).status).toBe(201)
    const listed = await ask('GET', `${root}/referrers/${subject.digest}`)
    expect(JSON.parse(listed.body.toString())).toMatchObject({ manifests: [] })
  })
})

describe('uploads of others', () => {
  test('are nobody’s: each is as one that is not there', async () => {
    const { ask } = registry()
    const own = await begin()
    expect((await ask('PATCH', own, { body: 'abc' })).status).toBe(202)
    const id = own.split('/').at(-1) ?? ''
    for (const method of ['GET', 'PATCH', 'PUT', 'DELETE'] as const) {
      const answers = new Set<string>()
      for (const each of [id, randomUUID()]) {
        const path = addQuery(`${uploads}${each}`, { digest: digestOf('abc') })
        const answer = await mallory(method, path, method === 'GET' ? {} : { body: 'x' })
        expect([method, answer.status]).toEqual([method, 404])
        answers.add(same(answer, each))
      }
      expect(answers.size, method).toBe(1)
    }
    // His own, at another repository.
    expect((await ask('GET', `/v2/demo/another/blobs/uploads/${id}`)).status).toBe(404)
    expect((await ask('GET', own)).headers.range).toBe('0-2')
  })

  test.each([
    'x',
    '..',
    '%2e%2e',
    '%2e%2e%2f',
    'a/b',
    'a%2Fb',
    '00000000-0000-0000-0000-000000000000',
    'x'.repeat(8000),
  ])('by the id %s are 400, 404 or 405', async (id) => {
    for (const method of ['GET', 'HEAD', 'PATCH', 'PUT', 'DELETE']) {
      const answer = await registry().ask(method, `${uploads}${id}?digest=${digestOf('x')}`, {
        body: method === 'HEAD' ? '' : 'x',
      })
      expect([400, 404, 405]).toContain(answer.status)
    }
  })
})

describe('uploads at odds', () => {
  test('of many requests that send at once each byte is taken once', async () => {
    const { ask } = registry()
    const location = await begin()
    const piece = 'x'.repeat(1000)
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => ask('PATCH', location, { headers: { 'content-range': '0-999' }, body: piece })),
    )
    expect(answers.map(({ status }) => status).toSorted()).toEqual([202, ...Array.from({ length: 7 }, () => 416)])
    expect((await ask('GET', location)).headers.range).toBe('0-999')
    const done = await ask('PUT', addQuery(location, { digest: digestOf(piece) }))
    expect(done.status, told(done)).toBe(201)
  })

  test.each([
    ['0-4', 'abc', false, 400],
    ['0-1', 'abc', false, 400],
    ['0-4', 'abc', true, 400],
    ['0-1', 'abc', true, 400],
    ['0-999999999999', 'abc', true, 413],
    ['1-3', 'abc', true, 416],
    ['bytes 0-2/3', 'abc', false, 400],
  ])(
    'a piece that is said to be %s and is "%s" (chunked: %s) changes nothing',
    async (range, body, chunked, status) => {
      const { ask } = registry()
      const location = await begin()
      const answer = await ask('PATCH', location, { headers: { 'content-range': range }, body, chunked })
      expect(answer.status, told(answer)).toBe(status)
      expect((await ask('GET', location)).headers.range).toBe('0-0')
      const done = await ask('PUT', addQuery(location, { digest: digestOf('abc') }), { body: 'abc' })
      expect(done.status, told(done)).toBe(201)
    },
  )

  test('more than somebody may have are 429 with when to come again, and others are not kept from theirs', async () => {
    const locations: string[] = []
    let refused: Answer | undefined
    while (refused === undefined && locations.length < 30) {
      const answer = await mallory('POST', uploads)
      if (answer.status === 202) locations.push(String(answer.headers.location))
      else refused = answer
    }
    expect(refused?.status).toBe(429)
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(0)
    expect(JSON.parse(String(refused?.body))).toMatchObject({ errors: [{ code: 'TOOMANYREQUESTS' }] })
    await registry().ask('DELETE', await begin())
    for (const location of locations) await mallory('DELETE', location)
    await mallory('DELETE', await begin(mallory))
  })
})

describe('headers', () => {
  test('where an upload is does not come from the Host header', async () => {
    const { ask } = registry()
    for (const host of ['evil.example', 'evil.example:1']) {
      const headers = { host, 'x-forwarded-host': host, 'x-forwarded-proto': 'https', forwarded: `host=${host}` }
      const answer = await ask('POST', uploads, { headers })
      expect(answer.headers.location).toMatch(/^\/v2\/demo\/attacked\/blobs\/uploads\/[0-9a-f-]{36}$/)
      await ask('DELETE', String(answer.headers.location))
    }
  })

  test.each(['tag=a%0d%0aX-Evil:1', 'tag=%00', 'tag=a,b', 'tag=..', `tag=${'a'.repeat(129)}`])(
    'a tag that would be one is 400: %s',
    async (query) => {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: types.index, manifests: [] }))
      const answer = await registry().putManifest('demo/attacked', `${digestOf(bytes)}?${query}`, {
        bytes,
        mediaType: types.index,
      })
      expect([answer.status, answer.headers['x-evil']]).toEqual([400, undefined])
    },
  )
})

test('a right that is taken away stops the token that lives, in the middle of an upload too', async () => {
  const { world } = registry()
  const subject = 'serviceaccount:demo/short'
  expect(await world.cli('grant', 'push', subject, '-n', 'demo', '--stream', 'attacked')).toMatchObject({ exitCode: 0 })
  const login = (await world.cli('token', 'short', '-n', 'demo', '--duration', '24h')).stdout.trim()
  const token = await world.pullToken('repository:demo/attacked:pull,push', login)
  const begun = await world.request(uploads, { method: 'POST', token })
  expect(begun.status).toBe(202)
  expect(await world.cli('revoke', 'push', subject, '-n', 'demo', '--stream', 'attacked')).toMatchObject({
    exitCode: 0,
  })
  for (const [method, path] of [
    ['POST', uploads],
    ['PATCH', String(begun.headers.location)],
    ['PUT', `${String(begun.headers.location)}?digest=${digestOf('')}`],
    ['PUT', `${root}/manifests/stolen`],
    ['DELETE', String(begun.headers.location)],
  ] as const) {
    expect([method, (await world.request(path, { method, token })).status]).toEqual([method, 401])
  }
})
