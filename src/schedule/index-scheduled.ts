import type { Logger } from 'pino'
import type { Store } from '../store/store.ts'
import { decode, scheduledKey, streamOfKey, tagOfKey, tagPrefix } from '../streams/keys.ts'
import type { TagRecord } from '../streams/records.ts'
import { scheduledRecord } from '../streams/scheduled.ts'

/** Says that every tag that was scheduled before there was an index of them is in it. */
const doneKey = 'meta/scheduled-index'

/** Puts the tags into the index that were scheduled before there was one; once for a store. Never throws. */
export async function indexScheduled({
  store,
  signal,
  log,
}: {
  store: Store
  signal: AbortSignal
  log: Logger
}): Promise<void> {
  try {
    if ((await store.get(doneKey)) !== undefined) return
    const snapshot = await store.range({ prefix: tagPrefix })
    for await (const entry of snapshot) {
      if (signal.aborted) return
      const record = scheduledRecord(decode<TagRecord>(entry))
      if (record === undefined) continue
      const key = scheduledKey(streamOfKey(entry.key), tagOfKey(entry.key))
      // A tag that was changed since has said by itself what it wants.
      const preconditions = [
        { key: entry.key, revision: entry.revision },
        { key, revision: 0 },
      ]
      await store.commit({ operations: [{ type: 'put', key, value: JSON.stringify(record) }], preconditions })
    }
    await store.commit({ operations: [{ type: 'put', key: doneKey, value: '{}' }] })
  } catch (error) {
    if (!signal.aborted)
      log.warn({ err: error }, 'scheduled tags could not all be found, and are looked for at the next start')
  }
}
