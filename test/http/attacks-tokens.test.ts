/** Tokens that are forged, misread, of another kind or used elsewhere. */
import { createHmac, createPublicKey, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { World } from '../support/world.ts'
import { type Attacked, bearer, claimsOf, errorOf, image, prod, pull, useAttacked } from './attacks-world.ts'

const attacked = useAttacked()

describe('tokens', () => {
  const headerOf = (token: string) =>
    JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const hs256 = (key: string | Buffer, header: object, claims: object) => {
    const signed = `${part({ ...header, alg: 'HS256' })}.${part(claims)}`
    return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`
  }
  const stranger = () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const sign = (header: object, claims: object) => {
      const signed = `${part(header)}.${part(claims)}`
      const signature = signBytes('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      return `${signed}.${signature.toString('base64url')}`
    }
    return { sign, jwk: { ...publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' } }
  }
  const jwks = async ({ request }: World) =>
    JSON.parse((await request('/openid/v1/jwks')).body.toString()) as { keys: [Record<string, string>] }

  type Forge = (good: string, world: Attacked) => Promise<string> | string
  const forged: [string, Forge][] = [
    ['alg none', (good) => `${part({ typ: 'JWT', alg: 'none' })}.${good.split('.')[1]}.`],
    [
      'alg NONE, with the signature left on',
      (good) => `${part({ typ: 'JWT', alg: 'NONE' })}${good.slice(good.indexOf('.'))}`,
    ],
    [
      'HS256 signed by the public key in PEM',
      async (good, world) => {
        const key = createPublicKey({ key: (await jwks(world)).keys[0], format: 'jwk' })
        return hs256(key.export({ type: 'spki', format: 'pem' }), headerOf(good), claimsOf(good))
      },
    ],
    [
      'HS256 signed by the public key in DER',
      async (good, world) => {
        const key = createPublicKey({ key: (await jwks(world)).keys[0], format: 'jwk' })
        return hs256(key.export({ type: 'spki', format: 'der' }), headerOf(good), claimsOf(good))
      },
    ],
    [
      'HS256 signed by the key set as it is served',
      async (good, world) => {
        const text = (await world.request('/openid/v1/jwks')).body
        return hs256(text, headerOf(good), claimsOf(good))
      },
    ],
    ['HS256 signed by nothing', (good) => hs256('', headerOf(good), claimsOf(good))],
    ['a foreign kid', (good) => stranger().sign({ ...headerOf(good), kid: 'mine' }, claimsOf(good))],
    ['our kid and a foreign key', (good) => stranger().sign(headerOf(good), claimsOf(good))],
    [
      'an embedded jwk',
      (good) => {
        const { sign, jwk } = stranger()
        return sign({ ...headerOf(good), jwk }, claimsOf(good))
      },
    ],
    [
      'a jku and an x5u',
      (good) => {
        const away = { jku: 'https://169.254.169.254/jwks', x5u: 'https://169.254.169.254/x5u' }
        return stranger().sign({ ...headerOf(good), ...away }, claimsOf(good))
      },
    ],
    [
      'more access than was given, under the same signature',
      (good) => {
        const [header, , signature] = good.split('.')
        const access = [{ type: 'repository', name: 'secret/app', actions: ['pull'] }]
        return `${header}.${part({ ...claimsOf(good), access })}.${signature}`
      },
    ],
    ['the wrong audience: a token of the API', (_, { ci }) => ci],
    ['the wrong audience: of weir login', (_, world) => world.adminToken],
    [
      'a token that has expired',
      (good, { clock }) => {
        clock.advance(16 * 60_000)
        return good
      },
    ],
    [
      'a token of the future',
      async (_, { clock, tokenFor }) => {
        clock.advance(10 * 60_000)
        const early = await tokenFor(pull)
        clock.advance(-10 * 60_000)
        return early
      },
    ],
    ['half a token', (good) => good.slice(0, good.length / 2)],
    ['a token and more', (good) => `${good}.${part({})}`],
    ['a token of 16 KiB', (good) => good + 'A'.repeat(14_000)],
    ['an anonymous token of OKD', () => 'anonymous'],
  ]

  test.each(forged)('%s: 401 invalid_token, warm and not, and nobody is asked elsewhere', async (_, forge) => {
    const world = attacked()
    const good = await world.tokenFor(pull)
    expect((await world.request(prod, { token: good })).status).toBe(200)
    expect((await world.request(prod, { token: good })).status).toBe(200)
    const asked = world.upstream.requests.length
    const token = await forge(good, world)
    for (const path of [prod, '/v2/secret/app/manifests/prod', '/v2/', '/v2/_catalog']) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await world.request(path, { token, method })
        expect([path, answer.status, errorOf(answer)]).toEqual([path, 401, 'invalid_token'])
        expect(answer.body.includes(image.manifest.bytes)).toBe(false)
      }
    }
    expect(world.upstream.requests.length).toBe(asked)
  })

  const headers: [string, (token: string) => string[]][] = [
    ['two Authorization headers, the same', (token) => [bearer(token), bearer(token)]],
    ['two Authorization headers, the first good', (token) => [bearer(token), bearer('x')]],
    ['two Authorization headers, the second good', (token) => [bearer('x'), bearer(token)]],
    ['Basic and Bearer', (token) => ['Authorization: Basic eDp5', bearer(token)]],
    ['a double blank', (token) => [`Authorization: bearer  ${token}`]],
    ['a tab', (token) => [`Authorization: Bearer\t${token}`]],
    ['a comma behind', (token) => [`${bearer(token)},`]],
    ['another scheme', (token) => [`Authorization: Token ${token}`]],
    ['a folded header', (token) => ['Authorization: Bearer', ` ${token}`]],
    ['a null byte', (token) => [`${bearer(token)}\0`]],
  ]

  test.each(headers)('%s: refused, though the token is good', async (_, sent) => {
    const world = attacked()
    const token = await world.tokenFor(pull)
    expect(await world.raw(prod, [bearer(token)])).toMatchObject({ status: 200 })
    const { status, body } = await world.raw(prod, sent(token))
    expect([400, 401]).toContain(status)
    expect(body).not.toContain('layers')
  })
})
