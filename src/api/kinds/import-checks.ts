import type { FieldCause } from '../../oci/errors.ts'
import { isTag, parseImageReference } from '../../oci/reference.ts'
import { maxTagsAnnotation } from '../../streams/whole-repository.ts'
import { invalid, notSupported, required } from '../fields.ts'
import type { SentMetadata } from '../metadata.ts'
import type { ImageStreamImportBody } from '../schemas/image-commands.ts'

/** The rules for what is asked of an import (okd.md 1.9), as causes with the path of the field. */

type Spec = NonNullable<ImageStreamImportBody['spec']>
export type WantedImage = NonNullable<Spec['images']>[number]
export type WantedRepository = NonNullable<Spec['repository']>

/** Most single images of one request. */
export const maxImages = 100

/** Most tags of a repository that are imported at once, as OKD's `maxImagesBulkImportedPerRepository`. */
const mostTags = 50

const importModes = ['Legacy', 'PreserveOriginal'] as const
const referenceTypes = ['Source', 'Local'] as const

/** The import mode of that name; undefined for none and for one that is unknown. */
export function importMode(name: string | null | undefined) {
  return importModes.find((mode) => mode === name)
}

/** The type of reference policy of that name; undefined for none and for one that is unknown. */
export function referenceType(name: string | null | undefined) {
  return referenceTypes.find((type) => type === name)
}

/** `to`, or else the tag in `from`; undefined when neither names one. */
export function targetTag({ from, to }: WantedImage): string | undefined {
  return to?.name || parseImageReference(from?.name ?? '')?.tag
}

export function checkImages(images: readonly WantedImage[], repository: WantedRepository | undefined): FieldCause[] {
  if (images.length === 0 && repository === undefined) {
    return [required('spec.images', 'you must specify at least one image or a repository import')]
  }
  const tags = images.map(targetTag)
  return images.flatMap((image, i) => {
    const at = `spec.images[${i}]`
    const isTwice = tags[i] !== undefined && tags.indexOf(tags[i]) !== i
    const twice = { field: `${at}.to.name`, reason: 'FieldValueDuplicate', message: `Duplicate value: "${tags[i]}"` }
    return [...checkImage(image, at), ...(isTwice ? [twice] : [])]
  })
}

export function checkRepository({ from, importPolicy, referencePolicy }: WantedRepository): FieldCause[] {
  const at = 'spec.repository'
  const name = from?.name ?? ''
  const reference = parseImageReference(name)
  const causes = checkKind(from?.kind, at)
  if (name === '') causes.push(required(`${at}.from.name`, 'the repository to import'))
  else if (reference === undefined) causes.push(invalid(`${at}.from.name`, name, 'write HOST/REPOSITORY'))
  else if (reference.digest !== undefined || name.lastIndexOf(':') > name.lastIndexOf('/')) {
    causes.push(invalid(`${at}.from.name`, name, 'you must specify an image repository, not a tag or ID'))
  }
  return [...causes, ...checkPolicies(importPolicy, referencePolicy, at)]
}

/** Most tags of the repository that are imported, where the request says so; undefined also for what is no such number. */
export function maxTagsOf(metadata: Pick<SentMetadata, 'annotations'> | null | undefined): number | undefined {
  const written = metadata?.annotations?.[maxTagsAnnotation]
  if (written === undefined || !/^\d{1,2}$/.test(written)) return undefined
  const maxTags = Number(written)
  return maxTags <= mostTags ? maxTags : undefined
}

export function checkMaxTags(metadata: Pick<SentMetadata, 'annotations'> | null | undefined): FieldCause[] {
  const written = metadata?.annotations?.[maxTagsAnnotation]
  if (written === undefined || maxTagsOf(metadata) !== undefined) return []
  const field = `metadata.annotations[${maxTagsAnnotation}]`
  return [invalid(field, written.slice(0, 100), `write a number from 0 to ${mostTags}`)]
}

function checkImage(image: WantedImage, at: string): FieldCause[] {
  const { from, importPolicy, referencePolicy } = image
  const causes = checkKind(from?.kind, at)
  const tag = targetTag(image)
  if (!from?.name) causes.push(required(`${at}.from.name`, 'the image to import'))
  else if (parseImageReference(from.name) === undefined) {
    causes.push(invalid(`${at}.from.name`, from.name, 'write HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST'))
  } else if (tag === undefined) causes.push(required(`${at}.to.name`, 'an image named by digest needs the tag to set'))
  if (tag !== undefined && !isTag(tag)) {
    causes.push(invalid(`${at}.to.name`, tag, "must be at most 128 letters, digits, '_', '.' or '-'"))
  }
  return [...causes, ...checkPolicies(importPolicy, referencePolicy, at)]
}

function checkKind(kind: string | null | undefined, at: string): FieldCause[] {
  return kind === 'DockerImage' ? [] : [notSupported(`${at}.from.kind`, kind ?? '', ['DockerImage'])]
}

function checkPolicies(
  importPolicy: WantedImage['importPolicy'],
  referencePolicy: WantedImage['referencePolicy'],
  at: string,
): FieldCause[] {
  const mode = importPolicy?.importMode
  const type = referencePolicy?.type
  return [
    ...(mode && importMode(mode) === undefined
      ? [notSupported(`${at}.importPolicy.importMode`, mode, importModes)]
      : []),
    ...(type && referenceType(type) === undefined
      ? [notSupported(`${at}.referencePolicy.type`, type, referenceTypes)]
      : []),
  ]
}
