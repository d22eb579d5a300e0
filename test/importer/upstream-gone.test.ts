import { expect, test } from 'vitest'
import { failing, resetting } from '../support/fake-upstream-faults.ts'
import { type FlowsWorld, flowsWorld } from '../support/flows.ts'
import { makeImage } from '../support/images.ts'

const app = { project: 'demo', stream: 'app' }
const image = makeImage('gone')
const { digest } = image.manifest

async function imported(): Promise<FlowsWorld & { again: () => Promise<unknown> }> {
  const flows = await flowsWorld()
  flows.registry.put('lib/app', image, { tag: 'v1' })
  const again = () => flows.importImage('app', 'prod', `${flows.registry.host}/lib/app:v1`)
  await again()
  flows.registry.requests.length = 0
  return { ...flows, again }
}

async function stateOf({ reader }: FlowsWorld): Promise<unknown> {
  const record = (await reader.tag(app, 'prod'))?.record
  return [record?.items[0]?.image, record?.condition?.reason, record?.upstreamGone?.image]
}

test('I7: an image that its upstream deleted is gone, and the tag stays', async () => {
  const world = await imported()
  world.registry.remove(digest)
  await world.again()
  expect(await stateOf(world)).toEqual([digest, 'NotFound', digest])
  expect((await world.reader.tag(app, 'prod'))?.record.upstreamGone?.host).toBe(world.registry.host)
  expect(world.registry.matching(/^HEAD .*\/manifests\/sha256:/)).toHaveLength(1)
})

test('an image whose tag alone was deleted is not gone', async () => {
  const world = await imported()
  world.registry.untag('lib/app', 'v1')
  await world.again()
  expect(await stateOf(world)).toEqual([digest, 'NotFound', undefined])
})

test.each([
  ['a refused login', failing(/manifests/, 401)],
  ['a refusal', failing(/manifests/, 403)],
  ['too many requests', failing(/manifests/, 429)],
  ['a failing upstream', failing(/manifests/, 500)],
  ['a lost connection', resetting(/manifests/)],
])('%s says nothing of an image', async (_name, fault) => {
  const world = await imported()
  world.registry.intercept(fault)
  await world.again()
  expect(await stateOf(world)).toEqual([digest, expect.any(String), undefined])
  expect(world.registry.matching(/manifests\/sha256/)).toEqual([])
})

test('a tag that is not there while its image can not be asked for leaves that open', async () => {
  const world = await imported()
  world.registry.untag('lib/app', 'v1')
  world.registry.intercept(failing(/manifests\/sha256/, 503))
  await world.again()
  expect(await stateOf(world)).toEqual([digest, 'NotFound', undefined])
})

test('an image that comes back is gone no more, whether by its digest or by its tag', async () => {
  const world = await imported()
  world.registry.remove(digest)
  await world.again()
  world.registry.put('lib/app', image)
  world.registry.untag('lib/app', 'v1')
  await world.again()
  expect(await stateOf(world)).toEqual([digest, 'NotFound', undefined])
  world.registry.remove(digest)
  await world.again()
  expect(await stateOf(world)).toEqual([digest, 'NotFound', digest])
  world.registry.put('lib/app', image, { tag: 'v1' })
  await world.again()
  expect(await stateOf(world)).toEqual([digest, undefined, undefined])
})

test('the same failure again writes nothing', async () => {
  const world = await imported()
  world.registry.remove(digest)
  await world.again()
  const before = await world.reader.tag(app, 'prod')
  await world.again()
  expect(await world.reader.tag(app, 'prod')).toEqual(before)
})

/** Lets the tag want what is not there; answers how that is imported in the background. */
async function wanting(world: FlowsWorld): Promise<(signal?: AbortSignal) => Promise<void>> {
  const spec = (await world.reader.tag(app, 'prod'))?.record.spec
  const from = { kind: 'DockerImage' as const, name: `${world.registry.host}/lib/app:v2` }
  if (spec === undefined) throw new TypeError('an imported tag has a spec')
  await world.writer.changeTag(app, 'prod', () => ({ spec: { ...spec, from }, wantedBy: { by: 'alice' } }))
  const generation = (await world.reader.tag(app, 'prod'))?.record.spec?.generation ?? 0
  return (signal) => world.importer.importPending(app, 'prod', { generation, by: 'alice' }, signal)
}

test('an import in the background learns it too', async () => {
  const world = await imported()
  world.registry.remove(digest)
  await (await wanting(world))()
  expect(await stateOf(world)).toEqual([digest, 'NotFound', digest])
})

test('an import that is ended while it asks for the image records nothing', async () => {
  const world = await imported()
  const importInBackground = await wanting(world)
  const asking = world.registry.hold(/manifests\/sha256/)
  const ending = new AbortController()
  const ended = importInBackground(ending.signal)
  await asking.arrived()
  ending.abort()
  await expect(ended).rejects.toThrow(/abort/)
  expect(await stateOf(world)).toEqual([digest, undefined, undefined])
  asking.release()
})

test('a dry run and a tag that stands nowhere ask for no image', async () => {
  const world = await imported()
  world.registry.remove(digest)
  await world.importImage('app', 'prod', `${world.registry.host}/lib/app:v1`, { dryRun: true })
  await world.importImage('app', 'new', `${world.registry.host}/lib/app:v1`)
  expect(world.registry.matching(/manifests\/sha256/)).toEqual([])
  expect(await stateOf(world)).toEqual([digest, undefined, undefined])
})
