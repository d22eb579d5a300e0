import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { groupOf } from '../../src/api/groups.ts'
import { runProjectRemoval } from '../../src/projects/removal.ts'
import { createProjectGuard, createProjects, type Projects } from '../../src/projects.ts'
import { createObjects, type Objects } from '../../src/store/objects.ts'
import type { Entry, Store } from '../../src/store/store.ts'
import { projectKey } from '../../src/streams/keys.ts'
import { createStreamWriter } from '../../src/streams/writer.ts'
import { app, digest, event, imageType, imported, type World, wanted, world } from '../streams/world.ts'

export interface ProjectsWorld extends World {
  objects: Objects
  projects: Projects
  /** Starts the removal on `store` (default: the real one); `stop` settles once it has ended. */
  remover(store?: Store): { stop(): Promise<void> }
  /** Settles once a project is gone. */
  gone(project: string): Promise<void>
}

export const admin = { name: 'weir:admin', groups: ['system:masters'] }
const clusterRole = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' }

/** Streams and objects over a real store, with the project `demo` of {@link world}. */
export async function projectsWorld(): Promise<ProjectsWorld> {
  const base = await world()
  const { store, faults, clock } = base
  const { now } = clock
  const objects = createObjects({ store: faults, now, groupOf, guard: createProjectGuard(faults, groupOf) })
  return {
    ...base,
    objects,
    projects: createProjects({ store: faults, objects, now }),
    remover(on = store) {
      const ending = new AbortController()
      const log = pino({ level: 'silent' })
      const writer = createStreamWriter({ store: on, now })
      const run = runProjectRemoval({ store: on, writer, signal: ending.signal, log, retryMs: 1 })
      const stop = (): Promise<void> => {
        ending.abort()
        return run
      }
      onTestFinished(stop)
      return { stop }
    },
    gone: (project) => gone(store, project),
  }
}

/** Fills a project with every kind of record, some of them in more than one step's number. */
export async function fill({ objects, writer, links, store }: ProjectsWorld, project: string): Promise<void> {
  for (const stream of ['app', 'demo', 'web']) {
    const name = { project, stream }
    await writer.changeTag(name, 'prod', () => imported('a'), { create: true })
    await writer.changeTag(name, 'prod', () => ({ event: event('b') }))
    await writer.changeTag(name, 'stable', () => ({ spec: follower(name.stream), wantedBy: { by: 'alice' } }))
    await writer.changeTag(name, 'next', () => ({ spec: wanted('next'), wantedBy: { by: 'alice' } }))
    await writer.changeTag(name, 'gone', () => ({ event: event('c') }))
    await writer.changeTag(name, 'gone', () => ({ remove: { cause: { kind: 'delete', by: 'alice' } } }))
    const uid = (await writer.changeTag(name, 'prod', () => undefined))?.stream.uid ?? ''
    const locations = [{ kind: 'here' as const }]
    const received = { mediaType: imageType, size: 10, locations, received: true as const }
    await links.add(
      name,
      uid,
      ['a', 'b', 'c'].map((each) => ({ digest: digest(each), ...received })),
    )
  }
  const metadata = { name: 'demo' }
  for (const resource of ['serviceaccounts', 'configmaps', 'events', 'roles', 'somethings']) {
    await objects.create(resource, project, { metadata })
  }
  const subjects = [{ kind: 'ServiceAccount', name: 'demo', namespace: 'demo' }]
  await objects.create('rolebindings', project, { metadata, subjects, roleRef: clusterRole })
  const entries = Array.from(
    { length: 150 },
    (_, i) => `event/${project}/app/prod!${String(1000 + i).padStart(12, '0')}`,
  )
  entries.push(`index/left-out/${project}/app/prod`)
  for (const keys of [entries.slice(0, 100), entries.slice(100)]) {
    await store.commit({ operations: keys.map((key) => ({ type: 'put', key, value: '{}' })) })
  }
}

/** Whether a key is of a record of `project`, by where each family has the project in its keys. */
export function isOf(project: string, key: string): boolean {
  const parts = key.split('/')
  if (parts[0] === 'object') return parts[2] === project || key === projectKey(project)
  if (parts[0] === 'index') return (parts[1] === 'image' ? parts[3] : parts[2]) === project
  return parts[1] === project
}

export async function dump(store: Store): Promise<Entry[]> {
  const entries: Entry[] = []
  for await (const entry of await store.range({ prefix: '' })) entries.push(entry)
  return entries
}

async function gone(store: Store, project: string): Promise<void> {
  const { revision } = await store.range({ prefix: 'meta/', limit: 0 })
  const ending = new AbortController()
  if ((await store.get(projectKey(project))) === undefined) return
  for await (const { changes } of store.watch(projectKey(project), { since: revision, signal: ending.signal })) {
    if (changes.some(({ key, value }) => key === projectKey(project) && value === undefined)) return ending.abort()
  }
}

function follower(stream: string) {
  return { ...wanted('stable'), from: { kind: 'ImageStreamTag' as const, name: `${stream}:prod` } }
}

export { app, digest, event, imageType, imported }
