import { type ZodType, z } from 'zod'
import { type ErrorSubject, type FieldCause, RegistryError } from '../oci/errors.ts'
import type { ObjectPage, Objects, StoredObject } from '../store/objects.ts'
import { parseObject } from './body.ts'
import { requireValid } from './fields.ts'
import {
  checkMetadata,
  metadataSchema,
  type NameRule,
  type OwnMetadata,
  ownMetadata,
  type SentMetadata,
} from './metadata.ts'
import type { ApiObject, Call, DeleteOptions, Handlers, Updated } from './resource.ts'

/** The part of an object that is not metadata, `kind` or `apiVersion`. */
type Fields = Record<string, unknown>

/** What tells one stored kind from another; all else about them is the same. */
export interface StoredKind<T extends Fields> {
  objects: Objects
  group: string
  resource: string
  /** What is kept of an object beside its metadata; other fields are dropped. */
  schema: ZodType<T>
  nameRule: NameRule
  /** Says what is wrong with a body before it is parsed at a cost: lists that are too long. */
  checkSent?(body: Fields): FieldCause[]
  /** Says what is wrong with the fields of a new or replaced object. */
  check?(fields: T, call: Call): FieldCause[]
  /** What may not change from `before` to `after`. */
  checkChange?(before: StoredObject, after: T): FieldCause[]
  /** Refuses what the caller may not give. @throws RegistryError FORBIDDEN, NOT_FOUND */
  authorize?(fields: T, call: Call, name: string): void
  /** Waits until a write at `revision` has its effect everywhere here. */
  written?(revision: number): Promise<void>
}

/** Most bytes of one stored object, well below what a commit may hold. */
const maxObjectBytes = 512 * 1024

/** Most items of a page of any list, whatever its `limit`. */
export const maxPageItems = 500

/** A page takes no further items once it has so many bytes. */
export const maxPageBytes = 16 * 1024 * 1024

const batchSize = 20

/**
 * The handlers of a kind whose objects are records as the client sent them.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
export function storedHandlers<T extends Fields>(kind: StoredKind<T>): Required<Handlers> {
  const { objects, resource } = kind
  const envelope = z.object({ metadata: metadataSchema.nullish() })
  const subjectOf = (name: string): ErrorSubject => ({ name, kind: resource, group: kind.group })
  const failed = (code: 'NOT_FOUND' | 'ALREADY_EXISTS' | 'CONFLICT', name: string) =>
    new RegistryError(code, { subject: subjectOf(name) })

  function accept(call: Call, body: Fields, pathName?: string): { sent: SentMetadata; own: OwnMetadata; fields: T } {
    const { metadata } = parseObject(envelope, body)
    const sent = { ...metadata, ...(pathName === undefined ? {} : { name: pathName }) }
    const own = ownMetadata(sent)
    requireValid(kind.checkSent?.(body) ?? [], subjectOf(own.name))
    const fields = parseObject(kind.schema, body)
    requireValid([...checkMetadata(sent, kind.nameRule), ...(kind.check?.(fields, call) ?? [])], subjectOf(own.name))
    requireStorable({ own, fields })
    kind.authorize?.(fields, call, own.name)
    return { sent, own, fields }
  }

  async function create(call: Call, body: Fields): Promise<ApiObject> {
    const { sent, own, fields } = accept(call, body)
    if (sent.resourceVersion) {
      throw new RegistryError('BAD_REQUEST', { message: 'resourceVersion should not be set on objects to be created' })
    }
    if (call.options.dryRun) {
      if ((await objects.get(resource, call.project, own.name)) !== undefined) throw failed('ALREADY_EXISTS', own.name)
      return { metadata: { ...own, ...(call.project && { namespace: call.project }) }, ...fields }
    }
    return settled(await objects.create(resource, call.project, { metadata: own, ...fields }))
  }

  async function update(call: Call, body: Fields): Promise<Updated> {
    const { sent, own, fields } = accept(call, body, call.name)
    const change = (current: StoredObject): StoredObject => {
      if (sent.uid && sent.uid !== current.metadata.uid) throw failed('CONFLICT', call.name)
      requireValid(kind.checkChange?.(current, fields) ?? [], subjectOf(call.name))
      const { labels: _labels, annotations: _annotations, ...server } = current.metadata
      return { metadata: { ...server, ...own }, ...fields }
    }
    const version = sent.resourceVersion || undefined
    if (call.options.dryRun) {
      return { object: change(await expectCurrent(call, version === undefined ? {} : { resourceVersion: version })) }
    }
    return { object: await settled(await objects.update(resource, call.project, call.name, change, version)) }
  }

  async function expectCurrent(call: Call, { uid, resourceVersion }: DeleteOptions): Promise<StoredObject> {
    const current = await objects.get(resource, call.project, call.name)
    if (current === undefined) throw failed('NOT_FOUND', call.name)
    const { metadata } = current
    const isOther = (uid ?? metadata.uid) !== metadata.uid
    const isStale = (resourceVersion ?? metadata.resourceVersion) !== metadata.resourceVersion
    if (isOther || isStale) throw failed('CONFLICT', call.name)
    return current
  }

  async function settled(object: StoredObject): Promise<StoredObject> {
    await kind.written?.(Number(object.metadata.resourceVersion))
    return object
  }

  return {
    get: (call) => objects.get(resource, call.project, call.name),
    list: ({ project, options }) => listPage(objects, resource, project || undefined, options),
    create,
    update,
    delete: async (call, preconditions) => {
      if (call.options.dryRun) return expectCurrent(call, preconditions)
      const deleted = await objects.delete(resource, call.project, call.name, preconditions)
      await kind.written?.(await newestRevision(objects))
      return deleted
    },
  }
}

/** The store's newest revision, at least that of any write which was answered before. */
export async function newestRevision(objects: Objects): Promise<number> {
  return Number((await objects.list('namespaces', '', { limit: 1 })).resourceVersion)
}

/** @throws RegistryError TOO_LARGE for what is larger than an object may be */
export function requireStorable(object: object): void {
  if (byteLength(object) > maxObjectBytes) {
    throw new RegistryError('TOO_LARGE', { message: `the object is larger than ${maxObjectBytes} bytes` })
  }
}

/** Bytes of `object` as it is answered. */
export function byteLength(object: object): number {
  return Buffer.byteLength(JSON.stringify(object))
}

/** A page within the bounds of number and size; where they cut it, `continue` leads on, as Kubernetes allows. */
async function listPage(
  objects: Objects,
  resource: string,
  project: string | undefined,
  { limit = maxPageItems, continue: start }: Call['options'],
): Promise<ObjectPage> {
  const count = Math.min(limit, maxPageItems)
  const items: StoredObject[] = []
  let bytes = 0
  for (let next = start; ; ) {
    const wanted = Math.min(batchSize, count - items.length)
    const page = await objects.list(resource, project, {
      limit: wanted,
      ...(next === undefined ? {} : { continue: next }),
    })
    items.push(...page.items)
    bytes += page.items.reduce((sum, item) => sum + byteLength(item), 0)
    next = page.continue
    if (next === undefined || items.length >= count || bytes >= maxPageBytes) return { ...page, items }
  }
}
