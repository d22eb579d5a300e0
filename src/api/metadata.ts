import { z } from 'zod'
import type { FieldCause } from '../oci/errors.ts'
import { isOwnName } from '../oci/reference.ts'
import { forbiddenField, invalid, required } from './fields.ts'
import { withoutComputed } from './own-annotations.ts'

/**
 * `metadata` as clients send it. What only the server sets (times) is left out; so are `finalizers` and `ownerReferences`: Weir
 * has neither finalizers nor a garbage collector, and an object that shows them would promise both.
 */
export const metadataSchema = z.object({
  name: z.string().nullish(),
  generateName: z.string().nullish(),
  namespace: z.string().nullish(),
  uid: z.string().nullish(),
  resourceVersion: z.string().nullish(),
  labels: z.record(z.string(), z.string()).nullish(),
  annotations: z.record(z.string(), z.string()).nullish(),
  /** Set by the machinery behind the row, whatever the client sent (see `Resource.keepsManagedFields`). */
  managedFields: z.array(z.unknown()).nullish(),
})

/** Any object, for its metadata. */
export const withMetadata = z.object({ metadata: metadataSchema.nullish() })

export type SentMetadata = z.infer<typeof metadataSchema>

/** What a caller may say of an object's metadata. */
export interface OwnMetadata {
  name: string
  generateName?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  managedFields?: unknown[]
}

/** Says what is wrong with a name; undefined when nothing is. */
export type NameRule = (name: string) => string | undefined

const maxAnnotationBytes = 256 * 1024
const dnsLabelPattern = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/
const dnsSubdomainPattern = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/
const qualifiedNamePattern =
  /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/
const pathSegmentPattern = /^[A-Za-z0-9._~:@-]{1,253}$/
const labelValuePattern = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/

/** Whether `key` can be the key of a label. */
export function isLabelKey(key: string): boolean {
  return qualifiedNamePattern.test(key)
}

/** Whether `value` can be the value of a label. */
export function isLabelValue(value: string): boolean {
  return labelValuePattern.test(value)
}

/** RFC 1123 label: names of projects. Every one is also a path component of a repository name. */
export const dnsLabel: NameRule = (name) =>
  name.length <= 63 && dnsLabelPattern.test(name) && isOwnName(name)
    ? undefined
    : "must be at most 63 lower case letters, digits or '-', start and end with a letter or digit, and not hold the words basic and bearer"

/** RFC 1123 subdomain: names of service accounts. */
export const dnsSubdomain: NameRule = (name) =>
  name.length <= 253 && dnsSubdomainPattern.test(name)
    ? undefined
    : "must be at most 253 lower case letters, digits, '-' or '.', and start and end with a letter or digit"

/**
 * What every client can send as one segment of a path, and the server takes: names of roles and bindings. What some client
 * would escape otherwise made objects that nobody could name again, a grant that could not be taken back among them.
 */
export const pathSegment: NameRule = (name) =>
  pathSegmentPattern.test(name) && name !== '.' && name !== '..'
    ? undefined
    : "must be at most 253 letters, digits, '.', '_', '~', ':', '@' or '-', and not '.' or '..'"

/** One component of a repository name: names of image streams. */
export const streamName: NameRule = (name) =>
  isOwnName(name)
    ? undefined
    : "must be lower case letters and digits, separated by '.', '_', '__' or '-' (one component of a repository name), without the words basic and bearer"

/** The caller's part of new or replaced metadata, and what is wrong with it. */
export function checkMetadata(sent: SentMetadata | null | undefined, rule: NameRule): FieldCause[] {
  const { name, generateName, labels, annotations } = sent ?? {}
  const causes: FieldCause[] = []
  if (generateName && !name) causes.push(forbiddenField('metadata.generateName', 'not served; give metadata.name'))
  const problem = name ? rule(name) : undefined
  if (!name) causes.push(required('metadata.name', 'name is required'))
  if (problem !== undefined) causes.push(invalid('metadata.name', name, problem))
  return [...causes, ...checkLabels(labels ?? {}), ...checkAnnotations(annotations ?? {})]
}

/** The caller's part of metadata that {@link checkMetadata} found good. */
export function ownMetadata({ name, labels, annotations, managedFields }: SentMetadata): OwnMetadata {
  return {
    name: name ?? '',
    ...(labels && { labels }),
    ...(annotations && { annotations: withoutComputed(annotations) }),
    ...(managedFields?.length && { managedFields }),
  }
}

function checkLabels(labels: Record<string, string>): FieldCause[] {
  return Object.entries(labels).flatMap(([key, value]) => [
    ...(qualifiedNamePattern.test(key) ? [] : [invalid('metadata.labels', key, 'is not a label key')]),
    ...(labelValuePattern.test(value)
      ? []
      : [invalid('metadata.labels', value, "must be at most 63 letters, digits, '-', '_' or '.'")]),
  ])
}

function checkAnnotations(annotations: Record<string, string>): FieldCause[] {
  const bytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  )
  const keys = Object.keys(annotations).filter((key) => !qualifiedNamePattern.test(key.toLowerCase()))
  const tooLong = { field: 'metadata.annotations', reason: 'FieldValueTooLong' }
  return [
    ...keys.map((key) => invalid('metadata.annotations', key, 'is not an annotation key')),
    ...(bytes > maxAnnotationBytes
      ? [{ ...tooLong, message: `Too long: may not be more than ${maxAnnotationBytes} bytes in all` }]
      : []),
  ]
}
