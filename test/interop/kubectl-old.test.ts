/** Debian's kubectl 1.20, which knows no OpenAPI v3, no aggregated discovery and no protobuf for these kinds. */
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import type { Kubectl } from './support/kubectl.ts'
import { type KubectlWorld, startKubectlWorld, streamYaml } from './support/kubectl-world.ts'

let world: KubectlWorld
let kubectl: Kubectl

/** It can not check objects of kinds that it does not know, and leaves it. */
const unchecked = '--validate=false'

beforeAll(async () => {
  world = await startKubectlWorld()
  kubectl = await world.inProject('demo', { release: '1.20' })
  console.log(`client: kubectl ${/v[0-9.]+/.exec(await kubectl('version', '--client'))?.[0]}`)
})

afterAll(() => world?.stop())

async function comesToStand(name: string, versions: Record<string, number>): Promise<void> {
  await vi.waitFor(
    async () => {
      const { status } = await kubectl.json('get', 'is', name)
      const tags = (status.tags ?? []) as { tag: string; items: { image: string }[] | null }[]
      const heads = Object.fromEntries(tags.map(({ tag, items }) => [tag, items?.[0]?.image]))
      const wanted = Object.entries(versions).map(([tag, version]) => [tag, world.digest(version)])
      expect(heads).toMatchObject(Object.fromEntries(wanted))
    },
    { timeout: 20_000 },
  )
}

test('finds what is served', async () => {
  expect(await kubectl('version', '--short')).toMatch(/Server Version: v\d/)
  expect(await kubectl('api-resources', '-o', 'name')).toContain('imagestreamtags.image.openshift.io')
  expect(await kubectl('api-versions')).toContain('image.openshift.io/v1')
})

test('creates, applies, applies again, and takes out what left the file', async () => {
  const yaml = (tags: Record<string, string>) => streamYaml('app', tags, { labels: { tier: 'front' } })
  const both = { one: world.app(1), two: world.app(2) }
  expect(await kubectl.send(yaml(both), 'apply', unchecked)).toContain('created')
  await comesToStand('app', { one: 1, two: 2 })
  expect(await kubectl.refuses(yaml(both), 'create', unchecked)).toContain('already exists')
  const { resourceVersion } = (await kubectl.json('get', 'is', 'app')).metadata
  // It knows no merge key of tags: it sends the list as a whole, and says so.
  expect(await kubectl.send(yaml(both), 'apply', unchecked)).toMatch(/configured|unchanged/)
  expect((await kubectl.json('get', 'is', 'app')).metadata.resourceVersion).toBe(resourceVersion)
  await kubectl.send(yaml({ one: world.app(3) }), 'apply', unchecked)
  await comesToStand('app', { one: 3, two: 2 })
  const { spec } = await kubectl.json('get', 'is', 'app')
  expect(spec.tags).toMatchObject([{ name: 'one' }])
})

test('shows the tables, selects, pages and describes', async () => {
  expect(await kubectl('get', 'is')).toMatch(/^NAME +IMAGE REPOSITORY +TAGS +UPDATED$/m)
  expect(await kubectl('get', 'istag', '-o', 'wide')).toMatch(/^NAME +IMAGE REFERENCE +UPDATED +IMAGE NAME$/m)
  expect(await kubectl('get', 'itag')).toMatch(/^app:one +Tag +image\/sha256:/m)
  expect(await kubectl('get', 'is', '-l', 'tier=front', '-o', 'name')).toBe('imagestream.image.openshift.io/app\n')
  expect(await kubectl('get', 'is', '-A', '--chunk-size=1', '-o', 'name')).toContain('/app')
  expect(await kubectl('describe', 'istag', 'app:one')).toMatch(/Architecture: +amd64/)
  expect(await kubectl('describe', 'ns', 'demo')).toMatch(/^Status: +Active$/m)
  expect(await kubectl.fails('get', 'is', 'nope')).toContain('imagestreams.image.openshift.io "nope" not found')
})

test('edits, patches, labels, replaces and deletes', async () => {
  await kubectl.send(streamYaml('changed', { one: world.app(1) }), 'create', unchecked)
  await comesToStand('changed', { one: 1 })
  expect(await kubectl.edit('s,lib/app:1,lib/app:2,', 'is', 'changed')).toMatchObject({ code: 0 })
  await comesToStand('changed', { one: 2 })
  for (const [type, patch] of [
    ['strategic', { metadata: { labels: { a: '1' } } }],
    ['merge', { metadata: { labels: { b: '2' } } }],
    ['json', [{ op: 'add', path: '/metadata/labels/c', value: '3' }]],
  ] as const) {
    await kubectl('patch', 'is', 'changed', `--type=${type}`, '-p', JSON.stringify(patch))
  }
  await kubectl('label', 'is', 'changed', 'd=4')
  expect((await kubectl.json('get', 'is', 'changed')).metadata.labels).toEqual({ a: '1', b: '2', c: '3', d: '4' })
  const read = await kubectl('get', 'is', 'changed', '-o', 'yaml')
  await kubectl.send(read.replace('lib/app:2', 'lib/app:3'), 'replace', unchecked)
  await comesToStand('changed', { one: 3 })
  await kubectl('delete', 'istag', 'changed:one')
  await kubectl('delete', 'is', 'changed')
  expect(await kubectl.fails('get', 'is', 'changed')).toContain('not found')
})

test('applies on the server, and is told of conflicts', async () => {
  const apply = (tags: Record<string, string>, ...more: string[]) =>
    kubectl.try(['apply', '--server-side', unchecked, ...more, '-f', '-'], { input: streamYaml('ssa', tags) })
  expect(await apply({ one: world.app(1), two: world.app(1) })).toMatchObject({ code: 0 })
  const refused = await apply({ one: world.app(2) }, '--field-manager=other')
  expect(refused.stderr).toContain('conflict with "kubectl": .spec.tags[name="one"].from.name')
  expect(await apply({ one: world.app(2) }, '--field-manager=other', '--force-conflicts')).toMatchObject({ code: 0 })
  expect(await apply({ two: world.app(1) })).toMatchObject({ code: 0 })
  await comesToStand('ssa', { one: 2, two: 1 })
})

test('waits and watches', async () => {
  await kubectl.send(streamYaml('watched', { one: world.app(1) }), 'create', unchecked)
  await comesToStand('watched', { one: 1 })
  const watch = kubectl.follow('get', 'istag', '-w', '--output-watch-events')
  try {
    await vi.waitFor(() => expect(watch.lines.join('\n')).toMatch(/ADDED +watched:one/), { timeout: 20_000 })
    const one = { name: 'one', from: { name: world.app(2) } }
    await kubectl('patch', 'is', 'watched', '-p', JSON.stringify({ spec: { tags: [one] } }))
    const moved = new RegExp(`MODIFIED +watched:one +\\S+@${world.digest(2)}`)
    await vi.waitFor(() => expect(watch.lines.join('\n')).toMatch(moved), { timeout: 20_000 })
  } finally {
    await watch.stop()
  }
  const gone = kubectl.follow('wait', 'is/watched', '--for=delete', '--timeout=20s', '-v=6')
  await vi.waitFor(() => expect(gone.notes.join('\n')).toContain('watch=true'), { timeout: 20_000 })
  await kubectl('delete', 'is', 'watched')
  expect(await gone.ended).toBe(0)
  expect(gone.lines.at(-1)).toContain('condition met')
  expect(await kubectl.fails('wait', 'is/app', '--for=condition=Ready', '--timeout=1s')).toContain('timed out')
})

test('makes projects, robots, roles and configmaps, asks for rights, and removes a project', async () => {
  await kubectl('create', 'namespace', 'old')
  const old = (...args: string[]) => kubectl(...args, '-n', 'old')
  await old('create', 'sa', 'ci')
  await old('create', 'cm', 'settings', '--from-literal=a=b')
  await old('create', 'role', 'reader', '--verb=get', '--resource=imagestreams.image.openshift.io')
  await old('create', 'rolebinding', 'reader', '--role=reader', '--serviceaccount=old:ci')
  expect(await old('auth', 'can-i', 'get', 'imagestreams/layers')).toBe('yes\n')
  const token = (await world.weir.weir('token', 'ci', '-n', 'old')).trim()
  const ci = await world.as(token, 'old', { release: '1.20' })
  expect(await ci.fails('get', 'is')).toContain('cannot list resource "imagestreams"')
  expect((await ci.try(['auth', 'can-i', 'create', 'imagestreams'])).stdout).toBe('no\n')
  await kubectl('delete', 'namespace', 'old')
  expect(await kubectl.fails('get', 'namespace', 'old')).toContain('not found')
})

test('what is wrong is told, not thrown at it', async () => {
  const bad = streamYaml('bad', { 'no!': world.app(1) })
  expect(await kubectl.refuses(bad, 'create', unchecked)).toContain('spec.tags[no!].name')
  expect(await kubectl.refuses(bad, 'apply', unchecked)).toContain('spec.tags[no!].name')
  expect(await kubectl.fails('get', 'is', '--as=ann')).toContain('Weir has no impersonation')
  expect(await kubectl.fails('explain', 'is')).toContain('ImageStream')
})
