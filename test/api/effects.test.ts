/** Who got an answer sees its effect: an answer waits until memory knows of the write. */
import { describe, expect, test, vi } from 'vitest'
import { type ImagesWorld, imagesWorld, importOf, imports, streams, tags, v2 } from './kinds/images.ts'
import { inDemo, rbacApi, weirApi } from './world.ts'

const accounts = `/api/v1/${inDemo}/serviceaccounts`
const roles = `${rbacApi}/${inDemo}/roles`
const bindings = `${rbacApi}/${inDemo}/rolebindings`
const events = `${weirApi}/${inDemo}/tagevents`
const binding = { metadata: { name: 'x' }, roleRef: { kind: 'ClusterRole', name: 'view' } }

interface SlowWorld extends ImagesWorld {
  /** From now on the memory of roles and pins learns of nothing until `learn` is called. */
  slow(): { asked: number[]; learn(): void }
}

async function slowWorld(): Promise<SlowWorld> {
  let gate: Promise<void> | undefined
  let asked: number[] = []
  const wait = (reached: (revision: number) => Promise<void>) => async (revision: number) => {
    if (gate !== undefined) asked.push(revision)
    await gate
    await reached(revision)
  }
  const world = await imagesWorld(({ authorizer, pins }) => ({
    authorizer: {
      ...authorizer,
      get version() {
        return authorizer.version
      },
      reached: wait(authorizer.reached),
    },
    pins: { reached: wait(pins.reached) },
  }))
  const slow = () => {
    asked = []
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    return { asked, learn: resolve }
  }
  return { ...world, slow }
}

/** Sends a request while memory is slow: it must be waiting for the newest revision, and be answered once that is known. */
async function expectToWait(world: SlowWorld, method: string, path: string, body?: unknown): Promise<void> {
  const { asked, learn } = world.slow()
  let answered = false
  const answer = world.asAdmin(method, path, body).then((value) => {
    answered = true
    return value
  })
  await vi.waitFor(() => expect(asked).not.toEqual([]), { timeout: 10_000 })
  expect(answered).toBe(false)
  expect(asked.at(-1)).toBe((await world.store.range({ prefix: '' })).revision)
  learn()
  expect((await answer).status).toBeLessThan(300)
}

describe('the answer waits for the memory of rights after', () => {
  test.each([
    ['a new service account', 'POST', accounts, { metadata: { name: 'x' } }],
    ['a new role', 'POST', roles, { metadata: { name: 'x' }, rules: [] }],
    ['a new binding', 'POST', bindings, binding],
    ['a new project', 'POST', '/api/v1/namespaces', { metadata: { name: 'x' } }],
  ])('%s', async (_, method, path, body) => {
    await expectToWait(await slowWorld(), method, path, body)
  })

  test.each([
    ['a changed role', 'PUT', roles, { metadata: { name: 'x', labels: { a: 'b' } }, rules: [] }],
    ['a deleted role', 'DELETE', roles, undefined],
    ['a changed binding', 'PUT', bindings, { ...binding, subjects: [{ kind: 'User', name: 'ann' }] }],
    ['a deleted binding', 'DELETE', bindings, undefined],
    ['a deleted service account', 'DELETE', accounts, undefined],
  ])('%s', async (_, method, path, body) => {
    const world = await slowWorld()
    await world.asAdmin('POST', path, { ...binding, rules: [] })
    await expectToWait(world, method, `${path}/x`, body)
  })
})

describe('the answer waits for the memory of pins after', () => {
  test('an import', async () => {
    const world = await slowWorld()
    await expectToWait(world, 'POST', imports, importOf(world.from, 'prod'))
  })

  test.each([
    ['a deleted tag', `${tags}/app:prod`],
    ['a deleted stream', `${streams}/app`],
  ])('%s', async (_, path) => {
    const world = await slowWorld()
    await world.importTag('prod')
    await expectToWait(world, 'DELETE', path)
  })

  test('a rollback and a resume', async () => {
    const world = await slowWorld()
    await world.importTag('prod')
    world.registry.put('lib/app', v2, { tag: 'v1' })
    await world.importTag('prod')
    await expectToWait(world, 'POST', events, { kind: 'Rollback', stream: 'app', tag: 'prod' })
    await expectToWait(world, 'POST', events, { kind: 'Resume', stream: 'app', tag: 'prod' })
  })
})
