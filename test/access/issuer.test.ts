import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { CompactSign } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'
import { discoveryPath, keysPath, makeFakeKey } from '../support/fake-issuer.ts'
import { startOidc } from '../support/oidc.ts'
import { fakeIssuerWorld, issuerRules, issuerWorld } from './issuer-world.ts'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const unauthorized = expect.objectContaining({ code: 'UNAUTHORIZED' })
const unavailable = expect.objectContaining({ code: 'UNAVAILABLE' })

describe('a real OIDC provider', () => {
  async function realIdp(rules = {}) {
    const idp = await startOidc()
    onTestFinished(() => idp.stop())
    idp.account('jane', { email: 'jane@acme.test', email_verified: true, groups: ['dev', 'ops'] })
    const all = issuerRules({ issuer: idp.issuer, certificateAuthority: idp.ca, ...rules })
    return { idp, ...issuerWorld(all) }
  }

  test("takes a person's identity token, with her groups, until it ends", async () => {
    const { idp, ask } = await realIdp({
      username: { claim: 'email', prefix: '' },
      groups: [{ claim: 'groups', prefix: 'idp:' }],
    })
    const subject = await ask(await idp.login('jane'))
    expect(subject).toMatchObject({
      name: 'jane@acme.test',
      groups: ['idp:dev', 'idp:ops', 'system:authenticated'],
      provider: 'idp',
    })
    expect(subject?.endsAt).toBeGreaterThan(Date.now() / 1000 + 500)
  })

  test("takes a machine's access token that is a JWT, and not one for another resource", async () => {
    const { idp, ask } = await realIdp({ audiences: ['https://weir.test'] })
    expect(await ask(await idp.machineToken('https://weir.test'))).toMatchObject({ name: 'idp:build-machine' })
    await expect(ask(await idp.machineToken('https://other.test'))).rejects.toEqual(unauthorized)
  })

  test.each(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const)(
    'a new %s key signs at once, and what the old one signed goes on',
    async (algorithm) => {
      const { idp, ask } = await realIdp()
      const old = await idp.login('jane')
      await ask(old)
      await idp.rotate({ algorithm })
      expect(await ask(await idp.login('jane'))).toMatchObject({ name: 'idp:jane' })
      expect(await ask(old)).toMatchObject({ name: 'idp:jane' })
    },
  )

  test('a withdrawn key is good for ten minutes at the most', async () => {
    const { idp, ask, clock } = await realIdp()
    const old = await idp.sign({ sub: 'jane', aud: 'weir', exp: Math.floor(Date.now() / 1000) + 86_400 })
    await ask(old)
    await idp.rotate({ withdrawn: true })
    expect(await ask(old)).toMatchObject({ name: 'idp:jane' })
    clock.advance(600_000)
    await expect(ask(old)).rejects.toEqual(unauthorized)
  })

  test('its keys are used on while it is unreachable', async () => {
    const { idp, ask, clock, lines } = await realIdp()
    await ask(await idp.login('jane'))
    const later = await idp.sign({ sub: 'jane', aud: 'weir', exp: Math.floor(Date.now() / 1000) + 86_400 })
    idp.setReachable(false)
    clock.advance(3_600_000)
    expect(await ask(later)).toMatchObject({ name: 'idp:jane' })
    expect(await ask(later)).toMatchObject({ name: 'idp:jane' })
    expect(lines.filter(({ level }) => level === 40)).toHaveLength(1)
    const asked = idp.requests.length
    await ask(later)
    expect(idp.requests).toHaveLength(asked)
    idp.setReachable(true)
    clock.advance(60_000)
    await ask(later)
    expect(lines.at(-1)).toMatchObject({ msg: 'the issuer answers again' })
  })

  test('unreachable from the start is no wrong login, and it is asked again when it may be back', async () => {
    const { idp, ask, clock } = await realIdp()
    const token = await idp.login('jane')
    idp.setReachable(false)
    await expect(ask(token)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterSeconds: 10 })
    const asked = idp.requests.length
    await expect(ask(token)).rejects.toEqual(unavailable)
    expect(idp.requests).toHaveLength(asked)
    idp.setReachable(true)
    clock.advance(10_000)
    expect(await ask(token)).toMatchObject({ name: 'idp:jane' })
  })
})

describe('a token', () => {
  test("of the issuer is its subject's until it ends, to the second", async () => {
    const { idp, ask, clock } = await fakeIssuerWorld()
    const token = await idp.sign()
    expect(await ask(token)).toEqual({
      name: 'idp:someone',
      groups: ['system:authenticated'],
      uid: expect.any(String),
      provider: 'idp',
      endsAt: clock.now() / 1000 + 600,
    })
    clock.advance(599_000)
    await ask(token)
    clock.advance(1000)
    await expect(ask(token)).rejects.toMatchObject({ message: 'the token of idp has expired: get a new one' })
  })

  test.each([
    ['no token', 'secret'],
    ['of another issuer', `${part({ alg: 'ES256' })}.${part({ iss: 'https://other.test' })}.x`],
    ['without an issuer', `${part({ alg: 'ES256' })}.${part({})}.x`],
    ['with a list of issuers', `${part({ alg: 'ES256' })}.${part({ iss: ['https://other.test'] })}.x`],
    ['with no object as claims', `${part({ alg: 'ES256' })}.bnVsbA.x`],
    ['encrypted', `${part({ alg: 'RSA-OAEP', enc: 'A256GCM' })}.a.b.c.d`],
  ])('%s is none of its, and it is not asked', async (_, secret) => {
    const { idp, ask } = await fakeIssuerWorld()
    expect(await ask(secret)).toBeUndefined()
    expect(idp.requests).toEqual([])
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['for another audience', { aud: 'other' }, '"aud"'],
    ['without an audience', { aud: undefined }, '"aud"'],
    ['whose audience is an object', { aud: { weir: true } }, '"aud"'],
    ['whose audience only begins so', { aud: 'weir.evil.test' }, '"aud"'],
    ['whose list of audiences is one text', { aud: 'other,weir' }, '"aud"'],
    ['without an end', { exp: undefined }, '"exp"'],
    ['whose end is a text', { exp: '9999999999' }, '"exp"'],
    ['whose end is a list', { exp: [9_999_999_999] }, '"exp"'],
    ['whose end is beyond numbers', { exp: 1e300 }, '"exp"'],
    ['that begins later', { nbf: Date.UTC(2026, 0, 1) / 1000 + 31 }, '"nbf"'],
    ['whose beginning is a text', { nbf: '0' }, '"nbf"'],
    ['made in the future', { iat: Date.UTC(2026, 0, 1) / 1000 + 31 }, '"iat"'],
    ['whose making is a text', { iat: '0' }, '"iat"'],
    ['without a subject', { sub: undefined }, '"sub"'],
    ['whose subject is a number', { sub: 7 }, '"sub"'],
    ['that tells of a logout', { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, 'event'],
  ])('%s is refused, and who sends it is told why, as the log is', async (_, claims, why) => {
    const { idp, ask, lines } = await fakeIssuerWorld()
    const token = await idp.sign(claims)
    await expect(ask(token)).rejects.toMatchObject({
      code: 'UNAUTHORIZED',
      message: expect.stringMatching(
        new RegExp(`^the token of idp is not valid for this: .*${why}.* \\(auth\\.issuers`),
      ),
    })
    expect(lines.at(-1)).toMatchObject({ level: 20, provider: 'idp', reason: expect.stringContaining(why) })
    expect(JSON.stringify(lines)).not.toContain(token.split('.')[2])
  })

  test('half a minute of difference between clocks is taken', async () => {
    const { idp, ask, clock } = await fakeIssuerWorld()
    const at = clock.now() / 1000 + 30
    expect(await ask(await idp.sign({ nbf: at, iat: at }))).toMatchObject({ name: 'idp:someone' })
  })

  test('for several audiences is taken for one of them', async () => {
    const { idp, ask } = await fakeIssuerWorld({ audiences: ['one', 'two'] })
    expect(await ask(await idp.sign({ aud: ['x', 'two'], azp: 'anything' }))).toMatchObject({ name: 'idp:someone' })
  })

  test.each(['at+jwt', 'application/at+jwt', 'JWT', 'jwt'])('of type %s is taken', async (typ) => {
    const { idp, ask } = await fakeIssuerWorld()
    expect(await ask(await idp.sign({}, { header: { typ } }))).toMatchObject({ name: 'idp:someone' })
  })

  test.each(['logout+jwt', 'secevent+jwt', 'dpop+jwt', '', null, 7])('of type %s is refused', async (typ) => {
    const { idp, ask } = await fakeIssuerWorld()
    await expect(ask(await idp.sign({}, { header: { typ } }))).rejects.toEqual(unauthorized)
  })

  test('without a key id is tried with each key that could be meant', async () => {
    const { idp, ask, clock } = await fakeIssuerWorld()
    const keys = await Promise.all(['a', 'b', 'c'].map((kid) => makeFakeKey('ES256', kid)))
    idp.publish(...keys.map(({ jwk }) => jwk))
    const header = { kid: undefined }
    for (const key of keys)
      expect(await ask(await idp.sign({}, { key, header }))).toMatchObject({ name: 'idp:someone' })
    await expect(ask(await idp.sign({}, { header }))).rejects.toEqual(unauthorized)
    await expect(ask(await idp.sign({ aud: 'x' }, { key: keys[1] as never, header }))).rejects.toEqual(unauthorized)
    const expired = { exp: clock.now() / 1000 - 100 }
    await expect(ask(await idp.sign(expired, { key: keys[1] as never, header }))).rejects.toThrow('has expired')
  })
})

describe('a forged token', () => {
  const claims = (issuer: string) => ({ iss: issuer, aud: 'weir', sub: 'someone', exp: 9_999_999_999 })

  test.each(['none', 'None', 'NONE', ''])('without a signature (alg %j) is refused', async (alg) => {
    const { idp, ask } = await fakeIssuerWorld()
    for (const signature of ['', 'x']) {
      await expect(ask(`${part({ alg, kid: idp.key.kid })}.${part(claims(idp.issuer))}.${signature}`)).rejects.toEqual(
        unauthorized,
      )
    }
  })

  test.each(['HS256', 'HS384', 'HS512'])('signed with the public key as %s secret is refused', async (alg) => {
    const { idp, ask } = await fakeIssuerWorld()
    const hash = alg.replace('HS', 'sha')
    const input = `${part({ alg, kid: idp.key.kid })}.${part(claims(idp.issuer))}`
    for (const secret of [JSON.stringify(idp.key.jwk), idp.ca, Buffer.from(String(idp.key.jwk.x), 'base64url')]) {
      const signature = createHmac(hash, secret).update(input).digest('base64url')
      await expect(ask(`${input}.${signature}`)).rejects.toEqual(unauthorized)
    }
  })

  test('signed with a symmetric key that the issuer publishes is refused', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    const secret = Buffer.alloc(32, 7)
    idp.publish({ kty: 'oct', k: secret.toString('base64url'), kid: 'x', alg: 'HS256' }, idp.key.jwk)
    const input = `${part({ alg: 'HS256', kid: 'x' })}.${part(claims(idp.issuer))}`
    await expect(ask(`${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`)).rejects.toEqual(
      unauthorized,
    )
  })

  test('with the key that signed it is refused, even under the name of a good one', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    const mine = await makeFakeKey('ES256', idp.key.kid)
    const headers = [{}, { jwk: mine.jwk }, { x5c: ['x'] }, { jku: 'https://evil.test' }, { x5u: 'https://evil.test' }]
    for (const header of headers) {
      await expect(ask(await idp.sign({}, { key: mine, header }))).rejects.toEqual(unauthorized)
    }
    for (const header of headers.slice(1))
      await expect(ask(await idp.sign({}, { header }))).rejects.toEqual(unauthorized)
  })

  test('of which a part was changed is refused', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    const [header = '', , signature = ''] = (await idp.sign()).split('.')
    await expect(ask(`${header}.${part({ ...claims(idp.issuer), sub: 'root' })}.${signature}`)).rejects.toEqual(
      unauthorized,
    )
  })

  test('that demands what nobody understands is refused', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    const payload = Buffer.from(JSON.stringify(claims(idp.issuer)))
    const sign = (header: object) =>
      new CompactSign(payload)
        .setProtectedHeader({ alg: 'ES256', kid: idp.key.kid, ...header })
        .sign(idp.key.privateKey, { crit: { x: true } })
    expect(await ask(await sign({}))).toMatchObject({ name: 'idp:someone' })
    await expect(ask(await sign({ crit: ['x'], x: 1 }))).rejects.toEqual(unauthorized)
  })

  test("too long to be looked at is nobody's", async () => {
    const { idp, ask } = await fakeIssuerWorld()
    expect(await ask(await idp.sign({ padding: 'x'.repeat(20_000) }))).toBeUndefined()
    expect(idp.requests).toEqual([])
  })
})

describe('a subject', () => {
  test('is current while the rules that it was taken by are', async () => {
    const { idp, ask, provider } = await fakeIssuerWorld()
    const subject = await ask(await idp.sign())
    if (subject === undefined) throw new Error('not taken')
    expect(provider.isCurrent(subject)).toBe(true)
    expect(provider.isCurrent({ ...subject, provider: 'other' })).toBe(false)
    expect(provider.isCurrent({ name: subject.name, groups: [] })).toBe(false)
    const same = issuerRules({ issuer: idp.issuer, sessionLifetimeMs: 5, scopes: ['x'], clientId: 'y' })
    expect(issuerWorld(same).provider.isCurrent(subject)).toBe(true)
    const others = [
      { requiredClaims: { org: 'acme' } },
      { audiences: ['other'] },
      { username: { claim: 'email', prefix: 'idp:' } },
      { groups: [{ claim: 'groups', prefix: '' }] },
      { issuer: 'https://other.test' },
    ]
    for (const other of others) {
      const rules = issuerRules({ issuer: idp.issuer, ...other })
      expect(issuerWorld(rules).provider.isCurrent(subject)).toBe(false)
    }
  })

  test('has a uid of his own', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    const one = await ask(await idp.sign())
    const two = await ask(await idp.sign({ sub: 'another' }))
    expect(one?.uid).toBe((await ask(await idp.sign()))?.uid)
    expect(one?.uid).not.toBe(two?.uid)
  })
})

describe('the keys of an issuer', () => {
  test('are fetched once for many who come at once', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    const token = await idp.sign()
    await Promise.all(Array.from({ length: 20 }, () => ask(token)))
    expect(idp.requests).toEqual([discoveryPath, keysPath])
  })

  test('a flood of invented key ids asks for them once in ten seconds', async () => {
    const { idp, ask, clock } = await fakeIssuerWorld()
    await ask(await idp.sign())
    const fetches = () => idp.requests.filter((path) => path === keysPath).length
    const flood = async () => {
      const forged = await Promise.all(Array.from({ length: 30 }, () => makeFakeKey()))
      const tokens = await Promise.all(forged.map((key) => idp.sign({}, { key })))
      for (const token of tokens.slice(0, 10)) await expect(ask(token)).rejects.toEqual(unauthorized)
      await Promise.all(tokens.slice(10).map((token) => expect(ask(token)).rejects.toEqual(unauthorized)))
    }
    await flood()
    expect(fetches()).toBe(2)
    clock.advance(9_999)
    await flood()
    expect(fetches()).toBe(2)
    clock.advance(1)
    await flood()
    expect(fetches()).toBe(3)
  })

  test('the first token of all with an invented key id costs one question', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    await expect(ask(await idp.sign({}, { key: await makeFakeKey() }))).rejects.toEqual(unauthorized)
    expect(idp.requests).toEqual([discoveryPath, keysPath])
  })

  test('key after key can follow at once, each found when it is first used', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    await ask(await idp.sign())
    for (const alg of ['RS256', 'ES512', 'EdDSA', 'PS384']) {
      const key = await makeFakeKey(alg)
      idp.publish(key.jwk)
      expect(await ask(await idp.sign({}, { key }))).toMatchObject({ name: 'idp:someone' })
    }
  })

  test('a token with a new key id is no wrong one while the issuer can not be asked', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    await ask(await idp.sign())
    idp.answers.clear()
    const token = await idp.sign({}, { key: await makeFakeKey() })
    await expect(ask(token)).rejects.toEqual(unavailable)
    await expect(ask(token)).rejects.toEqual(unavailable)
    expect(await ask(await idp.sign())).toMatchObject({ name: 'idp:someone' })
  })

  test('are found below an issuer that has a path, or ends with a slash', async () => {
    const { idp } = await fakeIssuerWorld()
    for (const path of ['/realms/acme', '/realms/acme/', '/']) {
      const issuer = `${idp.issuer}${path}`
      const jwks = { issuer, jwks_uri: `${idp.issuer}${keysPath}` }
      idp.answers.set(`${path.replace(/\/$/, '')}${discoveryPath}`, jwks)
      const { ask } = issuerWorld(issuerRules({ issuer, certificateAuthority: idp.ca }))
      const exp = Math.floor(Date.now() / 1000) + 60
      const times = { iat: exp - 60, nbf: exp - 60, exp }
      expect(await ask(await idp.sign({ iss: issuer, ...times }))).toMatchObject({ name: 'idp:someone' })
    }
  })

  test.each<[string, (idp: Awaited<ReturnType<typeof fakeIssuerWorld>>['idp']) => void, string]>([
    [
      'discovery is of another issuer',
      (idp) => idp.answers.set(discoveryPath, { issuer: 'https://evil.test', jwks_uri: `${idp.issuer}/keys` }),
      'of another issuer',
    ],
    [
      'discovery is of the issuer with a slash',
      (idp) => idp.answers.set(discoveryPath, { issuer: `${idp.issuer}/`, jwks_uri: `${idp.issuer}/keys` }),
      'of another issuer',
    ],
    [
      'discovery names keys over plain HTTP',
      (idp) => idp.answers.set(discoveryPath, { issuer: idp.issuer, jwks_uri: 'http://localhost/keys' }),
      'no https URL',
    ],
    [
      'discovery names keys in a file',
      (idp) => idp.answers.set(discoveryPath, { issuer: idp.issuer, jwks_uri: 'file:///etc/passwd' }),
      'no https URL',
    ],
    [
      'discovery names keys with a login',
      (idp) => idp.answers.set(discoveryPath, { issuer: idp.issuer, jwks_uri: 'https://a:b@localhost/keys' }),
      'no https URL',
    ],
    ['discovery names no keys', (idp) => idp.answers.set(discoveryPath, { issuer: idp.issuer }), 'no https URL'],
    ['discovery is a list', (idp) => idp.answers.set(discoveryPath, []), 'no JSON object'],
    ['discovery is a page', (idp) => idp.answers.set(discoveryPath, '<html>'), 'no JSON object'],
    ['the keys are no list', (idp) => idp.answers.set(keysPath, { keys: {} }), 'no list of keys'],
    ['there are no keys', (idp) => idp.publish(), 'no public key'],
    [
      'there are only keys of no use',
      (idp) => idp.publish({ kty: 'oct', k: 'AAAA' }, null as never, 7 as never),
      'no public key',
    ],
    ['the only key is a private one', (idp) => idp.publish({ ...idp.key.jwk, d: idp.key.jwk.x }), 'no public key'],
    [
      'there are more keys than anybody has',
      (idp) => idp.publish(...Array.from({ length: 101 }, () => idp.key.jwk)),
      'more than 100 keys',
    ],
    ['the keys are gone', (idp) => void idp.answers.delete(keysPath), 'answered 404'],
    [
      'the keys are elsewhere',
      (idp) =>
        idp.answers.set(
          keysPath,
          (_, response) => void response.writeHead(302, { location: `${idp.issuer}/other` }).end(),
        ),
      'answered 302',
    ],
    [
      'the keys have no end',
      (idp) => idp.answers.set(keysPath, (_, response) => void response.end(Buffer.alloc(2 ** 20 + 1, ' '))),
      'more than the 1048576 bytes',
    ],
  ])('%s: nobody logs in, and the log says what is wrong, once', async (_, spoil, why) => {
    const { idp, ask, lines, clock } = await fakeIssuerWorld()
    idp.answers.set('/other', { keys: [idp.key.jwk] })
    spoil(idp)
    const token = await idp.sign()
    await expect(ask(token)).rejects.toEqual(unavailable)
    clock.advance(10_000)
    await expect(ask(token)).rejects.toEqual(unavailable)
    expect(lines.filter(({ level }) => level === 40)).toEqual([
      expect.objectContaining({ provider: 'idp', reason: expect.stringContaining(why) }),
    ])
    expect(idp.requests).not.toContain('/other')
  })

  test('an issuer that never answers is given up', async () => {
    const { idp, ask, lines } = await fakeIssuerWorld({}, { timeoutMs: 50 })
    idp.answers.set(discoveryPath, () => {})
    await expect(ask(await idp.sign())).rejects.toEqual(unavailable)
    expect(lines.at(-1)).toMatchObject({ reason: expect.stringContaining('no whole answer within 0.05 s') })
  })

  test('an issuer that drips is given up', async () => {
    const { idp, ask } = await fakeIssuerWorld({}, { timeoutMs: 100 })
    idp.answers.set(keysPath, (request, response) => {
      const drip = setInterval(() => response.write(' '), 10)
      void once(request.socket, 'close').then(() => clearInterval(drip))
    })
    await expect(ask(await idp.sign())).rejects.toEqual(unavailable)
  })

  test('a certificate of nobody known is not taken', async () => {
    const { idp } = await fakeIssuerWorld()
    const { ask, lines } = issuerWorld(issuerRules({ issuer: idp.issuer }))
    await expect(ask(await idp.sign())).rejects.toEqual(unavailable)
    expect(lines.at(-1)).toMatchObject({ reason: expect.stringContaining('set certificateAuthorityFile') })
  })

  test('odd keys beside a good one do no harm', async () => {
    const { idp, ask } = await fakeIssuerWorld()
    idp.publish(
      { kty: 'AKP', alg: 'ML-DSA-44', pub: 'x', kid: 'q' },
      { ...idp.key.jwk, kid: 'enc', use: 'enc' },
      { kty: 'RSA', kid: 'broken', n: 'AQAB', e: 'AQAB' },
      idp.key.jwk,
    )
    expect(await ask(await idp.sign())).toMatchObject({ name: 'idp:someone' })
    const weak = await makeFakeKey('ES256', 'enc')
    await expect(ask(await idp.sign({}, { key: weak }))).rejects.toEqual(unauthorized)
  })
})
