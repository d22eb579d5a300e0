/** What refers to an image at a home is found there, also without Weir and without the API. */
import { describe, expect, test } from 'vitest'
import { fallbackTagOf } from '../../src/oci/fallback-tag.ts'
import { mediaTypes } from '../../src/oci/media-types.ts'
import { artifact, described, indexOf, listed, page } from '../referrers/world.ts'
import { answering, failing, withHeader } from '../support/fake-upstream-faults.ts'
import { makeImage, type Piece, piece, type TestImage } from '../support/images.ts'
import { startWorld, type World } from '../support/world.ts'

const image = makeImage('signed at home')
const one = artifact(image.manifest, 'one')
const two = artifact(image.manifest, 'two', { annotations: { by: 'somebody' } })
const tag = fallbackTagOf(image.manifest.digest)
const api = /referrers\//

async function homeWorld() {
  const world = await startWorld({ upstream: { auth: { kind: 'none' } } })
  await world.cli('new-project', 'demo')
  const answer = await world.request('/api/v1/namespaces/demo', {
    method: 'PATCH',
    token: world.adminToken,
    secure: true,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ metadata: { annotations: { 'weir.dev/home': `${world.upstream.host}/team` } } }),
  })
  expect(answer.status).toBe(200)
  const token = await world.pullToken('repository:demo/app:pull,push', world.adminToken)
  const send = (method: string, path: string, body = '', type = 'application/octet-stream') =>
    world.request(path, { method, token, body, headers: { 'content-type': type } })
  const put = ({ bytes, mediaType, digest }: Piece, reference: string = digest) =>
    send('PUT', `/v2/demo/app/manifests/${reference}`, bytes.toString('latin1'), mediaType)
  const push = async ({ config, layers, manifest }: TestImage, reference: string = manifest.digest) => {
    for (const { digest, bytes } of [config, ...layers]) {
      const begun = await send('POST', '/v2/demo/app/blobs/uploads/')
      const ended = await send('PUT', `${begun.headers.location}?digest=${digest}`, bytes.toString('latin1'))
      expect(ended.status, ended.body.toString()).toBe(201)
    }
    return put(manifest, reference)
  }
  await push(image, 'v1')
  return { ...world, put, push, index: () => indexAt(world) }
}

function indexAt({ upstream }: Pick<World, 'upstream'>): unknown {
  const found = upstream.manifest('team/app', tag)
  return found && { mediaType: found.mediaType, ...(JSON.parse(found.bytes.toString()) as object) }
}

const whole = (manifests: unknown[]) => ({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests })

describe('at a home without the API', () => {
  test('what was pushed by digest with a subject is in the index under the tag of that, each once', async () => {
    const { push, index } = await homeWorld()
    expect((await push(one)).status).toBe(201)
    expect(index()).toEqual(whole([listed(one)]))
    expect((await push(two)).status).toBe(201)
    expect((await push(one)).status).toBe(201)
    expect(index()).toEqual(whole([listed(one), listed(two, undefined, { by: 'somebody' })]))
  })

  test('nothing gets lost of what comes at the same time, nor of what others put there', async () => {
    const { upstream, push, index } = await homeWorld()
    const theirs = artifact(image.manifest, 'theirs')
    const entry = { ...described(theirs.manifest), platform: { os: 'any', architecture: 'any' } }
    upstream.put('team/app', theirs)
    upstream.put('team/app', indexOf([entry]), { tag })
    const more = ['a', 'b', 'c', 'd'].map((seed) => artifact(image.manifest, seed))
    const answers = await Promise.all(more.map((each) => push(each)))
    expect(answers.map(({ status }) => status)).toEqual([201, 201, 201, 201])
    const { manifests } = index() as { manifests: { digest: string }[] }
    expect(manifests[0]).toEqual(entry)
    expect(new Set(manifests.map(({ digest }) => digest))).toEqual(
      new Set([theirs, ...more].map(({ manifest }) => manifest.digest)),
    )
  })

  test('an image that somebody else has under that tag stays', async () => {
    const { upstream, push } = await homeWorld()
    const theirs = makeImage('no index')
    upstream.put('team/app', theirs, { tag })
    expect((await push(one)).status).toBe(201)
    expect(upstream.manifest('team/app', tag)?.digest).toBe(theirs.manifest.digest)
  })

  test('the push ends with the refusal of the index, and a retry brings it', async () => {
    const { upstream, push, index } = await homeWorld()
    const remove = upstream.intercept(failing(new RegExp(`^PUT .*manifests/${tag}`), 503))
    expect((await push(one)).status).toBe(503)
    remove()
    expect((await push(one)).status).toBe(201)
    expect(index()).toEqual(whole([listed(one)]))
  })
})

describe('at a home with the API', () => {
  test('that says so there is no such tag, and no question', async () => {
    const { upstream, push, index } = await homeWorld()
    upstream.intercept(withHeader(/^PUT .*manifests/, 'oci-subject', image.manifest.digest))
    expect((await push(one)).status).toBe(201)
    expect(index()).toBeUndefined()
    expect(upstream.matching(api)).toEqual([])
  })

  test('that lists it there is no such tag', async () => {
    const { upstream, push, index } = await homeWorld()
    upstream.intercept(answering(api, page([listed(one)])))
    expect((await push(one)).status).toBe(201)
    expect(index()).toBeUndefined()
  })
})

test.each(['', '.sig', '.att', '.sbom'])(
  'a tag derived from a digest, with "%s", is set at home too',
  async (suffix) => {
    const { upstream, push } = await homeWorld()
    const signature = artifact(piece('application/octet-stream', 'of something else'), `signature ${suffix}`)
    expect((await push(signature, `${tag}${suffix}`)).status).toBe(201)
    expect(upstream.manifest('team/app', `${tag}${suffix}`)?.digest).toBe(signature.manifest.digest)
  },
)
