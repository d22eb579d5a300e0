import { describe, expect, test } from 'vitest'
import { contentPruneSchema, contentVerificationSchema } from '../../../src/api/schemas/collector.ts'
import { examineFields } from '../../../src/api/unknown-fields.ts'
import type { Collector } from '../../../src/collector.ts'
import { makeImage } from '../../support/images.ts'
import { apiWorld, invalidFields, weirApi } from '../world.ts'

const prunes = `${weirApi}/contentprunes`
const verifications = `${weirApi}/contentverifications`
const image = makeImage('app')

/** The API over a collector that notes what it is asked. */
async function noting() {
  const asked: unknown[] = []
  const collector: Pick<Collector, 'prune' | 'verify'> = {
    async prune(options) {
      asked.push(options)
      return { freedBytes: 0, freed: [], freedCount: 0, kept: [], removedLinks: 0 }
    },
    async verify(options) {
      asked.push(options)
      return { checked: 0, bytes: 0, corrupt: [], missing: [] }
    },
  }
  return { ...(await apiWorld(() => ({ collector }))), asked }
}

describe('a content prune', () => {
  test('is done, and answered with what it did', async () => {
    const { asAdmin, importImage, registry, content, audited } = await apiWorld()
    registry.put('lib/app', image, { tag: 'v1' })
    await importImage('app', 'prod', `${registry.host}/lib/app:v1`)
    const answer = await asAdmin('POST', prunes, { kind: 'ContentPrune', apiVersion: 'weir.dev/v1', spec: {} })
    const held = await Array.fromAsync(content.list())
    const bytes = held.reduce((sum, { size }) => sum + size, 0)
    expect(answer).toMatchObject({
      status: 201,
      body: {
        kind: 'ContentPrune',
        apiVersion: 'weir.dev/v1',
        metadata: { creationTimestamp: null },
        spec: { dryRun: false },
        status: {
          freedBytes: 0,
          freed: [],
          freedCount: 0,
          kept: [{ reason: 'pinned', count: held.length, bytes }],
          removedLinks: 0,
          swept: { unfinished: 0, orphanFiles: 0, orphanRecords: 0, bytes: 0 },
        },
      },
    })
    expect(examineFields(contentPruneSchema, answer.body).unknown).toEqual([])
    expect(audited.at(-1)).toMatchObject({ verb: 'create', object: { resource: 'contentprunes', group: 'weir.dev' } })
  })

  test.each([
    ['by its spec', prunes, { dryRun: true }],
    ['by the query', `${prunes}?dryRun=All`, {}],
  ])('only tells what it would do %s', async (_, path, spec) => {
    const { asAdmin, asked } = await noting()
    expect(await asAdmin('POST', path, { kind: 'ContentPrune', spec })).toMatchObject({
      status: 201,
      body: { spec: { dryRun: true } },
    })
    expect(asked).toEqual([{ dryRun: true }])
  })

  test('keeps what is younger than it says', async () => {
    const { asAdmin, asked } = await noting()
    for (const keepYoungerThan of ['24h', '1h30m', '10m', null]) {
      expect(await asAdmin('POST', prunes, { spec: { keepYoungerThan } })).toMatchObject({ status: 201 })
    }
    expect(asked).toEqual([
      { dryRun: false, keepYoungerThanMs: 86_400_000 },
      { dryRun: false, keepYoungerThanMs: 5_400_000 },
      { dryRun: false, keepYoungerThanMs: 600_000 },
      { dryRun: false },
    ])
  })

  test.each(['soon', '24', '-1h', '1h ', '9'.repeat(400), '1w'])('is refused for %j', async (keepYoungerThan) => {
    const { asAdmin, asked } = await noting()
    const answer = await asAdmin('POST', prunes, { spec: { keepYoungerThan } })
    expect(answer).toMatchObject(invalidFields('spec.keepYoungerThan'))
    expect(asked).toEqual([])
  })

  test.each(['0s', '5m', '9m59s'])('is refused for %s: that long before is now', async (keepYoungerThan) => {
    const { asAdmin, asked } = await noting()
    const answer = await asAdmin('POST', prunes, { spec: { keepYoungerThan } })
    expect(answer).toMatchObject(invalidFields('spec.keepYoungerThan'))
    expect(JSON.stringify(answer.body)).toContain('at least 10m')
    expect(asked).toEqual([])
  })

  test.each([{ spec: [] }, { spec: { dryRun: 'yes' } }, { spec: { keepYoungerThan: 5 } }])(
    'is refused for %j',
    async (body) => {
      const { asAdmin, asked } = await noting()
      expect((await asAdmin('POST', prunes, body)).status).toBe(400)
      expect(asked).toEqual([])
    },
  )

  test('without a body is one with the defaults', async () => {
    const { asAdmin, asked } = await noting()
    expect((await asAdmin('POST', prunes, {})).status).toBe(201)
    expect(asked).toEqual([{ dryRun: false }])
  })

  test.each([undefined, 'view', 'edit', 'admin'])(
    'is for the admin of the cluster alone: %s of a project',
    async (role) => {
      const { send, robot, asked } = await noting()
      const token = await robot('ci', role)
      for (const path of [prunes, `${prunes}?dryRun=All`, verifications]) {
        expect((await send('POST', path, { token, body: {} })).status).toBe(403)
      }
      expect((await send('POST', prunes, { body: {} })).status).toBe(403)
      expect(asked).toEqual([])
    },
  )

  test('is nothing that can be read, changed or deleted', async () => {
    const { asAdmin } = await noting()
    for (const method of ['GET', 'DELETE']) expect((await asAdmin(method, prunes)).status).toBe(405)
    expect((await asAdmin('GET', `${prunes}/one`)).status).toBe(405)
  })
})

describe('a content verification', () => {
  test('reads what is held, a page at a time', async () => {
    const { asAdmin, importImage, registry, content } = await apiWorld()
    registry.put('lib/app', image, { tag: 'v1' })
    await importImage('app', 'prod', `${registry.host}/lib/app:v1`)
    const held = await Array.fromAsync(content.list())
    const [first] = held
    const page = await asAdmin('POST', verifications, { spec: { maxBytes: 1 } })
    expect(page).toMatchObject({
      status: 201,
      body: { kind: 'ContentVerification', status: { checked: 1, corrupt: [], missing: [], continue: first?.digest } },
    })
    const rest = await asAdmin('POST', verifications, { spec: { after: first?.digest } })
    expect(rest.body.status).toMatchObject({ checked: held.length - 1, corrupt: [], missing: [] })
    expect(rest.body.status).not.toHaveProperty('continue')
    expect(examineFields(contentVerificationSchema, page.body).unknown).toEqual([])
  })

  test('is refused for what is no digest and no number of bytes, naming both', async () => {
    const { asAdmin, asked } = await noting()
    const answer = await asAdmin('POST', verifications, { spec: { after: 'sha256:abc', maxBytes: 0 } })
    expect(answer).toMatchObject(invalidFields('spec.after', 'spec.maxBytes'))
    for (const maxBytes of [-1, 1.5, 1e300]) {
      const refused = await asAdmin('POST', verifications, { spec: { maxBytes } })
      expect(refused).toMatchObject(invalidFields('spec.maxBytes'))
    }
    expect(asked).toEqual([])
  })

  test('has no dry run: what is wrong is put aside', async () => {
    const { asAdmin, asked } = await noting()
    expect((await asAdmin('POST', `${verifications}?dryRun=All`, {})).status).toBeGreaterThanOrEqual(400)
    expect(asked).toEqual([])
  })
})

test('both are discovered and described', async () => {
  const { send, adminToken } = await noting()
  const list = await send('GET', weirApi, { token: adminToken })
  const resources = list.body.resources as { name: string; kind: string; namespaced: boolean; verbs: string[] }[]
  for (const [name, kind] of [
    ['contentprunes', 'ContentPrune'],
    ['contentverifications', 'ContentVerification'],
  ]) {
    expect(resources.find((each) => each.name === name)).toMatchObject({ kind, namespaced: false, verbs: ['create'] })
  }
  const document = await send('GET', '/openapi/v3/apis/weir.dev/v1', { token: adminToken })
  expect(document.text).toContain('/apis/weir.dev/v1/contentprunes')
  expect(document.text).toContain('dev.weir.v1.ContentVerification')
  const aggregated = await send('GET', '/apis', {
    token: adminToken,
    headers: { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' },
  })
  expect(aggregated.text).toContain('contentprunes')
})
