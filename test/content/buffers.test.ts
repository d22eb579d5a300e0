import { expect, test } from 'vitest'
import { bufferBytes, createBuffers } from '../../src/content/buffers.ts'

const MiB = 1024 * 1024

test('the first few who read held bytes get large buffers, the others small ones, until one gives his back', () => {
  const buffers = createBuffers()
  const large = Array.from({ length: 4 }, () => buffers.takeForDisk())
  expect(large.map(({ length }) => length)).toEqual([4 * MiB, 4 * MiB, 4 * MiB, 4 * MiB])
  expect(buffers.takeForDisk()).toHaveLength(MiB / 2)
  expect(buffers.take()).toHaveLength(bufferBytes)
  for (const buffer of large.splice(0, 1)) buffers.give(buffer)
  expect(buffers.takeForDisk()).toHaveLength(4 * MiB)
  expect(buffers.takeForDisk()).toHaveLength(MiB / 2)
})

test('what is given back is used again, and of each size no more than 16 MiB is kept', () => {
  const buffers = createBuffers()
  const taken = Array.from({ length: 40 }, () => buffers.take())
  for (const buffer of taken) buffers.give(buffer)
  const again = Array.from({ length: 40 }, () => buffers.take())
  expect(again.filter((buffer) => taken.includes(buffer))).toHaveLength(16)
})

test('a buffer of another length is let go', () => {
  const buffers = createBuffers()
  const foreign = Buffer.alloc(100)
  buffers.give(foreign)
  expect([buffers.take(), buffers.takeForDisk()]).not.toContain(foreign)
})
