/** The suite's blob cases, for sha256 and sha512, with the checks of its newest draft. */
import { describe, expect, test } from 'vitest'
import { type Digest, type DigestAlgorithm, digestOf } from '../../../src/oci/digest.ts'
import { type Answer, addQuery, algorithms, type Registry, someBytes, told, useRegistry } from './registry.ts'

const registry = useRegistry()
const repository = 'demo/blobs'
const uploads = `/v2/${repository}/blobs/uploads/`

interface Case {
  bytes: Buffer
  digest: Digest
}

/** Pushes in one of the ways there are; answers the last answer. */
type Way = (registry: Registry, blob: Case) => Promise<Answer>

async function begin({ ask }: Registry, query: Record<string, string> = {}, into = uploads): Promise<string> {
  const path = Object.keys(query).length === 0 ? into : addQuery(into, query)
  const answer = await ask('POST', path, { headers: { 'content-length': '0' } })
  expect(answer.status, told(answer)).toBe(202)
  expect(answer.headers.location).toMatch(/^\/v2\/[^?]+\/blobs\/uploads\/[^/?]+$/)
  return String(answer.headers.location)
}

/** Sends a piece with the range that it is, and checks what the answer says of it. */
async function patch(
  { ask }: Registry,
  location: string,
  bytes: Buffer,
  [from, to]: [number, number],
): Promise<string> {
  const headers = { 'content-range': `${from}-${to - 1}`, 'content-type': 'application/octet-stream' }
  const answer = await ask('PATCH', location, { headers, body: bytes.subarray(from, to) })
  expect(answer.status, told(answer)).toBe(202)
  expect(answer.headers.range).toBe(`0-${to - 1}`)
  return String(answer.headers.location)
}

/** A piece at a wrong place is 416; then the upload tells where it is, also under the address that refused it. */
async function refuse(
  { ask }: Registry,
  [method, path]: ['PATCH' | 'PUT', string],
  bytes: Buffer,
  [start, offset]: [number, number],
): Promise<void> {
  const headers = { 'content-range': `${start}-${start + bytes.length - 1}` }
  const answer = await ask(method, path, { headers, body: bytes })
  expect(answer.status, told(answer)).toBe(416)
  const status = await ask('GET', path)
  expect(status.status).toBe(204)
  expect(status.headers.location).toBe(path.split('?')[0])
  expect(status.headers.range).toBe(`0-${Math.max(offset - 1, 0)}`)
}

const post: Way = ({ ask }, { bytes, digest }) => ask('POST', addQuery(uploads, { digest }), { body: bytes })

const postPut: Way = async (of, { bytes, digest }) =>
  of.ask('PUT', addQuery(await begin(of), { digest }), { body: bytes })

const chunked =
  (count: number, last: 'PATCH' | 'PUT', wrong = false): Way =>
  async (of, { bytes, digest }) => {
    let location = await begin(of)
    const step = Math.ceil(bytes.length / count)
    for (let i = 0; i < count; i++) {
      const [from, to] = [i * step, Math.min((i + 1) * step, bytes.length)]
      const isLast = i === count - 1
      const put = addQuery(location, { digest })
      if (wrong) {
        const start = isLast ? 0 : bytes.length
        await refuse(of, isLast && last === 'PUT' ? ['PUT', put] : ['PATCH', location], bytes.subarray(from, to), [
          start,
          from,
        ])
      }
      if (isLast && last === 'PUT') {
        return of.ask('PUT', put, { headers: { 'content-range': `${from}-${to - 1}` }, body: bytes.subarray(from, to) })
      }
      location = await patch(of, location, bytes, [from, to])
    }
    return of.ask('PUT', addQuery(location, { digest }), { headers: { 'content-length': '0' } })
  }

const stream: Way = async (of, { bytes, digest }) => {
  const answer = await of.ask('PATCH', await begin(of), { body: bytes, chunked: true })
  expect(answer.status, told(answer)).toBe(202)
  return of.ask('PUT', addQuery(String(answer.headers.location), { digest }), { headers: { 'content-length': '0' } })
}

const ways: [string, Way][] = [
  ['post only', post],
  ['post and put', postPut],
  ['chunked, a single piece', chunked(1, 'PATCH')],
  ['chunked', chunked(3, 'PATCH')],
  ['chunked, the last piece with PUT', chunked(3, 'PUT')],
  ['stream', stream],
]

const outOfOrder: [string, Way][] = [
  ['chunked out of order', chunked(3, 'PATCH', true)],
  ['chunked out of order, the last piece with PUT', chunked(3, 'PUT', true)],
]

/** What is asked of every blob that is there: HEAD, GET, and where the push said it is. */
async function expectThere({ ask }: Registry, { bytes, digest }: Case, pushed?: Answer): Promise<void> {
  const path = `/v2/${repository}/blobs/${digest}`
  const head = await ask('HEAD', path)
  expect([head.status, head.body.length]).toEqual([200, 0])
  expect(head.headers).toMatchObject({ 'content-length': String(bytes.length), 'docker-content-digest': digest })
  for (const location of pushed === undefined ? [path] : [path, String(pushed.headers.location)]) {
    const get = await ask('GET', location)
    expect([get.status, get.headers['content-length']]).toEqual([200, String(bytes.length)])
    expect(get.body.equals(bytes)).toBe(true)
    expect(get.headers['docker-content-digest']).toBe(digest)
  }
}

async function expectDeleted({ ask }: Registry, { digest }: Case): Promise<void> {
  const path = `/v2/${repository}/blobs/${digest}`
  expect((await ask('DELETE', path)).status).toBe(202)
  for (const method of ['HEAD', 'GET']) expect((await ask(method, path)).status).toBe(404)
  expect((await ask('DELETE', path)).status).toBe(404)
}

describe.each(algorithms)('%s', (algorithm: DigestAlgorithm) => {
  const blobOf = (bytes: Buffer): Case => ({ bytes, digest: digestOf(bytes, algorithm) })
  const made = (seed: string, length?: number) => blobOf(someBytes(`${algorithm} ${seed}`, length))

  test.each([...ways, ...outOfOrder])('%s: 201, there, deleted', async (name, push) => {
    const of = registry()
    const blob = made(name, 3067)
    const pushed = await push(of, blob)
    expect(pushed.status, told(pushed)).toBe(201)
    expect(pushed.headers).toMatchObject({
      location: `/v2/${repository}/blobs/${blob.digest}`,
      'docker-content-digest': blob.digest,
    })
    await expectThere(of, blob, pushed)
    await expectDeleted(of, blob)
  })

  test.each(ways)('the empty blob and {} by %s', async (name, push) => {
    const of = registry()
    for (const bytes of [Buffer.alloc(0), Buffer.from('{}')]) {
      // There is no range of no bytes.
      if (bytes.length < 3 && name.startsWith('chunked')) continue
      const blob = blobOf(bytes)
      const pushed = await push(of, blob)
      expect(pushed.status, told(pushed)).toBe(201)
      await expectThere(of, blob, pushed)
      await expectDeleted(of, blob)
    }
  })

  test.each(ways)('a bad digest by %s is 400, and nothing is there', async (name, push) => {
    const of = registry()
    const blob = { ...made(`bad ${name}`, 3067), digest: digestOf(`not ${name}`, algorithm) }
    const pushed = await push(of, blob)
    expect(pushed.status, told(pushed)).toBe(400)
    expect((await of.ask('HEAD', `/v2/${repository}/blobs/${blob.digest}`)).status).toBe(404)
  })

  test('the algorithm may be said beforehand', async () => {
    const of = registry()
    const blob = made('announced')
    const location = await begin(of, { 'digest-algorithm': algorithm })
    const pushed = await of.ask('PUT', addQuery(location, { digest: blob.digest }), { body: blob.bytes })
    expect(pushed.status, told(pushed)).toBe(201)
    await expectThere(of, blob, pushed)
  })

  test.each(['demo/source', 'second/source'])('mount from %s: 201, there, deleted', async (source) => {
    const of = registry()
    const blob = made(`mounted from ${source}`)
    await of.putBlob(source, blob.bytes, blob.digest)
    const answer = await of.ask('POST', addQuery(uploads, { mount: blob.digest, from: source }))
    expect(answer.status, told(answer)).toBe(201)
    expect(answer.headers.location).toBe(`/v2/${repository}/blobs/${blob.digest}`)
    await expectThere(of, blob, answer)
    await expectDeleted(of, blob)
  })

  test('mount anonymous: 201 where a repository of the project has it', async () => {
    const of = registry()
    const blob = made('mounted from anywhere')
    await of.putBlob('demo/source', blob.bytes, blob.digest)
    const answer = await of.ask('POST', addQuery(uploads, { mount: blob.digest }))
    expect(answer.status, told(answer)).toBe(201)
    await expectThere(of, blob, answer)
  })

  test.each([{ from: 'demo/source' }, {}])('mount missing, %j: 202, and the upload goes on', async (from) => {
    const of = registry()
    const blob = made(`missing ${JSON.stringify(from)}`)
    const location = await begin(of, { mount: blob.digest, ...from })
    const pushed = await of.ask('PUT', addQuery(location, { digest: blob.digest }), { body: blob.bytes })
    expect(pushed.status, told(pushed)).toBe(201)
    await expectThere(of, blob, pushed)
  })

  const ranges: [string, number, number][] = [
    ['bytes=500-1499', 500, 1499],
    ['bytes=500-', 500, 2047],
    ['bytes=-500', 1548, 2047],
    ['bytes=2000-5000', 2000, 2047],
  ]
  test.each(ranges)('Range: %s of 2048 bytes is 206 with %i-%i', async (range, first, last) => {
    const of = registry()
    const blob = made('ranged', 2048)
    await of.putBlob(repository, blob.bytes, blob.digest)
    const answer = await of.ask('GET', `/v2/${repository}/blobs/${blob.digest}`, { headers: { range } })
    expect([answer.status, answer.headers['content-range']]).toEqual([206, `bytes ${first}-${last}/2048`])
    expect(answer.headers['content-length']).toBe(String(last - first + 1))
    expect(answer.body.equals(blob.bytes.subarray(first, last + 1))).toBe(true)
  })

  test.each(['bytes=500-0', 'bytes=5000-10000'])('Range: %s of 2048 bytes is 416', async (range) => {
    const of = registry()
    const blob = made('ranged', 2048)
    await of.putBlob(repository, blob.bytes, blob.digest)
    const answer = await of.ask('GET', `/v2/${repository}/blobs/${blob.digest}`, { headers: { range } })
    expect(answer.status).toBe(416)
  })
})

test('post cancel: 204, and nothing is there any more', async () => {
  const of = registry()
  const location = await begin(of)
  await patch(of, location, someBytes('cancelled'), [0, 512])
  expect((await of.ask('DELETE', location)).status).toBe(204)
  for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
    const answer = await of.ask(method, addQuery(location, { digest: digestOf('x') }), { body: 'x' })
    expect([method, answer.status]).toEqual([method, 404])
    if (method !== 'HEAD')
      expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code: 'BLOB_UPLOAD_UNKNOWN' }] })
  }
})

test('an upload whose digest was wrong is over', async () => {
  const of = registry()
  const location = await begin(of)
  const bad = await of.ask('PUT', addQuery(location, { digest: digestOf('x') }), { body: 'y' })
  expect(bad.status).toBe(400)
  expect((await of.ask('GET', location)).status).toBe(404)
})

test('one upload takes what comes whatever the digest will be of', async () => {
  const of = registry()
  for (const algorithm of algorithms) {
    const bytes = someBytes(`both ${algorithm}`)
    const location = await patch(of, await begin(of), bytes, [0, 512])
    const digest = digestOf(bytes, algorithm)
    expect((await of.ask('PUT', addQuery(location, { digest }))).status).toBe(201)
  }
})
