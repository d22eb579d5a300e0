import { RegistryError } from '../oci/errors.ts'
import type { Answer } from './answer.ts'
import { managedFieldsOf, withManagedFields } from './apply/ownable.ts'
import { trackUpdate, type Writer } from './apply/track.ts'
import type { Asked } from './asked.ts'
import { maxBodyBytes, maxSmallBodyBytes } from './body.ts'
import { fieldManagerOf } from './field-manager.ts'
import { isJsonObject, type JsonObject, ownField } from './json.ts'
import { shapeOf } from './list-keys.ts'
import { admissionOf, type Matched, methodNotAllowed } from './match.ts'
import { renderObject } from './render.ts'
import { readObject } from './request-body.ts'
import type { ApiObject, Call, Updated } from './resource.ts'
import { formatSeconds } from './time.ts'

export interface WriteOptions {
  /** Whether a project is there; only then something can be put into it. */
  projectExists(project: string): Promise<boolean>
  now: () => number
}

/** What changes objects, for whichever verb. */
export interface Writes {
  /** Serves POST. */
  create(asked: Asked): Promise<Answer>
  /** Serves PUT. */
  update(asked: Asked): Promise<Answer>
  /**
   * Puts a new object into its project.
   *
   * @throws RegistryError NOT_FOUND when there is no such project
   */
  createObject(call: Call, matched: Matched, body: JsonObject): Promise<ApiObject>
}

export function createWrites({ projectExists, now }: WriteOptions): Writes {
  async function createObject(call: Call, matched: Matched, body: JsonObject): Promise<ApiObject> {
    const { row, served, target } = matched
    if (served.handlers.create === undefined) throw methodNotAllowed(target, 'POST')
    // Before a right was checked, the answer would tell anyone which projects there are.
    const isAllowed = admissionOf({ ...matched, verb: 'create' }) === 'right'
    if (isAllowed && row.namespaced && !(await projectExists(target.project))) throw noProject(target.project)
    return served.handlers.create(call, body)
  }

  async function updateObject(asked: Asked, body: JsonObject): Promise<Updated> {
    const { request, query, call, matched } = asked
    const manager = fieldManagerOf(request, query, 'update')
    const { update, get } = matched.served.handlers
    if (update === undefined) throw methodNotAllowed(matched.target, 'PUT')
    if (!tracksOwners(matched) || get === undefined) return update(call, withoutOwners(body))
    const live = await get(call)
    if (live === undefined) return update(call, withoutOwners(body))
    const writer = writerOf(manager, matched, now())
    const hasSeenOwners = versionOf(body) === live.metadata.resourceVersion
    return update(call, trackUpdate(live, body, shapeOf(matched.served), writer, hasSeenOwners))
  }

  return {
    createObject,
    async create(asked) {
      const { request, query, call, matched, rendering } = asked
      fieldManagerOf(request, query, 'create')
      const { object: body, headers } = await readSent(asked)
      const object = await createObject(call, matched, withoutOwners(body))
      return { status: 201, body: renderObject(rendering, object), headers }
    },
    async update(asked) {
      const { object: body, headers } = await readSent(asked)
      const { object, created } = await updateObject(asked, body)
      return { status: created ? 201 : 200, body: renderObject(asked.rendering, object), headers }
    },
  }
}

/** Whether it is kept who owns which field of the object. */
export function tracksOwners({ row, served }: Matched): boolean {
  return row.keepsManagedFields === true && served === row
}

export function writerOf(manager: string, { type }: Matched, nowMs: number): Writer {
  return { manager, apiVersion: type.apiVersion, time: formatSeconds(nowMs / 1000) }
}

/** The object as it was at `version`, so that a change in between conflicts. */
export function withVersion(object: JsonObject, version: string): JsonObject {
  const metadata = isJsonObject(object.metadata) ? object.metadata : {}
  return { ...object, metadata: { ...metadata, resourceVersion: version } }
}

/** `metadata.resourceVersion` that a client sent; undefined where there is none. */
export function versionOf({ metadata }: JsonObject): string | undefined {
  const version = isJsonObject(metadata) ? ownField(metadata, 'resourceVersion') : undefined
  return typeof version === 'string' && version !== '' ? version : undefined
}

/** Most bytes of the body of this request. */
export function maxBytesOf(matched: Matched): number {
  return admissionOf(matched) === 'right' ? maxBodyBytes : maxSmallBodyBytes
}

function readSent({ request, matched }: Asked) {
  const { served, target, type } = matched
  const kinds = served.bodyKinds ?? [served.kind]
  const maxBytes = maxBytesOf(matched)
  return readObject(request, { ...target, apiVersion: type.apiVersion, kinds, maxBytes, schema: served.schema })
}

function withoutOwners(body: JsonObject): JsonObject {
  return managedFieldsOf(body) === undefined ? body : withManagedFields(body, undefined)
}

function noProject(project: string): RegistryError {
  return new RegistryError('NOT_FOUND', {
    message: `namespaces "${project}" not found; create it with \`weir new-project ${project}\``,
    subject: { name: project, kind: 'namespaces', group: '' },
  })
}
