import { describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../src/store/database.ts'
import { createLevelStore, createStoreOn } from '../../src/store/level.ts'
import { createObjects, type NewObject, type ObjectsOptions } from '../../src/store/objects.ts'
import type { Store } from '../../src/store/store.ts'
import { put, write } from '../contracts/store.ts'
import { testClock } from '../support/clock.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { tapDatabase } from './tapped-database.ts'

const named = (name: string, fields: Record<string, unknown> = {}): NewObject => ({ metadata: { name }, ...fields })
const groupOf = (resource: string) => (resource === 'rolebindings' ? 'rbac.authorization.k8s.io' : '')

async function world(options: Partial<ObjectsOptions> = {}) {
  const store = await createLevelStore({ directory: await temporaryDirectory(), logged: ['object/'] })
  onTestFinished(() => store.close())
  const clock = testClock(Date.UTC(2026, 0, 2, 3, 4, 5, 678))
  return { store, clock, objects: createObjects({ store, now: clock.now, groupOf, ...options }) }
}

describe('create', () => {
  test('answers and stores the object with uid, time and resourceVersion', async () => {
    const { objects, store } = await world()
    const labels = { a: 'b' }
    const made = await objects.create('serviceaccounts', 'demo', { metadata: { name: 'ci', labels }, secrets: [1] })
    expect(made).toEqual({
      metadata: {
        name: 'ci',
        namespace: 'demo',
        labels,
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        creationTimestamp: '2026-01-02T03:04:05Z',
        resourceVersion: '1',
      },
      secrets: [1],
    })
    expect(await objects.get('serviceaccounts', 'demo', 'ci')).toEqual(made)
    expect((await store.get('object/serviceaccounts/demo/ci'))?.value).not.toContain('resourceVersion')
    expect(await objects.get('serviceaccounts', 'other', 'ci')).toBeUndefined()
  })

  test('a cluster-scoped object has no namespace', async () => {
    const { objects } = await world()
    const { metadata } = await objects.create('namespaces', '', named('demo'))
    expect(metadata).not.toHaveProperty('namespace')
    expect((await objects.list('namespaces', '')).items).toHaveLength(1)
  })

  test('of many at once one is made, the others are told that it exists', async () => {
    const { objects } = await world()
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => objects.create('rolebindings', 'demo', named('x'))),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results) {
      if (result.status === 'fulfilled') continue
      expect(result.reason).toMatchObject({
        code: 'ALREADY_EXISTS',
        message: 'rolebindings.rbac.authorization.k8s.io "x" already exists',
        subject: { name: 'x', kind: 'rolebindings', group: 'rbac.authorization.k8s.io' },
      })
    }
  })

  test.each(['', '.', '..', 'a/b', 'a%2fb', '\ud800'])('name %j is refused', async (name) => {
    const { objects } = await world()
    await expect(objects.create('secrets', 'demo', named(name))).rejects.toMatchObject({
      code: 'INVALID',
      causes: [{ field: 'metadata.name', reason: 'FieldValueInvalid' }],
    })
  })
})

describe('update', () => {
  test('replaces what may change and keeps what identifies the object', async () => {
    const { objects, clock } = await world()
    const made = await objects.create('secrets', 'demo', named('x', { data: 1 }))
    clock.advance(5000)
    const updated = await objects.update('secrets', 'demo', 'x', (current) => ({
      metadata: { ...current.metadata, uid: 'forged', name: 'y', creationTimestamp: 'never', labels: { a: 'b' } },
      data: 2,
    }))
    expect(updated).toEqual({ metadata: { ...made.metadata, labels: { a: 'b' }, resourceVersion: '2' }, data: 2 })
    expect(await objects.get('secrets', 'demo', 'x')).toEqual(updated)
  })

  test('concurrent updates all land, each on top of the other', async () => {
    const { objects } = await world()
    await objects.create('secrets', 'demo', named('x', { count: 0 }))
    const add = () =>
      objects.update('secrets', 'demo', 'x', (current) => ({ ...current, count: Number(current.count) + 1 }))
    await Promise.all(Array.from({ length: 20 }, add))
    expect((await objects.get('secrets', 'demo', 'x'))?.count).toBe(20)
  })

  test('with an expected version that is not the stored one it is a conflict', async () => {
    const { objects } = await world()
    const { metadata } = await objects.create('secrets', 'demo', named('x', { count: 0 }))
    const add = (version: string) =>
      objects.update('secrets', 'demo', 'x', (current) => ({ ...current, count: 1 }), version)
    await add(metadata.resourceVersion)
    await expect(add(metadata.resourceVersion)).rejects.toMatchObject({
      code: 'CONFLICT',
      message:
        'Operation cannot be fulfilled on secrets "x": the object has been modified; please apply your changes to the latest version and try again',
      subject: { name: 'x', kind: 'secrets', group: '' },
    })
  })

  test('of two with the same expected version one is a conflict', async () => {
    const { objects } = await world()
    const { metadata } = await objects.create('secrets', 'demo', named('x'))
    const set = (value: number) =>
      objects.update('secrets', 'demo', 'x', (current) => ({ ...current, value }), metadata.resourceVersion)
    const results = await Promise.allSettled([set(1), set(2)])
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  test('that changes nothing writes nothing', async () => {
    const { objects, store } = await world()
    const made = await objects.create('secrets', 'demo', named('x'))
    expect(await objects.update('secrets', 'demo', 'x', (current) => current)).toEqual(made)
    expect((await store.range({ prefix: 'object/' })).revision).toBe(1)
  })

  test('of an absent object is NOT_FOUND', async () => {
    const { objects } = await world()
    await expect(objects.update('rolebindings', 'demo', 'x', (current) => current)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'rolebindings.rbac.authorization.k8s.io "x" not found',
      subject: { name: 'x', kind: 'rolebindings', group: 'rbac.authorization.k8s.io' },
    })
  })
})

describe('delete', () => {
  test('answers what was there', async () => {
    const { objects } = await world()
    const made = await objects.create('secrets', 'demo', named('x'))
    const { uid, resourceVersion } = made.metadata
    expect(await objects.delete('secrets', 'demo', 'x', { uid, resourceVersion })).toEqual(made)
    await expect(objects.delete('secrets', 'demo', 'x')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'secrets "x" not found',
    })
  })

  test.each([
    [{ uid: 'u' }, 'Precondition failed: UID in precondition: u, UID in object meta: '],
    [
      { resourceVersion: '7' },
      'Precondition failed: ResourceVersion in precondition: 7, ResourceVersion in object meta: 1',
    ],
  ])('with precondition %j that fails deletes nothing', async (preconditions, message) => {
    const { objects } = await world()
    await objects.create('secrets', 'demo', named('x'))
    const deleted = objects.delete('secrets', 'demo', 'x', preconditions)
    await expect(deleted).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining(message) })
    expect(await objects.get('secrets', 'demo', 'x')).toBeDefined()
  })
})

describe('list', () => {
  async function filled() {
    const made = await world()
    for (const name of ['a', 'b', 'c', 'd', 'e']) await made.objects.create('secrets', 'demo', named(name))
    await made.objects.create('secrets', 'demo-2', named('f'))
    await made.objects.create('secretsx', 'demo', named('g'))
    return made
  }
  const namesOf = ({ items }: { items: { metadata: { name: string } }[] }) => items.map(({ metadata }) => metadata.name)

  test('shows a project, or all', async () => {
    const { objects } = await filled()
    expect(namesOf(await objects.list('secrets', 'demo'))).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(namesOf(await objects.list('secrets', undefined))).toEqual(['f', 'a', 'b', 'c', 'd', 'e'])
    expect(await objects.list('secrets', 'none')).toEqual({ items: [], resourceVersion: '7' })
  })

  test('shows one state on all pages, whatever happened meanwhile', async () => {
    const { objects } = await filled()
    const first = await objects.list('secrets', 'demo', { limit: 2 })
    expect(namesOf(first)).toEqual(['a', 'b'])
    await objects.delete('secrets', 'demo', 'd')
    await objects.create('secrets', 'demo', named('b0'))
    const second = await objects.list('secrets', 'demo', { limit: 2, continue: first.continue ?? '' })
    expect(namesOf(second)).toEqual(['c', 'd'])
    expect(second.resourceVersion).toBe(first.resourceVersion)
    const last = await objects.list('secrets', 'demo', { limit: 2, continue: second.continue ?? '' })
    expect(namesOf(last)).toEqual(['e'])
    expect(last).not.toHaveProperty('continue')
  })

  test('goes on with what is there now when too much has happened since', async () => {
    const { objects, store } = await filled()
    const first = await objects.list('secrets', 'demo', { limit: 2 })
    await objects.delete('secrets', 'demo', 'b')
    await objects.delete('secrets', 'demo', 'd')
    await objects.create('secrets', 'demo', named('b0'))
    for (let i = 0; i < 1100; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => write(store, put('object/filler', `${i + j}`))))
    }
    const second = await objects.list('secrets', 'demo', { limit: 5, continue: first.continue ?? '' })
    expect(namesOf(second)).toEqual(['b0', 'c', 'e'])
    // A watch from the list's version must also tell the deletion of `b`.
    expect(second.resourceVersion).toBe(first.resourceVersion)
  })

  test('a continue token of no page of this list is BAD_REQUEST', async () => {
    const { objects } = await filled()
    const { continue: token = '' } = await objects.list('secrets', 'demo', { limit: 1 })
    const refused = { code: 'BAD_REQUEST', causes: [{ field: 'continue' }] }
    await expect(objects.list('secrets', 'demo-2', { continue: token })).rejects.toMatchObject(refused)
    await expect(objects.list('serviceaccounts', 'demo', { continue: token })).rejects.toMatchObject(refused)
    const forged = [
      [1],
      ['1', 'object/secrets/demo/a'],
      [-1, 'object/secrets/demo/a'],
      [1, 'object/secrets/demo/\ud800'],
      {},
      null,
    ]
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    for (const bad of ['', '!', 'bm90IGpzb24', ...forged.map(encode)]) {
      await expect(objects.list('secrets', 'demo', { continue: bad })).rejects.toMatchObject(refused)
    }
  })
})

describe('guard', () => {
  test('what it answers must hold when the write is committed', async () => {
    const guarded: string[] = []
    const { objects, store } = await world({
      guard: async ({ verb, resource, project, name }) => {
        guarded.push(`${verb} ${resource} ${project} ${name}`)
        if (guarded.length > 1) throw new TypeError('gone')
        return [{ key: 'object/namespaces//demo', revision: 1 }]
      },
    })
    await write(store, put('object/namespaces//demo'))
    await write(store, put('object/namespaces//demo', '2'))
    await expect(objects.create('secrets', 'demo', named('x'))).rejects.toThrow('gone')
    expect(guarded).toEqual(['create secrets demo x', 'create secrets demo x'])
    expect(await objects.get('secrets', 'demo', 'x')).toBeUndefined()
  })
})

describe('a write whose outcome is unknown', () => {
  async function failing() {
    const database = tapDatabase(await openDatabase(await temporaryDirectory()))
    const store: Store = await createStoreOn(database, { logged: ['object/'], retryMs: 1 })
    onTestFinished(() => store.close())
    return { database, objects: createObjects({ store, now: testClock().now }) }
  }

  test('and did happen is answered as done', async () => {
    const { database, objects } = await failing()
    // Opening again fails once, so that the answer can be read back in between.
    database.breakNextWrite('after', 1)
    const made = await objects.create('secrets', 'demo', named('x'))
    expect(await objects.get('secrets', 'demo', 'x')).toEqual(made)
  })

  test('and cannot be seen is UNAVAILABLE', async () => {
    const { database, objects } = await failing()
    database.breakNextWrite('before', 1)
    await expect(objects.create('secrets', 'demo', named('x'))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: 'the write may or may not have happened: look before trying again',
    })
  })
})
