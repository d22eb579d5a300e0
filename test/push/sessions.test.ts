import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { commitLimits, type Store } from '../../src/store/store.ts'
import { encode, uploadKey } from '../../src/streams/keys.ts'
import type { UploadRecord } from '../../src/streams/records.ts'
import { ann, app, begun, blobWorld, bob, limits, other } from './blob-world.ts'

const tooMany = { code: 'TOOMANYREQUESTS', status: 429, retryAfterSeconds: 60 }

test('a user has so many uploads at the same time, in all streams; another has his own', async () => {
  const { push } = await blobWorld({ limits: { ...limits, maxPerUser: 3 } })
  const [id = ''] = [await begun(push, app), await begun(push, other), await begun(push, app)]
  await expect(push.begin(app, ann)).rejects.toMatchObject(tooMany)
  await begun(push, app, bob)
  await push.cancel(app, id, ann)
  await begun(push, app)
  await expect(push.begin(other, ann)).rejects.toMatchObject(tooMany)
})

test('all have so many at the same time', async () => {
  const { push } = await blobWorld({ limits: { ...limits, max: 2 } })
  const id = await begun(push, app)
  await begun(push, app, bob)
  await expect(push.begin(app, ann)).rejects.toMatchObject(tooMany)
  await expect(push.begin(app, { ...ann, name: 'eve' })).rejects.toMatchObject(tooMany)
  await push.cancel(app, id, ann)
  await begun(push, app, bob)
})

test('of many that begin at the same time no more than may are let in', async () => {
  const { push, uploads } = await blobWorld({ limits: { ...limits, maxPerUser: 5 } })
  const all = await Promise.allSettled(Array.from({ length: 50 }, () => push.begin(app, ann)))
  expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
  expect((await uploads()).records).toHaveLength(5)
})

test('those from before a restart count', async () => {
  const { push, pushWith } = await blobWorld({ limits: { ...limits, maxPerUser: 2 } })
  const id = await begun(push, app)
  await begun(push, app)
  const again = pushWith()
  await expect(again.begin(app, ann)).rejects.toMatchObject(tooMany)
  await again.cancel(app, id, ann)
  await begun(again, app)
})

test('one that could not be written down takes no place', async () => {
  const { push, observed, uploads } = await blobWorld({ limits: { ...limits, maxPerUser: 1 } })
  observed.onCommit = async () => ({ status: 'unknown', cause: new Error('the disk is gone') })
  for (let i = 0; i < 3; i++) await expect(push.begin(app, ann)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  observed.onCommit = undefined
  expect(await uploads()).toEqual({ records: [], files: [] })
  await begun(push, app)
})

test('10,000 idle ones are read once, and are no file', async () => {
  const { push, store, observed, uploads } = await blobWorld({ limits: { ...limits, max: 10_001 } })
  await writeUploads(store, 10_000)
  await begun(push, app)
  const read = observed.reads.filter((key) => key === 'upload/')
  expect(read).toHaveLength(21)
  observed.reads.length = 0
  await expect(push.begin(app, ann)).rejects.toMatchObject(tooMany)
  expect(observed.reads.filter((key) => key.startsWith('upload/'))).toEqual([])
  expect((await uploads()).files).toEqual([])
})

/** Uploads of as many users, begun long ago. */
async function writeUploads(store: Store, count: number): Promise<void> {
  for (let written = 0; written < count; written += commitLimits.maxOperations) {
    const operations = Array.from({ length: commitLimits.maxOperations }, (_, i) => {
      const record: UploadRecord = { ...app, by: `user-${written + i}`, createdAt: '2026-01-01T00:00:00Z' }
      return { type: 'put', key: uploadKey(randomUUID()), value: encode(record) } as const
    })
    await store.commit({ operations })
  }
}
