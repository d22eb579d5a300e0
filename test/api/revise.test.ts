import { setImmediate as later } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type Attempt, attemptOn, createRevise } from '../../src/api/revise.ts'
import { RegistryError } from '../../src/oci/errors.ts'

const lostOn = (version: string): Attempt<never> => ({
  lost: new RegistryError('CONFLICT', { message: version }),
  version,
})

describe('attempts to change one object', () => {
  test('are made one at a time, whoever makes them, and in the order in which they came', async () => {
    const revise = createRevise()
    const made: number[] = []
    let isUnderWay = false
    const attempt = (n: number) => async (): Promise<Attempt<number>> => {
      expect(isUnderWay).toBe(false)
      isUnderWay = true
      await later()
      isUnderWay = false
      return { done: made.push(n) }
    }
    const all = Array.from({ length: 50 }, (_, n) => n)
    await Promise.all(all.map((n) => revise('a', attempt(n))))
    expect(made).toEqual(all)
  })

  test('do not wait for those of another object', async () => {
    const revise = createRevise()
    const blocked = Promise.withResolvers<void>()
    const waiting = Array.from({ length: 8 }, () =>
      revise('a', async () => {
        await blocked.promise
        return { done: 'a' }
      }),
    )
    expect(await revise('b', async () => ({ done: 'b' }))).toBe('b')
    blocked.resolve()
    expect(await Promise.all(waiting)).toEqual(Array.from({ length: 8 }, () => 'a'))
  })

  test('go on past one that failed', async () => {
    const revise = createRevise()
    const failing = Array.from({ length: 4 }, () => revise('a', () => Promise.reject(new Error('no'))))
    expect((await Promise.allSettled(failing)).map(({ status }) => status)).toEqual(Array(4).fill('rejected'))
    expect(await revise('a', async () => ({ done: 1 }))).toBe(1)
  })

  test('that lost to another change are made again, and end where nobody changed anything', async () => {
    const revise = createRevise()
    const versions = ['1', '2', '2', '3']
    const made: string[] = []
    const attempt = async (): Promise<Attempt<string>> => {
      const version = versions[made.length] ?? ''
      made.push(version)
      return lostOn(version)
    }
    await expect(revise('a', attempt)).rejects.toMatchObject({ code: 'CONFLICT', message: '2' })
    expect(made).toEqual(['1', '2', '2'])
  })
})

test('attemptOn() takes conflicts for lost races, and nothing else', async () => {
  const refuse = (code: 'CONFLICT' | 'ALREADY_EXISTS' | 'INVALID') => () => Promise.reject(new RegistryError(code))
  expect(await attemptOn('7', refuse('CONFLICT'))).toMatchObject({ lost: { code: 'CONFLICT' }, version: '7' })
  expect(await attemptOn('7', refuse('ALREADY_EXISTS'))).toMatchObject({ lost: { code: 'ALREADY_EXISTS' } })
  await expect(attemptOn('7', refuse('INVALID'))).rejects.toMatchObject({ code: 'INVALID' })
  expect(await attemptOn('7', async () => 1)).toEqual({ done: 1 })
})
