import { type Rendering, renderObject } from '../render.ts'
import type { ApiObject, ObjectChange } from '../resource.ts'

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** A change as all watchers of a resource share it. */
export interface SharedChange extends ObjectChange {
  revision: number
  /** What was written of it already, by what it was written as. */
  lines: Map<string, Buffer>
}

/** How one watcher wants events. */
export interface Writing {
  rendering: Omit<Rendering, 'nowMs'>
  /** Equal for all that want the same. */
  key: string
  now: () => number
}

export function createWriting({ form, type, columns }: Omit<Rendering, 'nowMs'>, now: () => number): Writing {
  // Type and columns are those of the resource.
  return { rendering: { form, type, columns }, key: JSON.stringify(form), now }
}

export function shareChange(change: ObjectChange, revision: number): SharedChange {
  return { ...change, revision, lines: new Map() }
}

/**
 * The line that tells of a change, made once for all who want the same. What is gone is told as it last was, with the
 * revision at which it went.
 */
export function lineOf(change: SharedChange, type: EventType, writing: Writing, isFirst: boolean): Buffer {
  const { rendering, key, now } = writing
  const name = `${type} ${isFirst && rendering.form.table !== undefined} ${key}`
  const found = change.lines.get(name)
  if (found !== undefined) return found
  const { before, after, revision } = change
  const object = type === 'DELETED' ? before && withVersion(before, revision) : after
  if (object === undefined) throw new TypeError(`a change that is ${type} has no object for it`)
  const line = eventLine(type, renderObject({ ...rendering, nowMs: now() }, object, { isFirst }))
  change.lines.set(name, line)
  return line
}

/** One event as it is sent. */
export function eventLine(type: EventType | 'BOOKMARK' | 'ERROR', object: object): Buffer {
  return Buffer.from(`${JSON.stringify({ type, object })}\n`)
}

/** What tells a watcher how far it is. */
export function bookmarkLine(
  { rendering: { type, form } }: Writing,
  revision: number,
  { endsInitial = false } = {},
): Buffer {
  const metadata = {
    resourceVersion: String(revision),
    creationTimestamp: null,
    ...(endsInitial ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
  }
  if (form.table !== undefined) {
    // A table's own metadata has no annotations: what they say stands in the object of a row.
    const object = { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${form.table}`, metadata }
    const rows = endsInitial ? [{ cells: [], object }] : []
    const table = { kind: 'Table', apiVersion: `meta.k8s.io/${form.table}` }
    const { resourceVersion } = metadata
    return eventLine('BOOKMARK', { ...table, metadata: { resourceVersion }, columnDefinitions: null, rows })
  }
  if (form.metadataOnly !== undefined) {
    const partial = { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${form.metadataOnly}` }
    return eventLine('BOOKMARK', { ...partial, metadata })
  }
  return eventLine('BOOKMARK', { ...type, metadata })
}

function withVersion(object: ApiObject, revision: number): ApiObject {
  return { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } }
}
