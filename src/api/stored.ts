import { randomInt } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { type ZodType, z } from 'zod'
import { type ErrorSubject, type FieldCause, RegistryError } from '../oci/errors.ts'
import { formatContinue } from '../store/continue-token.ts'
import { type NewObject, type ObjectPage, type Objects, objectKey, type StoredObject } from '../store/objects.ts'
import { parseObject } from './body.ts'
import { invalid, requireValid } from './fields.ts'
import {
  checkMetadata,
  metadataSchema,
  type NameRule,
  type OwnMetadata,
  ownMetadata,
  type SentMetadata,
} from './metadata.ts'
import { type Quota, requireRoom } from './quota.ts'
import type { ApiObject, Call, DeleteOptions, Handlers, Updated } from './resource.ts'

/** The part of an object that is not metadata, `kind` or `apiVersion`. */
type Fields = Record<string, unknown>

type ObjectAnnotations = Readonly<Record<string, string>> | undefined

/** What tells one stored kind from another; all else about them is the same. */
export interface StoredKind<T extends Fields> {
  objects: Objects
  group: string
  resource: string
  /** What is kept of an object beside its metadata; other fields are dropped. */
  schema: ZodType<T>
  nameRule: NameRule
  /** Whether a new object may leave its name to Weir, by `metadata.generateName`. Default false. */
  generatesNames?: boolean
  /** Most bytes of an object; default 512 KiB, well below what a commit may hold. */
  maxBytes?: number
  /** Default: as many as there is disk for. */
  quota?: Quota
  /** Says what is wrong with a body before it is parsed at a cost: lists that are too long. */
  checkSent?(body: Fields): FieldCause[]
  /** Says what is wrong with the fields of a new or replaced object. */
  check?(fields: T, call: Call): FieldCause[]
  /** What is wrong with the annotations of a new object, or of one that replaces what has those `before`. */
  checkAnnotations?(annotations: ObjectAnnotations, before: ObjectAnnotations): FieldCause[]
  /** What may not change from `before` to `after`. */
  checkChange?(before: StoredObject, after: T): FieldCause[]
  /**
   * Refuses what the caller may not give: a new object, or the change of `before`. What changes nothing of it, or who owns
   * which field alone, is not asked about.
   *
   * @throws RegistryError FORBIDDEN, NOT_FOUND
   */
  authorize?(fields: T, call: Call, name: string, before?: StoredObject): void
  /** Puts a new object into the store; default: as a record of its own. @throws RegistryError ALREADY_EXISTS */
  insert?(call: Call, object: NewObject): Promise<StoredObject>
  /** Waits until a write at `revision` has its effect everywhere here. */
  written?(revision: number): Promise<void>
}

const maxObjectBytes = 512 * 1024

/** Most items of a page of any list, whatever its `limit`. */
export const maxPageItems = 500

/** A page takes no further items once it has so many bytes. */
export const maxPageBytes = 16 * 1024 * 1024

/** Objects of which a list selects none end a page too, once it has read so many. */
const maxRead = 10_000

const batchSize = 50
const maxNameAttempts = 8
/** What Kubernetes leaves of a prefix, so that the name with its suffix fits a label. */
const maxPrefixLength = 58
const suffixLength = 5
/** No vowels, so that no word comes out, and nothing that looks like something else. */
const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

/**
 * The handlers of a kind whose objects are records as the client sent them.
 *
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/
 */
export function storedHandlers<T extends Fields>(kind: StoredKind<T>): Required<Omit<Handlers, 'getListed'>> {
  const { objects, resource } = kind
  const insert = kind.insert ?? ((call: Call, object: NewObject) => objects.create(resource, call.project, object))
  const envelope = z.object({ metadata: metadataSchema.nullish() })
  const subjectOf = (name: string): ErrorSubject => ({ name, kind: resource, group: kind.group })
  const failed = (code: 'NOT_FOUND' | 'ALREADY_EXISTS' | 'CONFLICT', name: string) =>
    new RegistryError(code, { subject: subjectOf(name) })

  function accept(call: Call, body: Fields, name?: string): { sent: SentMetadata; own: OwnMetadata; fields: T } {
    const { metadata } = parseObject(envelope, body)
    const sent = { ...metadata, ...(name === undefined ? {} : { name }) }
    const own = ownMetadata(sent)
    requireValid(kind.checkSent?.(body) ?? [], subjectOf(own.name))
    const fields = parseObject(kind.schema, body)
    requireValid([...checkMetadata(sent, kind.nameRule), ...(kind.check?.(fields, call) ?? [])], subjectOf(own.name))
    requireStorable({ own, fields }, kind.maxBytes)
    return { sent, own, fields }
  }

  async function requireQuota(call: Call, name: string, object: object): Promise<void> {
    if (kind.quota !== undefined) {
      await requireRoom(objects, kind.quota, kind, { project: call.project, name }, byteLength(object))
    }
  }

  async function create(call: Call, body: Fields): Promise<ApiObject> {
    const { name, generateName } = parseObject(envelope, body).metadata ?? {}
    if (name || !generateName || !kind.generatesNames) return createAs(call, accept(call, body))
    const problem = kind.nameRule(`${generateName}x`)
    requireValid(problem ? [invalid('metadata.generateName', generateName, problem)] : [], subjectOf(''))
    for (let attempt = 1; ; attempt += 1) {
      const accepted = accept(call, body, generatedName(generateName))
      try {
        return await createAs(call, { ...accepted, own: { ...accepted.own, generateName } })
      } catch (error) {
        const isTaken = error instanceof RegistryError && error.code === 'ALREADY_EXISTS'
        if (!isTaken || attempt === maxNameAttempts) throw error
      }
    }
  }

  async function createAs(call: Call, { sent, own, fields }: ReturnType<typeof accept>): Promise<ApiObject> {
    if (sent.resourceVersion) {
      throw new RegistryError('BAD_REQUEST', { message: 'resourceVersion should not be set on objects to be created' })
    }
    requireValid(kind.checkAnnotations?.(own.annotations, undefined) ?? [], subjectOf(own.name))
    kind.authorize?.(fields, call, own.name)
    await requireQuota(call, own.name, { own, fields })
    if (call.options.dryRun) {
      if ((await objects.get(resource, call.project, own.name)) !== undefined) throw failed('ALREADY_EXISTS', own.name)
      return { metadata: { ...own, ...(call.project && { namespace: call.project }) }, ...fields }
    }
    return settled(await insert(call, { metadata: own, ...fields }))
  }

  async function update(call: Call, body: Fields): Promise<Updated> {
    const { sent, own, fields } = accept(call, body, call.name)
    await requireQuota(call, call.name, { own, fields })
    const change = (current: StoredObject): StoredObject => {
      if (sent.uid && sent.uid !== current.metadata.uid) throw failed('CONFLICT', call.name)
      const ofAnnotations = kind.checkAnnotations?.(own.annotations, current.metadata.annotations) ?? []
      requireValid([...(kind.checkChange?.(current, fields) ?? []), ...ofAnnotations], subjectOf(call.name))
      const { labels: _labels, annotations: _annotations, managedFields: _managed, ...server } = current.metadata
      const changed = { metadata: { ...server, ...own }, ...fields }
      // The order of fields is no difference.
      if (isDeepStrictEqual(changed, current)) return current
      const isOfOwnersAlone = isDeepStrictEqual(withoutOwners(changed), withoutOwners(current))
      if (!isOfOwnersAlone) kind.authorize?.(fields, call, call.name, current)
      return changed
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
    list: ({ project, options }) =>
      readPage(objects, { ...options, resource, project: project || undefined, isWanted: options.selects, maxRead }),
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

function withoutOwners({ metadata: { managedFields: _, ...metadata }, ...fields }: StoredObject): object {
  return { metadata, ...fields }
}

/** The store's newest revision, at least that of any write which was answered before. */
export async function newestRevision(objects: Objects): Promise<number> {
  return Number((await objects.list('namespaces', '', { limit: 1 })).resourceVersion)
}

/** @throws RegistryError TOO_LARGE for what is larger than an object may be */
export function requireStorable(object: object, maxBytes = maxObjectBytes): void {
  if (byteLength(object) > maxBytes) {
    throw new RegistryError('TOO_LARGE', {
      message: `the object is larger than ${maxBytes} bytes, the most that is kept of one`,
    })
  }
}

/** The fields that are there: clients in Go write null for what is empty. For the `schema` of a kind. */
export function withoutNull<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const present = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(present) as { [K in keyof T]?: NonNullable<T[K]> }
}

/** Bytes of `object` as it is answered. */
export function byteLength(object: object): number {
  return Buffer.byteLength(JSON.stringify(object))
}

/** What a page is to hold. */
export interface PageRequest {
  resource: string
  /** undefined for those of all projects. */
  project: string | undefined
  limit?: number
  continue?: string
  isWanted(object: StoredObject): boolean
  /**
   * The page ends after so many objects, wanted or not, and its `continue` then names the last of them. Left out where the
   * caller may not know of what is not wanted: as many are read as it takes.
   */
  maxRead?: number
}

/** A page within the bounds of number and size; where they cut it, `continue` leads on, as Kubernetes allows. */
export async function readPage(objects: Objects, request: PageRequest): Promise<ObjectPage> {
  const { resource, project, limit = maxPageItems, isWanted, maxRead = Number.POSITIVE_INFINITY } = request
  const count = Math.min(limit, maxPageItems)
  const items: StoredObject[] = []
  let bytes = 0
  let read = 0
  for (let next = request.continue; ; ) {
    const page = await objects.list(resource, project, { limit: batchSize, ...(next && { continue: next }) })
    const { resourceVersion } = page
    for (const object of page.items) {
      if (!isWanted(object)) continue
      const last = items.at(-1)
      if (last !== undefined && (items.length >= count || bytes >= maxPageBytes)) {
        return { items, resourceVersion, continue: continueAfter(resource, last, resourceVersion) }
      }
      items.push(object)
      bytes += byteLength(object)
    }
    read += page.items.length
    next = page.continue
    if (next === undefined) return { items, resourceVersion }
    if (read >= maxRead) return { items, resourceVersion, continue: next }
  }
}

function continueAfter(resource: string, { metadata }: StoredObject, resourceVersion: string): string {
  const after = objectKey(resource, metadata.namespace ?? '', metadata.name)
  return formatContinue({ after, revision: Number(resourceVersion) })
}

function generatedName(generateName: string): string {
  const suffix = Array.from({ length: suffixLength }, () => suffixAlphabet[randomInt(suffixAlphabet.length)])
  return generateName.slice(0, maxPrefixLength) + suffix.join('')
}
