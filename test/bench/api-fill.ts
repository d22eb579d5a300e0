/** Fills the store of a stopped Weir with more than any client would send in a while. */
import { join } from 'node:path'
import type { Digest } from '../../src/oci/digest.ts'
import { createLevelStore } from '../../src/store/level.ts'
import type { Store } from '../../src/store/store.ts'
import { eventKey, tagKey } from '../../src/streams/keys.ts'
import type { LedgerEntry, TagRecord } from '../../src/streams/records.ts'
import type { TagChange } from '../../src/streams/streams.ts'
import { createStreamWriter } from '../../src/streams/writer.ts'

/** What a tag of the filled streams stands at. */
export interface Filling {
  digest: Digest
  mediaType: string
  reference: string
}

const batchEntries = 90
const parallel = 32

/** Opens the store of a data directory, lets `fill` write, and closes it. */
export async function fillStore(data: string, fill: (store: Store) => Promise<void>): Promise<void> {
  const store = await createLevelStore({ directory: join(data, 'store'), logged: ['object/'] })
  await fill(store)
  await store.close()
}

/** Makes `count` streams with `tagsEach` tags each, all at the same image. */
export async function fillStreams(
  store: Store,
  project: string,
  count: number,
  tagsEach: number,
  { digest, mediaType, reference }: Filling,
): Promise<void> {
  const writer = createStreamWriter({ store, now: Date.now })
  const tags = new Map<string, TagChange>()
  for (let i = 0; i < tagsEach; i += 1) {
    const name = `v${i}`
    tags.set(name, {
      spec: {
        name,
        annotations: null,
        from: { kind: 'DockerImage', name: reference },
        importPolicy: {},
        referencePolicy: { type: 'Local' },
      },
      event: { image: digest, mediaType, dockerImageReference: reference, cause: { kind: 'import', by: 'bench' } },
    })
  }
  for (let done = 0; done < count; done += parallel) {
    const names = Array.from(
      { length: Math.min(parallel, count - done) },
      (_, i) => `s${String(done + i).padStart(6, '0')}`,
    )
    await Promise.all(
      names.map((stream) => writer.changeStream({ project, stream }, () => ({ tags }), { create: true })),
    )
  }
}

/** Gives a tag that has a revision a ledger of `revisions`, as if it had moved so often. */
export async function fillLedger(
  store: Store,
  name: { project: string; stream: string },
  tag: string,
  revisions: number,
): Promise<void> {
  const stored = await store.get(tagKey(name, tag))
  if (stored === undefined) throw new Error(`${name.stream}:${tag} is not there`)
  const record: TagRecord = JSON.parse(stored.value)
  const first = await store.get(eventKey(name, tag, record.revision))
  const entry: LedgerEntry = JSON.parse(first?.value ?? '')
  for (let revision = record.revision + 1; revision <= revisions; revision += batchEntries) {
    const operations = Array.from({ length: Math.min(batchEntries, revisions - revision + 1) }, (_, i) => ({
      type: 'put' as const,
      key: eventKey(name, tag, revision + i),
      value: JSON.stringify({ ...entry, revision: revision + i }),
    }))
    await store.commit({ operations })
  }
  const moved = { ...record, revision: revisions, current: revisions }
  await store.commit({ operations: [{ type: 'put', key: tagKey(name, tag), value: JSON.stringify(moved) }] })
}
