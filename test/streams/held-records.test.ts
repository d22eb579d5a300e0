import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import type { HeldRecord, HeldRecords, Proof } from '../../src/content/content.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { createLevelStore } from '../../src/store/level.ts'
import type { Store } from '../../src/store/store.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { temporaryDirectory } from '../support/directory.ts'

const [a, b, c] = ['a', 'b', 'c'].map((name) => digestOf(name).slice(7)) as [string, string, string]
const digest = digestOf('bytes')

async function opened(): Promise<{ records: HeldRecords; store: Store; asked: string[] }> {
  const store = await createLevelStore({ directory: await temporaryDirectory(), logged: [] })
  onTestFinished(() => store.close())
  const asked: string[] = []
  const watched: Store = {
    ...store,
    get: (key) => {
      asked.push(key)
      return store.get(key)
    },
    range: (query) => {
      asked.push(`${query.prefix} ${query.limit}`)
      return store.range(query)
    },
  }
  return { records: createHeldRecords({ store: watched, now: () => 0 }), store, asked }
}

function listed(records: HeldRecords, after?: Digest): Promise<HeldRecord[]> {
  return Array.fromAsync(records.list(after === undefined ? {} : { after }))
}

test('nothing is recorded of what was never held', async () => {
  const { records } = await opened()
  expect(await records.get(digest)).toBeUndefined()
  expect(await records.find(digest, { through: [a], isHere: true })).toBeUndefined()
  expect(await listed(records)).toEqual([])
  await records.remove(digest)
})

test('a record has all proofs, each once', async () => {
  const { records } = await opened()
  for (const proof of [[a], [b], [a], [a, b], []]) await records.add(digest, 7, proof)
  const record = await records.get(digest)
  expect(record).toMatchObject({ digest, size: 7 })
  expect([...(record?.proofs ?? [])].sort()).toEqual([[], [a], [a, b], [b]].sort())
})

test.each<[Proof[], { through: Proof; isHere: boolean }, boolean]>([
  [[[a]], { through: [a], isHere: false }, true],
  [[[a]], { through: [a, b].sort(), isHere: false }, true],
  [[[a]], { through: [b], isHere: false }, false],
  [[[a]], { through: [], isHere: false }, false],
  [[[a]], { through: [], isHere: true }, true],
  [[[]], { through: [a], isHere: false }, false],
  [[[]], { through: [], isHere: false }, false],
  [[[]], { through: [], isHere: true }, true],
  [[[a, b].sort()], { through: [a], isHere: false }, false],
  [[[a, b].sort()], { through: [b], isHere: false }, false],
  [[[a, b].sort()], { through: [a, b].sort(), isHere: false }, true],
  [[[a, b].sort()], { through: [a, b, c].sort(), isHere: false }, true],
  [[[a, b, c].sort()], { through: [a, b, c].sort(), isHere: false }, true],
  [[[a, b, c].sort()], { through: [a, b].sort(), isHere: false }, false],
])('I5: with the proofs %j a link of %j may have the bytes: %s', async (proofs, link, may) => {
  const { records } = await opened()
  for (const proof of proofs) await records.add(digest, 7, proof)
  expect(await records.find(digest, link)).toBe(may ? 7 : undefined)
})

test('I5: a proof is asked for by its own key, so that what others proved takes no time', async () => {
  const { records, asked } = await opened()
  const ask = async (through: Proof) => {
    asked.length = 0
    await records.find(digest, { through, isHere: false })
    return [...asked]
  }
  const before = await ask([b])
  await Promise.all(Array.from({ length: 200 }, (_, i) => records.add(digest, 7, [digestOf(`${i}`).slice(7)])))
  expect(await ask([b])).toEqual(before)
  expect(before).toHaveLength(1)
  expect(before[0]).not.toContain('undefined')
})

test('removing takes every proof of the digest, however many, and none of another', async () => {
  const { records, store } = await opened()
  const other = digestOf('other')
  await records.add(other, 1, [a])
  await Promise.all(Array.from({ length: 250 }, (_, i) => records.add(digest, 7, [digestOf(`${i}`).slice(7)])))
  await records.remove(digest)
  expect(await records.get(digest)).toBeUndefined()
  expect(await Array.fromAsync(await store.range({ prefix: '' }))).toHaveLength(1)
  expect(await records.get(other)).toEqual({ digest: other, size: 1, proofs: [[a]] })
})

test('the list is in pages, in the order of digests, and goes on after any of them', async () => {
  const { records, asked } = await opened()
  const digests = Array.from({ length: 300 }, (_, i) => digestOf(`${i}`, i % 3 === 0 ? 'sha512' : 'sha256')).sort()
  const many = digests[100] as Digest
  await Promise.all(digests.flatMap((each) => [[a], [b]].map((proof) => records.add(each, 1, proof))))
  await Promise.all(Array.from({ length: 700 }, (_, i) => records.add(many, 1, [digestOf(`${i}`).slice(7)])))
  asked.length = 0
  const all = await listed(records)
  expect(all.map((record) => record.digest)).toEqual(digests)
  expect(all.map(({ proofs }) => proofs.length)).toEqual(digests.map((each) => (each === many ? 702 : 2)))
  expect(asked.filter((query) => query.startsWith('held/ ')).every((query) => query.endsWith(' 500'))).toBe(true)
  expect((await listed(records, many)).map((record) => record.digest)).toEqual(digests.slice(101))
})

test('what is removed or added while the list is read spoils nothing else of it', async () => {
  const { records } = await opened()
  const digests = Array.from({ length: 600 }, (_, i) => digestOf(`${i}`)).sort()
  await Promise.all(digests.map((each) => records.add(each, 1, [a])))
  const seen: Digest[] = []
  for await (const record of records.list()) {
    seen.push(record.digest)
    await records.remove(record.digest)
  }
  expect(seen).toEqual(digests)
  expect(await listed(records)).toEqual([])
})

const six = [a, b, c, ...['d', 'e', 'f'].map((name) => digestOf(name).slice(7))].sort()

test('any proofs allow exactly the links that have all locations of a single one', async () => {
  const some = fc.subarray(six)
  const { records } = await opened()
  await fc.assert(
    fc.asyncProperty(
      fc.array(some, { maxLength: 5 }),
      fc.subarray(six),
      fc.boolean(),
      async (proofs, through, isHere) => {
        await records.remove(digest)
        for (const proof of proofs) await records.add(digest, 9, proof)
        const isProof = (proof: string[]) => proof.length > 0 && proof.every((key) => through.includes(key))
        const may = isHere ? proofs.length > 0 : proofs.some(isProof)
        expect(await records.find(digest, { through, isHere })).toBe(may ? 9 : undefined)
      },
    ),
    { numRuns: 300 },
  )
})

test('of a link with many locations any proof by some of them counts, and none by another as well', async () => {
  const { records } = await opened()
  const many = Array.from({ length: 30 }, (_, i) => digestOf(`of the link ${i}`).slice(7)).sort()
  const find = async (proof: Proof) => {
    await records.remove(digest)
    await records.add(digest, 9, [...proof].sort())
    return records.find(digest, { through: many, isHere: false })
  }
  for (const some of [many.slice(2, 3), many.slice(20, 22), many.slice(12, 15), many.slice(1), many]) {
    expect(await find(some)).toBe(9)
    expect(await find([...some, a])).toBeUndefined()
  }
})

test.each([
  [1, 1],
  [2, 3],
  [3, 7],
  [4, 15],
  [5, 31],
  [6, 6 + 1],
  [1000, 1000 + 1],
])(
  'I5: a link of %i locations that may not have the bytes takes %i lookups, whatever is proved',
  async (count, lookups) => {
    const { records, asked } = await opened()
    const through = Array.from({ length: count }, (_, i) => digestOf(`of the link ${i}`).slice(7)).sort()
    for (const proofs of [[], [[a]], [[a, through[0]].sort() as Proof, [a, b]]]) {
      for (const proof of proofs) await records.add(digest, 9, proof)
      asked.length = 0
      expect(await records.find(digest, { through, isHere: false })).toBeUndefined()
      expect(asked).toHaveLength(lookups)
      expect(new Set(asked).size).toBe(lookups)
    }
  },
)
