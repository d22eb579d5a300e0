import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Location } from '../../src/content/content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { createAccounts } from '../../src/quotas/accounts.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { anywhereWriter } from '../support/anywhere-writer.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'

const here: Location = { kind: 'here' }
const there: Location = { kind: 'upstream', host: 'a.example', repository: 'lib/app', project: 'demo' }
const mediaType = 'application/octet-stream'
const [a, b, c] = ['a', 'b', 'c'].map((text) => digestOf(text)) as [Digest, Digest, Digest]
const app = { project: 'demo', stream: 'app' }
const tool = { project: 'demo', stream: 'tool' }

function limit(w: FlowsWorld, name: string, hard: Record<string, string>, project = 'demo') {
  return w.objects.create('resourcequotas', project, { metadata: { name }, spec: { hard } })
}

async function linked(w: FlowsWorld, name: typeof app, digest: Digest, size: number, ...locations: Location[]) {
  const { uid } = (await w.reader.stream(name)) ?? (await w.writer.create(name))
  await w.links.add(name, uid, [{ digest, mediaType, size, locations }])
}

const moved = (image: Digest): TagChange => ({
  event: { image, mediaType, dockerImageReference: `x@${image}`, cause: { kind: 'push', by: 'me' } },
  isHeld: true,
})

function moving({ store, clock, quotas }: FlowsWorld) {
  return anywhereWriter({ store, now: clock.now, use: quotas.use })
}

function tag(w: FlowsWorld, name: typeof app, as: string, change: TagChange = moved(a)) {
  return moving(w).changeTag(name, as, () => change, { create: true })
}

const gone: TagChange = { remove: { cause: { kind: 'delete', by: 'me' } } }

test('a project uses each digest that was pushed to it once, and its tags', async () => {
  const w = await flowsWorld()
  await linked(w, app, a, 10, here)
  await linked(w, tool, a, 10, here)
  await linked(w, tool, b, 5, there)
  await tag(w, app, 'one')
  expect(await w.quotas.usage('demo')).toEqual({ bytes: 10, tags: 1 })
  await linked(w, tool, c, 7, here)
  await linked(w, app, c, 7, here)
  await tag(w, app, 'two')
  await tag(w, app, 'one', moved(b))
  await tag(w, tool, 'one')
  expect(await w.quotas.usage('demo')).toEqual({ bytes: 17, tags: 3 })
  expect(await w.quotas.usage('other')).toEqual({ bytes: 0, tags: 0 })
})

test('what its home registry has of a project counts, and what other registries have does not', async () => {
  const w = await flowsWorld()
  const annotations = { 'weir.dev/home': 'registry.example/team' }
  await w.objects.update('namespaces', '', 'demo', (project) => ({
    ...project,
    metadata: { ...project.metadata, annotations },
  }))
  const home: Location = { kind: 'upstream', host: 'registry.example', repository: 'team/app', project: 'demo' }
  await linked(w, app, a, 10, home)
  await linked(w, app, b, 100, { ...home, repository: 'teams/app' })
  await linked(w, app, c, 1000, { ...home, project: 'other' })
  expect(await w.quotas.usage('demo')).toEqual({ bytes: 10, tags: 0 })
})

test('what a stream had is not used any more when it is deleted', async () => {
  const w = await flowsWorld()
  await linked(w, app, a, 10, here)
  await linked(w, tool, a, 10, here)
  await linked(w, tool, b, 5, here)
  await tag(w, tool, 'one')
  expect(await w.quotas.usage('demo')).toEqual({ bytes: 15, tags: 1 })
  await w.writer.delete(tool)
  await expect.poll(() => w.quotas.usage('demo'), { timeout: 10_000 }).toEqual({ bytes: 10, tags: 0 })
})

test('more is let in as long as every quota has room for it', async () => {
  const w = await flowsWorld()
  await limit(w, 'large', { 'requests.storage': '1Ki', pods: '1' })
  await limit(w, 'small', { 'requests.storage': '100' })
  await linked(w, app, a, 30, here)
  const giveBack = await w.quotas.reserve('demo', { bytes: 50 })
  await expect(w.quotas.reserve('demo', { bytes: 21 })).rejects.toMatchObject({
    code: 'DENIED',
    message:
      'exceeded quota: small, requested: requests.storage=21, used: requests.storage=80, limited: requests.storage=100; unfinished uploads have 50 of what is used',
  })
  expect(await w.quotas.usage('demo')).toEqual({ bytes: 80, tags: 0 })
  ;(await w.quotas.reserve('demo', { bytes: 20, tags: 1000 }))()
  giveBack()
  giveBack()
  await w.quotas.reserve('demo', { bytes: 70 })
  await expect(w.quotas.reserve('demo', { bytes: 1 })).rejects.toMatchObject({ code: 'DENIED' })
  await w.quotas.reserve('demo', { bytes: 0 })
  await w.objects.create('namespaces', '', { metadata: { name: 'other' } })
  await w.quotas.reserve('other', { bytes: Number.MAX_SAFE_INTEGER, tags: 1e9 })
})

test('what is there already is reserved beyond any quota, and also while there is none', async () => {
  const w = await flowsWorld()
  const giveBack = await w.quotas.reserve('demo', { bytes: 70 })
  await limit(w, 'q', { 'requests.storage': '100' })
  await expect(w.quotas.reserve('demo', { bytes: 31 })).rejects.toMatchObject({ code: 'DENIED' })
  await w.quotas.reserve('demo', { bytes: 200 }, { isThere: true })
  giveBack()
  expect(await w.quotas.usage('demo')).toEqual({ bytes: 200, tags: 0 })
})

test('of many that reserve at once no more are let in than fit', async () => {
  const w = await flowsWorld()
  await limit(w, 'q', { 'requests.storage': '100' })
  const results = await Promise.allSettled(Array.from({ length: 30 }, () => w.quotas.reserve('demo', { bytes: 7 })))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(14)
})

test('a tag beyond the quota comes by no way, and those that are there still move and go', async () => {
  const w = await flowsWorld()
  await limit(w, 'q', { 'count/imagestreamtags.image.openshift.io': '2' })
  await tag(w, app, 'one')
  await tag(w, app, 'two')
  const refused = {
    code: 'DENIED',
    status: 403,
    message: expect.stringMatching(
      /^exceeded quota: q, requested: count\/imagestreamtags\.image\.openshift\.io=1, used: .*=2, limited: .*=2$/,
    ),
  }
  await expect(tag(w, app, 'three')).rejects.toMatchObject(refused)
  await expect(tag(w, tool, 'one')).rejects.toMatchObject(refused)
  const both = new Map(['one', 'four'].map((each) => [each, moved(b)]))
  await expect(moving(w).changeStream(app, () => ({ tags: both }))).rejects.toMatchObject(refused)
  await expect(moving(w).changeTag(app, 'five', () => moved(a), { dryRun: true })).rejects.toMatchObject(refused)
  const from = { kind: 'DockerImage', name: 'a.example/lib/app' } as const
  const spec = {
    annotations: null,
    from,
    generation: null,
    importPolicy: {},
    referencePolicy: { type: 'Local' },
  } as const
  await expect(tag(w, app, 'six', { spec: { name: 'six', ...spec } })).rejects.toMatchObject(refused)
  expect((await w.reader.tags(app)).map(({ name }) => name)).toEqual(['one', 'two'])
  await tag(w, app, 'one', moved(b))
  await tag(w, app, 'one', gone)
  await tag(w, app, 'three')
  await expect(tag(w, app, 'one')).rejects.toMatchObject(refused)
  expect(await w.quotas.usage('demo')).toEqual({ bytes: 0, tags: 2 })
})

test('what is promoted from another project counts like what is pushed, and is refused beyond the quota', async () => {
  const w = await flowsWorld()
  await w.objects.create('namespaces', '', { metadata: { name: 'source' } })
  const from = { project: 'source', stream: 'app' }
  const copy = async (to: typeof app, digest: Digest) => {
    const { uid } = (await w.reader.stream(to)) ?? (await w.writer.create(to))
    return w.links.copy(from, { ...to, uid }, digest)
  }
  await linked(w, from, a, 6, here)
  await linked(w, from, b, 6, here)
  await linked(w, from, c, 6, { ...there, project: 'source' })
  await limit(w, 'q', { 'requests.storage': '10' })
  await copy(app, a)
  await copy(tool, a)
  await copy(app, c)
  await expect(copy(app, b)).rejects.toMatchObject({
    code: 'DENIED',
    message: 'exceeded quota: q, requested: requests.storage=6, used: requests.storage=6, limited: requests.storage=10',
  })
  expect(await w.links.get(app, b)).toBeUndefined()
  expect(await w.quotas.usage('demo')).toEqual({ bytes: 6, tags: 0 })
})

test('of many tags that come at once no more are let in than may be', async () => {
  const w = await flowsWorld()
  await limit(w, 'q', { 'count/imagestreamtags.image.openshift.io': '7' })
  const names = Array.from({ length: 20 }, (_, i) => `t${i}`)
  const results = await Promise.allSettled(names.map((name) => tag(w, app, name)))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(7)
  expect(await w.reader.tags(app)).toHaveLength(7)
})

test('an account that is kept up says what one says that is made anew', async () => {
  const w = await flowsWorld()
  const streams = [app, tool]
  const digests = [a, b, c]
  const step = fc.tuple(fc.nat(1), fc.nat(2), fc.constantFrom('push', 'tell', 'tag', 'untag', 'delete', 'look'))
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      await w.quotas.usage('demo')
      for (const [i, j, what] of steps) {
        const name = streams[i] ?? app
        const digest = digests[j] ?? a
        if (what === 'push') await linked(w, name, digest, j + 1, here)
        if (what === 'tell') await linked(w, name, digest, j + 1, there)
        if (what === 'tag') await tag(w, name, `t${j}`)
        if (what === 'untag' && (await w.reader.tag(name, `t${j}`))) await tag(w, name, `t${j}`, gone)
        if (what === 'delete' && (await w.reader.stream(name))) await w.writer.delete(name)
        if (what === 'look') await w.quotas.usage('demo')
      }
      const { bytes, tags } = await createAccounts({ store: w.store, now: w.clock.now }).of('demo')
      const anew = { bytes, tags }
      await expect.poll(() => w.quotas.usage('demo'), { timeout: 10_000 }).toEqual(anew)
    }),
    { numRuns: 200 },
  )
}, 120_000)
