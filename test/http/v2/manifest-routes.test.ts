import { describe, expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { maxManifestBytes } from '../../../src/oci/media-types.ts'
import { makeImage } from '../../support/images.ts'
import { tokenFor } from '../harness.ts'
import { startPushing } from './pushing.ts'

const { manifest } = makeImage('pushed')
const at = (reference: string) => `/v2/demo/app/manifests/${reference}`
const sent = { method: 'PUT', token: 'pusher', body: manifest.bytes, headers: { 'content-type': manifest.mediaType } }

describe('PUT of a manifest', () => {
  test('by tag is 201, and says where it is by digest', async () => {
    const { ask, push } = await startPushing()
    const { status, headers, body } = await ask(at('v1'), sent)
    expect(status).toBe(201)
    expect(headers).toMatchObject({
      location: at(manifest.digest),
      'docker-content-digest': manifest.digest,
      'content-length': '0',
    })
    expect(headers).not.toHaveProperty('oci-tag')
    expect(headers).not.toHaveProperty('oci-subject')
    expect(body).toHaveLength(0)
    expect(push.manifests).toEqual([
      { reference: 'v1', bytes: manifest.bytes, mediaType: manifest.mediaType, tags: [] },
    ])
  })

  test('by digest with tags names each that stands there', async () => {
    const { ask, push } = await startPushing()
    const answer = await ask(`${at(manifest.digest)}?tag=v1&tag=v2&tag=v1`, sent)
    expect([answer.status, answer.headers['oci-tag']]).toEqual([201, 'v1, v2'])
    expect(push.manifests[0]?.tags).toEqual(['v1', 'v2', 'v1'])
  })

  test('names the subject of what has one', async () => {
    const { ask, push } = await startPushing()
    push.pushed = { digest: manifest.digest, subject: digestOf('subject'), tags: ['v1'] }
    expect((await ask(at('v1'), sent)).headers['oci-subject']).toBe(digestOf('subject'))
  })

  test('comes with the Content-Type that it was sent with', async () => {
    const { ask, push } = await startPushing()
    const contentType = 'Application/VND.OCI.image.manifest.v1+JSON; charset=utf-8'
    await ask(at('v1'), { ...sent, headers: { 'content-type': contentType } })
    expect(push.manifests[0]?.mediaType).toBe(contentType)
  })

  test('without Content-Type comes without one', async () => {
    const { ask, push } = await startPushing()
    await ask(at('v1'), { ...sent, headers: {} })
    expect(push.manifests[0]?.mediaType).toBeUndefined()
  })

  test.each([
    ['-v1', 'MANIFEST_INVALID'],
    ['a'.repeat(129), 'MANIFEST_INVALID'],
    ['sha256:baddigeststring', 'DIGEST_INVALID'],
    [`${manifest.digest.replace('sha256', 'sha384')}`, 'DIGEST_INVALID'],
    [`${manifest.digest}?tag=-v1`, 'MANIFEST_INVALID'],
    [`${manifest.digest}?tag=`, 'MANIFEST_INVALID'],
    [`${manifest.digest}?tag=v1&tag=a%2Fb`, 'MANIFEST_INVALID'],
    ['v1?tag=v2', 'UNSUPPORTED'],
  ])('at %s is 400 %s', async (reference, code) => {
    const { ask, push } = await startPushing()
    const answer = await ask(at(reference), sent)
    expect(answer.status).toBe(400)
    expect(answer.json()).toMatchObject({ errors: [{ code }] })
    expect(push.manifests).toEqual([])
  })

  test('takes 100 tags, and 101 are 414', async () => {
    const { ask, push } = await startPushing()
    const query = (count: number) => Array.from({ length: count }, (_, i) => `tag=v${i}`).join('&')
    expect((await ask(`${at(manifest.digest)}?${query(100)}`, sent)).status).toBe(201)
    expect(push.manifests[0]?.tags).toHaveLength(100)
    const answer = await ask(`${at(manifest.digest)}?${query(101)}`, sent)
    expect(answer.status).toBe(414)
    expect(answer.json()).toMatchObject({ errors: [{ code: 'UNSUPPORTED' }] })
  })

  test('has an error for each digest that is missing', async () => {
    const { ask, push } = await startPushing()
    const missing = ['a', 'b', 'c'].map((each) => ({ digest: digestOf(each) }))
    push.fails = new RegistryError('MANIFEST_BLOB_UNKNOWN', { detail: missing })
    const answer = await ask(at('v1'), sent)
    expect(answer.status).toBe(400)
    expect(answer.json()).toEqual({
      errors: missing.map((detail) => ({
        code: 'MANIFEST_BLOB_UNKNOWN',
        message: `manifest references unknown content: ${detail.digest}`,
        detail,
      })),
    })
  })

  test('that is refused says why, and has a line in the audit log', async () => {
    const { ask, push, audited } = await startPushing()
    push.fails = new RegistryError('DENIED', { message: 'demo/app:v1 is held at revision 3' })
    const answer = await ask(at('v1'), { ...sent, headers: { ...sent.headers, 'user-agent': 'docker/29' } })
    expect(answer.status).toBe(403)
    expect(answer.json()).toMatchObject({ errors: [{ code: 'DENIED', message: 'demo/app:v1 is held at revision 3' }] })
    await ask(at('v1'), sent)
    const line = { verb: 'push', object: { name: 'app:v1' }, decision: 'allowed' }
    expect(audited).toMatchObject([
      { ...line, status: 403, reason: 'DENIED', client: { userAgent: 'docker/29' } },
      { ...line, status: 201 },
    ])
  })

  test('takes 4 MiB, with or without their length said, and not a byte more', async () => {
    const { ask, push } = await startPushing()
    const chunked = { 'transfer-encoding': 'chunked' }
    const whole = Buffer.alloc(maxManifestBytes, ' ')
    for (const headers of [{}, chunked]) {
      expect((await ask(at('v1'), { ...sent, headers, body: whole })).status).toBe(201)
      const answer = await ask(at('v1'), { ...sent, headers, body: Buffer.concat([whole, Buffer.from(' ')]) })
      expect(answer.status).toBe(413)
      expect(answer.json()).toMatchObject({ errors: [{ code: 'SIZE_INVALID' }] })
    }
    expect(push.manifests.map(({ bytes }) => bytes.length)).toEqual([maxManifestBytes, maxManifestBytes])
  })

  test('a token for pulling and deleting does not do', async () => {
    const { ask, push, tokens } = await startPushing()
    tokens.set('deleter', tokenFor('demo/app', ['pull', 'delete']))
    expect((await ask(at('v1'), { ...sent, token: 'deleter' })).status).toBe(401)
    expect(push.manifests).toEqual([])
  })
})
