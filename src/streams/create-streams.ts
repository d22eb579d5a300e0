import type { Store } from '../store/store.ts'
import { createStreamChanges, type StreamChanges } from './changes.ts'
import type { ContentPolicy } from './content-policy.ts'
import { createImageChanges, type ImageChanges } from './image-changes.ts'
import { createLinks } from './links.ts'
import { createPins } from './pins.ts'
import type { ProjectUse } from './project-use.ts'
import { createStreamReader } from './reader.ts'
import { createReferrerRecords, type ReferrerRecords } from './referrer-records.ts'
import type { Links, Pins, StreamReader, StreamWriter } from './streams.ts'
import { createStreamWriter } from './writer.ts'

/** Everything that the records of streams are read and written through. */
export interface Streams {
  reader: StreamReader
  writer: StreamWriter
  links: Links
  pins: Pins
  referrerRecords: ReferrerRecords
  changes: StreamChanges
  imageChanges: ImageChanges
}

export interface StreamsOptions {
  /** Must log the prefixes of all records that a stream is made of, and of those that tell which images there are. */
  store: Store
  now: () => number
  /** What holds of tags where no annotation says otherwise; default: they move at once. */
  policy?: ContentPolicy
  /** Counts what projects use; default: nobody does. */
  use?: ProjectUse
  /** Ends the following of changes. */
  signal: AbortSignal
}

/** Wires the parts of streams/ over one store. */
export function createStreams({ store, now, policy, use, signal }: StreamsOptions): Streams {
  return {
    reader: createStreamReader({ store }),
    writer: createStreamWriter({ store, now, ...(policy && { policy }), ...(use && { use }) }),
    links: createLinks({ store, now, ...(use && { use }) }),
    pins: createPins({ store, signal }),
    referrerRecords: createReferrerRecords({ store, now }),
    changes: createStreamChanges({ store }),
    imageChanges: createImageChanges({ store }),
  }
}
