import { setImmediate } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openDatabase } from '../../src/store/database.ts'
import type { LogRow, StoreState } from '../../src/store/encoding.ts'
import { createRecentChanges } from '../../src/store/recent-changes.ts'
import { createWatchers } from '../../src/store/watchers.ts'
import { testSignal } from '../contracts/store.ts'
import { temporaryDirectory } from '../support/directory.ts'

const stateAt = (revision: number): StoreState => ({ revision, compacted: 0, logged: ['tag/', 'object/'] })
const row = (revision: number, key: string): LogRow => ({
  revision,
  changes: [{ key, value: '{}', previous: undefined }],
  size: 10,
})

test('what is announced twice before a watch comes to look is not lost', async () => {
  const database = await openDatabase(await temporaryDirectory())
  onTestFinished(() => database.close())
  const watchers = createWatchers({
    database,
    state: stateAt(0),
    recent: createRecentChanges(0),
    progressIntervalMs: 60_000,
  })
  const next = watchers.watch(['tag/'], { signal: testSignal() })[Symbol.asyncIterator]().next()
  await setImmediate()
  watchers.announce(stateAt(1), [row(1, 'tag/a')])
  watchers.announce(stateAt(2), [row(2, 'object/x')])
  watchers.announce(stateAt(3), [row(3, 'tag/a')])
  expect((await next).value?.revision).toBe(1)
})
