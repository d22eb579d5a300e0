import { z } from 'zod'
import { integer, object, string } from './fields.ts'
import { metadata } from './metadata.ts'

/** Kinds of `weir.dev/v1`. */

const group = 'dev.weir.v1'

const causeSource = z
  .object({ kind: string('DockerImage, ImageStreamTag or ImageStreamImage.'), name: string('Its name.') })
  .meta({ id: `${group}.CauseSource`, description: 'Where an image came from.' })

const cause = z
  .object({
    kind: string('import, scheduled, push, tag, rollback, delete or follow.'),
    by: string('Who did it.'),
    reason: string('Why, in the words of who did it.'),
    from: object(causeSource, 'Where the image came from.'),
    client: string('Of a push: what the client says it is, its User-Agent.'),
    restoredRevision: integer('Of a rollback: the revision whose image the tag stands at again.'),
  })
  .meta({ id: `${group}.Cause`, description: 'Why a tag moved.' })

export const tagEventSchema = z
  .object({
    metadata,
    stream: string('The image stream of the tag.'),
    tag: string('The tag.'),
    revision: integer('Numbers the events of a tag, from 1.'),
    image: string('The digest that the tag went to; empty when it was deleted.'),
    previousImage: string('The digest that the tag came from.'),
    mediaType: string('The media type of the manifest.'),
    dockerImageReference: string('Where the image can be pulled from.'),
    generation: integer('The generation of the wish that this fulfilled.'),
    cause: object(cause, 'Why the tag moved.'),
    to: z
      .union([z.int(), z.string()])
      .nullish()
      .describe('Sent with kind Rollback: the revision or digest to go back to. Default: the one before.'),
    reason: string('Sent with the kinds Rollback and Resume: why.'),
  })
  .meta({
    id: `${group}.TagEvent`,
    description:
      'One move of a tag, in its ledger. Sent with kind Rollback, an event takes the tag back and holds it there; with kind Resume, the tag goes on to what its source has.',
  })
