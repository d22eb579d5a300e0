import { expect, test } from 'vitest'
import { createLineQueue, type LineQueue } from '../../src/audit/line-queue.ts'

const log = { info: () => undefined, warn: () => undefined }

test('a flush waits for what was added before, not for what others add all the time', async () => {
  const written: string[] = []
  let more = 100
  const queue: LineQueue = createLineQueue({
    sink: {
      async append(lines) {
        written.push(...lines.toString().trimEnd().split('\n'))
        if (more-- > 0) queue.add(`later ${more}\n`)
        return { written: lines.length }
      },
      close: async () => undefined,
    },
    log,
  })
  queue.add('first\n')
  queue.add('second\n')
  await queue.flush()
  expect(written).toEqual(['first', 'second'])
  await queue.close()
  expect(written).toHaveLength(102)
  expect(queue.lost).toBe(0)
  await queue.flush()
})
