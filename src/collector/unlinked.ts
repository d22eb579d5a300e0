import { createMirror } from '../store/mirror.ts'
import type { Store } from '../store/store.ts'
import { decode, imageIndexPrefix, placeOfImage } from '../streams/keys.ts'
import type { ImageIndexRecord } from '../streams/records.ts'

export interface UnlinkedOptions {
  /** Must log the index of images. */
  store: Store
  /** Told of a living stream's uid and project when links of it were removed; nothing stands for every stream. */
  onUnlinked(uid?: string, project?: string): void
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
      const streams = new Map(gone.map((entry) => [decode<ImageIndexRecord>(entry).uid, placeOfImage(entry.key)]))
      for (const [uid, { project }] of streams) onUnlinked(uid, project)
    },
    reset: () => onUnlinked(),
    signal,
  })
}
