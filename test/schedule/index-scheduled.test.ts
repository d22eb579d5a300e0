import { pino } from 'pino'
import { expect, test } from 'vitest'
import { indexScheduled } from '../../src/schedule/index-scheduled.ts'
import { app, digest, type World, wanted, world } from '../streams/world.ts'

const log = pino({ level: 'silent' })
const { signal } = new AbortController()
const scheduled = { importPolicy: { scheduled: true } }

async function keys(w: World): Promise<string[]> {
  return (await w.dump('index/scheduled/')).map(({ key }) => key)
}

/** Tags as a Weir without the index left them. */
async function old(): Promise<World> {
  const w = await world()
  for (const tag of ['a', 'b']) {
    await w.writer.changeTag(app, tag, () => ({ spec: { ...wanted(tag), ...scheduled } }), { create: true })
  }
  await w.writer.changeTag(app, 'c', () => ({ spec: wanted('c') }))
  await w.writer.changeTag(app, 'd', () => ({ spec: { ...wanted('d', `quay.io/a/b@${digest('a')}`), ...scheduled } }))
  for (const key of await keys(w)) await w.store.commit({ operations: [{ type: 'delete', key }] })
  return w
}

test('tags that were scheduled before there was an index are put into it, those alone', async () => {
  const w = await old()
  await indexScheduled({ store: w.store, signal, log })
  expect(await keys(w)).toEqual(['a', 'b', 'd'].map((tag) => `index/scheduled/demo/app/${tag}`))
})

test('it is done once: what was taken out since stays out', async () => {
  const w = await old()
  await indexScheduled({ store: w.store, signal, log })
  await w.store.commit({ operations: [{ type: 'delete', key: 'index/scheduled/demo/app/a' }] })
  await indexScheduled({ store: w.store, signal, log })
  expect(await keys(w)).not.toContain('index/scheduled/demo/app/a')
})

test('a tag that changes meanwhile has the last word, and one that broke off is done again', async () => {
  const w = await old()
  let isFirst = true
  const store = {
    ...w.store,
    async commit(...args: Parameters<typeof w.store.commit>) {
      if (isFirst) {
        isFirst = false
        await w.writer.changeTag(app, 'a', () => ({ spec: wanted('a') }))
      }
      return w.store.commit(...args)
    },
  }
  const broken = { ...store, range: () => Promise.reject(new Error('the disk is gone')) }
  await indexScheduled({ store: broken, signal, log })
  expect(await keys(w)).toEqual([])
  await indexScheduled({ store, signal, log })
  expect(await keys(w)).toEqual(['b', 'd'].map((tag) => `index/scheduled/demo/app/${tag}`))
})
