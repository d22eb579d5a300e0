import { describe, expect, test } from 'vitest'
import type { Login, Subject } from '../../../../src/access/access.ts'
import { RegistryError } from '../../../../src/oci/errors.ts'
import { invalidFields, issuer, refusal } from '../../world.ts'
import { identity, type ReviewsWorld, reviewsWorld } from './world.ts'

const self = `${identity}/selfsubjectreviews`
const tokens = `${identity}/tokenreviews`

const about = (token: unknown, more: object = {}) => ({
  kind: 'TokenReview',
  apiVersion: 'authentication.k8s.io/v1',
  spec: { token, ...more },
})

/** A world in which `answer` is asked about whoever Weir does not know itself. */
function knowing(answer: (login: Login) => Promise<Subject | undefined>): Promise<ReviewsWorld> {
  return reviewsWorld(({ authenticator }) => ({
    authenticator: {
      ...authenticator,
      authenticate: async (login) => (await authenticator.authenticate(login)) ?? answer(login),
    },
  }))
}

describe('a review of oneself', () => {
  test('tells everybody who he is, the one without a token too', async () => {
    const { ask, robot } = await reviewsWorld()
    const token = await robot('ci')
    expect(await ask(self, {}, { token })).toMatchObject({
      status: 201,
      body: {
        kind: 'SelfSubjectReview',
        status: {
          userInfo: {
            username: 'system:serviceaccount:demo:ci',
            uid: expect.any(String),
            groups: ['system:serviceaccounts', 'system:serviceaccounts:demo', 'system:authenticated'],
          },
        },
      },
    })
    expect((await ask(self, {}, { token: undefined })).body.status).toEqual({
      userInfo: { username: 'system:anonymous', groups: ['system:unauthenticated'] },
    })
  })
})

describe('a review of a token', () => {
  test('tells whose it is, for what, and not the token', async () => {
    const { ask, robot, adminToken } = await reviewsWorld()
    const token = await robot('ci')
    const answer = await ask(tokens, about(token))
    expect(answer).toMatchObject({ status: 201, body: { kind: 'TokenReview', spec: {} } })
    expect(answer.body.status).toEqual({
      authenticated: true,
      user: {
        username: 'system:serviceaccount:demo:ci',
        uid: expect.any(String),
        groups: ['system:serviceaccounts', 'system:serviceaccounts:demo', 'system:authenticated'],
      },
      audiences: [issuer],
    })
    expect(answer.text).not.toContain(token)
    expect((await ask(tokens, about(adminToken))).body.status).toMatchObject({ user: { username: 'weir:admin' } })
  })

  test('asks as the API does of a bearer: without a user name, and for the client that asks', async () => {
    const asked: Login[] = []
    const { ask } = await knowing(async (login) => {
      asked.push(login)
      return { name: 'oidc:ann', groups: ['devs', 'system:authenticated'], provider: 'company' }
    })
    expect((await ask(tokens, about('theirs'))).body.status).toEqual({
      authenticated: true,
      user: {
        username: 'oidc:ann',
        groups: ['devs', 'system:authenticated'],
        extra: { 'weir.dev/provider': ['company'] },
      },
      audiences: [issuer],
    })
    expect(asked).toEqual([{ user: '', secret: 'theirs', client: { address: '', userAgent: '' } }])
  })

  test('of an account that is gone, a registry token, and no token at all says no', async () => {
    const { ask, robot, objects, tokens: issuing, authenticator, lines } = await reviewsWorld()
    const token = await robot('leaving')
    const client = { address: '', userAgent: '' }
    const subject = await authenticator.authenticate({ user: '', secret: token, client })
    if (subject === undefined) throw new Error('the robot is nobody')
    const registry = await issuing.issueRegistryToken(subject, [])
    const gone = await objects.delete('serviceaccounts', 'demo', 'leaving')
    expect(gone).toBeDefined()
    for (const secret of [token, registry.token, 'nonsense', `${token}x`, 'Bearer x', '__proto__', 'é\n']) {
      const answer = await ask(tokens, about(secret))
      expect(answer, secret).toMatchObject({ status: 201, body: { status: { authenticated: false, user: {} } } })
      expect((answer.body.status as { error: string }).error, secret).toMatch(/./)
      expect(answer.text + lines.join(''), secret).not.toContain(secret)
    }
  })

  test('for other audiences alone says no, whoever’s it is', async () => {
    const { ask, robot } = await reviewsWorld()
    const token = await robot('ci')
    const answer = await ask(tokens, about(token, { audiences: ['https://kubernetes.default.svc'] }))
    expect(answer.body.status).toEqual({
      authenticated: false,
      user: {},
      error: `tokens are for the audience "${issuer}" alone`,
    })
    expect((await ask(tokens, about(token, { audiences: ['x', issuer] }))).body).toMatchObject({
      spec: { audiences: ['x', issuer] },
      status: { authenticated: true, audiences: [issuer] },
    })
  })

  test('says why a provider refuses, without the token', async () => {
    const { ask, lines } = await knowing(async ({ secret }) => {
      throw new RegistryError('UNAUTHORIZED', { message: secret === 'old' ? 'it has expired' : `what is ${secret}?` })
    })
    expect((await ask(tokens, about('old'))).body.status).toMatchObject({
      authenticated: false,
      error: 'it has expired',
    })
    const answer = await ask(tokens, about('s3cr3t'))
    expect(answer.body.status).toMatchObject({ authenticated: false, error: 'the token is not valid' })
    expect(answer.text + lines.join('')).not.toContain('s3cr3t')
  })

  test('that can not be made now is no “no”', async () => {
    const failing = async (code: 'TOOMANYREQUESTS' | 'UNAVAILABLE') => {
      const { ask } = await knowing(async () => {
        throw new RegistryError(code, { retryAfterSeconds: 7 })
      })
      return ask(tokens, about('theirs'))
    }
    expect(await failing('TOOMANYREQUESTS')).toMatchObject({ status: 429 })
    expect(await failing('UNAVAILABLE')).toMatchObject({ status: 503 })
  })

  test('for more than 100 audiences is refused', async () => {
    const { ask } = await reviewsWorld()
    expect(await ask(tokens, about('t', { audiences: Array(101).fill('a') }))).toMatchObject(
      invalidFields('spec.audiences'),
    )
  })

  test('that no request can carry asks nobody', async () => {
    const { ask } = await knowing(async () => {
      throw new Error('it was asked')
    })
    const answer = await ask(tokens, about('x'.repeat(3_000_000)))
    expect(answer).toMatchObject({ status: 201, body: { status: { authenticated: false } } })
    expect(answer.text.length).toBeLessThan(1000)
  })

  test.each([
    [{}, invalidFields('spec.token')],
    [{ spec: null }, invalidFields('spec.token')],
    [about(''), invalidFields('spec.token')],
    [about(null), invalidFields('spec.token')],
    [about({ s3cr3t: 's3cr3t' }), refusal(400, 'BadRequest', expect.stringContaining('spec.token: expected string'))],
    [about(['s3cr3t']), refusal(400, 'BadRequest')],
    ['{"spec":{"token":"s3cr3t"', refusal(400, 'BadRequest', 'the body is not JSON')],
    ['{"spec":{"token":"s3cr3t","token":"s3cr3t"},"kind":"s3cr3"}', refusal(400, 'BadRequest')],
  ])('of %j is refused, and nothing of it told', async (body, refused) => {
    const { ask, lines } = await reviewsWorld()
    const answer = await ask(`${tokens}?fieldValidation=Strict`, body)
    expect(answer).toMatchObject(refused)
    expect(answer.text + lines.join('')).not.toContain('s3cr3t')
  })

  test('is made for who has the right on the cluster, and not for who has it in a project', async () => {
    const { ask, robot, bind } = await reviewsWorld()
    const token = await robot('boss', 'admin')
    const account = { kind: 'ServiceAccount', name: 'boss', namespace: 'demo' } as const
    await bind({ name: 'there', role: 'system:auth-delegator', subject: account })
    for (const as of [{ token }, { token: undefined }]) {
      expect(await ask(tokens, about(token), as)).toMatchObject(
        refusal(403, 'Forbidden', expect.stringContaining('cannot create resource "tokenreviews"')),
      )
    }
    await bind({ name: 'everywhere', role: 'system:auth-delegator', subject: account, project: '' })
    expect(await ask(tokens, about(token), { token })).toMatchObject({ body: { status: { authenticated: true } } })
  })
})
