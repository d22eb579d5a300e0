import { describe, expect, test } from 'vitest'
import { createGate } from '../../src/importer/gate.ts'

/** Work that ends when it is told to, and says when it began. */
function works(begun: string[]) {
  const ends = new Map<string, () => void>()
  const work = (name: string) => async () => {
    begun.push(name)
    await new Promise<void>((end) => ends.set(name, end))
    return name
  }
  return { work, end: (name: string) => ends.get(name)?.() }
}

describe('a gate', () => {
  test('lets so much of one key run, and the rest in its order as others end', async () => {
    const begun: string[] = []
    const { work, end } = works(begun)
    const gate = createGate({ most: 2, mostWaiting: 9 })
    const all = ['a', 'b', 'c', 'd'].map((name) => gate('demo', work(name)))
    await gate('other', async () => begun.push('other'))
    expect(begun).toEqual(['a', 'b', 'other'])
    end('b')
    await all[1]
    await expect.poll(() => begun).toEqual(['a', 'b', 'other', 'c'])
    for (const name of ['a', 'c']) end(name)
    await expect.poll(() => begun.at(-1)).toBe('d')
    end('d')
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('goes on after work that fails', async () => {
    const gate = createGate({ most: 1, mostWaiting: 9 })
    const failing = gate('demo', () => Promise.reject(new Error('no')))
    const next = gate('demo', async () => 'next')
    await expect(failing).rejects.toThrow('no')
    expect(await next).toBe('next')
  })

  test('refuses what would wait behind too much, and takes it again later', async () => {
    const { work, end } = works([])
    const gate = createGate({ most: 1, mostWaiting: 1 })
    const running = gate('demo', work('a'))
    const waiting = gate('demo', async () => 'b')
    await expect(gate('demo', async () => 'c')).rejects.toMatchObject({
      code: 'TOOMANYREQUESTS',
      retryAfterSeconds: 10,
    })
    expect(await gate('other', async () => 'd')).toBe('d')
    end('a')
    await running
    await waiting
    expect(await gate('demo', async () => 'e')).toBe('e')
  })
})
