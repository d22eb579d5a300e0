import { setImmediate } from 'node:timers/promises'
import type { Authorizer, Subject } from '../access/access.ts'
import { parseStreamName } from '../oci/reference.ts'
import type { StreamReader } from '../streams/streams.ts'

export interface CatalogDeps {
  reader: Pick<StreamReader, 'streams'>
  authorizer: Pick<Authorizer, 'can'>
}

const batchSize = 500

/** Rights asked for before others get their turn: a project's owner may have bound everybody to very many roles. */
const rightsAtOnce = 50

/** The first `count` repositories after `last`, in byte order, that `subject` may pull. */
export async function visibleStreams(
  { reader, authorizer }: CatalogDeps,
  subject: Subject,
  last: string | undefined,
  count: number,
): Promise<string[]> {
  const visible: string[] = []
  let after = last === undefined ? undefined : parseStreamName(last)
  while (visible.length < count) {
    const batch = await reader.streams(undefined, { ...(after === undefined ? {} : { after }), limit: batchSize })
    for (const [i, { project, stream }] of batch.entries()) {
      if (i % rightsAtOnce === 0) await setImmediate()
      if (authorizer.can(subject, 'get', 'image.openshift.io', 'imagestreams/layers', stream, project)) {
        visible.push(`${project}/${stream}`)
      }
    }
    after = batch.at(-1)
    if (batch.length < batchSize) break
  }
  return visible.slice(0, count)
}
