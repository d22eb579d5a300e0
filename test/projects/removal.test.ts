import { describe, expect, test } from 'vitest'
import { RegistryError } from '../../src/oci/errors.ts'
import { sweepProject } from '../../src/projects/sweep.ts'
import type { Commit, Store } from '../../src/store/store.ts'
import { projectKey } from '../../src/streams/keys.ts'
import type { StreamWriter } from '../../src/streams/streams.ts'
import { app, digest, event, imageType, imported } from '../streams/world.ts'
import { admin, dump, fill, isOf, type ProjectsWorld, projectsWorld } from './world.ts'

/** Three filled projects whose names begin alike, of which `demo` is to go. */
async function filled(): Promise<ProjectsWorld> {
  const world = await projectsWorld()
  for (const project of ['demo-2', 'dem']) await world.project(project)
  for (const project of ['demo', 'demo-2', 'dem']) await fill(world, project)
  return world
}

describe('the removal of a project', () => {
  test('takes all that is in it and nothing of others', async () => {
    const world = await filled()
    const { store, projects, remover, gone } = world
    const before = await dump(store)
    const families = new Set(before.filter(({ key }) => isOf('demo', key)).map(({ key }) => familyOf(key)))
    expect([...families].sort()).toEqual([...new Set(before.map(({ key }) => familyOf(key)))].sort())
    await projects.remove('demo')
    remover()
    await gone('demo')
    expect(await dump(store)).toEqual(before.filter(({ key }) => !isOf('demo', key)))
  })

  test('ends its robots and logins before it looks at its streams', async () => {
    const world = await filled()
    const { store, projects } = world
    const identities = async () =>
      (await dump(store)).filter(({ key }) => /^object\/(serviceaccounts|secrets)\/demo\//.test(key))
    expect(await identities()).not.toEqual([])
    const uid = (await projects.remove('demo')).metadata.uid ?? ''
    const left: unknown[] = []
    const writer: Pick<StreamWriter, 'delete'> = {
      delete: async (...stream) => {
        left.push(await identities())
        return world.writer.delete(...stream)
      },
    }
    await sweepProject({ store, writer, signal: new AbortController().signal }, { project: 'demo', uid })
    expect(left.length).toBeGreaterThan(0)
    expect(left.flat()).toEqual([])
  })

  test('goes on where it ended, whichever commit was its last', async () => {
    const world = await filled()
    const { store, projects, remover, gone } = world
    const whole = stopAfter(store, Number.POSITIVE_INFINITY)
    await projects.remove('demo')
    const counted = remover(whole.store)
    await gone('demo')
    await counted.stop()
    expect(whole.commits()).toBeGreaterThan(12)
    for (let last = 0; last < whole.commits(); last += 1) {
      await world.project('demo')
      await fill(world, 'demo')
      const before = await dump(store)
      await projects.remove('demo')
      const faulty = stopAfter(store, last)
      const first = remover(faulty.store)
      await faulty.stopped
      await first.stop()
      expect(await store.get(projectKey('demo')), `after ${last} commits`).toBeDefined()
      const second = remover()
      await gone('demo')
      await second.stop()
      expect(await dump(store), `after ${last} commits`).toEqual(before.filter(({ key }) => !isOf('demo', key)))
    }
  })
})

describe('what is under way while a project is removed', () => {
  const removeNow = async ({ projects, remover, gone }: ProjectsWorld): Promise<void> => {
    await projects.remove('demo')
    remover()
    await gone('demo')
  }
  const work: [string, string, (world: ProjectsWorld, uid: string) => Promise<unknown>][] = [
    ['a move of a tag', 'NAME_UNKNOWN', ({ writer }) => writer.changeTag(app, 'prod', () => ({ event: event('d') }))],
    [
      'a move of a tag that makes its stream anew',
      'NOT_FOUND',
      ({ writer }) => writer.changeTag(app, 'prod', () => ({ event: event('d') }), { create: true }),
    ],
    ['a new stream', 'NOT_FOUND', ({ writer }) => writer.create({ project: 'demo', stream: 'new' })],
    [
      'links',
      'NAME_UNKNOWN',
      ({ links }, uid) =>
        links.add(app, uid, [{ digest: digest('e'), mediaType: imageType, size: 1, locations: [{ kind: 'here' }] }]),
    ],
    [
      'a new object',
      'NOT_FOUND',
      ({ objects }) => objects.create('configmaps', 'demo', { metadata: { name: 'late' } }),
    ],
    [
      'a change of an object',
      'NOT_FOUND',
      ({ objects }) => objects.update('roles', 'demo', 'demo', (current) => ({ ...current, rules: [] })),
    ],
  ]

  test.each(work)('%s is refused and leaves nothing behind', async (_, code, write) => {
    const world = await projectsWorld()
    await fill(world, 'demo')
    const uid = (await world.reader.stream(app))?.uid ?? ''
    let removed = false
    world.faults.next = [
      {
        status: 'committed',
        first: async () => {
          await removeNow(world)
          removed = true
        },
      },
    ]
    await expect(write(world, uid)).rejects.toMatchObject({ code })
    expect(removed).toBe(true)
    expect((await dump(world.store)).filter(({ key }) => isOf('demo', key))).toEqual([])
  })

  test.each(work.filter(([what]) => what !== 'a move of a tag' && what !== 'links'))(
    '%s is forbidden as soon as the project is marked',
    async (what, _, write) => {
      const world = await projectsWorld()
      const { reader, writer, store, faults, projects } = world
      await fill(world, 'demo')
      if (what.includes('anew')) await writer.delete(app)
      const uid = (await reader.stream(app))?.uid ?? ''
      let marked = await dump(store)
      faults.next = [
        {
          status: 'committed',
          first: async () => {
            await projects.remove('demo')
            marked = await dump(store)
          },
        },
      ]
      await expect(write(world, uid)).rejects.toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringMatching(
          /^(imagestreams.image.openshift.io|configmaps|roles.rbac.authorization.k8s.io) "[a-z]+" is forbidden: unable to (create new|change) content in namespace demo because it is being terminated$/,
        ),
        causes: [{ field: 'metadata.namespace', reason: 'NamespaceTerminating' }],
      })
      expect(await dump(store)).toEqual(marked)
    },
  )

  test('writes that are tried between any two of its steps leave nothing behind', async () => {
    const world = await projectsWorld()
    const { store, writer, links, objects } = world
    await fill(world, 'demo')
    const uid = (await world.reader.stream(app))?.uid ?? ''
    const link = { digest: digest('e'), mediaType: imageType, size: 1, locations: [{ kind: 'here' as const }] }
    let tried = 0
    const tryAll = async (): Promise<void> => {
      tried += 1
      const name = `late-${tried}`
      await Promise.allSettled([
        ...['app', 'web', name].flatMap((stream) => [
          writer.changeTag({ project: 'demo', stream }, name, () => ({ event: event('d') })),
          writer.changeTag({ project: 'demo', stream }, 'prod', () => imported('e'), { create: true }),
        ]),
        links.add(app, uid, [link]),
        ...['aaa', 'rolebindings', 'zzz'].map((kind) => objects.create(kind, 'demo', { metadata: { name } })),
        objects.update('roles', 'demo', 'demo', (current) => ({ ...current, rules: [name] })),
      ])
    }
    const commit = async (wanted: Commit) => {
      const result = await store.commit(wanted)
      await tryAll()
      return result
    }
    await world.projects.remove('demo')
    world.remover({ ...store, commit })
    await world.gone('demo')
    expect(tried).toBeGreaterThan(12)
    expect((await dump(store)).filter(({ key }) => isOf('demo', key))).toEqual([])
  })

  test('objects of it can still be deleted by hand', async () => {
    const world = await projectsWorld()
    await fill(world, 'demo')
    await world.projects.remove('demo')
    await world.objects.delete('configmaps', 'demo', 'demo')
    await world.writer.delete(app)
    expect(await world.reader.stream(app)).toBeUndefined()
  })
})

test('a project that nobody removes is not swept', async () => {
  const world = await projectsWorld()
  const { store, writer } = world
  await fill(world, 'demo')
  const standing = await dump(store)
  const { signal } = new AbortController()
  await sweepProject({ store, writer, signal }, { project: 'demo', uid: 'uid-of-demo' })
  expect(await dump(store)).toEqual(standing)
})

describe('a project made after the removal of another of its name', () => {
  test('has a uid of its own and sees nothing of it', async () => {
    const world = await projectsWorld()
    await fill(world, 'demo')
    const before = await world.objects.get('namespaces', '', 'demo')
    await world.projects.remove('demo')
    world.remover()
    await world.gone('demo')
    const project = await world.projects.create({ metadata: { name: 'demo' } }, admin)
    expect(project.metadata.uid).not.toBe(before?.metadata.uid)
    expect(await world.reader.streams('demo')).toEqual([])
    const result = await world.writer.changeTag(app, 'prod', () => imported('f'), { create: true })
    expect(result?.entry).toMatchObject({ revision: 1, projectUid: project.metadata.uid })
    expect(await world.reader.ledger(app, 'prod')).toHaveLength(1)
    expect(await world.links.get(app, digest('a'))).toBeUndefined()
    expect(await world.links.revive(app, digest('a'))).toBeUndefined()
    expect((await world.objects.list('configmaps', 'demo')).items).toEqual([])
    expect((await world.objects.list('rolebindings', 'demo')).items.map(({ metadata }) => metadata.name)).toEqual([
      'admin',
    ])
  })

  test('is not touched by a sweep of the other that comes late', async () => {
    const world = await projectsWorld()
    const { store, writer, projects } = world
    const { signal } = new AbortController()
    const doomed = { project: 'demo', uid: 'uid-of-demo' }
    await world.project('demo', 'another-uid')
    await fill(world, 'demo')
    const standing = await dump(store)
    await sweepProject({ store, writer, signal }, doomed)
    expect(await dump(store)).toEqual(standing)
    await projects.remove('demo')
    const marked = await dump(store)
    await sweepProject({ store, writer, signal }, doomed)
    expect(await dump(store)).toEqual(marked)
  })

  test('is not touched by a step that was under way when another worker had swept all', async () => {
    const world = await projectsWorld()
    const { store, faults, writer, projects } = world
    const { signal } = new AbortController()
    for (const name of ['configmaps', 'rolebindings'])
      await world.objects.create(name, 'demo', { metadata: { name: 'a' } })
    await projects.remove('demo')
    const doomed = { project: 'demo', uid: 'uid-of-demo' }
    let standing = await dump(store)
    faults.next = [
      {
        status: 'committed',
        first: async () => {
          await sweepProject({ store, writer, signal }, doomed)
          await projects.create({ metadata: { name: 'demo' } }, admin)
          await world.objects.create('configmaps', 'demo', { metadata: { name: 'a' } })
          standing = await dump(store)
        },
      },
    ]
    await sweepProject({ store: faults, writer, signal }, doomed)
    expect(standing.filter(({ key }) => isOf('demo', key))).toHaveLength(3)
    expect(await dump(store)).toEqual(standing)
  })
})

describe('a sweep', () => {
  const doomed = { project: 'demo', uid: 'uid-of-demo' }
  const { signal } = new AbortController()

  test('goes on past a stream that somebody deletes meanwhile', async () => {
    const world = await projectsWorld()
    const { store, projects } = world
    await fill(world, 'demo')
    await projects.remove('demo')
    const remove: StreamWriter['delete'] = async (name, seen) => {
      await world.writer.delete(name)
      return world.writer.delete(name, seen)
    }
    await sweepProject({ store, writer: { delete: remove }, signal }, doomed)
    expect((await dump(store)).filter(({ key }) => isOf('demo', key))).toEqual([])
  })

  test('deletes no stream of a project that was made anew after it looked', async () => {
    const world = await projectsWorld()
    const { store, projects, writer } = world
    await writer.create(app)
    await projects.remove('demo')
    let standing = await dump(store)
    const remove: StreamWriter['delete'] = async (name, seen) => {
      await sweepProject({ store, writer, signal }, doomed)
      await projects.create({ metadata: { name: 'demo' } }, admin)
      await writer.create(app)
      standing = await dump(store)
      return writer.delete(name, seen)
    }
    await sweepProject({ store, writer: { delete: remove }, signal }, doomed)
    expect(standing.filter(({ key }) => key.startsWith('life/'))).toHaveLength(1)
    expect(await dump(store)).toEqual(standing)
  })
})

describe('the worker', () => {
  test('tries again what the store refused or did not answer', async () => {
    const world = await projectsWorld()
    await fill(world, 'demo')
    let commits = 0
    const commit = async (wanted: Commit) => {
      commits += 1
      if (commits % 3 === 0) throw new RegistryError('UNAVAILABLE')
      const result = await world.store.commit(wanted)
      return commits % 4 === 0 ? { status: 'unknown' as const, cause: new Error('the disk went away') } : result
    }
    await world.projects.remove('demo')
    world.remover({ ...world.store, commit })
    await world.gone('demo')
    expect((await dump(world.store)).filter(({ key }) => isOf('demo', key))).toEqual([])
  })

  test('removes those that were marked before it began, and those that come, many at once', async () => {
    const world = await projectsWorld()
    const names = Array.from({ length: 12 }, (_, i) => `p${i}`)
    for (const name of names) await world.projects.create({ metadata: { name } }, admin)
    for (const name of names.slice(0, 6)) await world.projects.remove(name)
    world.remover()
    for (const name of names.slice(6)) await world.projects.remove(name)
    for (const name of names) await world.gone(name)
    expect((await world.objects.list('namespaces', '')).items.map(({ metadata }) => metadata.name)).toEqual(['demo'])
    expect((await world.objects.list('rolebindings', undefined)).items).toEqual([])
  })

  test('is not stopped by a project that can not be read', async () => {
    const world = await projectsWorld()
    for (const [name, value] of [
      ['bad', 'no JSON'],
      ['worse', '{}'],
      ['worst', 'null'],
    ] as const) {
      await world.store.commit({ operations: [{ type: 'put', key: projectKey(name), value }] })
    }
    world.remover()
    await world.projects.remove('demo')
    await world.gone('demo')
    expect(await world.store.get(projectKey('bad'))).toBeDefined()
  })

  test('settles when it is stopped, also before it began', async () => {
    const world = await projectsWorld()
    await world.remover().stop()
    const second = world.remover()
    await world.projects.remove('demo')
    await world.gone('demo')
    await expect(second.stop()).resolves.toBeUndefined()
  })
})

function familyOf(key: string): string {
  const [first, second] = key.split('/')
  return first === 'object' || first === 'index' ? `${first}/${second}` : String(first)
}

/** A store that takes `count` commits and then no more, as if the process had ended. */
function stopAfter(store: Store, count: number): { store: Store; stopped: Promise<void>; commits(): number } {
  const stopped = Promise.withResolvers<void>()
  let commits = 0
  const commit = async (wanted: Commit) => {
    if (commits >= count) {
      stopped.resolve()
      throw new Error('the process has ended')
    }
    commits += 1
    return store.commit(wanted)
  }
  return { store: { ...store, commit }, stopped: stopped.promise, commits: () => commits }
}
