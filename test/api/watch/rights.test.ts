import { describe, expect, test } from 'vitest'
import { apiWorld, inDemo, rbacApi } from '../world.ts'

const configMaps = `/api/v1/${inDemo}/configmaps`
const accounts = `/api/v1/${inDemo}/serviceaccounts`

/** A robot that watches the config maps of its project, and another that goes on doing so. */
async function watching(path = `${configMaps}?watch=1`) {
  const world = await apiWorld()
  const [token, other] = [await world.robot('leaver', 'view'), await world.robot('stayer', 'view')]
  const [next, stays] = [await world.watch(path, token), await world.watch(path, other)]
  const make = (name: string) => world.asAdmin('POST', configMaps, { metadata: { name } })
  await make('before')
  for (const each of [next, stays]) expect(await each()).toMatchObject({ object: { metadata: { name: 'before' } } })
  return { ...world, next, stays, make }
}

describe('a watch', () => {
  test.each([
    ['right is taken away', `${rbacApi}/${inDemo}/rolebindings/demo-leaver-view`],
    ['account goes', `${accounts}/leaver`],
  ])('whose %s is told nothing more', async (_name, path) => {
    const { asAdmin, make, next, stays } = await watching()
    expect((await asAdmin('DELETE', path)).status).toBe(200)
    await make('after')
    expect(await next()).toBeUndefined()
    expect(await stays()).toMatchObject({ object: { metadata: { name: 'after' } } })
  })

  test('of an account that was made anew, with the same rights, is told nothing more', async () => {
    const { asAdmin, make, next } = await watching()
    await asAdmin('DELETE', `${accounts}/leaver`)
    await asAdmin('POST', accounts, { metadata: { name: 'leaver' } })
    await make('after')
    expect(await next()).toBeUndefined()
  })

  test('of projects ends with its account too, although everybody may watch those that he sees', async () => {
    const world = await apiWorld()
    const token = await world.robot('leaver', 'view')
    const next = await world.watch('/api/v1/namespaces?watch=1', token)
    expect(await next()).toMatchObject({ object: { metadata: { name: 'demo' } } })
    await world.asAdmin('DELETE', `${accounts}/leaver`)
    await world.asAdmin('POST', accounts, { metadata: { name: 'leaver' } })
    const patch = { metadata: { labels: { a: 'b' } } }
    const headers = { 'content-type': 'application/merge-patch+json' }
    await world.send('PATCH', '/api/v1/namespaces/demo', { token: world.adminToken, body: patch, headers })
    expect(await next()).toBeUndefined()
  })

  test('goes on while rights of others change', async () => {
    const { asAdmin, make, stays, robot } = await watching()
    await asAdmin('DELETE', `${accounts}/leaver`)
    await robot('third', 'edit')
    await make('after')
    expect(await stays()).toMatchObject({ object: { metadata: { name: 'after' } } })
  })

  test('tells nothing of its beginning to whom lost his right before he read it', async () => {
    const world = await apiWorld()
    const token = await world.robot('leaver', 'view')
    await world.asAdmin('POST', configMaps, { metadata: { name: 'secret' } })
    const response = await world.open(`${configMaps}?watch=1`, { token })
    await world.asAdmin('DELETE', `${accounts}/leaver`)
    expect(await response.text()).toBe('')
  })
})
