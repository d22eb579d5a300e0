import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { createSlots } from '../../src/api/slots.ts'
import { type ApiWorld, apiWorld, inDemo, type Outgoing } from './world.ts'

const robot = (name: string, project = 'demo') => ({
  name: `system:serviceaccount:${project}:${name}`,
  groups: ['system:authenticated'],
})
const { signal } = new AbortController()

describe('slots', () => {
  test('are four of one robot and eight of all robots of a project, whatever others have', async () => {
    const slots = createSlots()
    const taken: string[] = []
    const take = async (name: string, project?: string) => {
      const leave = await slots.take(robot(name, project), signal)
      taken.push(`${project ?? 'demo'}:${name}`)
      return leave
    }
    const leaves = ['a', 'a', 'a', 'a', 'a', 'b', 'b', 'b', 'b', 'c'].map((name) => take(name))
    await take('a', 'other')
    await slots.take({ name: 'system:anonymous', groups: [] }, signal)
    const most = [...Array(4).fill('demo:a'), ...Array(4).fill('demo:b')]
    expect(taken.filter((each) => each !== 'other:a').toSorted()).toEqual(most)
    const [first, , , , fifth, , , , , ninth] = leaves
    // Whose turn comes first waited for the project alone.
    ;(await first)?.()
    await ninth
    ;(await leaves[5])?.()
    await fifth
    expect(taken.slice(-2)).toEqual(['demo:c', 'demo:a'])
  })

  test('are not needed by masters', async () => {
    const slots = createSlots()
    const master = { name: 'weir:admin', groups: ['system:masters'] }
    await Promise.all(Array.from({ length: 100 }, () => slots.take(master, signal)))
  })

  test('are not kept by clients that left while they waited', async () => {
    const slots = createSlots()
    const leaves = await Promise.all(Array.from({ length: 4 }, () => slots.take(robot('a'), signal)))
    const left = new AbortController()
    const gone = slots.take(robot('a'), left.signal)
    const next = slots.take(robot('a'), signal)
    left.abort()
    leaves[0]?.()
    await expect(gone).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await next
  })

  test('are refused when a thousand wait', async () => {
    const slots = createSlots()
    const waiting = Array.from({ length: 504 }, () => slots.take(robot('a'), signal))
    await expect(slots.take(robot('a'), signal)).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
    expect(await waiting[3]).toBeTypeOf('function')
  })
})

describe('a robot whose answers are not read', () => {
  const configMaps = `/api/v1/${inDemo}/configmaps`

  /** Opens a path so often as the robot, and does not read what comes. */
  async function stalled({ open }: ApiWorld, token: string, path: string, times = 4) {
    const exchanges = Array.from(
      { length: times },
      (): Outgoing => Object.assign(new EventEmitter(), { closed: false }),
    )
    await Promise.all(exchanges.map((outgoing) => open(path, { token, outgoing })))
    return exchanges
  }

  test.each([
    ['a list', configMaps],
    ['a watch', `${configMaps}?watch=1`],
  ])('of %s waits with the next until one of them is out', async (_name, path) => {
    const world = await apiWorld()
    const token = await world.robot('viewer', 'view')
    const [first] = await stalled(world, token, path)
    let answered = false
    const next = world.send('GET', configMaps, { token }).finally(() => (answered = true))
    expect((await world.send('GET', configMaps, { token: await world.robot('other', 'view') })).status).toBe(200)
    expect((await world.asAdmin('GET', configMaps)).status).toBe(200)
    expect(answered).toBe(false)
    first?.emit('close')
    expect((await next).status).toBe(200)
  })

  test('goes on after refusals, clients that were gone before, and watches that were told their beginning', async () => {
    const world = await apiWorld()
    const token = await world.robot('viewer', 'view')
    for (let i = 0; i < 10; i++) {
      expect((await world.send('GET', `${configMaps}/none`, { token })).status).toBe(404)
      const outgoing: Outgoing = Object.assign(new EventEmitter(), { closed: true })
      await world.open(configMaps, { token, outgoing })
      const watching: Outgoing = Object.assign(new EventEmitter(), { closed: false })
      const response = await world.open(
        `${configMaps}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
        { token, outgoing: watching },
      )
      const reader = response.body?.getReader()
      await reader?.read()
      void reader?.read().catch(() => undefined)
    }
    expect((await world.send('GET', configMaps, { token })).status).toBe(200)
  })
})
