import { randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createKeyRing, sealingOf } from '../src/access/key-ring.ts'
import { pullSecretCredentials } from '../src/pull-secrets.ts'
import { createLevelStore } from '../src/store/level.ts'
import { createObjects, type NewObject, objectKey } from '../src/store/objects.ts'
import type { Store } from '../src/store/store.ts'
import { credentialsInTurn } from '../src/upstream/credentials.ts'
import type { Credential, CredentialsFor } from '../src/upstream/upstream.ts'
import { testClock } from './support/clock.ts'
import { temporaryDirectory } from './support/directory.ts'
import { recordingLog } from './upstream/start-client.ts'

const json = 'kubernetes.io/dockerconfigjson'
const base64 = (text: string) => Buffer.from(text).toString('base64')

/** A secret with a login `user:<name>-hush` for each registry. */
function secret(name: string, ...registries: string[]): NewObject {
  const auths = Object.fromEntries(registries.map((registry) => [registry, { auth: base64(`user:${name}-hush`) }]))
  return {
    metadata: { name },
    type: json,
    data: { '.dockerconfigjson': base64(JSON.stringify({ auths })) },
  }
}

async function world() {
  const directory = await temporaryDirectory()
  const real = await createLevelStore({ directory, logged: ['object/'], progressIntervalMs: 60_000 })
  let news = Promise.resolve()
  const store = {
    ...real,
    async *watch(...args: Parameters<Store['watch']>) {
      for await (const batch of real.watch(...args)) {
        await news
        yield batch
      }
    },
    /** Lets no watch tell anything until it is released. */
    holdNews(): { release: () => void } {
      const held = Promise.withResolvers<void>()
      news = held.promise
      return { release: held.resolve }
    },
  }
  const closing = new AbortController()
  onTestFinished(async () => {
    closing.abort()
    await store.close()
  })
  const sealing = sealingOf(createKeyRing([randomBytes(32)], async () => undefined))
  const objects = createObjects({ store, now: testClock().now, sealing })
  const { log, logs } = recordingLog()
  const credentialsFor = pullSecretCredentials({ store, sealing, signal: closing.signal, log })
  const put = (project: string, object: NewObject) => objects.create('secrets', project, object)
  /** The names of the secrets that are used, in order. */
  const used = async (project: string, host: string, repository: string): Promise<string[]> =>
    (await listed(credentialsFor, project, host, repository)).map(({ id }) => id)
  return { store, objects, logs, credentialsFor, put, used, closing }
}

async function listed(credentialsFor: CredentialsFor, ...asked: Parameters<CredentialsFor>): Promise<Credential[]> {
  return Array.fromAsync(credentialsFor(...asked))
}

describe("a project's own logins", () => {
  test('are those of its secrets, sealed in the store, and opened for who asks a registry', async () => {
    const { store, put, credentialsFor } = await world()
    await put('demo', secret('regcred', 'quay.io'))
    expect((await store.get(objectKey('secrets', 'demo', 'regcred')))?.value).toMatch(/^\{"sealed":"[^{]*"\}$/)
    expect(await listed(credentialsFor, 'demo', 'quay.io', 'org/app')).toEqual([
      { id: 'secrets/demo/regcred', title: 'secret "regcred"', username: 'user', password: 'regcred-hush' },
    ])
  })

  test('are tried with the longest path first, then by the name of the secret, and all that match', async () => {
    const { put, used } = await world()
    await put('demo', secret('z-org', 'quay.io/org'))
    await put('demo', secret('b-all', 'https://quay.io/v2/'))
    await put('demo', secret('a-all', '*.io'))
    await put('demo', secret('app', 'ghcr.io', 'quay.io/org/app'))
    await put('demo', secret('other', 'quay.io/organisation', 'quay.io/or', 'quay.io:443', 'a.quay.io'))
    const ids = (...names: string[]) => names.map((name) => `secrets/demo/${name}`)
    expect(await used('demo', 'quay.io', 'org/app')).toEqual(ids('app', 'z-org', 'a-all', 'b-all'))
    expect(await used('demo', 'quay.io', 'org/apps')).toEqual(ids('z-org', 'a-all', 'b-all'))
    expect(await used('demo', 'quay.io', 'else')).toEqual(ids('a-all', 'b-all'))
    expect(await used('demo', 'quay.io:443', 'org/app')).toEqual(ids('other'))
    expect(await used('demo', 'localhost:5000', 'org/app')).toEqual([])
  })

  test('of Docker Hub are found by any of its names', async () => {
    const { put, used } = await world()
    await put('demo', secret('hub', 'https://index.docker.io/v1/'))
    for (const host of ['docker.io', 'index.docker.io', 'registry-1.docker.io']) {
      expect(await used('demo', host, 'library/nginx')).toEqual(['secrets/demo/hub'])
    }
  })

  test('are tried once each, though two secrets hold the same', async () => {
    const { put, used } = await world()
    const { type, data } = secret('same', 'quay.io')
    for (const name of ['a', 'b']) await put('demo', { metadata: { name }, type, data })
    expect(await used('demo', 'quay.io', 'app')).toEqual(['secrets/demo/a'])
  })

  test("come before the operator's", async () => {
    const { put, credentialsFor } = await world()
    await put('demo', secret('own', 'quay.io'))
    const rules: CredentialsFor = () => [{ id: 'upstreams[0]', username: 'u', password: 'p' }]
    const both = await listed(credentialsInTurn(credentialsFor, rules), 'demo', 'quay.io', 'app')
    expect(both.map(({ id }) => id)).toEqual(['secrets/demo/own', 'upstreams[0]'])
  })

  test.each([
    ['of another type', { type: 'Opaque' }],
    ['without its key', { data: { config: base64('{}') } }],
    ['with no base64 of JSON', { data: { '.dockerconfigjson': 'hush!' } }],
    ['with no text', { data: { '.dockerconfigjson': 7 } }],
    ['with no data', { data: null }],
    ['that is excluded', { metadata: { name: 'odd', annotations: { 'openshift.io/image.excludeSecret': 'true' } } }],
  ])('are none of a secret %s', async (_what, change) => {
    const { put, used, logs } = await world()
    await put('demo', { ...secret('odd', 'quay.io'), ...change })
    await put('demo', secret('right', 'quay.io'))
    expect(await used('demo', 'quay.io', 'app')).toEqual(['secrets/demo/right'])
    expect(logs.join('')).not.toMatch(/hush/)
  })

  test('are those of .dockercfg as well', async () => {
    const { put, used } = await world()
    const data = { '.dockercfg': base64(JSON.stringify({ 'quay.io': { auth: base64('u:p') } })) }
    await put('demo', { metadata: { name: 'old' }, type: 'kubernetes.io/dockercfg', data })
    expect(await used('demo', 'quay.io', 'app')).toEqual(['secrets/demo/old'])
  })

  test('that are more than a registry would bear are tried up to the twentieth', async () => {
    const { put, used, logs } = await world()
    for (let index = 10; index < 35; index += 1) await put('demo', secret(`s${index}`, 'quay.io'))
    expect(await used('demo', 'quay.io', 'app')).toHaveLength(20)
    expect(logs.join('')).toContain('more logins than are tried')
  })
})

describe('I9: the logins of a project', () => {
  test.each(['demo2', 'dem', 'demo-', 'other', ''])('are not for project %j', async (project) => {
    const { put, used } = await world()
    await put('demo', secret('regcred', 'quay.io'))
    expect(await used(project, 'quay.io', 'app')).toEqual([])
    expect(await used('demo', 'quay.io', 'app')).toEqual(['secrets/demo/regcred'])
  })

  test.each([
    ['registry.example.com:5000', 'team/app'],
    ['registry.example.com.evil.test', 'team/app'],
    ['evil.registry.example.com', 'team/app'],
    ['example.com', 'team/app'],
    ['registry.example.com', 'team2/app'],
    ['registry.example.com', 'tea'],
    ['registry.example.com', 'other/team/app'],
  ])('are not for %s/%s, which is like what they are for', async (host, repository) => {
    const { put, used } = await world()
    await put('demo', secret('regcred', 'registry.example.com/team'))
    expect(await used('demo', host, repository)).toEqual([])
    expect(await used('demo', 'registry.example.com', 'team/app')).toEqual(['secrets/demo/regcred'])
  })

  test('are those of the same name and host in no other project', async () => {
    const { put, credentialsFor } = await world()
    await put('demo', secret('regcred', 'quay.io'))
    await put('shop', { ...secret('shop', 'quay.io'), metadata: { name: 'regcred' } })
    expect(await listed(credentialsFor, 'demo', 'quay.io', 'a')).toMatchObject([{ password: 'regcred-hush' }])
    expect(await listed(credentialsFor, 'shop', 'quay.io', 'a')).toMatchObject([{ password: 'shop-hush' }])
  })

  test('count as absent, without a word of them, when they were sealed for another key', async () => {
    const { store, put, used, logs } = await world()
    await put('demo', secret('regcred', 'quay.io'))
    const { value = '' } = (await store.get(objectKey('secrets', 'demo', 'regcred'))) ?? {}
    const key = objectKey('secrets', 'shop', 'regcred')
    await store.commit({ operations: [{ type: 'put', key, value }] })
    expect(await used('shop', 'quay.io', 'app')).toEqual([])
    const clear = objectKey('secrets', 'shop', 'clear')
    const text = JSON.stringify({ ...secret('hush', 'quay.io'), metadata: { name: 'clear' } })
    await store.commit({ operations: [{ type: 'put', key: clear, value: text }] })
    expect(await used('shop', 'quay.io', 'app')).toEqual([])
    expect(logs.join('')).toContain(key)
    expect(logs.join('')).not.toMatch(/hush/)
  })
})

describe('what somebody just did', () => {
  test('counts at once: a secret that was made, changed or deleted', async () => {
    const { objects, put, credentialsFor, used } = await world()
    const ask = () => listed(credentialsFor, 'demo', 'quay.io', 'app')
    for (let round = 0; round < 20; round += 1) {
      expect(await ask()).toEqual([])
      await put('demo', secret('regcred', 'quay.io'))
      expect(await ask()).toMatchObject([{ password: 'regcred-hush' }])
      const { data } = secret('other', 'quay.io')
      await objects.update('secrets', 'demo', 'regcred', (current) => ({ ...current, data }))
      expect(await ask()).toMatchObject([{ password: 'other-hush' }])
      await objects.delete('secrets', 'demo', 'regcred')
    }
    expect(await used('demo', 'quay.io', 'app')).toEqual([])
  })

  test('is waited for, where the news of it is late', async () => {
    const { store, put, used } = await world()
    expect(await used('demo', 'quay.io', 'app')).toEqual([])
    const held = store.holdNews()
    await put('demo', secret('regcred', 'quay.io'))
    const asked = used('demo', 'quay.io', 'app')
    for (let turn = 0; turn < 5; turn += 1) await store.get('object/any')
    held.release()
    expect(await asked).toEqual(['secrets/demo/regcred'])
  })

  test('is not forgotten for a reading that had begun before', async () => {
    const { store, put, used } = await world()
    const begun = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const { range } = store
    store.range = async (query, options) => {
      const snapshot = await range(query, options)
      if (query.limit === 0) return snapshot
      begun.resolve()
      await held.promise
      return snapshot
    }
    const early = used('demo', 'quay.io', 'app')
    await begun.promise
    await put('demo', secret('regcred', 'quay.io'))
    const late = used('demo', 'quay.io', 'app')
    held.resolve()
    expect(await early).toEqual([])
    expect(await late).toEqual(['secrets/demo/regcred'])
    expect(await used('demo', 'quay.io', 'app')).toEqual(['secrets/demo/regcred'])
  })

  test('counts though others asked while it was done', async () => {
    const { put, used } = await world()
    await Promise.all(
      Array.from({ length: 30 }, async (_, index) => {
        const asked = Array.from({ length: 5 }, () => used('demo', 'quay.io', 'app'))
        await put('demo', secret(`s${index}`, `quay.io`))
        await Promise.all(asked)
      }),
    )
    expect(await used('demo', 'quay.io', 'app')).toHaveLength(20)
  })

  test('is waited for no longer than the store lives', async () => {
    const { store, closing, used } = await world()
    closing.abort()
    await store.close()
    await expect(used('demo', 'quay.io', 'app')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  test('needs no reading of the secrets each time', async () => {
    const { store, put, used } = await world()
    await put('demo', secret('regcred', 'quay.io'))
    await used('demo', 'quay.io', 'app')
    const ranges: string[] = []
    const { range } = store
    store.range = (query, options) => {
      if (query.limit !== 0) ranges.push(query.prefix)
      return range(query, options)
    }
    await put('shop', secret('regcred', 'quay.io'))
    expect(await used('demo', 'quay.io', 'other')).toHaveLength(1)
    expect(ranges).toEqual([])
    await put('demo', secret('second', 'quay.io'))
    expect(await used('demo', 'quay.io', 'other')).toHaveLength(2)
    expect(ranges).toEqual(['object/secrets/demo/'])
  })

  test('is kept in memory as far as there is room, few and long as the logins may be', async () => {
    const { store, put, used } = await world()
    const auths = Object.fromEntries(
      Array.from({ length: 30 }, (_, i) => [`quay.io/n${i}`, { username: 'u', password: 'p'.repeat(11_900) }]),
    )
    const data = { '.dockerconfigjson': base64(JSON.stringify({ auths })) }
    for (const project of ['demo', 'shop']) {
      for (let i = 0; i < 24; i += 1) await put(project, { metadata: { name: `s${i}` }, type: json, data })
      expect(await used(project, 'quay.io', 'n1')).toHaveLength(1)
    }
    const ranges: string[] = []
    const { range } = store
    store.range = (query, options) => {
      if (query.limit !== 0) ranges.push(query.prefix)
      return range(query, options)
    }
    for (const project of ['shop', 'demo']) await used(project, 'quay.io', 'n1')
    expect(ranges).toEqual(['object/secrets/demo/'])
  })
})
