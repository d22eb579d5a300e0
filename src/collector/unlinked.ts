import { createMirror } from '../store/mirror.ts'
import type { Store } from '../store/store.ts'
import { decode, imageIndexPrefix } from '../streams/keys.ts'
import type { ImageIndexRecord } from '../streams/records.ts'

export interface UnlinkedOptions {
  /** Must log the index of images. */
  store: Store
  /** Told of a living stream's uid when links of it were removed; undefined stands for every stream. */
  onUnlinked(uid: string | undefined): void
  signal: AbortSignal
}

/**
 * Tells of the streams whose links another process removes, so that its pulls find what is added again, and links it anew. Links
 * are in no change log; a manifest that a stream received goes out of the index of images with its link, and before what it names.
 */
export function followUnlinked({ store, onUnlinked, signal }: UnlinkedOptions): void {
  createMirror(store, {
    prefix: imageIndexPrefix,
    preload: false,
    apply(changes) {
      const gone = changes.flatMap(({ value, previous }) => (value === undefined && previous ? [previous] : []))
      for (const uid of new Set(gone.map((entry) => decode<ImageIndexRecord>(entry).uid))) onUnlinked(uid)
    },
    reset: () => onUnlinked(undefined),
    signal,
  })
}
