import type { StreamName } from '../oci/reference.ts'
import { asOf, revisionWithin } from '../store/as-of.ts'
import type { Store } from '../store/store.ts'
import { decode, ledgerRange, lifeKey, livesRange, streamOfKey, tagKey, tagOfKey, tagsRange } from './keys.ts'
import type { LedgerEntry, LifeRecord } from './records.ts'
import { presentTag, readStream } from './stream-records.ts'
import type { Stream, StreamReader, Tag } from './streams.ts'
import { readWhole } from './whole.ts'
import { readWholes } from './wholes.ts'

/** Most ledger entries read at once unless told otherwise. */
const ledgerPage = 100
const streamsAtOnce = 50

/** Reads streams, tags and ledgers straight from the store. */
export function createStreamReader({ store }: { store: Store }): StreamReader {
  async function uid(name: StreamName): Promise<string | undefined> {
    const life = await store.get(lifeKey(name))
    return life && decode<LifeRecord>(life).uid
  }
  return {
    whole: async (name, { revision } = {}) =>
      asOf(await revisionWithin(store, name.project, revision), (state) => readWhole(store, name, state)),
    wholes: (project, options = {}) => readWholes(store, project, options),
    stream: async (name) => (await readStream(store, name))?.stream,
    streams: (project, options = {}) => listStreams(store, project, options),
    async tag(name, tag) {
      const [living, entry] = await Promise.all([uid(name), store.get(tagKey(name, tag))])
      return presentTag(tag, entry, living)
    },
    async tags(name, { after, limit = Number.POSITIVE_INFINITY } = {}) {
      const living = await uid(name)
      const tags: Tag[] = []
      if (living === undefined || limit <= 0) return tags
      for await (const entry of await store.range(tagsRange(name, after))) {
        const tag = presentTag(tagOfKey(entry.key), entry, living)
        if (tag !== undefined && tags.push(tag) >= limit) break
      }
      return tags
    },
    async ledger(name, tag, { before, limit = ledgerPage } = {}) {
      const entries: LedgerEntry[] = []
      if (limit <= 0) return entries
      for await (const entry of await store.range({ ...ledgerRange(name, tag, before), limit })) {
        entries.push(decode<LedgerEntry>(entry))
      }
      return entries
    },
  }
}

async function listStreams(
  store: Store,
  project: string | undefined,
  { after, limit = Number.POSITIVE_INFINITY }: { after?: StreamName; limit?: number },
): Promise<Stream[]> {
  const streams: Stream[] = []
  const pending: StreamName[] = []
  const take = async () => {
    const read = await Promise.all(pending.splice(0).map((name) => readStream(store, name)))
    streams.push(...read.flatMap((found) => (found === undefined ? [] : [found.stream])))
  }
  if (limit <= 0) return streams
  for await (const { key } of await store.range(livesRange(project, after))) {
    pending.push(streamOfKey(key))
    if (pending.length >= Math.min(streamsAtOnce, limit - streams.length)) await take()
    if (streams.length >= limit) break
  }
  await take()
  return streams
}
