import { z } from 'zod'
import { atomicList, boolean, object, string } from './fields.ts'
import { metadata } from './metadata.ts'

const group = 'dev.weir.v1'

const deletionSpec = z
  .object({
    stream: string('The image stream.'),
    image: string('The digest of the image that goes, with all tags that stand there. This, or `tag`.'),
    tag: string('The tag that goes alone; its image stays.'),
    dryRun: boolean('Only tell what would go. The same as `dryRun=All`.'),
    reason: string('Why, for the history of the tags.'),
  })
  .meta({ id: `${group}.ImageDeletionSpec`, description: 'What is to go.' })

const deletionStatus = z
  .object({
    tags: atomicList(z.string(), 'The tags that went, or would go.'),
    manifests: atomicList(
      z.string(),
      'The digests of the image, and of what refers to it, which went, or would go. At most 10,000.',
    ),
    dryRun: boolean('Nothing went.'),
  })
  .meta({ id: `${group}.ImageDeletionStatus`, description: 'What went, or would go.' })

export const imageDeletionSchema = z
  .object({
    metadata,
    spec: object(deletionSpec, 'What is to go.'),
    status: object(deletionStatus, 'What went, or would go. Set by the server.'),
  })
  .meta({
    id: `${group}.ImageDeletion`,
    description:
      'Deletes a tag of an image stream, or an image with its tags and with what refers to it. It is answered when that is done, and not stored.',
  })
