import { RegistryError } from '../../oci/errors.ts'
import type { Answer } from '../answer.ts'
import { applyConfig, mergeOver } from '../apply/apply-config.ts'
import { managedFieldsOf, withManagedFields } from '../apply/ownable.ts'
import { trackUpdate } from '../apply/track.ts'
import type { Asked } from '../asked.ts'
import { fieldManagerOf, invalidOption } from '../field-manager.ts'
import { checkFields, type FieldValidation, parseFieldValidation } from '../field-validation.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import { type Shape, shapeOf } from '../list-keys.ts'
import { admissionOf, type Matched, rightOf, turnKey } from '../match.ts'
import { renderObject } from '../render.ts'
import { requireMatch } from '../request-body.ts'
import type { ApiObject } from '../resource.ts'
import { type Attempt, attemptOn, type Revise } from '../revise.ts'
import { maxBytesOf, tracksOwners, versionOf, type Writes, withVersion, writerOf } from '../write.ts'
import { applyJsonPatch } from './json-patch.ts'
import { mergePatch } from './merge-patch.ts'
import { type PatchType, patchTypeOf, readPatch } from './read-patch.ts'
import { strategicPatch } from './strategic-patch.ts'

/**
 * Serves PATCH in its four content types: JSON patch, JSON merge patch, strategic merge patch and server-side apply.
 *
 * @throws RegistryError UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST, NOT_FOUND, CONFLICT, INVALID, TOO_LARGE
 */
export type Patch = (asked: Asked) => Promise<Answer>

export interface PatchOptions {
  writes: Pick<Writes, 'createObject'>
  revise: Revise
  now: () => number
}

/** A patch as sent, with what its query says. */
interface Sent {
  type: PatchType
  value: unknown
  manager: string
  force: boolean
  validation: FieldValidation
  duplicates(): string[]
}

interface Patched {
  object: ApiObject
  created: boolean
  headers: Readonly<Record<string, string>>
}

export function createPatch({ writes, revise, now }: PatchOptions): Patch {
  async function attemptPatch({ call, matched }: Asked, sent: Sent): Promise<Attempt<Patched>> {
    const live = await liveObject(call, matched)
    if (live === undefined) throw notFound(matched)
    const version = versionOf(live) ?? ''
    const patched = patchedObject(live, sent, shapeOf(matched.served))
    requireSameObject(live, patched)
    const headers = checkFields(sent.validation, { ...sent, schema: matched.served.schema, object: patched })
    const writer = writerOf(sent.manager, matched, now())
    const owned = tracksOwners(matched)
      ? trackUpdate(live, patched, shapeOf(matched.served), writer, true)
      : withManagedFields(patched, undefined)
    const next = withVersion(owned, versionOf(patched) ?? version)
    return attemptOn(version, async () => updated(await update(call, matched, next, live), headers))
  }

  async function attemptApply(asked: Asked, sent: Sent, config: JsonObject): Promise<Attempt<Patched>> {
    const { call, matched } = asked
    const shape = shapeOf(matched.served)
    const headers = checkFields(sent.validation, { ...sent, schema: matched.served.schema, object: config })
    const application = { ...writerOf(sent.manager, matched, now()), config, shape, force: sent.force }
    const live = await liveObject(call, matched)
    if (live === undefined) {
      requireCreate(asked)
      const named = { ...config, metadata: { ...metadataOf(config), name: call.name } }
      const object = tracksOwners(matched) ? applyConfig(undefined, { ...application, config: named }) : named
      return attemptOn('', async () => ({
        object: await writes.createObject(call, { ...matched, verb: 'create' }, object),
        created: true,
        headers,
      }))
    }
    requireSameObject(live, { ...config, metadata: { ...metadataOf(config), name: metadataOf(live).name } })
    const version = versionOf(live) ?? ''
    const applied = tracksOwners(matched) ? applyConfig(live, application) : mergeOver(live, config, shape)
    const next = withVersion(applied, versionOf(config) ?? version)
    return attemptOn(version, async () => updated(await update(call, matched, next, live), headers))
  }

  return async (asked) => {
    const { request, query, matched, rendering } = asked
    const type = patchTypeOf(request)
    const options = readOptions(request, query, type)
    const document = await readPatch(request, type, maxBytesOf(matched))
    const sent: Sent = { ...options, type, value: document.value, duplicates: document.duplicates }
    const config = type === 'apply' ? requireConfig(sent.value, matched) : undefined
    const { object, created, headers } = await revise(turnKey(matched), () =>
      config === undefined ? attemptPatch(asked, sent) : attemptApply(asked, sent, config),
    )
    return { status: created ? 201 : 200, body: renderObject(rendering, object), headers }
  }
}

function readOptions(request: Request, query: URLSearchParams, type: PatchType) {
  const isApply = type === 'apply'
  const manager = fieldManagerOf(request, query, 'patch')
  const validation = parseFieldValidation(query)
  const force = query.get('force')
  if (isApply && !query.get('fieldManager')) {
    const message = 'Required value: is required for apply patch'
    throw invalidOption('patch', { field: 'fieldManager', reason: 'FieldValueRequired', message })
  }
  if (!isApply && force !== null) {
    const message = 'Forbidden: may not be specified for non-apply patch'
    throw invalidOption('patch', { field: 'force', reason: 'FieldValueForbidden', message })
  }
  return { manager, validation, force: force !== null && !['', '0', 'f', 'false'].includes(force.toLowerCase()) }
}

function requireConfig(value: unknown, { served, target, type }: Matched): JsonObject {
  if (!isJsonObject(value)) throw badRequest('the applied configuration is not an object')
  if (!value.apiVersion || !value.kind) throw badRequest('the applied configuration needs apiVersion and kind')
  requireMatch(value, { ...target, apiVersion: type.apiVersion, kinds: [served.kind] })
  const managedFields = managedFieldsOf(value)
  const hasOwners = Array.isArray(managedFields) ? managedFields.length > 0 : managedFields != null
  if (hasOwners) throw badRequest('metadata.managedFields must be nil')
  return value
}

async function liveObject(
  call: Asked['call'],
  { served, type }: Matched,
): Promise<(JsonObject & ApiObject) | undefined> {
  const live = await served.handlers.get?.(call)
  return live && { ...type, ...live }
}

function patchedObject(live: JsonObject, { type, value }: Sent, shape: Shape): JsonObject {
  if (type !== 'json' && !isJsonObject(value)) throw badRequest('the patch is not an object')
  const patched =
    type === 'json'
      ? applyJsonPatch(live, value)
      : type === 'strategic' && isJsonObject(value)
        ? strategicPatch(live, value, shape)
        : mergePatch(live, value)
  if (!isJsonObject(patched)) throw badRequest('the patch makes something else of the object')
  return patched
}

/** @throws RegistryError BAD_REQUEST, CONFLICT when the patch makes another object of it */
function requireSameObject(live: JsonObject, patched: JsonObject): void {
  const [was, is] = [metadataOf(live), metadataOf(patched)]
  const { apiVersion, kind } = live
  requireMatch(patched, {
    apiVersion: String(apiVersion),
    kinds: [String(kind)],
    project: String(was.namespace ?? ''),
    name: String(was.name),
  })
  if (is.name !== was.name) throw badRequest('the patch takes metadata.name away')
  // One that is no text is refused with the other fields of a wrong type.
  if (typeof is.uid === 'string' && is.uid !== '' && was.uid && is.uid !== was.uid) {
    throw new RegistryError('CONFLICT', {
      message: `Precondition failed: UID in precondition: ${is.uid.slice(0, 100)}, UID in object meta: ${was.uid}`,
    })
  }
}

async function update(call: Asked['call'], matched: Matched, next: JsonObject, live: ApiObject): Promise<ApiObject> {
  const answered = await matched.served.handlers.update?.(call, next, live)
  if (answered === undefined) throw notFound(matched)
  return answered.object
}

function updated(object: ApiObject, headers: Patched['headers']): Patched {
  return { object, created: false, headers }
}

// Whoever may only patch must not make objects.
function requireCreate({ call, matched }: Asked): void {
  const creating = { ...matched, verb: 'create' } as const
  const { row, served } = matched
  if (served !== row || row.handlers.create === undefined) throw notFound(matched)
  if (admissionOf(creating) === 'right') call.require(rightOf(creating, call.options))
}

function metadataOf({ metadata }: JsonObject): JsonObject {
  return isJsonObject(metadata) ? metadata : {}
}

function notFound({ target: { name, resource, group } }: Matched): RegistryError {
  return new RegistryError('NOT_FOUND', { subject: { name, kind: resource, group } })
}

function badRequest(message: string): RegistryError {
  return new RegistryError('BAD_REQUEST', { message })
}
