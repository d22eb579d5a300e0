import type { HeldRecord, HeldRecords, Proof } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { commitLimits, type Entry, type Operation, type RangeQuery, type Store } from '../store/store.ts'
import { commitOnce } from './commit-once.ts'
import { formatTime } from './events.ts'
import { decode, digestOfHeld, encode, heldJointlyRange, heldKey, heldOfRange, heldRange } from './keys.ts'
import type { HeldProofRecord } from './records.ts'

const pageEntries = 500

/** Up to so many locations of a link all that some of them may have proved together is looked for: 31 lookups at most. */
const mostCombined = 5
/** Of a link with more, so many of the proofs that several locations made are looked at: few downloads break off. */
const mostJoint = 1000

/** Which locations proved the bytes that are held, a record for each proof: whoever adds one overwrites none. */
export function createHeldRecords({ store, now }: { store: Store; now: () => number }): HeldRecords {
  async function commit(operations: readonly Operation[], what: string): Promise<void> {
    // Each says the same whatever is there before it: it may be done twice.
    await commitOnce(store, { commit: { operations }, fate: async () => 'open', what })
  }

  async function read(query: RangeQuery): Promise<Entry[]> {
    return Array.fromAsync(await store.range(query))
  }

  async function sizeOfAny(digest: Digest, proofs: readonly Proof[]): Promise<number | undefined> {
    const entries = await Promise.all(proofs.map((proof) => store.get(heldKey(digest, proof))))
    return sizeOf(entries.find((entry) => entry !== undefined))
  }

  async function sizeOfJoint(digest: Digest, through: Proof): Promise<number | undefined> {
    const keys = new Set(through)
    const entries = await read({ ...heldJointlyRange(digest), limit: mostJoint })
    return sizeOf(entries.find((entry) => decode<HeldProofRecord>(entry).through.every((key) => keys.has(key))))
  }

  return {
    get: async (digest) => recordOf(digest, await read(heldOfRange(digest))),
    async find(digest, { through, isHere }) {
      if (isHere) return sizeOf((await read({ ...heldOfRange(digest), limit: 1 }))[0])
      const sole = through.map((key) => [key])
      const found = await sizeOfAny(digest, sole)
      if (found !== undefined || through.length < 2) return found
      if (through.length > mostCombined) return sizeOfJoint(digest, through)
      return sizeOfAny(
        digest,
        subsetsOf(through).filter(({ length }) => length > 1),
      )
    },
    async add(digest, size, proof) {
      const record: HeldProofRecord = { size, through: [...proof], at: formatTime(now()) }
      await commit([{ type: 'put', key: heldKey(digest, proof), value: encode(record) }], `that ${digest} is held`)
    },
    async remove(digest) {
      for (;;) {
        const entries = await read({ ...heldOfRange(digest), limit: commitLimits.maxOperations })
        if (entries.length === 0) return
        await commit(
          entries.map(({ key }) => ({ type: 'delete', key })),
          `that ${digest} is not held`,
        )
      }
    },
    async *list({ after: start } = {}) {
      let after = start
      for (;;) {
        // Page by page: a snapshot that is open for long keeps what was deleted meanwhile on the disk.
        const entries = await read({ ...heldRange(after), limit: pageEntries })
        const byDigest = [...Map.groupBy(entries, ({ key }) => digestOfHeld(key))]
        for (const [i, [digest, proved]] of byDigest.entries()) {
          const goesOn = i === byDigest.length - 1 && entries.length === pageEntries
          const record = recordOf(digest, goesOn ? await read(heldOfRange(digest)) : proved)
          if (record !== undefined) yield record
          after = digest
        }
        if (entries.length < pageEntries) return
      }
    },
  }
}

/** In the order of `keys` each. */
function subsetsOf([first, ...others]: Proof): Proof[] {
  if (first === undefined) return [[]]
  const without = subsetsOf(others)
  return [...without, ...without.map((rest) => [first, ...rest])]
}

function recordOf(digest: Digest, entries: readonly Entry[]): HeldRecord | undefined {
  const size = sizeOf(entries[0])
  return size === undefined
    ? undefined
    : { digest, size, proofs: entries.map((entry) => decode<HeldProofRecord>(entry).through) }
}

function sizeOf(entry: Entry | undefined): number | undefined {
  return entry === undefined ? undefined : decode<HeldProofRecord>(entry).size
}
