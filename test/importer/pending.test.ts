import { pino } from 'pino'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type PendingImportsOptions, runPendingImports } from '../../src/importer/pending.ts'
import { createImporter } from '../../src/importer.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import type { Store } from '../../src/store/store.ts'
import type { TagReference } from '../../src/streams/records.ts'
import type { Tag } from '../../src/streams/streams.ts'
import { startFakeUpstream } from '../support/fake-upstream.ts'
import { fakeAnswer, fakeError } from '../support/fake-upstream-answers.ts'
import { answering } from '../support/fake-upstream-faults.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { makeImage } from '../support/images.ts'

const app = { project: 'demo', stream: 'app' }
const v1 = makeImage('v1')
const v2 = makeImage('v2')

type World = FlowsWorld & { from: string; logged: string[] }

/** What imports in the background, until `stop` or the end of the test. */
interface Running {
  stop(): Promise<void>
  /** The pauses that were asked for, in milliseconds; they are over when `goOn` is called. */
  pauses: number[]
  goOn(): void
}

async function world(options: Parameters<typeof flowsWorld>[0] = {}): Promise<World> {
  const flows = await flowsWorld(options)
  flows.registry.put('lib/app', v1, { tag: 'v1' })
  return { ...flows, from: `${flows.registry.host}/lib/app:v1`, logged: [] }
}

function start(there: World, options: Partial<PendingImportsOptions> = {}): Running {
  const stopping = new AbortController()
  const log = pino({ level: 'info' }, { write: (line: string) => void there.logged.push(line) })
  const waiting = new Set<() => void>()
  const pauses: number[] = []
  const pause = async (ms: number, signal: AbortSignal) => {
    pauses.push(ms)
    await new Promise<void>((resolve) => {
      waiting.add(resolve)
      signal.addEventListener('abort', () => resolve())
    })
  }
  const { store, reader, importer } = there
  const importing = { store, reader, importPending: importer.importPending, signal: stopping.signal, log, pause }
  const ended = runPendingImports({ ...importing, ...options })
  const stop = () => {
    stopping.abort()
    return ended
  }
  const goOn = () => {
    for (const resume of waiting) resume()
    waiting.clear()
  }
  onTestFinished(stop)
  return { stop, pauses, goOn }
}

/** Sets what a tag wants, as somebody who writes its spec does. */
function want(
  { writer }: World,
  from: string,
  { tag = 'prod', ...more }: { tag?: string } & Partial<TagReference> = {},
) {
  const spec = {
    name: tag,
    annotations: null,
    from: { kind: 'DockerImage' as const, name: from },
    importPolicy: {},
    referencePolicy: { type: 'Local' as const },
    ...more,
  }
  const change = { spec, wantedBy: { by: 'ann', reason: 'from git' } }
  return writer.changeTag(app, tag, () => change, { create: true })
}

async function tagOf({ reader }: World, tag = 'prod'): Promise<Tag | undefined> {
  return reader.tag(app, tag)
}

async function pin(there: World, tag = 'prod'): Promise<string | undefined> {
  return (await tagOf(there, tag))?.record.items[0]?.image
}

async function pending({ store }: World): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of await store.range({ prefix: 'index/pending/' })) keys.push(key)
  return keys
}

/** Waits until nothing is pending. */
async function settled(there: World): Promise<void> {
  await vi.waitFor(async () => expect(await pending(there)).toEqual([]), { timeout: 10_000, interval: 5 })
}

/** A store that fails to read for as long as `fails` says. */
function failing(store: Store, fails: () => boolean): Store {
  const guarded =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (fails()) throw new RegistryError('UNAVAILABLE', { message: 'the disk is gone' })
      return work(...args)
    }
  return { ...store, get: guarded(store.get), range: guarded(store.range), commit: guarded(store.commit) }
}

describe('a wish in the spec', () => {
  test('is imported in the background, and the ledger says by whom, why and from where', async () => {
    const there = await world()
    start(there)
    await want(there, there.from)
    await settled(there)
    const tag = await tagOf(there)
    expect(tag?.record).toMatchObject({
      items: [{ image: v1.manifest.digest, generation: tag?.record.spec?.generation }],
      lastSeen: { digest: v1.manifest.digest },
    })
    expect(await there.reader.ledger(app, 'prod')).toMatchObject([
      {
        revision: 1,
        cause: { kind: 'import', by: 'ann', reason: 'from git', from: { kind: 'DockerImage', name: there.from } },
      },
    ])
    expect(await there.pullThrough.manifest(app, 'prod', { head: false })).toMatchObject({ digest: v1.manifest.digest })
  })

  test('leaves the spec as it is, generation and policies too', async () => {
    const there = await world()
    await want(there, there.from, { importPolicy: { scheduled: true }, referencePolicy: { type: 'Source' } })
    const before = await tagOf(there)
    const generation = (await there.reader.stream(app))?.generation
    start(there)
    await settled(there)
    expect((await tagOf(there))?.record.spec).toEqual(before?.record.spec)
    expect((await there.reader.stream(app))?.generation).toBe(generation)
  })

  test('that a process before left is imported by the next', async () => {
    const there = await world()
    const held = there.registry.hold()
    const first = start(there)
    await want(there, there.from)
    await held.arrived()
    await first.stop()
    held.release()
    expect(await pending(there)).toHaveLength(1)
    expect((await tagOf(there))?.record.condition).toBeUndefined()
    start(there)
    await settled(there)
    expect(await pin(there)).toBe(v1.manifest.digest)
  })

  test('that is imported already moves nothing again after a restart', async () => {
    const there = await world()
    const first = start(there)
    await want(there, there.from)
    await settled(there)
    await first.stop()
    const asked = there.registry.requests.length
    const stood = await tagOf(there)
    start(there)
    await want(there, there.from, { tag: 'other' })
    await settled(there)
    expect(there.registry.requests.slice(asked).filter(({ path }) => path.includes('/manifests/'))).toHaveLength(1)
    expect(await tagOf(there)).toEqual(stood)
  })

  test('for the image that the tag stands at is met without a new revision', async () => {
    const there = await world()
    await there.importImage('app', 'prod', there.from)
    start(there)
    await there.writer.changeTag(app, 'prod', () => ({ reimport: true, wantedBy: { by: 'ann' } }))
    await settled(there)
    const { record } = (await tagOf(there)) ?? {}
    expect(record?.items).toMatchObject([{ generation: record?.spec?.generation }])
    expect(await there.reader.ledger(app, 'prod')).toHaveLength(1)
  })

  test('of a reference alone is never imported', async () => {
    const there = await world()
    start(there)
    await want(there, `${there.registry.host}/lib/alias:v1`, { tag: 'alias', reference: true })
    await want(there, there.from)
    await settled(there)
    await there.importer.importPending(app, 'alias', { generation: 1, by: 'ann' })
    expect(await pin(there, 'alias')).toBe('')
    expect(there.registry.requests.filter(({ path }) => path.includes('alias'))).toEqual([])
  })
})

describe('a wish that can not be imported', () => {
  test.each([
    ['NotFound', fakeError(404, 'MANIFEST_UNKNOWN')],
    ['Forbidden', fakeError(403, 'DENIED')],
    ['TooManyRequests', fakeAnswer(429, '', { 'retry-after': '3600' })],
    ['Unreachable', fakeError(503, 'UNAVAILABLE')],
    ['Invalid', fakeAnswer(200, '<html>')],
  ])('ends as the condition %s, and the pin stays (I7)', async (reason, answer) => {
    const there = await world()
    await there.importImage('app', 'prod', there.from)
    start(there)
    there.registry.intercept(answering(/manifests/, answer))
    const wanted = await want(there, `${there.registry.host}/lib/app:v2`)
    await settled(there)
    const { record } = (await tagOf(there)) ?? {}
    expect(record?.condition).toMatchObject({ reason, generation: record?.spec?.generation })
    expect(record?.items).toHaveLength(1)
    expect(record?.spec?.from?.name).toBe(`${there.registry.host}/lib/app:v2`)
    expect((await there.reader.stream(app))?.generation).toBe(wanted?.stream.generation)
  })

  test.each([
    ['NotAllowed', 'evil.example/lib/app:v1'],
    ['Invalid', 'Not A Reference'],
  ])('ends as %s and asks nobody for %s', async (reason, source) => {
    const there = await world()
    await want(there, 'evil.example/lib/app:v1')
    const key = 'tag/demo/app/prod'
    const entry = await there.store.get(key)
    // As written before Weir checked it.
    const value = entry?.value.replace('evil.example/lib/app:v1', source) ?? ''
    await there.store.commit({ operations: [{ type: 'put', key, value }] })
    start(there)
    await settled(there)
    expect((await tagOf(there))?.record.condition).toMatchObject({
      reason,
      message: expect.stringContaining(source.split('/')[0] ?? ''),
    })
    expect(there.registry.requests).toEqual([])
  })

  test('succeeds once it is wanted again, and the condition is gone', async () => {
    const there = await world()
    start(there)
    const end = there.registry.intercept(answering(/manifests/, fakeError(404, 'MANIFEST_UNKNOWN')))
    await want(there, there.from)
    await settled(there)
    end()
    await there.writer.changeTag(app, 'prod', () => ({ reimport: true, wantedBy: { by: 'ben' } }))
    await settled(there)
    expect((await tagOf(there))?.record.condition).toBeUndefined()
    expect(await there.reader.ledger(app, 'prod')).toMatchObject([{ cause: { by: 'ben' } }])
  })
})

describe('a wish that was overtaken', () => {
  test('by another one is dropped, and the other imported', async () => {
    const there = await world()
    there.registry.put('lib/app', v2, { tag: 'v2' })
    const held = there.registry.hold(/manifests\/v1/)
    start(there)
    await want(there, there.from)
    await held.arrived()
    await want(there, `${there.registry.host}/lib/app:v2`)
    held.release()
    await settled(there)
    expect(await pin(there)).toBe(v2.manifest.digest)
    expect((await there.reader.ledger(app, 'prod')).map(({ image }) => image)).toEqual([v2.manifest.digest])
  })

  test('by a failure of the older one has no condition of it', async () => {
    const there = await world()
    const held = there.registry.hold(/manifests\/missing/)
    start(there)
    await want(there, `${there.registry.host}/lib/app:missing`)
    await held.arrived()
    await want(there, there.from)
    held.release()
    await settled(there)
    expect((await tagOf(there))?.record).toMatchObject({ items: [{ image: v1.manifest.digest }] })
    expect((await tagOf(there))?.record.condition).toBeUndefined()
  })

  test('by a change that leaves the wish is tried again after a pause', async () => {
    const there = await world()
    const held = there.registry.hold(/manifests/)
    const running = start(there)
    await want(there, there.from)
    await held.arrived()
    await there.writer.changeTag(app, 'prod', ({ tag }) => {
      if (tag?.record.spec === undefined) throw new TypeError('no spec')
      return { spec: { ...tag.record.spec, annotations: { note: 'x' } } }
    })
    held.release()
    await vi.waitFor(() => expect(running.pauses).toHaveLength(1))
    expect(await pin(there)).toBeUndefined()
    running.goOn()
    await settled(there)
    expect((await tagOf(there))?.record).toMatchObject({
      items: [{ image: v1.manifest.digest }],
      spec: { annotations: { note: 'x' } },
    })
  })

  test('by the removal of its tag leaves nothing', async () => {
    const there = await world()
    const held = there.registry.hold(/manifests/)
    const running = start(there)
    await want(there, there.from)
    await held.arrived()
    await there.writer.changeTag(app, 'prod', () => ({ remove: { cause: { kind: 'delete', by: 'ann' } } }))
    held.release()
    await want(there, there.from, { tag: 'other' })
    await settled(there)
    await running.stop()
    expect(await tagOf(there)).toBeUndefined()
    expect((await there.reader.ledger(app, 'prod')).map(({ cause }) => cause.kind)).not.toContain('import')
  })

  test('by the end of its stream leaves nothing, not even the wish', async () => {
    const there = await world()
    const held = there.registry.hold(/manifests/)
    const running = start(there)
    await want(there, there.from)
    await held.arrived()
    await there.writer.delete(app)
    held.release()
    await vi.waitFor(() => expect(running.pauses).toHaveLength(1))
    running.goOn()
    await settled(there)
    expect(await there.reader.stream(app)).toBeUndefined()
    expect(await there.reader.ledger(app, 'prod')).toEqual([])
  })

  test('by a new stream of the name gives that one nothing', async () => {
    const there = await world()
    await want(there, there.from)
    await there.writer.delete(app)
    await there.writer.create(app)
    start(there)
    await settled(there)
    expect(await tagOf(there)).toBeUndefined()
    expect(there.registry.requests).toEqual([])
  })

  test('that is of no stream that lives is not taken for one of the stream that does', async () => {
    const there = await world()
    await want(there, there.from)
    const [key = ''] = await pending(there)
    const value = JSON.stringify({ uid: 'gone', generation: 1, by: 'ann' })
    await there.store.commit({ operations: [{ type: 'put', key, value }] })
    start(there)
    await settled(there)
    expect(await pin(there)).toBeUndefined()
    expect(there.registry.requests).toEqual([])
  })

  test('by a hold moves nothing and asks nobody', async () => {
    const there = await world()
    await there.importImage('app', 'prod', there.from)
    there.registry.put('lib/app', v2, { tag: 'v1' })
    await there.importImage('app', 'prod', there.from)
    await there.tagEvents.rollback(app, 'prod', { by: 'ann' })
    const key = 'tag/demo/app/prod'
    const record = JSON.parse((await there.store.get(key))?.value ?? '')
    const value = JSON.stringify({ ...record, spec: { ...record.spec, generation: 99 } })
    await there.store.commit({ operations: [{ type: 'put', key, value }] })
    const asked = there.registry.requests.length
    const stood = await tagOf(there)
    await there.importer.importPending(app, 'prod', { generation: 99, by: 'ann' })
    expect(await tagOf(there)).toEqual(stood)
    expect(there.registry.requests).toHaveLength(asked)
  })
})

describe('imports in the background', () => {
  test('are at most two of one host and hold up no other host', async () => {
    const other = await startFakeUpstream()
    other.put('lib/app', v1, { tag: 'v1' })
    const there = await world({ rules: [{ host: other.host, insecure: true }] })
    const held = there.registry.hold(/manifests/)
    for (let i = 0; i < 6; i++) await want(there, there.from, { tag: `t${i}` })
    await want(there, `${other.host}/lib/app:v1`, { tag: 'other' })
    start(there)
    await held.arrived(2)
    await vi.waitFor(async () => expect(await pin(there, 'other')).toBe(v1.manifest.digest), { timeout: 10_000 })
    expect(there.registry.matching(/manifests/)).toHaveLength(2)
    held.release()
    await settled(there)
    expect(there.registry.mostActive).toBeLessThanOrEqual(2)
  })

  test('are at most eight in all', async () => {
    const registries = await Promise.all(Array.from({ length: 6 }, () => startFakeUpstream()))
    const there = await world({ rules: registries.map(({ host }) => ({ host, insecure: true })) })
    const holds = registries.map((registry) => registry.hold(/manifests/))
    for (const [i, registry] of registries.entries()) {
      registry.put('lib/app', v1, { tag: 'v1' })
      for (let n = 0; n < 3; n++) await want(there, `${registry.host}/lib/app:v1`, { tag: `t${i}-${n}` })
    }
    start(there)
    const underWay = () => registries.reduce((sum, registry) => sum + registry.matching(/manifests/).length, 0)
    await vi.waitFor(() => expect(underWay()).toBe(8), { timeout: 10_000 })
    for (const hold of holds) hold.release()
    await settled(there)
    expect(underWay()).toBe(18)
  })

  test('are of one tag one at a time', async () => {
    const there = await world()
    const held = there.registry.hold(/manifests/)
    start(there)
    await want(there, there.from)
    await held.arrived()
    for (let i = 0; i < 3; i++)
      await there.writer.changeTag(app, 'prod', () => ({ reimport: true, wantedBy: { by: 'ann' } }))
    expect(there.registry.matching(/manifests/)).toHaveLength(1)
    held.release()
    await settled(there)
    expect(there.registry.mostActive).toBeLessThanOrEqual(1)
    expect(await there.reader.ledger(app, 'prod')).toHaveLength(1)
  })

  test('are begun for what is wanted by then', async () => {
    const there = await world()
    const held = there.registry.hold(/manifests\/v1/)
    const asked: string[] = []
    const importPending: PendingImportsOptions['importPending'] = (name, tag, record, signal) => {
      asked.push(`${tag} ${record.by}`)
      return there.importer.importPending(name, tag, record, signal)
    }
    start(there, { total: 1, importPending })
    await want(there, there.from, { tag: 'first' })
    await held.arrived()
    there.registry.put('lib/app', v2, { tag: 'v2' })
    await want(there, there.from)
    await want(there, `${there.registry.host}/lib/app:v2`, { tag: 'gone' })
    await there.writer.changeTag(app, 'prod', () => ({ reimport: true, wantedBy: { by: 'ben' } }))
    await there.writer.changeTag(app, 'gone', () => ({ remove: { cause: { kind: 'delete', by: 'ann' } } }))
    held.release()
    await settled(there)
    expect(asked).toEqual(['first ann', 'prod ben'])
  })

  test('are not over when the store failed in the middle', async () => {
    const there = await world()
    await want(there, there.from)
    const changeTag = () => Promise.reject(new RegistryError('UNAVAILABLE', { message: 'the disk is gone' }))
    const options = { ...there, writer: { ...there.writer, changeTag }, allowed: { refusalOf: () => undefined } }
    const importer = createImporter({ ...options, log: pino({ level: 'silent' }) })
    const generation = (await tagOf(there))?.record.spec?.generation ?? 0
    await expect(importer.importPending(app, 'prod', { generation, by: 'ann' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    })
    expect(await pending(there)).toHaveLength(1)
  })

  test('go on after failures of the store, with longer pauses each time', async () => {
    const there = await world()
    let tries = 0
    const importPending: PendingImportsOptions['importPending'] = async (...args) => {
      tries += 1
      if (tries <= 4) throw new RegistryError('UNAVAILABLE', { message: 'the disk is gone' })
      await there.importer.importPending(...args)
    }
    const running = start(there, { importPending })
    await want(there, there.from)
    for (let pause = 1; pause <= 4; pause++) {
      await vi.waitFor(() => expect(running.pauses).toHaveLength(pause))
      running.goOn()
    }
    await settled(there)
    expect(await pin(there)).toBe(v1.manifest.digest)
    const [first = 0, , , last = 0] = running.pauses
    expect(first).toBeLessThanOrEqual(1000)
    expect(last).toBeGreaterThanOrEqual(4000)
    expect((await tagOf(there))?.record.condition).toBeUndefined()
  })

  test('begin once the store can be read', async () => {
    const there = await world()
    await want(there, there.from)
    let fails = true
    const running = start(there, { store: failing(there.store, () => fails) })
    await vi.waitFor(() => expect(running.pauses).toHaveLength(1))
    fails = false
    running.goOn()
    await settled(there)
    expect(await pin(there)).toBe(v1.manifest.digest)
  })

  test('end with their signal, though the upstream never answers', async () => {
    const there = await world()
    const held = there.registry.hold()
    const running = start(there)
    await want(there, there.from)
    await held.arrived()
    await running.stop()
    expect((await tagOf(there))?.record.condition).toBeUndefined()
    expect(await pending(there)).toHaveLength(1)
    held.release()
  })
})
