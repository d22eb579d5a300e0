import { Readable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { guardedBody, readWhole } from '../../src/upstream/body.ts'
import { arrivingFrom } from '../support/arriving.ts'
import { read } from './start-client.ts'

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
        const outcome = await read(guardedBody(arrivingFrom(Readable.from(pieces)), length, asFailure)).catch(
          (error: Error) => error.message,
        )
        expect(outcome).toEqual(length === undefined || length === whole.length ? whole : 'failed')
      }),
      { numRuns: 300 },
    )
  })

  test('is left as soon as it has more bytes than promised', async () => {
    let made = 0
    const source = new Readable({
      read() {
        made += 1
        this.push(made > 5000 ? null : Buffer.alloc(1000))
      },
    })
    const body = guardedBody(arrivingFrom(source), 2500, asFailure)
    const readOn = async () => {
      while ((await body.read()) !== undefined);
    }
    await expect(readOn()).rejects.toThrow('failed')
    expect(made).toBeLessThan(1000)
    expect(source.destroyed).toBe(true)
  })

  test('fails with what is made of the error of the source', async () => {
    const source = new Readable({ read: () => undefined })
    const body = guardedBody(arrivingFrom(source), undefined, asFailure)
    const cause = new Error('reset')
    source.destroy(cause)
    await expect(body.read()).rejects.toMatchObject({ message: 'failed', cause })
  })

  test('destroys the source when its reader leaves', async () => {
    const source = new Readable({ read: () => undefined })
    const body = guardedBody(arrivingFrom(source), undefined, asFailure)
    const reading = body.read()
    body.close()
    await expect(reading).rejects.toThrow('the body is closed')
    expect(source.destroyed).toBe(true)
  })

  test('gives what came before it broke', async () => {
    const source = Readable.from([Buffer.from('some'), Buffer.from('more')])
    const body = guardedBody(arrivingFrom(source), 100, asFailure)
    expect(String(await body.read())).toBe('some')
    expect(String(await body.read())).toBe('more')
    await expect(body.read()).rejects.toThrow('failed')
    await expect(body.read()).rejects.toThrow('failed')
  })
})
