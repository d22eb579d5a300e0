/** Keys change under tokens that live and verifiers that keep the key set: nothing is refused meanwhile. */
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import type { AccessParts } from '../../src/access/create-access.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { type AccessGround, accessGround, issuer, service, testProvider } from './world.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const access = [{ type: 'repository', name: 'demo/app', actions: ['pull'] }]

/** Two of the access part over one store. */
async function twoOf(ground: AccessGround) {
  const open = () => ground.open({ providers: [testProvider()] })
  return [await open(), await open()] as const
}

/** One token of each kind. */
async function issueAll(ground: AccessGround, { tokens }: AccessParts): Promise<string[]> {
  const account = { project: 'demo', name: 'ci', uid: 'u' }
  const value = JSON.stringify({ metadata: { name: 'ci', uid: 'u' } })
  await ground.store.commit({ operations: [{ type: 'put', key: 'object/serviceaccounts/demo/ci', value }] })
  const ann = { name: 'ann', groups: [], uid: 'uid-pw', provider: 'htpasswd' }
  const issued = [
    await tokens.issueRegistryToken(ann, access),
    await tokens.issueServiceAccountToken(account, 365 * 86_400),
    await tokens.issueLoginToken(ann),
  ]
  return issued.map(({ token }) => token)
}

async function verifyAll({ tokens }: AccessParts, [registry = '', account = '', login = '']: string[]): Promise<void> {
  await tokens.verifyRegistryToken(registry)
  await tokens.verifyServiceAccountToken(account)
  await tokens.verifyLoginToken(login)
}

const kid = (token = '') => decodeProtectedHeader(token).kid

/** As clusters and jose's createRemoteJWKSet do it: the key set is kept for an hour, as its Cache-Control says. */
function cachingVerifier(ground: AccessGround, { tokens }: AccessParts, maxAgeMs = hour) {
  let kept: { at: number; keys: JSONWebKeySet } | undefined
  let fetches = 0
  return {
    fetches: () => fetches,
    async verify(token: string): Promise<void> {
      const now = ground.clock.now()
      if (kept === undefined || now >= kept.at + maxAgeMs) {
        kept = { at: now, keys: (await tokens.jwks()) as unknown as JSONWebKeySet }
        fetches += 1
      }
      const options = { issuer, audience: [issuer, service], currentDate: new Date(now) }
      await jwtVerify(token, createLocalJWKSet(kept.keys), options)
    },
  }
}

describe('while the key changes', () => {
  test('tokens made before, at and after it are good on every instance', async () => {
    const ground = await accessGround()
    const both = await twoOf(ground)
    const made: { at: number; tokens: string[] }[] = []
    const step = async () => {
      for (const one of both) made.push({ at: ground.clock.now(), tokens: await issueAll(ground, one) })
      for (const one of both) {
        for (const { at, tokens } of made) {
          if (ground.clock.now() < at + 15 * minute) await verifyAll(one, tokens)
          else await one.tokens.verifyServiceAccountToken(tokens[1] ?? '')
        }
      }
    }
    await step()
    ground.clock.advance(90 * day - minute)
    await step()
    for (const ms of [minute - 1, 1, 1, hour - 3, 1, 1, 1, minute, 14 * minute]) {
      ground.clock.advance(ms)
      await step()
    }
    const kids = made.map(({ tokens: [token] }) => kid(token))
    expect(new Set(kids).size).toBe(2)
    expect(kids.at(0)).not.toBe(kids.at(-1))
    // Once the new key signs on one instance it signs on all.
    expect(kids.indexOf(kids.at(-1))).toBeGreaterThan(kids.lastIndexOf(kids.at(0)))
  })

  test('a verifier that keeps the key set for an hour refuses nothing, and fetches it once an hour', async () => {
    const ground = await accessGround()
    const both = await twoOf(ground)
    // One that fetched at the worst moment: right before the next key was made.
    const verifiers = both.map((one) => cachingVerifier(ground, one))
    const verifyAllOf = async () => {
      for (const one of both) {
        for (const token of await issueAll(ground, one)) for (const each of verifiers) await each.verify(token)
      }
    }
    await verifyAllOf()
    ground.clock.advance(90 * day - 1)
    await verifyAllOf()
    for (let i = 0; i < 24; i++) {
      ground.clock.advance(5 * minute)
      await verifyAllOf()
    }
    expect(verifiers.map((each) => each.fetches())).toEqual([4, 4])
  })

  test('the next key is published before it signs, by every instance', async () => {
    const ground = await accessGround()
    const [one, two] = await twoOf(ground)
    const [first] = await issueAll(ground, one)
    ground.clock.advance(90 * day)
    expect(kid((await issueAll(ground, one))[0])).toBe(kid(first))
    await expect.poll(async () => (await two.tokens.jwks()).keys.length).toBe(2)
    const published = (await two.tokens.jwks()).keys.map((key) => key.kid)
    ground.clock.advance(hour)
    const next = kid((await issueAll(ground, two))[0])
    expect(next).not.toBe(kid(first))
    expect(published).toContain(next)
  })

  test('both instances agree on the next key, although both found it due at once', async () => {
    const ground = await accessGround()
    const both = await twoOf(ground)
    ground.clock.advance(90 * day)
    await Promise.all(both.map((one) => issueAll(ground, one)))
    ground.clock.advance(hour)
    const kids = await Promise.all(both.map(async (one) => kid((await issueAll(ground, one))[0])))
    expect(new Set(kids).size).toBe(1)
  })

  test('a year old token is good to its last day, long after its key was followed', async () => {
    const ground = await accessGround()
    const [one] = await twoOf(ground)
    const [, account = ''] = await issueAll(ground, one)
    for (let i = 0; i < 73; i++) {
      ground.clock.advance(5 * day - 1)
      await issueAll(ground, one)
      await one.tokens.verifyServiceAccountToken(account)
    }
    expect((await one.tokens.jwks()).keys.length).toBeGreaterThanOrEqual(4)
  })
})

test('an instance that does not know a key yet looks for it in the store, and for nothing that is no kid', async () => {
  const ground = await accessGround()
  const news = Promise.withResolvers<void>()
  const [one] = await twoOf(ground)
  const asked: string[] = []
  const late = await ground.open({
    store: {
      ...ground.store,
      watch: async function* (prefix, options) {
        await news.promise
        yield* ground.store.watch(prefix, options)
      },
      get: async (key) => {
        asked.push(key)
        const entry = await ground.store.get(key)
        if (key.startsWith('key/') && entry !== undefined) news.resolve()
        return entry
      },
    },
  })
  ground.clock.advance(90 * day)
  await issueAll(ground, one)
  ground.clock.advance(hour)
  const [token = ''] = await issueAll(ground, one)
  const anonymous = await one.tokens.issueRegistryToken({ name: 'system:anonymous', groups: [] }, [])
  expect(kid(anonymous.token)).toBe(kid(token))
  expect(await late.tokens.verifyRegistryToken(anonymous.token)).toBeDefined()
  const forged = [{ kid: 'x' }, { kid: '../meta/admin' }, { kid: 'A'.repeat(43) }, { kid: 7 }].map((header) => {
    const [, payload, signature] = anonymous.token.split('.')
    const encoded = Buffer.from(JSON.stringify({ typ: 'JWT', alg: 'ES256', ...header })).toString('base64url')
    return `${encoded}.${payload}.${signature}`
  })
  asked.length = 0
  for (const token of forged) {
    await expect(late.tokens.verifyRegistryToken(token)).rejects.toMatchObject({ code: 'UNAUTHORIZED' })
  }
  expect(asked).toEqual([`key/${'A'.repeat(43)}`])
})

test('a store that fails while a key is looked for is UNAVAILABLE, and not a bad token', async () => {
  const ground = await accessGround()
  const get = async () => {
    throw new RegistryError('UNAVAILABLE')
  }
  const broken = await ground.open({ store: { ...ground.store, get } })
  const token = [{ typ: 'JWT', alg: 'ES256', kid: 'A'.repeat(43) }, {}, {}]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  await expect(broken.tokens.verifyRegistryToken(token)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
})
