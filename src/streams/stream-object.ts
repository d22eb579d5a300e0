import type { StoredObject } from '../store/objects.ts'
import type { Stream } from './streams.ts'

/** What a client sets of a stream besides its tags. */
export type ObjectFields = Pick<
  Stream,
  'labels' | 'annotations' | 'lookupPolicy' | 'dockerImageRepository' | 'managedFields'
>

/** `object/imagestreams/<project>/<stream>`: a stored API object whose spec has no tags. */
export interface StreamObject {
  metadata: Omit<StoredObject['metadata'], 'resourceVersion'>
  spec: { lookupPolicy: { local: boolean }; dockerImageRepository?: string }
}

/** The record of a stream's object; what is empty is left out. */
export function objectOf(stream: Stream): StreamObject {
  const { uid, creationTimestamp, labels, annotations, lookupPolicy, dockerImageRepository, managedFields } = stream
  return {
    metadata: {
      name: stream.stream,
      namespace: stream.project,
      uid,
      creationTimestamp,
      ...(Object.keys(labels).length > 0 ? { labels } : {}),
      ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
      ...(managedFields !== undefined && managedFields.length > 0 ? { managedFields } : {}),
    },
    spec: { lookupPolicy, ...(dockerImageRepository ? { dockerImageRepository } : {}) },
  }
}

/** What a client set of a stream, from its record. */
export function fieldsOf({ metadata, spec }: StreamObject): ObjectFields {
  const { labels = {}, annotations = {}, managedFields } = metadata
  return {
    labels,
    annotations,
    lookupPolicy: spec.lookupPolicy,
    ...(spec.dockerImageRepository === undefined ? {} : { dockerImageRepository: spec.dockerImageRepository }),
    ...(managedFields === undefined ? {} : { managedFields }),
  }
}
