import { expect, test } from 'vitest'
import { bufferBytes } from '../../src/content/buffers.ts'
import { type ReceiveOptions, receive } from '../../src/content/upload-body.ts'
import { live } from './upload-bodies.ts'

const { signal } = new AbortController()

function receiving(body: AsyncIterable<Buffer>, changes: Partial<ReceiveOptions> = {}) {
  const batches: Buffer[][] = []
  const write = async (pieces: readonly Buffer[]) => void batches.push([...pieces])
  const received = receive(body, { signal, requireFit: () => undefined, write, ...changes })
  return { batches, received, text: () => Buffer.concat(batches.flat()).toString() }
}

test('pieces of a byte each are not kept as such', async () => {
  const piece = Buffer.alloc(1)
  async function* one(): AsyncGenerator<Buffer> {
    for (const letter of 'a little at a time'.repeat(5000)) {
      piece.write(letter)
      yield piece
    }
  }
  const { batches, received, text } = receiving(one())
  expect(await received).toEqual({ bytes: 90_000 })
  expect(text()).toBe('a little at a time'.repeat(5000))
  expect(batches.flat().includes(piece)).toBe(false)
})

test('small and large pieces stay in their order', async () => {
  const sizes = [1, 1023, 1024, 3, 20_000, 16 * 1024, 1, 1, 70_000, 500]
  const pieces = sizes.map((size, i) => Buffer.alloc(size, String(i)))
  async function* all(): AsyncGenerator<Buffer> {
    yield* pieces
  }
  const { received, text } = receiving(all())
  await received
  expect(text()).toBe(Buffer.concat(pieces).toString())
})

test('what came is written while its client sends no more', async () => {
  const client = live()
  const { batches, received } = receiving(client.body)
  client.send('a'.repeat(5000))
  client.send('b')
  await expect.poll(() => batches.flat().join('')).toBe(`${'a'.repeat(5000)}b`)
  client.end()
  expect(await received).toEqual({ bytes: 5001 })
})

test('what comes while something is written waits for that, up to a batch; after a failure nothing is written', async () => {
  const client = live()
  const writing = Promise.withResolvers<void>()
  const batches: number[] = []
  const write = async (pieces: readonly Buffer[]) => {
    batches.push(Buffer.concat(pieces).length)
    await writing.promise
  }
  const { received } = receiving(client.body, { write })
  client.send('a'.repeat(2000))
  await expect.poll(() => batches).toEqual([2000])
  client.send(Buffer.alloc(bufferBytes - 1))
  client.send('bc')
  // The fourth piece is asked for once there is room.
  await client.awaited(3)
  expect(batches).toEqual([2000])
  writing.reject(new Error('no room'))
  await expect(received).rejects.toThrow('no room')
  expect(batches).toEqual([2000])
})
