import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createLifetime } from '../src/lifetime.ts'

function opening() {
  const opened = new AsyncDisposableStack()
  return { opened, lifetime: createLifetime(opened), told: [] as string[] }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}

test('work is told to end before anything closes, and what was opened before it stays open until it settles', async () => {
  const { opened, lifetime, told } = opening()
  lifetime.closing.addEventListener('abort', () => told.push('closing'))
  lifetime.defer(() => told.push('store closed'))
  lifetime.run(async (leaving) => {
    await untilAborted(leaving)
    await setImmediate()
    told.push('first work ended')
  })
  lifetime.defer(() => told.push(`content closed, leaving: ${lifetime.leaving.aborted}`))
  lifetime.run(async (leaving) => {
    await untilAborted(leaving)
    await setImmediate()
    told.push('second work ended')
  })

  await opened.disposeAsync()

  expect(told.filter((what) => what !== 'first work ended')).toEqual([
    'second work ended',
    'content closed, leaving: true',
    'store closed',
    'closing',
  ])
  expect(told.indexOf('first work ended')).toBeLessThan(told.indexOf('store closed'))
})

test('work that began before something failed to open is ended with what was opened', async () => {
  const { opened, lifetime, told } = opening()
  async function open(): Promise<void> {
    await using all = opened
    expect(all.disposed).toBe(false)
    lifetime.run((leaving) => untilAborted(leaving).then(() => told.push('work ended')))
    lifetime.defer(async () => {
      await setImmediate()
      told.push('closed')
    })
    throw new Error('the next part can not be opened')
  }

  await expect(open()).rejects.toThrow('the next part can not be opened')

  expect(told).toEqual(['closed', 'work ended'])
})
