import { randomInt } from 'node:crypto'
import type { Digest } from '../oci/digest.ts'

/** Bits by digest, in about 20 bytes each: passes over a large store keep hundreds of thousands. */
export interface DigestTable {
  readonly size: number
  /** The bits of a digest; 0 when it has none. */
  get(digest: Digest): number
  /** Sets bits besides those that are set, and answers those that were set before. `bits` is 1 to 65535. */
  add(digest: Digest, bits: number): number
}

/** Hexadecimal digits that tell digests apart: 52 bits, which a number holds exactly. */
const keyDigits = 13
/** What stands before the hexadecimal digits: `sha256:`. */
const algorithmLength = 7
const shortestHex = 64
const firstSlots = 64

/**
 * Makes an empty table. It knows digests by 13 of their digits, which ones is chosen anew for each table: nobody can make
 * digests that collide. Those that collide by chance share their bits, so bits must mean "keep".
 */
export function createDigestTable(): DigestTable {
  const from = algorithmLength + randomInt(shortestHex - keyDigits + 1)
  let keys = new Float64Array(firstSlots)
  let values = new Uint16Array(firstSlots)
  let size = 0

  /** Where a key is, or would be. */
  function slotOf(key: number): number {
    let slot = key % keys.length
    while (keys[slot] !== 0 && keys[slot] !== key) slot = (slot + 1) % keys.length
    return slot
  }

  function keyOf(digest: Digest): number {
    // 0 stands for an empty slot.
    return Number.parseInt(digest.slice(from, from + keyDigits), 16) + 1
  }

  function grow(): void {
    const before = { keys, values }
    keys = new Float64Array(before.keys.length * 2)
    values = new Uint16Array(keys.length)
    for (const [i, key] of before.keys.entries()) {
      if (key === 0) continue
      const slot = slotOf(key)
      keys[slot] = key
      values[slot] = before.values[i] ?? 0
    }
  }

  return {
    get size() {
      return size
    },
    get: (digest) => values[slotOf(keyOf(digest))] ?? 0,
    add(digest, bits) {
      const key = keyOf(digest)
      let slot = slotOf(key)
      const before = values[slot] ?? 0
      if (keys[slot] === 0) {
        size += 1
        if (size * 2 > keys.length) {
          grow()
          slot = slotOf(key)
        }
        keys[slot] = key
      }
      values[slot] = before | bits
      return before
    },
  }
}
