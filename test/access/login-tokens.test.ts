import { describe, expect, test } from 'vitest'
import { type Forge, forger, forgeries } from './forger.ts'
import { accessWorld, bearer, issuer, testProvider, tokenRequest } from './world.ts'

const invalid = expect.objectContaining({ code: 'UNAUTHORIZED', detail: { error: 'invalid_token' } })
const weir = { groups: ['devs'], provider: 'htpasswd', uid: 'uid-pw' }

async function world() {
  const provider = testProvider()
  const access = await accessWorld({ providers: [provider] })
  const { uid } = await access.account('demo', 'ci')
  const kubernetes = { namespace: 'demo', serviceaccount: { name: 'ci', uid } }
  const logins = await forger(access, { aud: issuer, weir })
  const accounts = await forger(access, {
    aud: issuer,
    sub: 'system:serviceaccount:demo:ci',
    'kubernetes.io': kubernetes,
  })
  return { ...access, provider, kubernetes, logins, accounts }
}

const ofLogins: [string, Forge][] = [
  ...forgeries,
  ['sub is empty', ({ sign }) => sign({ sub: '' })],
  ['without its claims', ({ sign }) => sign({ weir: undefined })],
  ['its claims are a text', ({ sign }) => sign({ weir: 'ann' })],
  ['its claims are of another kind', ({ sign }) => sign({ weir: { groups: 'devs', provider: 'htpasswd' } })],
  ['without groups', ({ sign }) => sign({ weir: { ...weir, groups: undefined } })],
  ['its end is a string', ({ sign, seconds }) => sign({ weir: { ...weir, endsAt: `${seconds + 60}` } })],
  ['its end has passed', ({ sign, seconds }) => sign({ weir: { ...weir, endsAt: seconds } })],
  ['expired, within the tolerance', ({ sign, seconds }) => sign({ exp: seconds })],
  ['its provider is not configured', ({ sign }) => sign({ weir: { ...weir, provider: 'sso' } })],
  ['its provider is a prototype', ({ sign }) => sign({ weir: { ...weir, provider: '__proto__' } })],
  ['its password was another', ({ sign }) => sign({ weir: { ...weir, uid: 'uid-old' } })],
  ['its user is unknown', ({ sign }) => sign({ sub: 'bob' })],
  ['its session is none', ({ sign }) => sign({ weir: { ...weir, session: '00000000-0000-4000-8000-000000000000' } })],
  ['its session is a path', ({ sign }) => sign({ weir: { ...weir, session: '../meta/admin' } })],
  ['it names a robot that is not', ({ sign }) => sign({ sub: 'system:serviceaccount:demo:x', weir: { groups: [] } })],
  ['it names the admin', ({ sign }) => sign({ sub: 'weir:admin', weir: { groups: ['system:masters'] } })],
  ['it names a robot as of a provider', ({ sign }) => sign({ sub: 'system:serviceaccount:demo:ci' })],
]

describe('a login token is refused when', () => {
  test('nothing is wrong with it (it is accepted)', async () => {
    const { logins, tokens, authenticator } = await world()
    const token = await logins.sign({})
    const subject = { name: 'ann', ...weir, endsAt: logins.seconds + 900 }
    expect(await tokens.verifyLoginToken(token)).toEqual(subject)
    expect(await authenticator.authenticate(bearer(token))).toEqual(subject)
  })

  test.each(ofLogins)('%s', async (_, forge) => {
    const { logins, tokens, authenticator, tokenService } = await world()
    const token = await forge(logins)
    await expect(tokens.verifyLoginToken(token)).rejects.toEqual(invalid)
    expect(await authenticator.authenticate(bearer(token)).catch(({ code }) => code)).toBeOneOf([
      undefined,
      'UNAUTHORIZED',
    ])
    const login = { user: 'ann', secret: token }
    await expect(tokenService.grant(tokenRequest({ login }))).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  })
})

describe("a service account's token is refused when", () => {
  test('nothing is wrong with it (it is accepted)', async () => {
    const { accounts, tokens } = await world()
    expect(await tokens.verifyServiceAccountToken(await accounts.sign({}))).toMatchObject({
      endsAt: accounts.seconds + 900,
    })
  })

  test.each(forgeries)('%s', async (_, forge) => {
    const { accounts, tokens, authenticator } = await world()
    const token = await forge(accounts)
    await expect(tokens.verifyServiceAccountToken(token)).rejects.toEqual(invalid)
    expect(await authenticator.authenticate(bearer(token)).catch(({ code }) => code)).toBeOneOf([
      undefined,
      'UNAUTHORIZED',
    ])
  })

  test('it has the claims of a login too, and so is neither', async () => {
    const { accounts, kubernetes, tokens, authenticator } = await world()
    const { uid } = kubernetes.serviceaccount
    const token = await accounts.sign({ weir: { groups: ['system:masters'], uid }, 'kubernetes.io': kubernetes })
    await expect(tokens.verifyServiceAccountToken(token)).rejects.toEqual(invalid)
    await expect(tokens.verifyLoginToken(token)).rejects.toEqual(invalid)
    expect(await authenticator.authenticate(bearer(token))).toBeUndefined()
  })
})
