import { expect, test } from 'vitest'
import type { HeldRecords } from '../../src/content/content.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { heldWorld, keep } from './held-world.ts'
import { first, linkTo } from './world.ts'

const bytes = Buffer.from('what somebody is about to need')
const digest = digestOf(bytes)
const link = linkTo(bytes, first)
const dayMs = 86_400_000

/** Records that call `during` once those of a digest are gone. */
function whenRemoved(records: HeldRecords, during: () => Promise<void>): HeldRecords {
  return {
    ...records,
    async remove(each) {
      await records.remove(each)
      await during()
    },
  }
}

test('what is held after it was used stays, also when a removal was under way', async () => {
  const world = await heldWorld()
  const used = Promise.withResolvers<void>()
  const { files } = await world.open({
    records: whenRemoved(world.records, async () => {
      void files.touch(digest).then(used.resolve)
    }),
  })
  await keep(files, bytes)
  world.clock.ahead += dayMs
  // The use came too late: it waits for the removal, and finds nothing.
  expect(await files.remove(digest, { unusedSince: world.clock.now() - 1000 })).toBe(bytes.length)
  await used.promise
  expect(await files.held(link)).toBeUndefined()
})

test('what another process uses while it is removed stays, with its proofs', async () => {
  const world = await heldWorld()
  const other = await world.open()
  const { files } = await world.open({ records: whenRemoved(world.records, () => other.files.touch(digest)) })
  await keep(files, bytes)
  world.clock.ahead += dayMs
  expect(await files.remove(digest, { unusedSince: world.clock.now() - 1000 })).toBe(0)
  expect(await files.held(link)).toBe(bytes.length)
  expect(await other.files.held(link)).toBe(bytes.length)
})

test('what nobody uses meanwhile goes', async () => {
  const world = await heldWorld()
  const { files } = await world.open()
  await keep(files, bytes)
  world.clock.ahead += dayMs
  expect(await files.remove(digest, { unusedSince: world.clock.now() - 1000 })).toBe(bytes.length)
  expect(await world.records.get(digest)).toBeUndefined()
})

test('a list goes on after a digest', async () => {
  const world = await heldWorld()
  const { files } = await world.open()
  const all = [1, 2, 3].map((n) => Buffer.from(`blob ${n}`))
  for (const each of all) await keep(files, each)
  const digests = all.map((each) => digestOf(each)).sort()
  const [after = digest] = digests
  expect((await Array.fromAsync(files.list({ after }))).map((each) => each.digest)).toEqual(digests.slice(1))
})
