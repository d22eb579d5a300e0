import { z } from 'zod'
import { anonymous, type Subject } from '../../access/access.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import { isTag } from '../../oci/reference.ts'
import type { Retention } from '../../retention.ts'
import { parseObject } from '../body.ts'
import { invalid, required, requireValid } from '../fields.ts'
import { imageGroup, weirGroup } from '../groups.ts'
import { streamName } from '../metadata.ts'
import type { Resource } from '../resource.ts'
import { prefetchSchema } from '../schemas/prefetches.ts'

export interface PrefetchesOptions {
  retention: Pick<Retention, 'prefetch'>
}

const group = weirGroup
const resource = 'prefetches'

const wish = z.object({ spec: z.object({ stream: z.string().nullish(), tag: z.string().nullish() }).nullish() })

/**
 * Wants all that a tag needs held now, whatever its policy says. What is sent is not stored: asking again is how a client follows
 * it. Who may pull the stream may, since pulls would fetch the same, and has a name: what is fetched for a prefetch is kept.
 */
export function prefetches({ retention }: PrefetchesOptions): Resource {
  return {
    group,
    version: 'v1',
    resource,
    singular: 'prefetch',
    kind: 'Prefetch',
    namespaced: true,
    schema: prefetchSchema,
    admission: { create: 'handler' },
    handlers: {
      async create({ project, subject, require }, body) {
        const { spec } = parseObject(wish, body)
        const stream = spec?.stream ?? ''
        const tag = spec?.tag ?? ''
        require({ verb: 'get', group: imageGroup, resource: 'imagestreams/layers', name: stream, project })
        requireLogin(subject, `${stream}:${tag}`)
        requireValid(checkWish(stream, tag), { name: `${stream}:${tag}`, kind: resource, group })
        const status = await retention.prefetch({ project, stream }, tag, subject.name)
        const metadata = { name: `${stream}:${tag}`, namespace: project, creationTimestamp: null }
        return { metadata, spec: { stream, tag }, status }
      },
    },
  }
}

function requireLogin({ name: user }: Subject, name: string): void {
  if (user !== anonymous.name) return
  throw new RegistryError('FORBIDDEN', {
    message: `${resource}.${group} ${JSON.stringify(name)} is forbidden: it is for who has a name: log in (weir login), or pull instead`,
    subject: { name, group, kind: resource },
  })
}

function checkWish(stream: string, tag: string): FieldCause[] {
  const causes: FieldCause[] = []
  const badStream = stream === '' ? undefined : streamName(stream)
  if (stream === '') causes.push(required('spec.stream', 'the image stream of the tag'))
  if (badStream !== undefined) causes.push(invalid('spec.stream', stream, badStream))
  if (tag === '') causes.push(required('spec.tag', 'which tag is meant'))
  else if (!isTag(tag)) causes.push(invalid('spec.tag', tag, "must be at most 128 letters, digits, '_', '.' or '-'"))
  return causes
}
