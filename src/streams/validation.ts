import { type FieldCause, RegistryError } from '../oci/errors.ts'
import { isOwnName, isTag, maxNameLength, parseImageReference, type StreamName } from '../oci/reference.ts'
import type { WantedReference } from './generations.ts'
import type { TagSource } from './records.ts'
import { parseStreamSource } from './sources.ts'
import type { ObjectFields } from './stream-object.ts'

/** The rules of okd.md 1.12 as causes with the path of the field; an empty list means valid. */

/** Most bytes of all annotations of one object or tag, as in Kubernetes. */
export const maxAnnotationBytes = 256 * 1024

/** Most bytes of a stream without its tags; fits a commit. */
const maxObjectBytes = 768 * 1024

const sourceKinds = ['DockerImage', 'ImageStreamImage', 'ImageStreamTag']
const importModes = ['Legacy', 'PreserveOriginal']
const policyTypes = ['Source', 'Local']

/** Checks the name of a stream, alone and together with its project. */
export function validateStreamName(name: StreamName): FieldCause[] {
  const field = 'metadata.name'
  if (name.stream === '') return [required(field)]
  const whole = `${name.project}/${name.stream}`
  if (whole.length > maxNameLength) {
    return [invalid(field, name.stream, `'namespace/name' cannot be longer than ${maxNameLength} characters`)]
  }
  if (isOwnName(name.stream)) return []
  return [
    invalid(
      field,
      name.stream,
      'must match "[a-z0-9]+(?:[._-][a-z0-9]+)*": lower case letters and digits, with single separators between them, and without the words basic and bearer',
    ),
  ]
}

/** Checks a tag's name, which OKD does not: it must be one that `/v2/` can serve. */
export function validateTagName(tag: string, field: string): FieldCause[] {
  if (tag === '') return [required(field)]
  if (isTag(tag)) return []
  return [invalid(field, tag, 'must match "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"')]
}

/** Checks what is wanted of a tag; `field` is its path, `spec.tags[prod]` in a stream and `tag` in an ImageStreamTag. */
export function validateTagReference(tag: WantedReference, field: string): FieldCause[] {
  return [
    ...validateTagName(tag.name, `${field}.name`),
    ...(tag.from === undefined ? [] : validateSource(tag.from, `${field}.from`)),
    ...validatePolicies(tag, field),
    ...validateAnnotations(tag.annotations, `${field}.annotations`),
  ]
}

/** Checks the form of where a tag comes from; whether it is there is not asked. */
export function validateSource(from: TagSource, field: string): FieldCause[] {
  if (!sourceKinds.includes(from.kind)) {
    const kinds = sourceKinds.map((kind) => `'${kind}'`).join(', ')
    return [
      { field: `${field}.kind`, reason: 'FieldValueRequired', message: `Required value: valid values are ${kinds}` },
    ]
  }
  if (from.name === '') return [required(`${field}.name`)]
  if (from.kind === 'DockerImage') {
    if (parseImageReference(from.name) === undefined) {
      return [
        invalid(`${field}.name`, from.name, 'must be an image reference such as registry.example.com/repository:tag'),
      ]
    }
    const { namespace = '' } = from
    return namespace.length <= maxNameLength ? [] : [invalid(`${field}.namespace`, namespace, 'is too long')]
  }
  if (from.namespace && !isOwnName(from.namespace)) {
    return [invalid(`${field}.namespace`, from.namespace, 'must be the name of a project')]
  }
  // The names that are left out do not matter for the form.
  if (parseStreamSource(from, { project: 'project', stream: 'stream' }) !== undefined) return []
  return [invalid(`${field}.name`, from.name, 'must be of the form <tag>, <repo>:<tag>, <id>, or <repo>@<id>')]
}

/** Checks what a client sets of a stream besides its tags, apart from the form of labels. */
export function validateObject(object: Partial<ObjectFields>): FieldCause[] {
  const { annotations, dockerImageRepository } = object
  const causes = validateAnnotations(annotations, 'metadata.annotations')
  if (Buffer.byteLength(JSON.stringify(object)) > maxObjectBytes)
    causes.push({
      field: 'metadata',
      reason: 'FieldValueTooLong',
      message: `Too long: an image stream without its tags may not be more than ${maxObjectBytes} bytes`,
    })
  if (dockerImageRepository) causes.push(...validateRepository(dockerImageRepository, 'spec.dockerImageRepository'))
  return causes
}

function validateRepository(repository: string, field: string): FieldCause[] {
  if (parseImageReference(repository) === undefined) {
    return [invalid(field, repository, 'must be a repository such as registry.example.com/repository')]
  }
  const hasTag = repository.includes(':', repository.lastIndexOf('/') + 1)
  return hasTag || repository.includes('@')
    ? [invalid(field, repository, 'the repository name may not contain a tag or an ID')]
    : []
}

/** Checks that annotations are not larger than Kubernetes allows. */
export function validateAnnotations(
  annotations: Record<string, string> | null | undefined,
  field: string,
): FieldCause[] {
  const bytes = Object.entries(annotations ?? {}).reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0)
  if (bytes <= maxAnnotationBytes) return []
  return [{ field, reason: 'FieldValueTooLong', message: `Too long: may not be more than ${maxAnnotationBytes} bytes` }]
}

/**
 * Refuses an image stream with the causes found.
 *
 * @throws RegistryError INVALID unless `causes` is empty
 */
export function requireValid(
  kind: 'ImageStream' | 'ImageStreamTag' | 'ImageTag',
  name: string,
  causes: readonly FieldCause[],
  detail?: unknown,
): void {
  if (causes.length === 0) return
  const texts = causes.map(({ field, message }) => `${field}: ${message}`)
  const list = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
  throw new RegistryError('INVALID', {
    message: `${kind}.image.openshift.io ${JSON.stringify(name)} is invalid: ${list}`,
    causes,
    detail,
    subject: { name, kind: `${kind.toLowerCase()}s`, group: 'image.openshift.io' },
  })
}

function validatePolicies({ from, importPolicy, referencePolicy }: WantedReference, field: string): FieldCause[] {
  const causes: FieldCause[] = []
  const { importMode } = importPolicy
  if (importPolicy.scheduled && from?.kind !== 'DockerImage') {
    const message = 'only tags pointing to Docker repositories may be scheduled for background import'
    causes.push(invalid(`${field}.importPolicy.scheduled`, true, message))
  }
  if (importMode !== undefined && !importModes.includes(importMode)) {
    causes.push(invalid(`${field}.importPolicy.importMode`, importMode, `valid values are ${quoted(importModes)}`))
  }
  if (!policyTypes.includes(referencePolicy.type)) {
    const message = `valid values are ${quoted(policyTypes)}`
    causes.push(invalid(`${field}.referencePolicy.type`, referencePolicy.type, message))
  }
  return causes
}

function required(field: string): FieldCause {
  return { field, reason: 'FieldValueRequired', message: 'Required value' }
}

function invalid(field: string, value: unknown, why: string): FieldCause {
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${shown(value)}: ${why}` }
}

function quoted(values: readonly string[]): string {
  return values.map((value) => `"${value}"`).join(', ')
}

/** A value as a message quotes it: what is long is cut. */
function shown(value: unknown): string {
  return JSON.stringify(typeof value === 'string' && value.length > 300 ? `${value.slice(0, 300)}...` : value)
}
