import type { StreamName } from '../oci/reference.ts'
import type { WholeStream } from './streams.ts'

/** What one revision did to one stream. */
export interface StreamMove extends StreamName {
  /** As it was; undefined when the stream was created. Without tags where nothing asked about the stream before. */
  before: WholeStream | undefined
  /** As it is from this revision on; undefined when the stream was deleted. */
  after: WholeStream | undefined
  /** The tags whose records changed. Of a stream that was created or deleted, or whose object changed, all of them. */
  tags: readonly string[]
}

/** All that one revision did to streams, or, with no moves, the news that time went on to `revision`. */
export interface StreamMoves {
  revision: number
  moves: readonly StreamMove[]
}

/** Follows image streams with their tags, each revision exactly as it was. */
export interface StreamChanges {
  /**
   * Every revision after `since` once and in order, then as they come, and progress at least every second.
   *
   * @throws CompactedError (from the iterator) when `since` is too old
   */
  follow(options: { since: number; signal: AbortSignal }): AsyncIterable<StreamMoves>
}
