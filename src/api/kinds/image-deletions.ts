import { z } from 'zod'
import type { Deletions } from '../../deletions.ts'
import { type Digest, parseDigest } from '../../oci/digest.ts'
import { type ErrorSubject, type FieldCause, RegistryError } from '../../oci/errors.ts'
import { isTag } from '../../oci/reference.ts'
import { parseObject } from '../body.ts'
import { invalid, required, requireValid } from '../fields.ts'
import { imageGroup, weirGroup } from '../groups.ts'
import { streamName, withMetadata } from '../metadata.ts'
import type { Resource } from '../resource.ts'
import { imageDeletionSchema } from '../schemas/image-deletions.ts'
import { changeCause } from './change-cause.ts'

export interface ImageDeletionsOptions {
  deletions: Pick<Deletions, 'tag' | 'image'>
}

const group = weirGroup
const resource = 'imagedeletions'
/** Of what was asked for, as messages quote it. */
const maxNameLength = 400

const text = z.string().nullish()
const wish = z.object({
  spec: z.object({ stream: text, image: text, tag: text, dryRun: z.boolean().nullish(), reason: text }).nullish(),
})

/**
 * Deletes what `DELETE /v2/...` deletes, by the same right, and tells what went along; a dry run tells what would. What is sent is not
 * stored.
 */
export function imageDeletions({ deletions }: ImageDeletionsOptions): Resource {
  return {
    group,
    version: 'v1',
    resource,
    singular: 'imagedeletion',
    kind: 'ImageDeletion',
    namespaced: true,
    schema: imageDeletionSchema,
    admission: { create: 'handler' },
    dryRun: true,
    handlers: {
      async create({ project, subject, client, options, require }, body) {
        const spec = parseObject(wish, body).spec ?? {}
        const { metadata } = parseObject(withMetadata, body)
        const stream = spec.stream ?? ''
        require({ verb: 'delete', group: imageGroup, resource: 'imagestreams/layers', name: stream, project })
        const causes = checkStream(stream)
        const target = readTarget(spec, causes)
        const name = `${stream}${spec.image ? `@${spec.image}` : `:${spec.tag ?? ''}`}`.slice(0, maxNameLength)
        const about = { name, kind: resource, group }
        requireValid(causes, about)
        if (target === undefined) throw new TypeError('what has no target has causes')
        const dryRun = options.dryRun || spec.dryRun === true
        const cause = changeCause(metadata, spec.reason)
        const why = { by: subject.name, client: client.userAgent.slice(0, 256), dryRun, ...cause }
        const within = { project, stream }
        const { tags, manifests } = await refusable(about, () =>
          'image' in target ? deletions.image(within, target.image, why) : deletions.tag(within, target.tag, why),
        )
        return {
          metadata: { name, namespace: project, creationTimestamp: null },
          spec: { stream, ...target, dryRun, ...cause },
          status: { tags, manifests, dryRun },
        }
      },
    },
  }
}

/** @param causes is told what is wrong */
function readTarget(
  { image, tag }: { image?: string | null | undefined; tag?: string | null | undefined },
  causes: FieldCause[],
): { image: Digest } | { tag: string } | undefined {
  const digest = image ? parseDigest(image) : undefined
  if (image && tag) causes.push(invalid('spec.tag', tag, 'name an image or a tag, not both'))
  else if (image && digest === undefined) causes.push(invalid('spec.image', image, 'must be a digest: sha256:...'))
  else if (digest !== undefined) return { image: digest }
  else if (!tag) causes.push(required('spec.image', 'what is to go, here or in spec.tag'))
  else if (isTag(tag)) return { tag }
  else causes.push(invalid('spec.tag', tag, "must be at most 128 letters, digits, '_', '.' or '-'"))
  return undefined
}

function checkStream(stream: string): FieldCause[] {
  if (stream === '') return [required('spec.stream', 'the image stream')]
  const bad = streamName(stream)
  return bad === undefined ? [] : [invalid('spec.stream', stream, bad)]
}

/** A tag that may not go is told as everywhere in the API: 422, with the words of each as a cause. */
async function refusable<T>(subject: ErrorSubject, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { cause } = error as { cause?: unknown }
    const isRefusal = error instanceof RegistryError && error.code === 'DENIED' && cause instanceof RegistryError
    if (!isRefusal || cause.causes.length === 0) throw error
    const causes = cause.causes.map((each) => ({ ...each, field: 'spec' }))
    throw new RegistryError('INVALID', { message: error.message, causes, subject, cause: error })
  }
}
