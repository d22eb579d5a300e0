import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestAlgorithm, digestHex, digestOf, hashedDigest, hashFor, parseDigest } from '../../src/oci/digest.ts'

const algorithm = fc.constantFrom('sha256' as const, 'sha512' as const)
const bytes = fc.uint8Array({ maxLength: 200 })

describe('digest', () => {
  test('of any bytes is parsed back as itself', () => {
    fc.assert(
      fc.property(bytes, algorithm, (content, name) => {
        const digest = digestOf(content, name)
        expect(parseDigest(digest)).toBe(digest)
        expect(digestAlgorithm(digest)).toBe(name)
        expect(digestHex(digest)).toBe(createHash(name).update(content).digest('hex'))
      }),
      { numRuns: 200 },
    )
  })

  test('does not depend on the pieces in which the bytes came', () => {
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 5 }), algorithm, (pieces, name) => {
        const whole = digestOf(Buffer.concat(pieces), name)
        const hash = hashFor(whole)
        for (const piece of pieces) hash.update(piece)
        expect(hashedDigest(hash, whole)).toBe(whole)
      }),
      { numRuns: 200 },
    )
  })

  test('differs when one bit of the bytes differs', () => {
    const flip = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(), fc.nat({ max: 7 }))
    fc.assert(
      fc.property(flip, algorithm, ([content, at, bit], name) => {
        const changed = Buffer.from(content)
        const i = at % changed.length
        changed[i] = (changed[i] ?? 0) ^ (1 << bit)
        expect(digestOf(changed, name)).not.toBe(digestOf(content, name))
      }),
      { numRuns: 200 },
    )
  })

  test('is refused with any one character changed, added or removed', () => {
    const edit = fc.tuple(algorithm, fc.nat(), fc.string({ minLength: 0, maxLength: 1 }), fc.boolean())
    fc.assert(
      fc.property(edit, ([name, at, replacement, keep]) => {
        const digest = digestOf('content', name)
        const i = at % (digest.length + 1)
        const edited = digest.slice(0, i) + replacement + digest.slice(keep ? i : i + 1)
        const stillOne =
          edited === digest || (edited.length === digest.length && /^sha(256|512):[a-f0-9]+$/.test(edited))
        expect(parseDigest(edited) !== undefined).toBe(stillOne)
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    '',
    'sha256:',
    `sha256:${'a'.repeat(63)}`,
    `sha256:${'A'.repeat(64)}`,
    `SHA256:${'a'.repeat(64)}`,
    `sha256:${'a'.repeat(64)}\n`,
    ` sha256:${'a'.repeat(64)}`,
    `sha512:${'a'.repeat(64)}`,
    `sha384:${'a'.repeat(96)}`,
    `sha256:${'a'.repeat(58)}../../`,
    `sha256%3A${'a'.repeat(64)}`,
  ])('refuses %j', (value) => {
    expect(parseDigest(value)).toBeUndefined()
  })
})
