/** What the suite asks once of a repository that nobody has used. */
import { expect, test } from 'vitest'
import { digestOf } from '../../../src/oci/digest.ts'
import { told, useRegistry } from './registry.ts'

const registry = useRegistry()
const unused = '/v2/demo/never-used'
const index = 'application/vnd.oci.image.index.v1+json'

test('ping: GET /v2/ is 200 with a token', async () => {
  const answer = await registry().ask('GET', '/v2/')
  expect(answer.status, told(answer)).toBe(200)
})

test('empty: the tag list is 404, or 200 JSON', async () => {
  const answer = await registry().ask('GET', `${unused}/tags/list`)
  expect([200, 404], told(answer)).toContain(answer.status)
  expect(answer.headers['content-type']).toBe('application/json')
})

test.each(['sha256', 'sha512'] as const)('empty: referrers of a %s digest are an empty index', async (algorithm) => {
  const { status, headers, body } = await registry().ask('GET', `${unused}/referrers/${digestOf('random', algorithm)}`)
  expect([status, headers['content-type']]).toEqual([200, index])
  expect(JSON.parse(body.toString())).toEqual({ schemaVersion: 2, mediaType: index, manifests: [] })
})

test.each([digestOf('missing'), digestOf('missing', 'sha512'), 'missing', '.INVALID_MANIFEST_NAME'])(
  'missing manifest: GET and HEAD of %s are 404',
  async (reference) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await registry().ask(method, `${unused}/manifests/${reference}`)
      expect([method, answer.status]).toEqual([method, 404])
    }
  },
)

test.each(['sha256:baddigeststring', 'sha256:totallywrong', `sha384:${'0'.repeat(96)}`])(
  'invalid digest: PUT of %s is 400, GET 404 or 400 with a code of the specification',
  async (reference) => {
    const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }
    const put = await registry().ask('PUT', `${unused}/manifests/${reference}`, { headers, body: '{}' })
    expect(put.status).toBe(400)
    const get = await registry().ask('GET', `${unused}/manifests/${reference}`)
    expect([400, 404]).toContain(get.status)
    expect(JSON.parse(get.body.toString())).toMatchObject({
      errors: [{ code: expect.stringMatching(/^(DIGEST_INVALID|MANIFEST_UNKNOWN|NAME_UNKNOWN)$/) }],
    })
  },
)

test.each(['sha256', 'sha512'] as const)(
  'get missing: GET and HEAD of an unknown %s blob are 404',
  async (algorithm) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await registry().ask(method, `${unused}/blobs/${digestOf('missing', algorithm)}`)
      expect([method, answer.status]).toEqual([method, 404])
    }
  },
)
