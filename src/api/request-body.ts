import { type ZodType, z } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import { maxSmallBodyBytes, parseObject, readBody } from './body.ts'
import { checkFields, parseFieldValidation } from './field-validation.ts'
import { parseDryRun } from './query.ts'
import type { DeleteOptions } from './resource.ts'

/** What a body must agree with: its own row and the path it was sent to. */
export interface Expected {
  apiVersion: string
  /** More than one: the body must say which. */
  kinds: readonly string[]
  project: string
  /** Empty for a POST to a collection. */
  name: string
  /** Most bytes of the body. */
  maxBytes: number
  /** Of the kind; undefined: every field is known. */
  schema: ZodType | undefined
}

/** What was sent, and the headers that warn of fields in it. */
export interface SentObject {
  object: Record<string, unknown>
  headers: Readonly<Record<string, string>>
}

const envelope = z.object({
  kind: z.string().optional(),
  apiVersion: z.string().optional(),
  metadata: z.object({ name: z.string().nullish(), namespace: z.string().nullish() }).nullish(),
})

const deleteOptions = z.object({
  kind: z.string().optional(),
  apiVersion: z.string().optional(),
  dryRun: z.array(z.string()).nullish(),
  preconditions: z.object({ uid: z.string().nullish(), resourceVersion: z.string().nullish() }).nullish(),
})

/**
 * Reads the object of a POST or PUT and checks that it is of the kind, project and name that the path says, has the shape
 * of its kind and, as `fieldValidation` of the query wants it, no fields that the kind does not have.
 *
 * @throws RegistryError BAD_REQUEST, UNSUPPORTED_MEDIA_TYPE, TOO_LARGE
 */
export async function readObject(request: Request, expected: Expected): Promise<SentObject> {
  const validation = parseFieldValidation(new URL(request.url).searchParams)
  const body = await readBody(request, expected.maxBytes)
  if (body === undefined) throw badRequest('the request has no body')
  const { object, duplicates } = body
  requireMatch(object, expected)
  const sent = { schema: expected.schema, object: { kind: expected.kinds[0], ...object }, duplicates }
  return { object, headers: checkFields(validation, sent) }
}

/**
 * Reads the DeleteOptions that a DELETE may carry.
 *
 * @throws RegistryError BAD_REQUEST, UNSUPPORTED_MEDIA_TYPE, TOO_LARGE
 */
export async function readDeleteOptions(request: Request): Promise<DeleteOptions & { dryRun: boolean }> {
  const body = await readBody(request, maxSmallBodyBytes)
  if (body === undefined) return { dryRun: false }
  const { kind, dryRun, preconditions } = parseObject(deleteOptions, body.object)
  if (kind && kind !== 'DeleteOptions') throw badRequest(`the kind in the data (${kind}) is not DeleteOptions`)
  return {
    dryRun: parseDryRun(dryRun ?? []),
    ...(preconditions?.uid ? { uid: preconditions.uid } : {}),
    ...(preconditions?.resourceVersion ? { resourceVersion: preconditions.resourceVersion } : {}),
  }
}

/**
 * Checks that an object is of the kind, project and name that its path says.
 *
 * @throws RegistryError BAD_REQUEST
 */
export function requireMatch(
  object: Record<string, unknown>,
  expected: Pick<Expected, 'apiVersion' | 'kinds' | 'project' | 'name'>,
): void {
  const { kind, apiVersion, metadata } = parseObject(envelope, object)
  if (apiVersion && apiVersion !== expected.apiVersion) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected.apiVersion})`,
    )
  }
  if (kind ? !expected.kinds.includes(kind) : expected.kinds.length > 1) {
    throw badRequest(
      `the kind in the data (${kind || 'none'}) is not the expected one (${expected.kinds.join(' or ')})`,
    )
  }
  if (metadata?.namespace && metadata.namespace !== expected.project) {
    throw badRequest(
      `the namespace of the provided object (${metadata.namespace}) does not match the namespace sent on the request (${expected.project})`,
    )
  }
  if (expected.name !== '' && metadata?.name && metadata.name !== expected.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${expected.name})`)
  }
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}
