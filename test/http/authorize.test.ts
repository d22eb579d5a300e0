import { expect, test } from 'vitest'
import { parseChallenges } from '../../src/oci/challenge.ts'
import { makeImage } from '../support/images.ts'
import { type AskOptions, type Harness, publicUrl, served, service, startHttp, tokenFor } from './harness.ts'

const image = makeImage('one').manifest

async function world(): Promise<Harness> {
  const harness = await startHttp()
  harness.tokens.set('empty', { ...tokenFor('x', []), access: [] })
  harness.manifests.set('demo/app:prod', served(image))
  return harness
}

function challengeOf(header: string | undefined): Record<string, string> {
  const challenges = parseChallenges(header)
  expect(challenges).toHaveLength(1)
  expect(challenges[0]?.scheme).toBe('bearer')
  return Object.fromEntries(challenges[0]?.parameters ?? [])
}

test.each(['/v2/', '/v2'])(
  'GET and HEAD %s without a token answer 401 with a Bearer challenge and no scope',
  async (path) => {
    const { ask } = await world()
    for (const method of ['GET', 'HEAD']) {
      const answer = await ask(path, { method })
      expect(answer.status).toBe(401)
      expect(challengeOf(answer.headers['www-authenticate'])).toEqual({ realm: `${publicUrl}/token`, service })
      expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0')
    }
  },
)

test.each(['good', 'empty'])('GET /v2/ with the valid token %s answers 200 {}', async (token) => {
  const { ask } = await world()
  const answer = await ask('/v2/', { token })
  expect(answer.status).toBe(200)
  expect(answer.json()).toEqual({})
  expect(answer.headers['content-type']).toBe('application/json')
})

const scope = 'repository:demo/app:pull'
const refusals: [string, AskOptions, Record<string, string>][] = [
  ['no token', {}, { scope }],
  ['a bad token', { token: 'bad' }, { scope, error: 'invalid_token' }],
  ['a token without the scope', { token: 'empty' }, { scope, error: 'insufficient_scope' }],
  ['a token that no header has', { headers: { authorization: 'Bearer a b' } }, { scope, error: 'invalid_token' }],
  ['a scheme alone', { headers: { authorization: 'Bearer' } }, { scope, error: 'invalid_token' }],
  ['another scheme', { headers: { authorization: 'Digest x' } }, { scope, error: 'invalid_token' }],
  ['a token without scheme', { headers: { authorization: 'good' } }, { scope, error: 'invalid_token' }],
  ['Basic', { headers: { authorization: `Basic ${btoa('ci:good')}` } }, { scope }],
  [
    'two Authorization headers',
    { headers: { authorization: ['Bearer good', 'Bearer good'] } },
    { scope, error: 'invalid_token' },
  ],
  [
    'Basic and Bearer',
    { headers: { authorization: ['Basic eDp5', 'Bearer good'] } },
    { scope, error: 'invalid_token' },
  ],
]

test.each(refusals)('%s is refused with everything that is needed', async (_name, options, said) => {
  const { ask, calls } = await world()
  for (const path of ['/v2/demo/app/manifests/prod', `/v2/demo/app/blobs/${image.digest}`, '/v2/demo/app/tags/list']) {
    const answer = await ask(path, options)
    expect(answer.status).toBe(401)
    expect(challengeOf(answer.headers['www-authenticate'])).toEqual({ realm: `${publicUrl}/token`, service, ...said })
    expect(answer.json()).toMatchObject({
      errors: [{ code: 'UNAUTHORIZED', detail: [{ Type: 'repository', Class: '', Name: 'demo/app', Action: 'pull' }] }],
    })
  }
  expect(calls).toEqual([])
})

test('the scheme is read in any case', async () => {
  const { ask } = await world()
  const answer = await ask('/v2/demo/app/manifests/prod', { headers: { authorization: 'bEaReR good' } })
  expect(answer.status).toBe(200)
})

test('I5: forbidden and absent repositories get the same answer but for their names', async () => {
  const { ask, manifests } = await world()
  manifests.set('demo/hidden:prod', served(image))
  const [hidden, absent] = await Promise.all(
    ['hidden', 'absent'].map(async (name) => {
      const { status, headers, body } = await ask(`/v2/demo/${name}/manifests/prod`, {
        token: 'good',
        headers: { 'x-request-id': 'r' },
      })
      return {
        status,
        headers: JSON.stringify({ ...headers, date: '' })
          .replaceAll(name, 'NAME')
          .replace(/"content-length":"\d+"/, ''),
        body: body.toString().replaceAll(name, 'NAME'),
      }
    }),
  )
  expect(hidden).toEqual(absent)
  expect(hidden?.status).toBe(401)
})

test('the catalog asks for its own scope', async () => {
  const { ask } = await world()
  const answer = await ask('/v2/_catalog', { token: 'good' })
  expect(answer.status).toBe(401)
  expect(challengeOf(answer.headers['www-authenticate'])).toMatchObject({
    scope: 'registry:catalog:*',
    error: 'insufficient_scope',
  })
})

test('the realm comes from the config, whatever the Host header says', async () => {
  const { ask } = await world()
  for (const host of ['evil.example', 'evil.example:1', '[::1]:9']) {
    const answer = await ask('/v2/', { headers: { host } })
    expect(answer.status).toBe(401)
    expect(challengeOf(answer.headers['www-authenticate']).realm).toBe(`${publicUrl}/token`)
  }
})
