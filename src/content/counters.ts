import type { ContentCounters } from './content.ts'

/** The counters of a content store, as its parts write them. */
export type Counters = { -readonly [K in keyof ContentCounters]: ContentCounters[K] }

export function createCounters(): Counters {
  return {
    heldBytes: 0,
    uploadBytes: 0,
    upstreamBytes: 0,
    deliveredBytes: 0,
    downloads: 0,
    resumes: 0,
    streamedThrough: 0,
    quarantined: 0,
    problem: undefined,
  }
}
