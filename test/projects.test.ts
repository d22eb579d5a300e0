import { describe, expect, test } from 'vitest'
import { projectKey } from '../src/streams/keys.ts'
import { admin, dump, projectsWorld } from './projects/world.ts'

describe('a new project', () => {
  test('and the binding that makes its creator admin are one commit', async () => {
    const { projects, objects, faults } = await projectsWorld()
    const commits = faults.commits.length
    const project = await projects.create({ metadata: { name: 'team', labels: { a: 'b' } } }, admin)
    expect(faults.commits).toHaveLength(commits + 1)
    expect(project).toEqual(await objects.get('namespaces', '', 'team'))
    expect(project.metadata).toMatchObject({ name: 'team', labels: { a: 'b' }, uid: expect.any(String) })
    expect(project.metadata).not.toHaveProperty('namespace')
    expect(await objects.get('rolebindings', 'team', 'admin')).toMatchObject({
      metadata: { name: 'admin', namespace: 'team' },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'weir:admin' }],
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' },
    })
  })

  test('names a service account as one', async () => {
    const { projects, objects } = await projectsWorld()
    await projects.create({ metadata: { name: 'team' } }, { name: 'system:serviceaccount:demo:ci', groups: [] })
    expect(await objects.get('rolebindings', 'team', 'admin')).toMatchObject({
      subjects: [{ kind: 'ServiceAccount', name: 'ci', namespace: 'demo' }],
    })
  })

  test('of a taken name is refused, and changes nothing', async () => {
    const { projects, store } = await projectsWorld()
    const before = await dump(store)
    await expect(projects.create({ metadata: { name: 'demo' } }, admin)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: 'namespaces "demo" already exists',
    })
    expect(await dump(store)).toEqual(before)
  })

  test('of the name of one that is being removed is refused, and told so', async () => {
    const { projects } = await projectsWorld()
    await projects.remove('demo')
    await expect(projects.create({ metadata: { name: 'demo' } }, admin)).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining('object is being deleted: namespaces "demo" already exists'),
    })
  })

  test('of which the store did not say whether it is there is found again, or is UNAVAILABLE', async () => {
    const { projects, faults, store } = await projectsWorld()
    faults.next = [{ status: 'unknown', lands: true }]
    const made = await projects.create({ metadata: { name: 'team' } }, admin)
    expect(made.metadata.resourceVersion).toBe(String((await store.get(projectKey('team')))?.revision))
    faults.next = [{ status: 'unknown', lands: false }]
    await expect(projects.create({ metadata: { name: 'other' } }, admin)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await store.get(projectKey('other'))).toBeUndefined()
  })
})

describe('a project that is to go', () => {
  test('is marked once, with the time', async () => {
    const { projects, clock, store } = await projectsWorld()
    const marked = await projects.remove('demo')
    expect(marked.metadata.deletionTimestamp).toBe('2026-01-01T00:00:00Z')
    const before = await dump(store)
    clock.advance(5000)
    expect(await projects.remove('demo')).toEqual(marked)
    expect(await dump(store)).toEqual(before)
  })

  test.each([
    ['uid', { uid: 'another' }],
    ['resourceVersion', { resourceVersion: '999999' }],
  ])('is not marked under the wrong %s', async (_, preconditions) => {
    const { projects, store } = await projectsWorld()
    const before = await dump(store)
    await expect(projects.remove('demo', preconditions)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('Precondition failed'),
    })
    expect(await dump(store)).toEqual(before)
  })

  test('is marked under the right ones', async () => {
    const { projects, objects } = await projectsWorld()
    const { uid, resourceVersion } = (await objects.get('namespaces', '', 'demo'))?.metadata ?? {
      uid: '',
      resourceVersion: '',
    }
    const marked = await projects.remove('demo', { uid, resourceVersion })
    expect(marked.metadata).toMatchObject({ uid, deletionTimestamp: expect.any(String) })
  })

  test('has to be there', async () => {
    const { projects } = await projectsWorld()
    await expect(projects.remove('none')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
