import type { ObjectReference, TagReference } from './api.ts'

const trackAnnotation = 'weir.dev/track'

/** A policy that chooses among the tags of a repository, both as they were written. */
export interface Tracking {
  policy: string
  repository: string
}

interface Sourced {
  wanted: TagReference | undefined
  from: ObjectReference | undefined
}

/** Undefined of a tag that follows what its source names. */
export function trackingOf({ from, wanted }: Sourced): Tracking | undefined {
  const policy = wanted?.annotations?.[trackAnnotation]
  if (policy === undefined || from?.kind !== 'DockerImage' || wanted?.reference === true) return undefined
  // A digest names one image, and there is nothing to choose.
  return from.name.includes('@') ? undefined : { policy, repository: from.name.replace(/:[^:/]*$/, '') }
}
