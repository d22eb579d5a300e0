import { describe, expect, test } from 'vitest'
import { createKeys, type Keys, type KeysOptions } from '../../src/access/keys.ts'
import { openSecretKeys } from '../../src/access/secret-key.ts'
import { type AccessGround, accessGround } from './world.ts'

const hour = 60 * 60 * 1000
const day = 24 * hour

async function openKeys(ground: AccessGround, options: Partial<KeysOptions> = {}): Promise<Keys> {
  const { store, clock, log, signal, secretKeyFile } = ground
  const secretKeys = await openSecretKeys({ store, file: secretKeyFile, log })
  return createKeys({ store, secretKeys, longestTokenMs: 365 * day, now: clock.now, signal, log, ...options })
}
const kids = (keys: Keys) => keys.published().map(({ kid }) => kid)
const signer = async (keys: Keys) => (await keys.signing()).kid

describe('signing keys', () => {
  test('the first is made when it is needed, by one of many who ask', async () => {
    const keys = await openKeys(await accessGround())
    expect(kids(keys)).toEqual([])
    const signers = await Promise.all([signer(keys), signer(keys), signer(keys)])
    expect(new Set(signers).size).toBe(1)
    expect(kids(keys)).toEqual([signers[0]])
    expect(keys.find(signers[0] ?? '')).toBeDefined()
    expect(keys.find('other')).toBeUndefined()
  })

  test('the private part is nowhere in the store in the clear, nor published', async () => {
    const ground = await accessGround()
    const keys = await openKeys(ground)
    const { kid, privateKey } = await keys.signing()
    const stored = await ground.store.get(`key/${kid}`)
    const { d } = privateKey.export({ format: 'jwk' })
    const der = privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64')
    expect(d).toMatch(/^[\w-]{43}$/)
    for (const secret of [d ?? '', Buffer.from(d ?? '', 'base64url').toString('base64'), der]) {
      expect(stored?.value).not.toContain(secret)
      expect(JSON.stringify(keys.published())).not.toContain(secret)
    }
  })

  test('are the same after a restart', async () => {
    const ground = await accessGround()
    const kid = await signer(await openKeys(ground))
    const again = await openKeys(ground)
    expect(await signer(again)).toBe(kid)
  })

  test('a new key is published after 90 days, and signs an hour later', async () => {
    const ground = await accessGround()
    const keys = await openKeys(ground)
    const first = await signer(keys)
    ground.clock.advance(90 * day - 1)
    expect(await signer(keys)).toBe(first)
    expect(kids(keys)).toEqual([first])
    ground.clock.advance(1)
    expect(await signer(keys)).toBe(first)
    const [, second] = kids(keys)
    expect(second).toBeDefined()
    ground.clock.advance(hour - 1)
    expect(await signer(keys)).toBe(first)
    ground.clock.advance(1)
    expect(await signer(keys)).toBe(second)
    expect(kids(keys)).toEqual([first, second])
  })

  test('an old key verifies until the longest token it may have signed has expired, then it goes', async () => {
    const ground = await accessGround()
    const keys = await openKeys(ground, { rotationMs: day, longestTokenMs: 2 * day })
    const first = await signer(keys)
    ground.clock.advance(day)
    await signer(keys)
    ground.clock.advance(hour + 2 * day)
    expect(keys.find(first)).toBeDefined()
    ground.clock.advance(10 * 60 * 1000)
    expect(keys.find(first)).toBeUndefined()
    expect(kids(keys)).not.toContain(first)
    await signer(keys)
    expect(await ground.store.get(`key/${first}`)).toBeUndefined()
  })

  test('a key that has not been followed verifies however old it is', async () => {
    const ground = await accessGround()
    const keys = await openKeys(ground)
    const first = await signer(keys)
    ground.clock.advance(4000 * day)
    expect(keys.find(first)).toBeDefined()
  })

  test('a longer bound for tokens brings a new key at once, and the old one keeps its own', async () => {
    const ground = await accessGround()
    const first = await signer(await openKeys(ground, { longestTokenMs: day }))
    const keys = await openKeys(ground, { longestTokenMs: 10 * day })
    const second = await signer(keys)
    expect(second).not.toBe(first)
    ground.clock.advance(1)
    expect(await signer(await openKeys(ground, { longestTokenMs: day }))).toBe(second)
    ground.clock.advance(day + hour)
    expect([keys.find(first), keys.find(second)]).toEqual([undefined, expect.anything()])
  })

  test('one bound after the other in the same millisecond, each has its own key', async () => {
    const ground = await accessGround()
    const signers = new Set<string>()
    for (let days = 1; days <= 8; days++)
      signers.add(await signer(await openKeys(ground, { longestTokenMs: days * day })))
    expect(signers.size).toBe(8)
  })

  test('a longer bound while the next key waits for its turn brings one more key, not one a call', async () => {
    const ground = await accessGround()
    const short = await openKeys(ground, { longestTokenMs: day })
    await signer(short)
    ground.clock.advance(90 * day)
    await signer(short)
    const keys = await openKeys(ground, { longestTokenMs: 10 * day })
    const third = await signer(keys)
    expect([await signer(keys), await signer(keys)]).toEqual([third, third])
    expect(kids(keys)).toHaveLength(3)
  })

  test('a key made while the clock stood years ahead does not stop the change of keys', async () => {
    const ground = await accessGround()
    const ahead = await openKeys({ ...ground, clock: { ...ground.clock, now: () => ground.clock.now() + 5000 * day } })
    await signer(ahead)
    const keys = await openKeys(ground)
    const first = await signer(keys)
    ground.clock.advance(90 * day)
    await signer(keys)
    ground.clock.advance(hour)
    expect(await signer(keys)).not.toBe(first)
  })

  test('a rotation that can not be stored leaves the present key signing', async () => {
    const ground = await accessGround()
    const { store } = ground
    let broken = false
    const commit: typeof store.commit = async (wanted) =>
      broken ? { status: 'unknown', cause: new Error('disk full') } : store.commit(wanted)
    const keys = await openKeys({ ...ground, store: { ...store, commit } })
    const first = await signer(keys)
    broken = true
    ground.clock.advance(100 * day)
    expect(await signer(keys)).toBe(first)
    expect(ground.lines).toContainEqual(expect.objectContaining({ level: 40 }))
    broken = false
    await signer(keys)
    expect(kids(keys)).toHaveLength(2)
  })

  test('without any key, one that can not be stored is UNAVAILABLE', async () => {
    const ground = await accessGround()
    const commit = async () => ({ status: 'unknown', cause: new Error('disk full') }) as const
    const keys = await openKeys({ ...ground, store: { ...ground.store, commit } })
    await expect(keys.signing()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('without its private part a key verifies, and another signs', async () => {
    const ground = await accessGround()
    const first = await signer(await openKeys(ground))
    const { sealed: _, ...rest } = JSON.parse((await ground.store.get(`key/${first}`))?.value ?? '')
    await ground.store.commit({ operations: [{ type: 'put', key: `key/${first}`, value: JSON.stringify(rest) }] })
    ground.clock.advance(1)
    const keys = await openKeys(ground)
    const second = await signer(keys)
    expect(second).not.toBe(first)
    expect(keys.find(first)).toBeDefined()
  })

  test.each(['{', '{}', '{"publicJwk":{"kty":"EC","crv":"P-256","x":"a","y":"b"},"signsFrom":0,"longestTokenMs":0}'])(
    'a record that is no key is left aside: %s',
    async (value) => {
      const ground = await accessGround()
      await ground.store.commit({ operations: [{ type: 'put', key: 'key/broken', value }] })
      const keys = await openKeys(ground)
      expect(kids(keys)).toEqual([])
      await signer(keys)
      expect(kids(keys)).toHaveLength(1)
      expect(ground.lines).toContainEqual(expect.objectContaining({ level: 50, kid: 'broken' }))
    },
  )
})
