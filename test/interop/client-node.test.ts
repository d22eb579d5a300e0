/** `@kubernetes/client-node` reads, writes, watches and informs itself of image streams, also while Weir goes and comes. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ApiException,
  CustomObjectsApi,
  type KubeConfig,
  KubernetesObjectApi,
  PatchStrategy,
  setHeaderOptions,
  Watch,
} from '@kubernetes/client-node'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { createLevelStore } from '../../src/store/level.ts'
import {
  headsOf,
  imageApi,
  imagesOf,
  inDemo,
  kubeConfigOf,
  type RecordedInformer,
  recordInformer,
  type StreamObject,
  type Told,
  versions,
} from './support/client-node.ts'
import { type DockerRegistry, startDockerRegistry } from './support/docker-registry.ts'
import { kubeconfigOf } from './support/kubectl.ts'
import { realImage } from './support/real-images.ts'
import { type RunningWeir, startWeir } from './support/weir.ts'

const images = [1, 2, 3].map((version) => realImage(`app ${version}`))
const digests: string[] = images.map((image) => image.manifest.digest)

let directory: string
let registry: DockerRegistry
let weir: RunningWeir
let config: KubeConfig

const settings = () => ({ upstreams: [{ host: registry.host, insecure: true }] })
const app = (version: number) => `${registry.host}/lib/app:${version}`

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'weir-client-node-'))
  registry = await startDockerRegistry(directory)
  for (const [i, image] of images.entries()) await registry.put('lib/app', image, String(i + 1))
  weir = await startWeir(directory, settings())
  for (const project of ['demo', 'other']) await weir.weir('new-project', project)
  config = kubeConfigOf(weir.kubeconfig)
})

afterAll(async () => {
  await weir?.stop()
  await registry?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true, force: true })
})

/** An image stream whose tags come from versions of `lib/app`. */
function stream(name: string, tags: Record<string, number> = {}, labels: Record<string, string> = {}): StreamObject {
  return {
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStream',
    metadata: { name, namespace: 'demo', labels },
    spec: { tags: Object.entries(tags).map(([tag, version]) => wish(tag, version)) },
  }
}

function wish(name: string, version: number) {
  return { name, from: { kind: 'DockerImage', name: app(version) } }
}

/** The version of `lib/app` that each tag stands at. */
function standing(object: StreamObject): Record<string, number> {
  return Object.fromEntries(Object.entries(headsOf(object)).map(([tag, image]) => [tag, digests.indexOf(image) + 1]))
}

/** The Status that a request was refused with. */
async function refusal(request: Promise<unknown>): Promise<{ code: number; reason: string; message: string }> {
  const error = await request.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(error instanceof ApiException)) throw new Error('the request should be refused', { cause: error })
  return typeof error.body === 'string' ? JSON.parse(error.body) : error.body
}

async function until<T>(read: () => Promise<T>, check: (seen: T) => void): Promise<void> {
  await vi.waitFor(async () => check(await read()), { timeout: 20_000 })
}

describe('objects', () => {
  const custom = () => config.makeApiClient(CustomObjectsApi)
  const objects = () => KubernetesObjectApi.makeApiClient(config)
  const get = (name: string): Promise<StreamObject> => custom().getNamespacedCustomObject({ ...inDemo, name })
  const patchWith = (strategy: string) => setHeaderOptions('Content-Type', strategy)
  const header = (name: string) => ({
    ...imageApi,
    apiVersion: 'image.openshift.io/v1',
    kind: 'ImageStream',
    metadata: { name, namespace: 'demo' },
  })

  test('are created, read, listed page by page, selected, replaced and deleted by CustomObjectsApi', async () => {
    for (const name of ['c1', 'c2', 'c3']) {
      const body = stream(name, { one: 1 }, { set: 'custom' })
      expect(await custom().createNamespacedCustomObject({ ...inDemo, body })).toMatchObject({ metadata: { name } })
    }
    await until(
      () => get('c1'),
      (seen) => expect(standing(seen)).toEqual({ one: 1 }),
    )
    const labelSelector = 'set=custom'
    const first = await custom().listNamespacedCustomObject({ ...inDemo, labelSelector, limit: 2 })
    const rest = await custom().listNamespacedCustomObject({
      ...inDemo,
      labelSelector,
      _continue: first.metadata._continue ?? first.metadata.continue,
    })
    expect([...first.items, ...rest.items].map(({ metadata }) => metadata.name)).toEqual(['c1', 'c2', 'c3'])
    const fieldSelector = 'metadata.name=c2'
    expect((await custom().listNamespacedCustomObject({ ...inDemo, fieldSelector })).items).toHaveLength(1)
    expect(
      (await custom().listCustomObjectForAllNamespaces({ ...imageApi, resourcePlural: 'imagestreams', labelSelector }))
        .items,
    ).toHaveLength(3)
    const read = await get('c1')
    const body = { ...read, metadata: { ...read.metadata, annotations: { seen: 'yes' } } }
    expect(await custom().replaceNamespacedCustomObject({ ...inDemo, name: 'c1', body })).toMatchObject({
      metadata: { annotations: { seen: 'yes' } },
    })
    const stale = { ...read, metadata: { ...read.metadata, annotations: { seen: 'no' } } }
    const replacing = custom().replaceNamespacedCustomObject({ ...inDemo, name: 'c1', body: stale })
    expect(await refusal(replacing)).toMatchObject({
      code: 409,
      reason: 'Conflict',
    })
    await custom().deleteNamespacedCustomObject({ ...inDemo, name: 'c1' })
    expect(await refusal(get('c1'))).toMatchObject({ code: 404, reason: 'NotFound' })
    await custom().deleteCollectionNamespacedCustomObject({ ...inDemo, labelSelector })
    expect((await custom().listNamespacedCustomObject({ ...inDemo, labelSelector })).items).toEqual([])
  })

  test('are patched with each strategy by CustomObjectsApi', async () => {
    const name = 'patched'
    await custom().createNamespacedCustomObject({ ...inDemo, body: stream(name, { one: 1, two: 1 }) })
    await until(
      () => get(name),
      (seen) => expect(standing(seen)).toEqual({ one: 1, two: 1 }),
    )
    const patch = (strategy: string, body: object, more: object = {}) =>
      custom().patchNamespacedCustomObject({ ...inDemo, name, body, ...more }, patchWith(strategy))
    await patch(PatchStrategy.JsonPatch, [{ op: 'replace', path: '/spec/tags/0/from/name', value: app(2) }])
    await until(
      () => get(name),
      (seen) => expect(standing(seen)).toEqual({ one: 2, two: 1 }),
    )
    await patch(PatchStrategy.StrategicMergePatch, { spec: { tags: [wish('two', 3)] } })
    await until(
      () => get(name),
      (seen) => expect(standing(seen)).toEqual({ one: 2, two: 3 }),
    )
    await patch(PatchStrategy.MergePatch, { metadata: { labels: { a: 'b' } }, spec: { tags: [wish('one', 1)] } })
    await until(
      () => get(name),
      (seen) => expect(standing(seen)).toMatchObject({ one: 1 }),
    )
    expect((await get(name)).spec?.tags).toHaveLength(1)
    const before = await get(name)
    expect(await refusal(patch('application/xml', {}))).toMatchObject({ code: 415 })
    expect(await refusal(patch(PatchStrategy.MergePatch, { spec: { tags: [wish('no!', 1)] } }))).toMatchObject({
      code: 422,
      reason: 'Invalid',
    })
    expect(
      await refusal(patch(PatchStrategy.MergePatch, { spec: { x: 1 } }, { fieldValidation: 'Strict' })),
    ).toMatchObject({ code: 400 })
    await patch(PatchStrategy.MergePatch, { spec: { tags: [] } }, { dryRun: 'All' })
    expect(await get(name)).toEqual(before)
  })

  test('are made and owned by server-side apply of CustomObjectsApi', async () => {
    const name = 'applied'
    const apply = (fieldManager: string, tags: Record<string, number>, force = false) =>
      custom().patchNamespacedCustomObject(
        { ...inDemo, name, body: stream(name, tags), fieldManager, force },
        patchWith(PatchStrategy.ServerSideApply),
      )
    await apply('first', { one: 1, two: 1 })
    await until(
      () => get(name),
      (seen) => expect(standing(seen)).toEqual({ one: 1, two: 1 }),
    )
    const conflict = await refusal(apply('second', { one: 2 }))
    expect(conflict).toMatchObject({ code: 409, reason: 'Conflict', message: expect.stringContaining('"first"') })
    await apply('second', { one: 2 }, true)
    await apply('first', { two: 1 })
    expect((await get(name)).spec?.tags).toMatchObject([wish('one', 2), wish('two', 1)])
    await until(
      () => get(name),
      (seen) => expect(standing(seen)).toEqual({ one: 2, two: 1 }),
    )
    const { resourceVersion } = (await get(name)).metadata ?? {}
    await apply('first', { two: 1 })
    expect((await get(name)).metadata?.resourceVersion, 'nothing changed').toBe(resourceVersion)
    await apply('second', {})
    expect((await get(name)).spec?.tags).toMatchObject([wish('two', 1)])
  })

  test('are created, read, listed, patched, applied, replaced and deleted by KubernetesObjectApi', async () => {
    const made = await objects().create(stream('object', { one: 1 }))
    expect(made.metadata?.uid).toBeDefined()
    expect(await refusal(objects().create(stream('object')))).toMatchObject({ code: 409, reason: 'AlreadyExists' })
    await until(
      () => get('object'),
      (seen) => expect(standing(seen)).toEqual({ one: 1 }),
    )
    expect((await objects().list('image.openshift.io/v1', 'ImageStream', 'demo')).items.length).toBeGreaterThan(0)
    // Its default strategy is strategic merge.
    await objects().patch({ ...stream('object'), spec: { tags: [wish('two', 2)] } } as StreamObject)
    await until(
      () => get('object'),
      (seen) => expect(standing(seen)).toEqual({ one: 1, two: 2 }),
    )
    const applied = { ...stream('object', { two: 3 }) }
    const apply = (force: boolean) =>
      objects().patch(applied, undefined, undefined, 'git', force, PatchStrategy.ServerSideApply)
    expect(await refusal(apply(false))).toMatchObject({ code: 409 })
    await apply(true)
    await until(
      () => get('object'),
      (seen) => expect(standing(seen)).toEqual({ one: 1, two: 3 }),
    )
    const read = await objects().read<StreamObject>(header('object'))
    read.metadata = { ...read.metadata, labels: { by: 'replace' } }
    expect(await objects().replace(read)).toMatchObject({ metadata: { labels: { by: 'replace' } } })
    await objects().delete(header('object'))
    expect(await refusal(objects().read(header('object')))).toMatchObject({ code: 404 })
  })

  test('are refused to who has no right, in words that name it', async () => {
    const token = (await weir.weir('token', 'viewer', '-n', 'demo')).trim()
    const theirs = kubeConfigOf(await kubeconfigOf(weir.kubeconfig, token, join(directory, 'viewer.kubeconfig')))
    const api = theirs.makeApiClient(CustomObjectsApi)
    const cannot = (verb: string) => ({
      code: 403,
      message: expect.stringContaining(`demo:viewer" cannot ${verb} resource "imagestreams"`),
    })
    expect(await refusal(api.listNamespacedCustomObject(inDemo))).toMatchObject(cannot('list'))
    await weir.weir('grant', 'view', 'serviceaccount:viewer', '-n', 'demo')
    await until(
      () => api.listNamespacedCustomObject(inDemo).catch(() => undefined),
      (seen) => expect(seen).toBeDefined(),
    )
    expect(await refusal(api.createNamespacedCustomObject({ ...inDemo, body: stream('theirs') }))).toMatchObject(
      cannot('create'),
    )
    expect(await refusal(api.listNamespacedCustomObject({ ...inDemo, namespace: 'other' }))).toMatchObject({
      code: 403,
    })
  })
})

describe('a watch', () => {
  interface Line {
    type: string
    object: StreamObject & { code?: number }
  }

  /** Watches until `enough`; `status` is what it was refused with. */
  async function watch(query: Record<string, string>, during: () => Promise<void>, enough: (lines: Line[]) => boolean) {
    const lines: Line[] = []
    const done = Promise.withResolvers<unknown>()
    const path = '/apis/image.openshift.io/v1/namespaces/demo/imagestreams'
    const request = await new Watch(config).watch(
      path,
      query,
      (type: string, object: Line['object']) => void lines.push({ type, object }),
      done.resolve,
    )
    await during()
    await Promise.race([done.promise, vi.waitFor(() => expect(enough(lines)).toBe(true), { timeout: 20_000 })])
    request.abort()
    return { lines, ended: await done.promise }
  }

  test('tells what is there, then every move of a tag, in order', async () => {
    const api = config.makeApiClient(CustomObjectsApi)
    await api.createNamespacedCustomObject({ ...inDemo, body: stream('watched', { one: 1 }, { w: 'yes' }) })
    await until(
      () => api.getNamespacedCustomObject({ ...inDemo, name: 'watched' }),
      (seen) => expect(standing(seen)).toEqual({ one: 1 }),
    )
    const { lines } = await watch(
      { labelSelector: 'w=yes', allowWatchBookmarks: 'true' },
      async () => {
        await weir.weir('import-image', 'demo/watched:two', '--from', app(2))
        await weir.weir('import-image', 'demo/watched:one', '--from', app(1))
        await api.deleteNamespacedCustomObject({ ...inDemo, name: 'watched' })
      },
      (lines) => lines.some(({ type }) => type === 'DELETED'),
    )
    const moves = lines.filter(({ type }) => type !== 'BOOKMARK')
    expect(moves[0]).toMatchObject({ type: 'ADDED' })
    expect(moves.at(-1)).toMatchObject({ type: 'DELETED' })
    expect(standing(moves[0]?.object ?? {})).toEqual({ one: 1 })
    expect(standing(moves.at(-1)?.object ?? {})).toEqual({ one: 1, two: 2 })
    const told = moves.map(({ object }) => Number(object.metadata?.resourceVersion))
    expect(told).toEqual([...new Set(told)].sort((a, b) => a - b))
  })

  test('begins behind a bookmark when it asks for the initial events', async () => {
    const { lines } = await watch(
      { allowWatchBookmarks: 'true', sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' },
      async () => undefined,
      (lines) => lines.some(({ type }) => type === 'BOOKMARK'),
    )
    const bookmark = lines.find(({ type }) => type === 'BOOKMARK')
    expect(bookmark?.object.metadata?.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' })
  })

  test('ends by itself at its timeout', async () => {
    const api = config.makeApiClient(CustomObjectsApi)
    const { metadata } = await api.listNamespacedCustomObject(inDemo)
    const { lines, ended } = await watch(
      { timeoutSeconds: '1', resourceVersion: metadata.resourceVersion },
      async () => undefined,
      () => false,
    )
    expect(ended).toBeNull()
    expect(lines).toEqual([])
  })

  test('from a revision that never was is refused', async () => {
    const { ended } = await watch(
      { resourceVersion: 'yesterday' },
      async () => undefined,
      () => false,
    )
    expect(ended).toMatchObject({ statusCode: 400 })
  })
})

describe('an informer', () => {
  /** All streams of the project, those labelled `team=red`, and all tags. */
  let all: RecordedInformer
  let red: RecordedInformer
  let tags: RecordedInformer
  const labelSelector = 'team=red'

  beforeAll(async () => {
    const api = config.makeApiClient(CustomObjectsApi)
    await api.deleteCollectionNamespacedCustomObject(inDemo)
    for (const name of ['s1', 's2', 's3', 's4']) {
      await api.createNamespacedCustomObject({
        ...inDemo,
        body: stream(name, { v1: 1, v2: 2, v3: 3 }, { team: 'red' }),
      })
      await until(
        () => api.getNamespacedCustomObject({ ...inDemo, name }),
        (seen) => expect(standing(seen)).toEqual({ v1: 1, v2: 2, v3: 3 }),
      )
    }
    all = await recordInformer(config)
    red = await recordInformer(config, { labelSelector })
    tags = await recordInformer(config, { plural: 'imagestreamtags' })
  })

  afterAll(async () => {
    await all?.stop()
    await red?.stop()
    await tags?.stop()
  })

  /** Moves `prod` of a stream to the version, in one commit. */
  async function move(name: string, version: number): Promise<void> {
    const body = { spec: { tags: [{ name: 'prod', from: { kind: 'ImageStreamTag', name: `v${version}` } }] } }
    await client().patchNamespacedCustomObject(
      { ...inDemo, name, body },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    )
  }

  async function label(name: string, team: string): Promise<void> {
    const body = { metadata: { labels: { team } } }
    await client().patchNamespacedCustomObject(
      { ...inDemo, name, body },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    )
  }

  const create = (body: StreamObject) => client().createNamespacedCustomObject({ ...inDemo, body })
  const remove = (name: string) => client().deleteNamespacedCustomObject({ ...inDemo, name })

  /** A client of the Weir that runs now, wherever. */
  const client = () => kubeConfigOf(weir.kubeconfig).makeApiClient(CustomObjectsApi)

  /** The informers know exactly what a fresh list has. */
  async function agrees(): Promise<void> {
    await until(
      async () => versions((await client().listNamespacedCustomObject(inDemo)).items),
      (listed) => expect(all.cache()).toEqual(listed),
    )
    await until(
      async () => versions((await client().listNamespacedCustomObject({ ...inDemo, labelSelector })).items),
      (listed) => expect(red.cache()).toEqual(listed),
    )
    await until(
      async () => imagesOf((await client().listNamespacedCustomObject({ ...inDemo, plural: 'imagestreamtags' })).items),
      (listed) => expect(tags.images()).toEqual(listed),
    )
  }

  /** Runs something while the informers can not reach Weir, on the same data; then Weir is back where it was. */
  async function away(during: () => Promise<void>, { kill = false, compact = false } = {}): Promise<void> {
    const { ports } = weir
    await (kill ? killed(weir) : weir.stop())
    weir = await startWeir(directory, settings())
    await during()
    await weir.stop()
    if (compact) await forgetChanges()
    weir = await startWeir(directory, settings(), ports)
  }

  async function killed({ pid, stop }: RunningWeir): Promise<void> {
    process.kill(pid, 'SIGKILL')
    await stop()
  }

  /**
   * Ends the change log as a restored store does: its revisions go on from a later base, and no change before that is
   * known. (By its length the log ends after 100,000 revisions.)
   */
  async function forgetChanges(): Promise<void> {
    const store = await createLevelStore({ directory: join(directory, 'data/store'), logged: [] })
    const { revision } = await store.range({ prefix: 'meta/', limit: 0 })
    const result = await store.commit({
      operations: [{ type: 'put', key: 'meta/base', value: String(revision + 1000) }],
    })
    await store.close()
    expect(result).toMatchObject({ status: 'committed' })
  }

  /** The images that a tag moved to, oldest first, as the ledger has them. */
  async function ledger(name: string, tag: string): Promise<string[]> {
    const { items } = await client().listNamespacedCustomObject({
      group: 'weir.dev',
      version: 'v1',
      namespace: 'demo',
      plural: 'tagevents',
      fieldSelector: `stream=${name},tag=${tag}`,
    })
    return (items as { image?: string }[]).map(({ image }) => image ?? '').reverse()
  }

  /** What an informer told of a tag: each image that it moved to, oldest first. */
  function movesTold(told: readonly Told[], name: string, tag: string): string[] {
    return collapsed(told.filter((each) => each.name === name).map(({ heads }) => heads[tag] ?? ''))
  }

  function collapsed(values: readonly string[]): string[] {
    return values.filter((value, i) => value !== '' && value !== values[i - 1])
  }

  /** Nothing was told twice, in the wrong order, or of an object that was gone. */
  function isPlausible(told: readonly Told[]): void {
    for (const name of new Set(told.map((each) => each.name))) {
      const events = told.filter((each) => each.name === name)
      for (const [i, event] of events.entries()) {
        const previous = events[i - 1]
        const isBorn = previous === undefined || previous.type === 'delete'
        expect(event.type === 'add', `${name}, event ${i}`).toBe(isBorn)
        if (previous === undefined) continue
        // A deletion that a list tells carries what was known last.
        if (event.type === 'delete') expect(event.version).toBeGreaterThanOrEqual(previous.version)
        else expect(event.version, `${name}, event ${i}`).toBeGreaterThan(previous.version)
      }
    }
  }

  test('tells each move of each tag once, in order', async () => {
    for (const version of [1, 2, 3, 1, 3]) {
      await Promise.all(['s1', 's2', 's3', 's4'].map((name) => move(name, version)))
    }
    await agrees()
    for (const name of ['s1', 's2', 's3', 's4']) {
      const moves = [1, 2, 3, 1, 3].map((version) => digests[version - 1])
      expect(await ledger(name, 'prod')).toEqual(moves)
      expect(movesTold(all.told, name, 'prod')).toEqual(moves)
      expect(movesTold(red.told, name, 'prod')).toEqual(moves)
    }
    isPlausible(all.told)
    isPlausible(tags.told)
  })

  test('by labels is told that a stream leaves and comes', async () => {
    const from = red.told.length
    await label('s4', 'blue')
    await agrees()
    await label('s4', 'red')
    await agrees()
    expect(red.told.slice(from).map(({ type, name }) => [type, name])).toEqual([
      ['delete', 's4'],
      ['add', 's4'],
    ])
  })

  test('is told nothing when Weir only goes and comes', async () => {
    const [before, lists] = [all.told.length, all.lists()]
    await away(async () => undefined)
    await agrees()
    // What comes next shows that it is connected again.
    await move('s1', 1)
    await agrees()
    expect(all.told.slice(before).map(({ type, name }) => [type, name])).toEqual([['update', 's1']])
    expect(all.lists(), 'it went on from where it was').toBe(lists)
    expect(all.failures).not.toEqual([])
  })

  test('is told every change that was made while it was away', async () => {
    const [before, lists] = [all.told.length, all.lists()]
    await away(async () => {
      for (const version of [2, 3, 1]) await move('s1', version)
      await remove('s2')
      await create(stream('s5', {}, { team: 'red' }))
      await remove('s3')
      await create(stream('s3', {}, { team: 'blue' }))
      await create(stream('passing'))
      await remove('passing')
    })
    await agrees()
    const told = all.told.slice(before).map(({ type, name }) => [type, name])
    expect(told).toEqual([
      ['update', 's1'],
      ['update', 's1'],
      ['update', 's1'],
      ['delete', 's2'],
      ['add', 's5'],
      ['delete', 's3'],
      ['add', 's3'],
      ['add', 'passing'],
      ['delete', 'passing'],
    ])
    expect(collapsed(movesTold(all.told, 's1', 'prod'))).toEqual(collapsed(await ledger('s1', 'prod')))
    expect(all.lists()).toBe(lists)
    isPlausible(all.told)
    isPlausible(red.told)
  })

  test('is told all that was acknowledged before Weir was killed', async () => {
    const moves: Promise<void>[] = []
    let acknowledged = 0
    for (let i = 0; i < 30; i += 1) {
      const moved = move('s1', (i % 3) + 1).then(() => {
        acknowledged += 1
      })
      moves.push(moved.catch(() => undefined))
    }
    await vi.waitFor(() => expect(acknowledged).toBeGreaterThan(5), { timeout: 20_000, interval: 1 })
    await away(async () => void (await Promise.all(moves)), { kill: true })
    await move('s4', 2)
    await agrees()
    expect(movesTold(all.told, 's1', 'prod')).toEqual(collapsed(await ledger('s1', 'prod')))
    isPlausible(all.told)
  })

  test('is told what became of everything when the changes themselves are forgotten', async () => {
    const [before, lists] = [all.told.length, all.lists()]
    const { uid } = (await client().getNamespacedCustomObject({ ...inDemo, name: 's3' })).metadata
    await away(
      async () => {
        for (const version of [2, 3, 1, 2]) await move('s1', version)
        await remove('s4')
        await create(stream('s6', {}, { team: 'red' }))
        await remove('s3')
        await create(stream('s3', {}, { team: 'red' }))
        await create(stream('passing'))
        await remove('passing')
      },
      { compact: true },
    )
    await until(
      async () => all.lists(),
      (asked) => expect(asked).toBe(lists + 1),
    )
    await agrees()
    const told = all.told.slice(before)
    expect(told.map(({ type, name }) => `${type} ${name}`).sort()).toEqual([
      'add s6',
      'delete s4',
      // The client knows objects by their names: one made anew is an update to it, with another uid.
      'update s1',
      'update s3',
    ])
    expect(told.find(({ name }) => name === 's3')?.uid).not.toBe(uid)
    expect(
      red.told
        .slice(-4)
        .map(({ type, name }) => `${type} ${name}`)
        .sort(),
    ).toEqual(['add s3', 'add s6', 'delete s4', 'update s1'])
    isPlausible(all.told)
    isPlausible(red.told)
  })

  test('is told nothing when changes are forgotten and there were none', async () => {
    const [before, lists] = [all.told.length, all.lists()]
    await away(async () => undefined, { compact: true })
    await until(
      async () => all.lists(),
      (asked) => expect(asked).toBe(lists + 1),
    )
    await move('s1', 3)
    await agrees()
    expect(all.told.slice(before).map(({ type, name }) => [type, name])).toEqual([['update', 's1']])
  })

  test('knows in the end what a new one is told', async () => {
    const fresh = await recordInformer(config)
    await vi.waitFor(() => expect(fresh.cache()).toEqual(all.cache()))
    expect(fresh.told.every(({ type }) => type === 'add')).toBe(true)
    for (const { told } of [all, red, tags]) isPlausible(told)
    const last = new Map(all.told.filter(({ type }) => type !== 'delete').map((each) => [each.name, each.heads]))
    for (const { name, heads } of fresh.told) expect(heads).toEqual(last.get(name))
    await fresh.stop()
  })
})
