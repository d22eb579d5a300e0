import { z } from 'zod'
import { atomicList, boolean, integer, mapList, object, string, stringMap, time } from './fields.ts'
import { imageSchema } from './images.ts'
import { metadata, objectReferenceSchema } from './metadata.ts'

/** Image streams and what is seen of them. @see https://github.com/openshift/api/blob/master/image/v1/types.go */

const group = 'com.github.openshift.api.image.v1'

export const imageLookupPolicySchema = z
  .object({
    local: boolean('Whether image names without a registry in the same namespace mean this stream. Default false.'),
  })
  .meta({ id: `${group}.ImageLookupPolicy`, description: 'How short image names are looked up.' })

export const tagImportPolicySchema = z
  .object({
    insecure: boolean(
      'Whether plain HTTP and unknown certificates are taken from the registry, where the operator allows it. Default false.',
    ),
    scheduled: boolean('Whether its source is looked at again and again, and the tag follows it. Default false.'),
    importMode: string('Legacy or PreserveOriginal. Both keep an index whole.'),
  })
  .meta({ id: `${group}.TagImportPolicy`, description: 'How a tag is imported.' })

export const tagReferencePolicySchema = z
  .object({
    type: string('Source: the image is told by its upstream name; Local: by its name in this registry. Default Local.'),
  })
  .meta({ id: `${group}.TagReferencePolicy`, description: 'How the image of a tag is told to its consumers.' })

/** What is wanted of a tag: an element of `spec.tags`. */
export const tagReferenceSchema = z
  .object({
    name: string('The tag.'),
    annotations: stringMap('Names and values for people and tools.'),
    from: object(
      objectReferenceSchema,
      'Where the tag comes from: kind DockerImage, ImageStreamTag or ImageStreamImage. Empty for a tag that is only pushed to.',
    ),
    reference: boolean('Whether the tag is a mere pointer that is never imported. Default false.'),
    generation: integer(
      'The generation of the stream at which the wish last changed. 0 asks for a new import. Set by the server.',
    ),
    importPolicy: object(tagImportPolicySchema, 'How the tag is imported.'),
    referencePolicy: object(tagReferencePolicySchema, 'How the image of the tag is told to its consumers.'),
  })
  .meta({ id: `${group}.TagReference`, description: 'What is wanted of a tag: where its image comes from, and how.' })

const tagEvent = z
  .object({
    created: time('When the tag moved there.'),
    dockerImageReference: string('Where the image can be pulled from.'),
    image: string('The digest of the image.'),
    generation: integer('The generation of the wish that this fulfilled.'),
  })
  .meta({ id: `${group}.TagEvent`, description: 'One move of a tag.' })

const tagEventCondition = z
  .object({
    type: string('ImportSuccess, or UpstreamGone: no upstream has the image any more that the tag stands at.'),
    status: string('True, False or Unknown. Of ImportSuccess only False is shown, of UpstreamGone only True.'),
    lastTransitionTime: time('When the status last changed.'),
    reason: string('Why, in one word for programs.'),
    message: string('Why, for people.'),
    generation: integer('The generation of the wish that was tried.'),
  })
  .meta({ id: `${group}.TagEventCondition`, description: 'What is the matter with a tag.' })

/** What happened to a tag: an element of `status.tags`. */
export const namedTagEventListSchema = z
  .object({
    tag: string('The tag.'),
    items: atomicList(tagEvent, 'Where the tag stood, newest first.'),
    conditions: atomicList(tagEventCondition, 'What is the matter with the tag; absent when all is well.'),
  })
  .meta({ id: `${group}.NamedTagEventList`, description: 'Where a tag stands and stood before.' })

export const imageStreamSpecSchema = z
  .object({
    lookupPolicy: object(imageLookupPolicySchema, 'How short image names are looked up.'),
    dockerImageRepository: string(
      'A repository at a registry that the stream stands for. It is kept and shown, and nothing is imported for it: name the tags, or import the repository.',
    ),
    tags: mapList(tagReferenceSchema, 'name', 'What is wanted of each tag.'),
  })
  .meta({ id: `${group}.ImageStreamSpec`, description: 'What is wanted of an image stream.' })

export const imageStreamStatusSchema = z
  .object({
    dockerImageRepository: string('The repository to pull from and push to.'),
    publicDockerImageRepository: string('The same, as it is reached from outside.'),
    tags: mapList(namedTagEventListSchema, 'tag', 'Where each tag stands and stood before.'),
  })
  .meta({ id: `${group}.ImageStreamStatus`, description: 'What happened to an image stream.' })

export const imageStreamSchema = z
  .object({
    metadata,
    spec: object(imageStreamSpecSchema, 'What is wanted.'),
    status: object(imageStreamStatusSchema, 'What happened.'),
  })
  .meta({
    id: `${group}.ImageStream`,
    description:
      'A name for images with tags that stand still: each tag stands at the digest that was last accepted for it, and has its history.',
  })

export const imageStreamTagSchema = z
  .object({
    metadata,
    tag: object(tagReferenceSchema, 'What is wanted of the tag; null for a tag that was only pushed to.'),
    generation: integer('The generation of the wish that the image fulfilled.'),
    lookupPolicy: object(imageLookupPolicySchema, 'The lookup policy of the stream.'),
    conditions: atomicList(tagEventCondition, 'What is the matter with the tag; absent when all is well.'),
    image: object(imageSchema, 'The image that the tag stands at.'),
  })
  .meta({ id: `${group}.ImageStreamTag`, description: 'A tag of an image stream, with the image that it stands at.' })

export const imageTagSchema = z
  .object({
    metadata,
    spec: object(tagReferenceSchema, 'What is wanted of the tag; null for a tag that was only pushed to.'),
    status: object(namedTagEventListSchema, 'Where the tag stands and stood before.'),
    image: object(imageSchema, 'The image that the tag stands at; null in lists and where there is none.'),
  })
  .meta({ id: `${group}.ImageTag`, description: 'A tag of an image stream: the wish, the history and the image.' })

export const imageStreamImageSchema = z
  .object({ metadata, image: object(imageSchema, 'The image.') })
  .meta({ id: `${group}.ImageStreamImage`, description: 'An image that a tag of a stream stands or stood at.' })

const imageLayerData = z
  .object({ size: integer('Its bytes, where they are known.'), mediaType: string('Its media type.') })
  .meta({ id: `${group}.ImageLayerData`, description: 'A blob.' })

const imageBlobReferences = z
  .object({
    layers: atomicList(z.string(), 'Digests of the layers, base first.'),
    config: string('The digest of the config.'),
    manifests: atomicList(z.string(), 'Digests of the manifests of an index.'),
    imageMissing: boolean('Whether nothing is known of the image.'),
  })
  .meta({ id: `${group}.ImageBlobReferences`, description: 'The blobs of an image.' })

export const imageStreamLayersSchema = z
  .object({
    metadata,
    blobs: z.record(z.string(), imageLayerData).nullish().describe('The blobs of the stream by digest.'),
    images: z.record(z.string(), imageBlobReferences).nullish().describe('The images of the stream by digest.'),
  })
  .meta({ id: `${group}.ImageStreamLayers`, description: 'All that can be pulled from a stream.' })

/** The parts of these kinds as they are sent. */
export type ImageStreamTagBody = z.infer<typeof imageStreamTagSchema>
export type ImageTagBody = z.infer<typeof imageTagSchema>
export type TagReferenceBody = z.infer<typeof tagReferenceSchema>
