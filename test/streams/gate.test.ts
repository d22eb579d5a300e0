import { describe, expect, test } from 'vitest'
import { createGate } from '../../src/streams/gate.ts'

/** Enters one after the other, and says who is in. */
function entering(options: Parameters<typeof createGate>[0]) {
  const gate = createGate(options)
  const inside: string[] = []
  const leaves = new Map<string, () => void>()
  const enter = async (key: string, name: string) => {
    leaves.set(name, await gate(key))
    inside.push(name)
  }
  return { gate, inside, enter, leave: (name: string) => leaves.get(name)?.() }
}

describe('a gate', () => {
  test('lets so many of one key in, and the rest in their order as others leave', async () => {
    const { inside, enter, leave } = entering({ most: 2, mostWaiting: 9 })
    const all = ['a', 'b', 'c', 'd'].map((name) => enter('demo', name))
    await enter('other', 'x')
    expect(inside).toEqual(['a', 'b', 'x'])
    leave('b')
    await all[2]
    expect(inside).toEqual(['a', 'b', 'x', 'c'])
    leave('a')
    await all[3]
    expect(inside.at(-1)).toBe('d')
  })

  test('is left once, however often it is said', async () => {
    const { inside, enter, leave } = entering({ most: 1, mostWaiting: 9 })
    const all = ['a', 'b', 'c'].map((name) => enter('demo', name))
    await all[0]
    for (let i = 0; i < 5; i++) leave('a')
    await all[1]
    await enter('other', 'x')
    expect(inside).toEqual(['a', 'b', 'x'])
    leave('b')
    await all[2]
  })

  test('refuses who would wait behind too many, and takes him later', async () => {
    const { gate, enter, leave } = entering({ most: 1, mostWaiting: 1 })
    const all = ['a', 'b'].map((name) => enter('demo', name))
    await all[0]
    await expect(gate('demo')).rejects.toMatchObject({ code: 'TOOMANYREQUESTS', retryAfterSeconds: 10 })
    await enter('other', 'x')
    leave('a')
    await all[1]
    leave('b')
    await enter('demo', 'c')
  })
})
