import { expect, test } from 'vitest'
import type { Deletions } from '../../../src/deletions.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { startHttp, tokenFor } from '../harness.ts'

const digest = digestOf('some')
const nothing = { tags: [], manifests: [] }

async function world(fails?: RegistryError) {
  const asked: unknown[] = []
  const note = (...what: unknown[]) => {
    asked.push(what)
    if (fails !== undefined) throw fails
    return nothing
  }
  const deletions: Deletions = {
    tag: async ({ project, stream }, tag, { by }) => note('tag', `${project}/${stream}`, tag, by),
    image: async ({ project, stream }, of, { by }) => note('image', `${project}/${stream}`, of, by),
    blob: async ({ project, stream }, of) => void note('blob', `${project}/${stream}`, of),
  }
  const harness = await startHttp({ parts: { deletions } })
  harness.tokens.set('deleter', tokenFor('demo/app', ['delete']))
  harness.tokens.set('all', tokenFor('demo/app', ['*']))
  return { ...harness, asked }
}

test.each([
  ['a tag', '/v2/demo/app/manifests/v1', ['tag', 'demo/app', 'v1', 'ci'], 'app:v1'],
  ['an image', `/v2/demo/app/manifests/${digest}`, ['image', 'demo/app', digest, 'ci'], `app@${digest}`],
  ['a blob', `/v2/demo/app/blobs/${digest}`, ['blob', 'demo/app', digest], `app@${digest}`],
])('DELETE of %s is 202, with a line in the audit log', async (_, path, called, name) => {
  const { ask, asked, audited } = await world()
  for (const token of ['deleter', 'all']) {
    const { status, headers, body } = await ask(path, { method: 'DELETE', token })
    expect([status, headers['content-length'], body.length]).toEqual([202, '0', 0])
  }
  expect(asked).toEqual([called, called])
  expect(audited).toMatchObject([
    { verb: 'delete', object: { project: 'demo', name }, decision: 'allowed', status: 202 },
    { status: 202 },
  ])
})

test.each([
  ['/v2/demo/app/manifests/sha256:0', 400, 'DIGEST_INVALID'],
  ['/v2/demo/app/blobs/none', 400, 'DIGEST_INVALID'],
  ['/v2/demo/app/manifests/-v1', 404, 'MANIFEST_UNKNOWN'],
])('DELETE %s is %i', async (path, status, code) => {
  const { ask, asked } = await world()
  const answer = await ask(path, { method: 'DELETE', token: 'deleter' })
  expect(answer.status).toBe(status)
  expect(answer.json()).toMatchObject({ errors: [{ code }] })
  expect(asked).toEqual([])
})

test.each([
  [new RegistryError('UNSUPPORTED', { message: 'sha256:... names it' }), 405],
  [new RegistryError('DENIED', { message: 'demo/app:v1 is held' }), 403],
  [new RegistryError('BLOB_UNKNOWN'), 404],
])('what refuses a deletion is told: %s', async (fails, status) => {
  const { ask, audited } = await world(fails)
  const answer = await ask(`/v2/demo/app/blobs/${digest}`, { method: 'DELETE', token: 'deleter' })
  expect(answer.status).toBe(status)
  expect(answer.json()).toMatchObject({ errors: [{ code: fails.code, message: fails.message }] })
  expect(audited).toMatchObject([{ verb: 'delete', status, reason: fails.code }])
})

test.each(['/v2/demo/app/manifests/-', '/v2/demo/app/manifests/v1', '/v2/demo/app/blobs/none'])(
  'rights come first: DELETE %s with a token for pulling and pushing asks for delete',
  async (path) => {
    const { ask, asked, tokens } = await world()
    tokens.set('pusher', tokenFor('demo/app', ['pull', 'push']))
    const answer = await ask(path, { method: 'DELETE', token: 'pusher' })
    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toContain(
      'scope="repository:demo/app:delete",error="insufficient_scope"',
    )
    expect(asked).toEqual([])
  },
)

test.each([
  ['POST', '/v2/demo/app/manifests/v1', 'GET, HEAD, PUT, DELETE'],
  ['POST', `/v2/demo/app/blobs/${digest}`, 'GET, HEAD, DELETE'],
  ['DELETE', '/v2/demo/app/tags/list', 'GET, HEAD'],
])('%s %s is 405 with what there is', async (method, path, allow) => {
  const { ask } = await world()
  const answer = await ask(path, { method, token: 'deleter' })
  expect([answer.status, answer.headers.allow]).toEqual([405, allow])
})
