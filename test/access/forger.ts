import { createHmac, type KeyObject } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { createKeys } from '../../src/access/keys.ts'
import { maxTokenLength } from '../../src/access/tokens.ts'
import { type AccessWorld, issuer, service } from './world.ts'

/** Signs tokens with Weir's own key, so that every refusal is of what the token says. */
export interface Forger {
  sign(claims: Record<string, unknown>, header?: object, key?: KeyObject | CryptoKey): Promise<string>
  /** Of a good token. */
  claims: JWTPayload
  header: { alg: string; typ: string; kid: string }
  publicKey: KeyObject
  /** Now. */
  seconds: number
}

export type Forge = (forger: Forger) => Promise<string> | string

/** Makes good registry tokens, unless `usual` has other claims. */
export async function forger(world: AccessWorld, usual: JWTPayload = {}): Promise<Forger> {
  const { store, clock, signal, log, secretKeys } = world
  const keys = await createKeys({ store, secretKeys, longestTokenMs: 0, now: clock.now, signal, log })
  const { kid, privateKey } = await keys.signing()
  const publicKey = keys.find(kid)
  if (publicKey === undefined) throw new Error('no public key')
  const seconds = Math.floor(clock.now() / 1000)
  const times = { iat: seconds, nbf: seconds, exp: seconds + 900 }
  const access = [{ type: 'repository', name: 'demo/app', actions: ['pull'] }]
  const own = { iss: issuer, sub: 'ann', jti: '1', ...times }
  const claims = { ...own, ...('aud' in usual ? {} : { aud: service, groups: [], access }), ...usual }
  const header = { alg: 'ES256', typ: 'JWT', kid }
  const sign: Forger['sign'] = (changed, headerChange = {}, key = privateKey) =>
    new SignJWT({ ...claims, ...changed }).setProtectedHeader({ ...header, ...headerChange }).sign(key)
  return { sign, claims, header, publicKey, seconds }
}

/** What is wrong with a token of any kind. */
export const forgeries: [string, Forge][] = [
  ['expired', ({ sign, seconds }) => sign({ exp: seconds - 61 })],
  ['not yet valid', ({ sign, seconds }) => sign({ nbf: seconds + 61 })],
  ['made for another audience', ({ sign }) => sign({ aud: 'other.test:5000' })],
  ['without an audience', ({ sign }) => sign({ aud: undefined })],
  ['made by another issuer', ({ sign }) => sign({ iss: 'https://other.test' })],
  ['exp is a string', ({ sign, seconds }) => sign({ exp: `${seconds + 900}` })],
  ['nbf is a string', ({ sign, seconds }) => sign({ nbf: `${seconds}` })],
  ['without exp', ({ sign }) => sign({ exp: undefined })],
  ['without nbf', ({ sign }) => sign({ nbf: undefined })],
  ['without jti', ({ sign }) => sign({ jti: undefined })],
  ['without sub', ({ sign }) => sign({ sub: undefined })],
  ['typ is another', ({ sign }) => sign({}, { typ: 'at+jwt' })],
  ['without typ', ({ sign }) => sign({}, { typ: undefined })],
  ['without kid', ({ sign }) => sign({}, { kid: undefined })],
  ['kid is foreign', ({ sign }) => sign({}, { kid: 'other' })],
  ['it brings its own key beside a good signature', async ({ sign }) => sign({}, { jwk: (await attacker()).jwk })],
  ['it names where keys are', ({ sign }) => sign({}, { jku: 'https://other.test/jwks' })],
  ['signed with another key', async ({ sign }) => sign({}, {}, (await attacker()).privateKey)],
  [
    'signed with the key that it brings',
    async ({ sign }) => {
      const { jwk, privateKey } = await attacker()
      return sign({}, { jwk, kid: jwk.kid }, privateKey)
    },
  ],
  ['alg is none', ({ claims, header }) => `${part({ ...header, alg: 'none' })}.${part(claims)}.`],
  ['alg is None', ({ claims, header }) => `${part({ ...header, alg: 'None' })}.${part(claims)}.`],
  ['signed by HS256 with the public key', ({ claims, header, publicKey }) => hs256(header, claims, publicKey)],
  ['the claims were changed', async ({ sign, claims }) => changeClaims(await sign({}), { ...claims, sub: 'root' })],
  ['longer than any token made here', ({ sign }) => sign({ padding: 'x'.repeat(maxTokenLength) })],
  ['empty', () => ''],
  ['no JWT', () => 'a.b.c'],
]

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

async function attacker() {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid: 'attacker' } }
}

function hs256(header: object, claims: JWTPayload, publicKey: KeyObject): string {
  const signed = `${part({ ...header, alg: 'HS256' })}.${part(claims)}`
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  return `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`
}

function changeClaims(token: string, claims: JWTPayload): string {
  const [header, , signature] = token.split('.')
  return `${header}.${part(claims)}.${signature}`
}
