import { createCipheriv, randomBytes } from 'node:crypto'
import { chmod, copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createKeyRing, type SecretKeys, sealingOf } from '../../src/access/key-ring.ts'
import { resealRecords } from '../../src/access/sealed-records.ts'
import { openSecretKeys, prepareNextKey, SecretKeyError, secretKeyFile } from '../../src/access/secret-key.ts'
import { createObjects, objectKey } from '../../src/store/objects.ts'
import { type CommitResult, CompactedError, type Operation, type Store } from '../../src/store/store.ts'
import { type AccessGround, accessGround } from './world.ts'

const ringOf = (...keys: Buffer[]) => createKeyRing(keys, async () => undefined)
const keyOf = (byte: number) => Buffer.alloc(32, byte)
const open = ({ store, secretKeyFile: file, log }: AccessGround, more: { discardUnreadable?: boolean } = {}) =>
  openSecretKeys({ store, file, log, ...more })
const next = ({ secretKeyFile }: AccessGround) => `${secretKeyFile}.next`
const bytes = async (file: string) => (await readFile(file)).toString('hex')
const firstOf = async (file: string) => (await bytes(file)).slice(0, 64)

describe('a ring of keys', () => {
  test('opens whatever it sealed for the same record alone', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), fc.string(), (text, key, other) => {
        const ring = ringOf(keyOf(1))
        const sealed = ring.seal(key, Buffer.from(text))
        expect(ring.open(key, sealed)?.toString()).toBe(Buffer.from(text).toString())
        if (key !== other) expect(ring.open(other, sealed)).toBeUndefined()
        expect(ringOf(keyOf(2)).open(key, sealed)).toBeUndefined()
      }),
      { numRuns: 300 },
    )
  })

  test('opens nothing that was changed, cut or made up', () => {
    const ring = ringOf(keyOf(1))
    const sealed = ring.seal('object/secrets/demo/a', Buffer.from('secret'))
    const at = sealed.indexOf('.') + 1
    const raw = Buffer.from(sealed.slice(at), 'base64')
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.integer({ min: 1, max: 255 }), (position, bits) => {
        const changed = Buffer.from(raw)
        changed[position] = (changed[position] ?? 0) ^ bits
        const forged = sealed.slice(0, at) + changed.toString('base64')
        expect(ring.open('object/secrets/demo/a', forged)).toBeUndefined()
      }),
      { numRuns: 300 },
    )
    for (let length = 0; length < sealed.length - 2; length++) {
      expect(ring.open('object/secrets/demo/a', sealed.slice(0, length))).toBeUndefined()
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(ring.open('object/secrets/demo/a', text)).toBeUndefined()
      }),
      { numRuns: 300 },
    )
  })

  test('seals the same text differently each time, and shows nothing of it', () => {
    const ring = ringOf(keyOf(1))
    const [one, two] = [ring.seal('a', Buffer.from('hunter2')), ring.seal('a', Buffer.from('hunter2'))]
    expect(one).not.toBe(two)
    expect(one).not.toContain(Buffer.from('hunter2').toString('base64').slice(0, 8))
  })

  test('seals with its first key, and opens with all', () => {
    const old = ringOf(keyOf(1)).seal('a', Buffer.from('x'))
    const ring = ringOf(keyOf(2), keyOf(1))
    expect([ring.open('a', old)?.toString(), ring.isCurrent(old), ring.older]).toEqual(['x', false, 1])
    const sealed = ring.seal('a', Buffer.from('y'))
    expect([ringOf(keyOf(2)).open('a', sealed)?.toString(), ring.isCurrent(sealed)]).toEqual(['y', true])
    expect(ringOf(keyOf(1)).open('a', sealed)).toBeUndefined()
  })

  test('opens what was sealed before keys had ids, and counts it as old', () => {
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', keyOf(1), iv).setAAD(Buffer.from('key/a'))
    const sealed = Buffer.concat([iv, cipher.update('x'), cipher.final(), cipher.getAuthTag()]).toString('base64')
    const ring = ringOf(keyOf(2), keyOf(1))
    expect([ring.open('key/a', sealed)?.toString(), ring.isCurrent(sealed)]).toEqual(['x', false])
    expect(ring.open('key/b', sealed)).toBeUndefined()
  })

  test('without a key opens nothing and seals nothing', () => {
    const sealed = ringOf(keyOf(1)).seal('a', Buffer.from('x'))
    expect(ringOf().open('a', sealed)).toBeUndefined()
    expect(() => ringOf().seal('a', Buffer.from('x'))).toThrow(TypeError)
  })
})

describe('the file of the secret key', () => {
  test('is 32 bytes for the owner alone, and stays', async () => {
    const ground = await accessGround()
    const sealed = (await open(ground)).seal('a', Buffer.from('x'))
    const { secretKeyFile: file } = ground
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readFile(file)).toHaveLength(32)
    expect((await open(ground)).open('a', sealed)?.toString()).toBe('x')
    expect((await readdir(dirname(file))).filter((name) => name.startsWith('secret.key'))).toEqual(['secret.key'])
  })

  test.each([0, 5, 31, 33, 17 * 32])('of %i bytes is refused by its name, and not replaced', async (length) => {
    const ground = await accessGround()
    await writeFile(ground.secretKeyFile, Buffer.alloc(length))
    await expect(open(ground)).rejects.toThrow(SecretKeyError)
    await expect(open(ground)).rejects.toThrow(ground.secretKeyFile)
    await expect(open(ground, { discardUnreadable: true })).rejects.toThrow(`holds ${length} bytes`)
    expect(await readFile(ground.secretKeyFile)).toHaveLength(length)
  })

  test('that others can read is warned of', async () => {
    const ground = await accessGround()
    await open(ground)
    expect(ground.lines).toEqual([])
    await chmod(ground.secretKeyFile, 0o644)
    await open(ground)
    expect(ground.lines).toContainEqual(expect.objectContaining({ level: 40, file: ground.secretKeyFile }))
  })

  test('is called secret.key in the data directory', () => {
    expect(secretKeyFile('/var/lib/weir')).toBe('/var/lib/weir/secret.key')
  })
})

/** A store with secrets and a signing key, sealed with the key of the file. */
async function filled(count = 3) {
  const ground = await accessGround()
  const { tokens } = await ground.open()
  const keys = await open(ground)
  const objects = createObjects({ store: ground.store, now: ground.clock.now, sealing: sealingOf(keys) })
  for (let i = 0; i < count; i++) {
    await objects.create('secrets', 'demo', { metadata: { name: `s${i}` }, data: { a: `value-${i}` } })
  }
  return { ...ground, tokens, objects }
}

async function secretsWith({ store, clock }: AccessGround, keys: SecretKeys): Promise<unknown[]> {
  const objects = createObjects({ store, now: clock.now, sealing: sealingOf(keys) })
  return (await objects.list('secrets', 'demo')).items.map(({ data }) => data)
}

const put = (key: string, value: string): Operation => ({ type: 'put', key, value })
const storedValue = async (store: Store, key: string) => (await store.get(key))?.value ?? ''
const values = (count: number) => Array.from({ length: count }, (_, i) => ({ a: `value-${i}` }))

describe('a start', () => {
  test('without the key file of a store with sealed records is refused, and makes no new one', async () => {
    const ground = await filled()
    await rm(ground.secretKeyFile)
    await expect(ground.open()).rejects.toThrow(SecretKeyError)
    await expect(ground.open()).rejects.toThrow(
      new RegExp(`^${ground.secretKeyFile} is missing, and seals 4 of 4 sealed records .* such as the signing key `),
    )
    await expect(readFile(ground.secretKeyFile)).rejects.toThrow('ENOENT')
  })

  test('with a key file of another store is refused with count, example and what to do', async () => {
    const ground = await filled()
    const own = await readFile(ground.secretKeyFile)
    await writeFile(ground.secretKeyFile, randomBytes(32))
    const message = await ground.open().catch((error: Error) => error.message)
    expect(message).toContain(`${ground.secretKeyFile} does not open 4 of 4`)
    expect(message).toMatch(/restore the file from the backup .* weir serve --discard-unreadable-secrets once$/)
    expect(message).not.toContain('\n')
    await writeFile(ground.secretKeyFile, own)
    await ground.open()
  })

  test.each([
    ['swapped with another', async (store: Store) => [await storedValue(store, 'object/secrets/demo/s1')]],
    ['of another project', async (store: Store) => [await storedValue(store, 'object/secrets/other/s0')]],
    ['cut', async (store: Store) => [(await storedValue(store, 'object/secrets/demo/s0')).replace(/....."}$/, '"}')]],
    ['in the clear', async () => ['{"metadata":{"name":"s0"},"data":{}}']],
    ['that is nothing', async () => ['null']],
    ['that is no JSON', async () => ['{']],
    ['with a sealed part that is no text', async () => ['{"sealed":["a"]}']],
    ['with an empty sealed part', async () => ['{"sealed":""}']],
    ['with a sealed part that is inherited', async () => ['{"__proto__":{"sealed":"a"}}']],
  ])('with a secret %s is refused with its name', async (_, forged) => {
    const ground = await filled()
    await ground.objects.create('secrets', 'other', { metadata: { name: 's0' } })
    const [value = ''] = await forged(ground.store)
    await ground.store.commit({ operations: [put('object/secrets/demo/s0', value)] })
    await expect(ground.open()).rejects.toThrow(
      'does not open 1 of 5 sealed records of the store, such as the secret demo/s0',
    )
  })

  test('that may discard removes what does not open, says which, and leaves the rest', async () => {
    const ground = await filled()
    const { token } = await ground.tokens.issueRegistryToken({ name: 'ann', groups: [] }, [])
    await writeFile(ground.secretKeyFile, randomBytes(32))
    const foreign = await open(ground, { discardUnreadable: true })
    expect(await secretsWith(ground, foreign)).toEqual([])
    const removed = ground.lines.filter(({ level }) => level === 50).map(({ record }) => record)
    expect(removed.slice(1)).toEqual(['the secret demo/s0', 'the secret demo/s1', 'the secret demo/s2'])
    expect(removed[0]).toMatch(/^the signing key /)
    ground.clock.advance(1)
    const { tokens } = await ground.open()
    // What the lost key signed is good until it expires.
    expect((await tokens.verifyRegistryToken(token)).subject.name).toBe('ann')
    expect((await tokens.jwks()).keys).toHaveLength(2)
  })

  test('that may discard removes one bad record of many', async () => {
    const ground = await filled()
    await ground.store.commit({ operations: [put('object/secrets/demo/s1', '{}')] })
    const keys = await open(ground, { discardUnreadable: true })
    expect(await secretsWith(ground, keys)).toEqual([{ a: 'value-0' }, { a: 'value-2' }])
  })

  test('that may discard without a key file makes one', async () => {
    const ground = await filled()
    await rm(ground.secretKeyFile)
    await ground.open({ discardUnreadable: true })
    expect(await readFile(ground.secretKeyFile)).toHaveLength(32)
    await ground.open()
  })
})

describe('rotation', () => {
  const reseal = async (ground: AccessGround, keys: SecretKeys, store = ground.store) =>
    resealRecords({ store, keys, signal: ground.signal, log: ground.log, retryMs: 1 })

  test('takes in the prepared key, seals everything with it, and drops the old one', async () => {
    const ground = await filled()
    const old = await readFile(ground.secretKeyFile)
    await prepareNextKey(ground.secretKeyFile)
    expect((await stat(next(ground))).mode & 0o777).toBe(0o600)
    const prepared = await bytes(next(ground))
    const keys = await open(ground)
    expect(await bytes(ground.secretKeyFile)).toBe(prepared + old.toString('hex'))
    await expect(readFile(next(ground))).rejects.toThrow('ENOENT')
    await reseal(ground, keys)
    expect(await bytes(ground.secretKeyFile)).toBe(prepared)
    expect(await secretsWith(ground, await open(ground))).toEqual(values(3))
    await expect(secretsWith(ground, ringOf(old))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await ground.open()
    expect(ground.lines).toContainEqual(expect.objectContaining({ level: 30, records: 4, dropped: 1 }))
  })

  test('breaks nothing for a server that runs meanwhile', async () => {
    const ground = await filled()
    await prepareNextKey(ground.secretKeyFile)
    await ground.objects.create('secrets', 'demo', { metadata: { name: 's3' }, data: { a: 'value-3' } })
    expect((await ground.objects.get('secrets', 'demo', 's0'))?.data).toEqual({ a: 'value-0' })
    const keys = await open(ground)
    await reseal(ground, keys)
    expect(await secretsWith(ground, keys)).toEqual(values(4))
  })

  test('keeps what is written while it goes on', async () => {
    const ground = await filled(20)
    await prepareNextKey(ground.secretKeyFile)
    const keys = await open(ground)
    const objects = createObjects({ store: ground.store, now: ground.clock.now, sealing: sealingOf(keys) })
    const change = Array.from({ length: 20 }, (_, i) =>
      objects.update('secrets', 'demo', `s${i}`, (secret) => ({ ...secret, data: { a: `new-${i}` } })),
    )
    await Promise.all([reseal(ground, keys), ...change])
    const found = await secretsWith(ground, await open(ground))
    expect(new Set(found.map((data) => (data as { a: string }).a))).toEqual(
      new Set(Array.from({ length: 20 }, (_, i) => `new-${i}`)),
    )
  })

  test('a secret that is removed meanwhile does not come back', async () => {
    const ground = await filled(3)
    await prepareNextKey(ground.secretKeyFile)
    const keys = await open(ground)
    const commit: Store['commit'] = async (wanted) => {
      if (wanted.operations[0]?.key === 'object/secrets/demo/s1') {
        await ground.store.commit({ operations: [{ type: 'delete', key: 'object/secrets/demo/s1' }] })
      }
      return ground.store.commit(wanted)
    }
    await reseal(ground, keys, { ...ground.store, commit })
    expect(await secretsWith(ground, await open(ground))).toEqual([{ a: 'value-0' }, { a: 'value-2' }])
    expect(await readFile(ground.secretKeyFile)).toHaveLength(32)
  })

  test('that dies at any commit loses nothing, and goes on at the next start', async () => {
    for (let survived = 0; survived <= 5; survived++) {
      const ground = await filled(4)
      await prepareNextKey(ground.secretKeyFile)
      const dead = new AbortController()
      let commits = 0
      const commit: Store['commit'] = async (wanted) => {
        if (commits >= survived) {
          dead.abort()
          return { status: 'unknown', cause: new Error('killed') } satisfies CommitResult
        }
        commits += 1
        return ground.store.commit(wanted)
      }
      const { log } = ground
      await resealRecords({ store: { ...ground.store, commit }, keys: await open(ground), signal: dead.signal, log })
      const again = await open(ground)
      expect(again.older, `after ${survived} commits`).toBe(survived === 5 ? 0 : 1)
      expect(await secretsWith(ground, again)).toEqual(values(4))
      await reseal(ground, again)
      expect(await readFile(ground.secretKeyFile)).toHaveLength(32)
      expect(await secretsWith(ground, await open(ground))).toEqual(values(4))
    }
  })

  test('that dies between the file and its draft takes the key in once', async () => {
    const ground = await filled()
    await prepareNextKey(ground.secretKeyFile)
    await copyFile(next(ground), `${ground.secretKeyFile}.kept`)
    await open(ground)
    const both = await bytes(ground.secretKeyFile)
    await copyFile(`${ground.secretKeyFile}.kept`, next(ground))
    await open(ground)
    expect(await bytes(ground.secretKeyFile)).toBe(both)
    await expect(readFile(next(ground))).rejects.toThrow('ENOENT')
  })

  test('before the last ended keeps all keys until everything is sealed anew', async () => {
    const ground = await filled()
    await prepareNextKey(ground.secretKeyFile)
    await open(ground)
    await prepareNextKey(ground.secretKeyFile)
    const keys = await open(ground)
    expect(keys.older).toBe(2)
    expect(await secretsWith(ground, keys)).toEqual(values(3))
    await reseal(ground, keys)
    expect(await firstOf(ground.secretKeyFile)).toBe(await bytes(ground.secretKeyFile))
  })

  test('on a disk that fails waits, and keeps the old key', async () => {
    const ground = await filled()
    await prepareNextKey(ground.secretKeyFile)
    const keys = await open(ground)
    let failures = 3
    const commit: Store['commit'] = async (wanted) => {
      failures -= 1
      return failures >= 0 ? { status: 'unknown', cause: new Error('disk full') } : ground.store.commit(wanted)
    }
    await reseal(ground, keys, { ...ground.store, commit })
    expect(failures).toBeLessThan(0)
    expect(await secretsWith(ground, await open(ground))).toEqual(values(3))
  })

  test('keeps the old key while a record does not open', async () => {
    const ground = await filled()
    await prepareNextKey(ground.secretKeyFile)
    const keys = await open(ground)
    await ground.store.commit({ operations: [put('object/secrets/demo/s1', '{"sealed":"AAAA"}')] })
    await reseal(ground, keys)
    expect(ground.lines).toContainEqual(expect.objectContaining({ level: 50, records: ['the secret demo/s1'] }))
    expect(keys.older).toBe(1)
    expect(await readFile(ground.secretKeyFile)).toHaveLength(64)
  })

  test('is prepared once, and only for a server that has a key', async () => {
    const ground = await accessGround()
    await expect(prepareNextKey(ground.secretKeyFile)).rejects.toThrow(`there is no ${ground.secretKeyFile}`)
    await open(ground)
    await prepareNextKey(ground.secretKeyFile)
    const prepared = await bytes(next(ground))
    await expect(prepareNextKey(ground.secretKeyFile)).rejects.toThrow('restart Weir')
    expect(await bytes(next(ground))).toBe(prepared)
    const left = (await readdir(dirname(ground.secretKeyFile))).filter((name) => name.endsWith('.tmp'))
    expect(left).toEqual([])
  })

  test('of many at once prepares one', async () => {
    const ground = await accessGround()
    await open(ground)
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => prepareNextKey(ground.secretKeyFile)))
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await readFile(next(ground))).toHaveLength(32)
  })

  test('with a prepared key that is none is refused by its name', async () => {
    const ground = await filled()
    await writeFile(next(ground), 'short')
    await expect(open(ground)).rejects.toThrow(`${next(ground)} holds 5 bytes`)
  })

  test('does not save a store whose own key is lost', async () => {
    const ground = await filled()
    await prepareNextKey(ground.secretKeyFile)
    await rm(ground.secretKeyFile)
    await expect(open(ground)).rejects.toThrow('is missing')
    await expect(readFile(ground.secretKeyFile)).rejects.toThrow('ENOENT')
    expect(await readFile(next(ground))).toHaveLength(32)
  })
})

test('history that a key sealed which is gone is compacted for watches', async () => {
  const { followObjects } = await import('../../src/api/watch/follow-objects.ts')
  const ground = await filled(2)
  await prepareNextKey(ground.secretKeyFile)
  const keys = await open(ground)
  await resealRecords({ store: ground.store, keys, signal: ground.signal, log: ground.log })
  const followed = async (ring: SecretKeys) => {
    const seen: unknown[] = []
    const { revision } = await ground.store.range({ prefix: 'object/', limit: 0 })
    for await (const batch of followObjects(
      ground.store,
      'secrets',
      sealingOf(ring),
    )({ since: 0, signal: ground.signal })) {
      seen.push(...batch.changes.map(({ after }) => after?.data))
      if (batch.revision >= revision) return seen
    }
    return seen
  }
  // The process that changed them can tell all of it, the next one not.
  expect(await followed(keys)).toEqual([...values(2), ...values(2)])
  await expect(followed(await open(ground))).rejects.toThrow(CompactedError)
  expect(objectKey('secrets', 'demo', 'a')).toBe('object/secrets/demo/a')
})
