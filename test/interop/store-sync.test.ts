import { expect, test } from 'vitest'
import { run } from './store-sync.ts'

test('I6: no commit is acknowledged before its fdatasync, and the trace would show it', async () => {
  const { passed, failed, details } = await run()
  for (const detail of details) console.log(detail)
  expect({ passed, failed }, details.join('\n')).toEqual({ passed: 2, failed: 0 })
})
