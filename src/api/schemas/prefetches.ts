import { z } from 'zod'
import { integer, object, string } from './fields.ts'
import { metadata } from './metadata.ts'

const group = 'dev.weir.v1'

const prefetchSpec = z
  .object({ stream: string('The image stream of the tag.'), tag: string('The tag.') })
  .meta({ id: `${group}.PrefetchSpec`, description: 'Which tag is meant.' })

const prefetchStatus = z
  .object({
    image: string('The digest that the tag stands at, or is to move to when all of it is held.'),
    state: string('held, fetching or failed.'),
    parts: integer('Manifests and blobs that are needed and known of.'),
    heldParts: integer('How many of them are held.'),
    bytes: integer('The bytes of all parts.'),
    heldBytes: integer('How many of them are held.'),
    message: string('Why it failed the last time; it is tried again. Of what is held, what was left out.'),
    retryAt: string('Of what failed: before which it is not tried again by itself.'),
  })
  .meta({ id: `${group}.PrefetchStatus`, description: 'How much is held of what a tag needs.' })

export const prefetchSchema = z
  .object({
    metadata,
    spec: object(prefetchSpec, 'Which tag is meant.'),
    status: object(prefetchStatus, 'How much is held. Set by the server.'),
  })
  .meta({
    id: `${group}.Prefetch`,
    description:
      'Wants all that a tag needs held, whatever is kept of it otherwise. It is fetched in the background, and this is not stored: sent again, it tells how far that is.',
  })
