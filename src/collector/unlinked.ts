import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { createMirror } from '../store/mirror.ts'
import type { Store } from '../store/store.ts'
import { decode, imageIndexPrefix, placeOfImage } from '../streams/keys.ts'
import type { ImageIndexRecord } from '../streams/records.ts'

export interface UnlinkedOptions {
  /** Must log the index of images. */
  store: Store
  /** Told of a stream, by its uid, and of manifests of it whose links were removed; nothing stands for every stream. */
  onUnlinked(uid?: string, name?: StreamName, digests?: readonly Digest[]): void
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
      const byStream = Map.groupBy(gone, (entry) => decode<ImageIndexRecord>(entry).uid)
      for (const [uid, entries] of byStream) {
        const places = entries.map(({ key }) => placeOfImage(key))
        const [name] = places
        const digests = places.map(({ digest }) => digest)
        if (name !== undefined) onUnlinked(uid, { project: name.project, stream: name.stream }, digests)
      }
    },
    reset: () => onUnlinked(),
    signal,
  })
}
