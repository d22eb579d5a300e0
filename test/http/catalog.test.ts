import { expect, test } from 'vitest'
import { anonymous } from '../../src/access/access.ts'
import { visibleStreams } from '../../src/http/catalog.ts'
import type { Stream } from '../../src/streams/streams.ts'

test('a catalog lets others have their turn, however many streams nobody may see', async () => {
  const streams = Array.from({ length: 500 }, (_, i) => ({ project: 'demo', stream: `s${i}` }) as Stream)
  const asked: number[] = []
  let turns = 0
  let others = setImmediate(function turn() {
    turns += 1
    others = setImmediate(turn)
  })
  const authorizer = {
    can: () => {
      asked.push(turns)
      return false
    },
  }
  const reader = { streams: async (_project: unknown, { after }: { after?: unknown } = {}) => (after ? [] : streams) }
  expect(await visibleStreams({ authorizer, reader }, anonymous, undefined, 10)).toEqual([])
  clearImmediate(others)
  expect(asked).toHaveLength(500)
  expect(new Set(asked).size).toBeGreaterThan(5)
})
