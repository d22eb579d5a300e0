import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { nextLinkRange, streamOfKey } from '../streams/keys.ts'

/** All streams that have links, those that were deleted too. */
export async function* linkedStreams(store: Pick<Store, 'range'>): AsyncGenerator<StreamName, void> {
  let after: StreamName | undefined
  for (;;) {
    const [entry] = await Array.fromAsync(await store.range(nextLinkRange(after)))
    if (entry === undefined) return
    after = streamOfKey(entry.key)
    yield after
  }
}
