import type { Pins, StreamReader } from '../../streams/streams.ts'
import type { Tagging } from '../../tagging.ts'
import { parseObject } from '../body.ts'
import { imageStreamColumns } from '../columns/image-columns.ts'
import { imageStreamObject } from '../image-objects.ts'
import { withMetadata } from '../metadata.ts'
import type { ApiObject, Call, Subresource } from '../resource.ts'
import { imageStreamSchema } from '../schemas/image-streams.ts'
import { seenOf } from './asking.ts'

export interface StatusOptions {
  reader: Pick<StreamReader, 'whole'>
  tagging: Pick<Tagging, 'hideItems'>
  pins: Pick<Pins, 'reached'>
  registryHost: string
}

/** `imagestreams/status`: a write may take older items out of what is shown (pruning); all else of status is the server's. */
export function statusSubresource({ reader, tagging, pins, registryHost }: StatusOptions): Subresource {
  const get = async ({ project, name }: Call): Promise<ApiObject | undefined> => {
    const whole = await reader.whole({ project, stream: name })
    return whole && imageStreamObject(registryHost, whole)
  }
  return {
    kind: 'ImageStream',
    columns: imageStreamColumns,
    schema: imageStreamSchema,
    dryRun: true,
    handlers: {
      get,
      async update(call, body) {
        const { metadata } = parseObject(withMetadata, body)
        const { status } = parseObject(imageStreamSchema, body)
        const shown = (status?.tags ?? []).map(({ tag, items }) => ({
          tag: tag ?? '',
          items: (items ?? []).map(({ image, created }) => ({ image: image ?? '', created: created ?? '' })),
        }))
        const name = { project: call.project, stream: call.name }
        const { dryRun } = call.options
        const { revision, whole } = await tagging.hideItems(name, shown, seenOf(metadata), { dryRun })
        await pins.reached(revision)
        return { object: imageStreamObject(registryHost, whole) }
      },
    },
  }
}
