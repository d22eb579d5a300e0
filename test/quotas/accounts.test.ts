import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Location } from '../../src/content/content.ts'
import { readLink, removeLinks } from '../../src/deletions/links.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { type Accounts, createAccounts } from '../../src/quotas/accounts.ts'
import { createLinks } from '../../src/streams/links.ts'
import type { ProjectUse } from '../../src/streams/project-use.ts'
import type { Stream } from '../../src/streams/streams.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'

const here: Location = { kind: 'here' }
const home: Location = { kind: 'upstream', host: 'registry.example', repository: 'team/app', project: 'demo' }
const mediaType = 'application/octet-stream'
const digests = ['a', 'b', 'c'].map((text) => digestOf(text))
const [a] = digests as [Digest]

interface AccountWorld extends FlowsWorld {
  streams: [Stream, Stream]
  accounts: Accounts
  /** Ranges that were read of the store by the accounts. */
  scans: string[]
  /** What the accounts are to be told, in the order in which it was written. */
  untold: (() => void)[]
  push(stream: Stream, digest: Digest, size: number): Promise<void>
  claim(stream: Stream, digest: Digest, size: number): Promise<void>
  remove(stream: Stream, digest: Digest): Promise<void>
  tellAll(): void
  /** What an account says that is made anew. */
  anew(): Promise<{ bytes: number; tags: number }>
  now(): Promise<{ bytes: number; tags: number }>
}

async function accountWorld(): Promise<AccountWorld> {
  const w = await flowsWorld()
  const annotations = { 'weir.dev/home': 'registry.example/team' }
  await w.objects.update('namespaces', '', 'demo', (project) => ({
    ...project,
    metadata: { ...project.metadata, annotations },
  }))
  const streams = [
    await w.writer.create({ project: 'demo', stream: 'app' }),
    await w.writer.create({ project: 'demo', stream: 'tool' }),
  ] as [Stream, Stream]
  const scans: string[] = []
  const range: typeof w.store.range = (query, options) => {
    scans.push(query.prefix)
    return w.store.range(query, options)
  }
  const accounts = createAccounts({ store: { ...w.store, range }, now: w.clock.now })
  const untold: (() => void)[] = []
  const use = {
    linked: (...told: Parameters<ProjectUse['linked']>) => void untold.push(() => accounts.linked(...told)),
  } as ProjectUse
  const links = createLinks({ store: w.store, now: w.clock.now, use })
  const shown = async (of: Accounts) => {
    const { bytes, tags } = await of.of('demo')
    return { bytes, tags }
  }
  return {
    ...w,
    streams,
    accounts,
    scans,
    untold,
    push: (stream, digest, size) =>
      links.add(stream, stream.uid, [{ digest, mediaType, size, measured: true, locations: [here] }]),
    claim: (stream, digest, size) => links.add(stream, stream.uid, [{ digest, mediaType, size, locations: [home] }]),
    async remove(stream, digest) {
      const link = await readLink(w.store, stream, digest)
      if (link === undefined) return
      await removeLinks(w.store, stream, [link])
      untold.push(() => accounts.unlinked(stream, [digest]))
    },
    tellAll() {
      for (const tell of untold.splice(0)) tell()
    },
    anew: () => shown(createAccounts({ store: w.store, now: w.clock.now })),
    now: () => shown(accounts),
  }
}

test('what is removed counts no more, and what another stream of the project has does, without a full count', async () => {
  const w = await accountWorld()
  const [app, tool] = w.streams
  await w.push(app, a, 10)
  await w.push(tool, a, 10)
  expect(await w.now()).toEqual({ bytes: 10, tags: 0 })
  w.scans.splice(0)
  await w.remove(app, a)
  w.tellAll()
  expect(await w.now()).toEqual({ bytes: 10, tags: 0 })
  await w.remove(tool, a)
  w.tellAll()
  expect(await w.now()).toEqual({ bytes: 0, tags: 0 })
  await w.push(app, a, 10)
  w.tellAll()
  expect(await w.now()).toEqual({ bytes: 10, tags: 0 })
  expect(w.scans).toEqual([])
})

test('a link that was removed and is written again counts, whoever tells first', async () => {
  const w = await accountWorld()
  const [app] = w.streams
  await w.push(app, a, 10)
  await w.now()
  await w.remove(app, a)
  await w.push(app, a, 10)
  w.untold.reverse()
  w.tellAll()
  expect(await w.now()).toEqual({ bytes: 10, tags: 0 })
  await w.remove(app, a)
  w.untold.reverse()
  w.tellAll()
  expect(await w.now()).toEqual({ bytes: 0, tags: 0 })
})

test('what was told while links are looked up is not lost, nor what was told of a whole project', async () => {
  const w = await accountWorld()
  const [app, tool] = w.streams
  await w.push(app, a, 10)
  await w.now()
  await w.remove(app, a)
  w.tellAll()
  const asked = w.accounts.of('demo')
  await w.push(app, a, 10)
  w.tellAll()
  expect((await asked).bytes).toBe(10)
  const many = Array.from({ length: 2100 }, (_, i) => digestOf(`${i}`))
  w.accounts.unlinked(app, many)
  await w.push(tool, digestOf('b'), 7)
  w.tellAll()
  expect(await w.now()).toEqual({ bytes: 17, tags: 0 })
})

test('what was read of a link before it was written anew does not take that away', async () => {
  const w = await accountWorld()
  const [app] = w.streams
  const key = `${app.project}/${app.stream}/${a}`
  let onRead: (() => Promise<void>) | undefined
  const accounts = createAccounts({
    store: {
      range: w.store.range,
      async get(asked) {
        const entry = await w.store.get(asked)
        if (asked.endsWith(key)) await onRead?.()
        return entry
      },
    },
    now: w.clock.now,
  })
  await accounts.of('demo')
  accounts.unlinked(app, [a])
  onRead = async () => {
    onRead = undefined
    await w.push(app, a, 10)
    const record = (await readLink(w.store, app, a))?.record ?? expect.fail()
    accounts.linked(app, new Map([[a, record]]))
  }
  expect((await accounts.of('demo')).bytes).toBe(10)
})

test('a size that was measured counts, whatever is claimed in another stream', async () => {
  const w = await accountWorld()
  const [app, tool] = w.streams
  await w.claim(tool, a, 9999)
  await w.push(app, a, 10)
  expect(await w.now()).toEqual({ bytes: 10, tags: 0 })
  await w.remove(app, a)
  w.tellAll()
  expect(await w.now()).toEqual({ bytes: 9999, tags: 0 })
})

const size = fc.integer({ min: 1, max: 20 })
const step = fc.record({
  what: fc.constantFrom('push', 'push', 'claim', 'remove', 'remove', 'tell', 'look', 'look at once'),
  stream: fc.nat(1),
  digest: fc.nat(2),
  size,
  place: fc.nat(50),
})

test('an account says what a full count says once it was told of everything, in whatever order, and is not counted anew', async () => {
  const w = await accountWorld()
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
      w.accounts.recount()
      await w.now()
      w.scans.splice(0)
      const looks: Promise<unknown>[] = []
      for (const { what, stream: i, digest: j, size, place } of steps) {
        const stream = w.streams[i] as Stream
        const digest = digests[j] as Digest
        if (what === 'push') await w.push(stream, digest, j + 5)
        if (what === 'claim') await w.claim(stream, digest, size)
        if (what === 'remove') await w.remove(stream, digest)
        if (what === 'tell') w.untold.splice(place % (w.untold.length || 1), 1)[0]?.()
        if (what === 'look') await w.now()
        if (what === 'look at once') looks.push(w.now())
      }
      w.untold.reverse()
      w.tellAll()
      await Promise.all(looks)
      expect(await w.now()).toEqual(await w.anew())
      expect(w.scans).toEqual([])
    }),
    { numRuns: 300 },
  )
}, 120_000)
