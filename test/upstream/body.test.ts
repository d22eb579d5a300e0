import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { guardedBody, readWhole } from '../../src/upstream/body.ts'

const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }).map(Buffer.from), { maxLength: 10 })
const asFailure = (cause: unknown): Error => new Error('failed', { cause })

describe('readWhole()', () => {
  test('gives all bytes up to its limit, and beyond it nothing', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, fc.nat({ max: 300 }), async (pieces, maxBytes) => {
        const whole = Buffer.concat(pieces)
        const source = Readable.from(pieces)
        const bytes = await readWhole(source, maxBytes)
        expect(bytes).toEqual(whole.length <= maxBytes ? whole : undefined)
        expect(source.destroyed).toBe(true)
      }),
      { numRuns: 200 },
    )
  })
})

describe('guardedBody()', () => {
  test('passes on what came, and fails exactly when its length is not the one promised', async () => {
    await fc.assert(
      fc.asyncProperty(chunks, fc.option(fc.nat({ max: 200 }), { nil: undefined }), async (pieces, length) => {
        const whole = Buffer.concat(pieces)
        const outcome = await guardedBody(Readable.from(pieces), length, asFailure)
          .toArray()
          .then((read) => Buffer.concat(read))
          .catch((error: Error) => error.message)
        expect(outcome).toEqual(length === undefined || length === whole.length ? whole : 'failed')
      }),
      { numRuns: 300 },
    )
  })

  test('reads no more than it has room for ahead of its reader', async () => {
    let made = 0
    const source = new Readable({
      read() {
        made += 1
        this.push(made > 1024 ? null : Buffer.alloc(64 * 1024))
      },
    })
    const body = guardedBody(source, undefined, asFailure)
    while (!source.isPaused()) await setImmediate()
    expect(body.readableLength).toBeLessThanOrEqual(512 * 1024)
    expect(Buffer.concat(await body.toArray())).toHaveLength(1024 * 64 * 1024)
  })

  test('fails with what is made of the error of the source', async () => {
    const source = new Readable({ read: () => undefined })
    const body = guardedBody(source, undefined, asFailure)
    const cause = new Error('reset')
    source.destroy(cause)
    await expect(body.toArray()).rejects.toMatchObject({ message: 'failed', cause })
  })

  test('destroys the source when its reader leaves', () => {
    const source = new Readable({ read: () => undefined })
    guardedBody(source, undefined, asFailure).destroy()
    expect(source.destroyed).toBe(true)
  })
})
