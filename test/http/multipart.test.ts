import fc from 'fast-check'
import { expect, test } from 'vitest'
import { layOutMultipart } from '../../src/http/multipart.ts'
import { parseMultipart } from './parse-multipart.ts'

const type = 'application/octet-stream'

test('a body is as long as it was laid out, and gives each part back in the order asked', () => {
  const extent = fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 200 })).map(([offset, length]) => ({ offset, length }))
  const input = fc.tuple(
    fc.array(extent, { minLength: 1, maxLength: 64 }),
    fc.uint8Array({ minLength: 400, maxLength: 400 }),
  )
  fc.assert(
    fc.property(input, ([extents, content]) => {
      const blob = Buffer.from(content)
      const { contentType, contentLength, parts, end } = layOutMultipart(extents, blob.length, type)
      const slices = parts.flatMap(({ head, extent: { offset, length } }) => [
        head,
        blob.subarray(offset, offset + length),
      ])
      const body = Buffer.concat([...slices, end])
      expect(body.length).toBe(contentLength)
      const expected = extents.map(({ offset, length }) => ({
        headers: { 'Content-Type': type, 'Content-Range': `bytes ${offset}-${offset + length - 1}/${blob.length}` },
        bytes: blob.subarray(offset, offset + length),
      }))
      expect(parseMultipart(contentType, body)).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})

test('sizes that no file has yet are laid out exactly', () => {
  const size = Number.MAX_SAFE_INTEGER
  const extents = [
    { offset: 0, length: 1 },
    { offset: size - 1, length: 1 },
  ]
  const { contentLength, parts, end } = layOutMultipart(extents, size, type)
  expect(contentLength).toBe(parts.reduce((sum, { head }) => sum + head.length, end.length) + 2)
  expect(parts[1]?.head.toString()).toContain(`Content-Range: bytes ${size - 1}-${size - 1}/${size}\r\n`)
})

test('no two bodies have the same boundary, and every client takes it unquoted', () => {
  const types = Array.from({ length: 100 }, () => layOutMultipart([{ offset: 0, length: 1 }], 1, type).contentType)
  expect(new Set(types).size).toBe(100)
  for (const each of types) expect(each).toMatch(/^multipart\/byteranges; boundary=[0-9a-f]{32,70}$/)
})
