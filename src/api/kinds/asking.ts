import type { Asking } from '../../tagging.ts'
import { imageGroup } from '../groups.ts'
import type { SentMetadata } from '../metadata.ts'
import type { Call } from '../resource.ts'
import { changeCause } from './change-cause.ts'

/** Who asks for a change of tags, as the flows want to know it. */
export function askingOf(call: Call, metadata: Pick<SentMetadata, 'annotations'> | null | undefined): Asking {
  const layers = { verb: 'get', group: imageGroup, resource: 'imagestreams/layers' }
  return {
    by: call.subject.name,
    as: call.subject,
    ...changeCause(metadata),
    mayPull: ({ project, stream }) => call.can({ ...layers, name: stream, project }),
    dryRun: call.options.dryRun,
  }
}

/** What the client saw of an object that it writes back. */
export function seenOf(metadata: Pick<SentMetadata, 'uid' | 'resourceVersion'> | null | undefined) {
  const { uid, resourceVersion } = metadata ?? {}
  return { ...(uid ? { uid } : {}), ...(resourceVersion ? { resourceVersion } : {}) }
}
