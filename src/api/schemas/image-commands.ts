import { z } from 'zod'
import { atomicList, boolean, object, string } from './fields.ts'
import { imageStreamSchema, tagImportPolicySchema, tagReferencePolicySchema } from './image-streams.ts'
import { imageSchema } from './images.ts'
import { localObjectReferenceSchema, metadata, objectReferenceSchema, statusSchema } from './metadata.ts'

/** What is posted to be done. @see https://github.com/openshift/api/blob/master/image/v1/types.go */

const group = 'com.github.openshift.api.image.v1'

const from = object(objectReferenceSchema, 'Where the image is: kind DockerImage, and its name with registry.')
const importPolicy = object(tagImportPolicySchema, 'How it is imported.')
const referencePolicy = object(tagReferencePolicySchema, 'How the image is told to the consumers of the tag.')
const includeManifest = boolean('Whether the answer holds the manifest. Default false.')

const imageImportSpec = z
  .object({
    from,
    to: object(localObjectReferenceSchema, 'The tag to set. Default: the tag in from.name.'),
    importPolicy,
    referencePolicy,
    includeManifest,
  })
  .meta({ id: `${group}.ImageImportSpec`, description: 'An image to import.' })

const repositoryImportSpec = z
  .object({ from, importPolicy, includeManifest, referencePolicy })
  .meta({ id: `${group}.RepositoryImportSpec`, description: 'A repository whose tags are imported.' })

const imageImportStatus = z
  .object({
    status: object(statusSchema, 'Whether the import succeeded, or why it did not.'),
    image: object(imageSchema, 'The image, when there is one.'),
    tag: string('The tag.'),
    manifests: atomicList(imageSchema, 'The images of an index.'),
  })
  .meta({ id: `${group}.ImageImportStatus`, description: 'What became of an image to import.' })

const repositoryImportStatus = z
  .object({
    status: object(statusSchema, 'Whether the repository could be read.'),
    images: atomicList(imageImportStatus, 'What became of each tag.'),
    additionalTags: atomicList(z.string(), 'Tags that were not imported.'),
  })
  .meta({ id: `${group}.RepositoryImportStatus`, description: 'What became of a repository to import.' })

const imageStreamImportSpec = z
  .object({
    import: boolean('Whether tags move; false only asks what would be imported. Default false.'),
    repository: object(repositoryImportSpec, 'A repository whose tags are imported.'),
    images: atomicList(imageImportSpec, 'Single images to import.'),
  })
  .meta({ id: `${group}.ImageStreamImportSpec`, description: 'What to import.' })

const imageStreamImportStatus = z
  .object({
    import: object(imageStreamSchema, 'The stream after the import.'),
    repository: object(repositoryImportStatus, 'What became of the repository.'),
    images: atomicList(imageImportStatus, 'What became of each of spec.images, in their order.'),
  })
  .meta({ id: `${group}.ImageStreamImportStatus`, description: 'What became of an import.' })

export const imageStreamImportSchema = z
  .object({
    metadata,
    spec: object(imageStreamImportSpec, 'What to import.'),
    status: object(imageStreamImportStatus, 'What became of it.'),
  })
  .meta({
    id: `${group}.ImageStreamImport`,
    description: 'Imports images into a stream now. It is done when it is answered, and is not stored.',
  })

export const imageStreamMappingSchema = z
  .object({
    metadata,
    image: object(imageSchema, 'The image.'),
    tag: string('The tag to set.'),
  })
  .meta({
    id: `${group}.ImageStreamMapping`,
    description: 'Sets a tag of the stream that metadata.name names to an image. It is not stored.',
  })

export type ImageStreamImportBody = z.infer<typeof imageStreamImportSchema>
