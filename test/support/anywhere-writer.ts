import { parseDigest } from '../../src/oci/digest.ts'
import type { Store } from '../../src/store/store.ts'
import { decode, encode, lifeKey, linkKey } from '../../src/streams/keys.ts'
import type { LifeRecord } from '../../src/streams/records.ts'
import type { StreamWriter } from '../../src/streams/streams.ts'
import { createStreamWriter, type StreamWriterOptions } from '../../src/streams/writer.ts'

/** Moves tags to images whether or not their streams have links of them: for tests that are not about images. */
export function anywhereWriter(options: StreamWriterOptions): StreamWriter {
  return createStreamWriter({ ...options, store: linkedStore(options.store) })
}

/** A store in which streams that live have links of whatever they are asked for, as far as commits are conditioned on those. */
function linkedStore(store: Store): Store {
  return {
    ...store,
    async get(key) {
      const entry = await store.get(key)
      const [kind, project = '', stream = '', digest = ''] = key.split('/')
      const image = parseDigest(digest)
      if (kind !== 'link' || image === undefined || key !== linkKey({ project, stream }, image)) return entry
      const life = await store.get(lifeKey({ project, stream }))
      if (life === undefined) return entry
      const { uid } = decode<LifeRecord>(life)
      return { key, revision: entry?.revision ?? 0, value: encode({ uid }) }
    },
    commit: (commit) => store.commit(commit),
    range: (query, options) => store.range(query, options),
    ranges: (queries, options) => store.ranges(queries, options),
  }
}
