import { readdir, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Proof } from '../../src/content/content.ts'
import { proofOf } from '../../src/content/proof.ts'
import { readAll } from '../../src/content/reader.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type HeldProcess, type HeldWorld, heldWorld, keep } from './held-world.ts'
import { fileOf, first, linkTo, second } from './world.ts'

const blobs = ['a', 'bb', 'ccc', ''].map((text) => Buffer.from(text.repeat(1000)))
const locations = [first, second]

/** What should be held: by index of the blob, the locations that proved it, and whether its file is right. */
type Model = Map<number, { proofs: Set<number>; isRight: boolean }>

interface Run {
  world: HeldWorld
  current: HeldProcess
  model: Model
}

/** One thing that happens. */
type Step = (run: Run) => Promise<void>

const blob = fc.nat(blobs.length - 1)
const location = fc.nat(locations.length - 1)

const steps: fc.Arbitrary<Step>[] = [
  fc.tuple(blob, location, fc.boolean()).map(
    ([i, l, isManifest]): Step =>
      async ({ current: { files }, model }) => {
        const bytes = at(blobs, i)
        const from = at(locations, l)
        if (isManifest) await files.putManifest(digestOf(bytes), bytes, from)
        else await keep(files, bytes, proofOf([from]))
        model.set(i, { proofs: new Set([...(model.get(i)?.proofs ?? []), l]), isRight: true })
      },
  ),
  blob.map(
    (i): Step =>
      async ({ current: { files }, model }) => {
        const freed = await files.remove(digestOf(at(blobs, i)), { unusedSince: Number.MAX_SAFE_INTEGER })
        expect(freed).toBe(model.has(i) ? at(blobs, i).length : 0)
        model.delete(i)
      },
  ),
  blob.map(
    (i): Step =>
      async ({ current: { files }, model }) => {
        const held = model.get(i)
        expect(await files.verify(digestOf(at(blobs, i)))).toBe(!held ? 'absent' : held.isRight ? 'whole' : 'corrupt')
        if (held?.isRight === false) model.delete(i)
      },
  ),
  blob.map(
    (i): Step =>
      async ({ world: { directory }, model }) => {
        const held = model.get(i)
        if (held === undefined || at(blobs, i).length === 0) return
        const path = fileOf(directory, digestOf(at(blobs, i)))
        const { atime, mtimeMs } = await stat(path)
        await writeFile(path, Buffer.alloc(at(blobs, i).length))
        // Another time also when the clock did not go on since the file was written.
        await utimes(path, atime, mtimeMs / 1000 + 1)
        held.isRight = false
      },
  ),
  fc.tuple(blob, location).map(
    ([i, l]): Step =>
      async ({ current: { files }, model }) => {
        const held = model.get(i)
        const blobOpened = await files.open(linkTo(at(blobs, i), at(locations, l)))
        const may = held?.proofs.has(l) === true
        expect(blobOpened !== undefined).toBe(may)
        if (blobOpened === undefined) return
        const read = readAll(blobOpened)
        if (held?.isRight) expect(await read).toEqual(at(blobs, i))
        else await expect(read).rejects.toMatchObject({ name: 'CorruptError' })
        if (!held?.isRight) model.delete(i)
      },
  ),
  fc.constant<Step>(async ({ current: { files } }) => {
    expect(await files.sweep()).toEqual({ unfinished: 0, orphanFiles: 0, orphanRecords: 0, bytes: 0 })
  }),
  blob.map(
    (i): Step =>
      async ({ current: { files } }) => {
        const file = await files.begin(digestOf(at(blobs, i)), 'left', 10)
        await file.handle.write('half')
        await file.discard()
      },
  ),
  fc.constant<Step>(async (run) => {
    run.current = await run.world.open()
  }),
]

test('any sequence of keeping, removing, verifying, sweeping, rotting and restarting holds what a model says', async () => {
  const world = await heldWorld()
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...steps), { maxLength: 20 }), async (sequence) => {
      const run: Run = { world, current: await world.open(), model: new Map() }
      for (const step of sequence) await step(run)
      await expectModel(run)
      for (const i of blobs.keys()) {
        await run.current.files.remove(digestOf(at(blobs, i)), { unusedSince: Number.MAX_SAFE_INTEGER })
      }
    }),
    { numRuns: 200 },
  )
}, 120_000)

test('a file that was cut short is found by whoever looks first', async () => {
  const world = await heldWorld()
  const { files } = await world.open()
  const bytes = at(blobs, 1)
  const find: ((digest: ReturnType<typeof digestOf>) => Promise<unknown>)[] = [
    (digest) => files.verify(digest),
    () => files.open(linkTo(bytes, first)),
    () => files.manifest(linkTo(bytes, first)),
  ]
  for (const [i, look] of find.entries()) {
    await keep(files, bytes)
    await truncate(fileOf(world.directory, digestOf(bytes)), 3)
    await look(digestOf(bytes))
    expect(await world.records.get(digestOf(bytes))).toBeUndefined()
    expect(await readdir(join(world.directory, 'quarantine'))).toHaveLength(i + 1)
  }
})

async function expectModel({ world, current: { files, counters }, model }: Run): Promise<void> {
  await files.sweep()
  const held = [...model].map(([i]) => digestOf(at(blobs, i))).sort()
  const listed = await Array.fromAsync(files.list())
  expect(listed.map(({ digest }) => digest)).toEqual(held)
  const bytes = [...model.keys()].reduce((sum, i) => sum + at(blobs, i).length, 0)
  expect(counters.heldBytes).toBe(bytes)
  expect((await readdir(join(world.directory, 'blobs', 'sha256'))).length).toBe(model.size)
  expect(await readdir(join(world.directory, 'partial'))).toEqual([])
  for (const [i, { proofs }] of model) {
    const record = await world.records.get(digestOf(at(blobs, i)))
    const expected: Proof[] = [...proofs].map((l) => proofOf([at(locations, l)]))
    expect([...(record?.proofs ?? [])].sort()).toEqual(expected.sort())
  }
}

function at<T>(list: readonly T[], i: number): T {
  const found = list[i]
  if (found === undefined) throw new RangeError(`no ${i}`)
  return found
}
