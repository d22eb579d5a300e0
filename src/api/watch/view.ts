import type { ApiObject, Call, Resource } from '../resource.ts'
import { type EventType, lineOf, type SharedChange, shareChange, type Writing } from './shared-change.ts'

/** What one watcher sees of a resource, and how it is written for him. */
export interface View {
  /** The event that a change is to him; undefined when it is none. */
  lineOf(change: SharedChange): Buffer | undefined
  /** The event that tells of an object of the list at the beginning. */
  initialLineOf(object: ApiObject): Buffer | undefined
  /** The list is told: its last page was read when the store was at most at `revision`. */
  endInitial(revision: number): void
}

/**
 * Creates the view of a caller. The pages of a list are read one after the other while the store goes on: until the
 * changes have come to where the last page was read, what the list showed already, or never showed, is not told.
 */
export function createView(row: Resource, call: Call, writing: Writing): View {
  let isFirst = true
  /** The objects that were told so far, with the revision they were told at; undefined when it does not matter any more. */
  let told: Map<string, number> | undefined
  let toldUntil = Number.POSITIVE_INFINITY

  const isSeen = (object: ApiObject | undefined): boolean =>
    object !== undefined &&
    (call.project === '' || object.metadata.namespace === call.project) &&
    call.options.selects(object) &&
    (row.maySee?.(call, object) ?? true)

  function typeOf({ before, after }: SharedChange): EventType | undefined {
    const wasSeen = isSeen(before)
    if (isSeen(after)) return wasSeen ? 'MODIFIED' : 'ADDED'
    return wasSeen ? 'DELETED' : undefined
  }

  /** Whether a change goes with what the list showed, which from then on counts as told. */
  function isNews(known: Map<string, number>, { before, after, revision }: SharedChange, type: EventType): boolean {
    const key = keyOf(after ?? before)
    const toldAt = known.get(key)
    // What has no resourceVersion is told once.
    if (toldAt === undefined ? type !== 'ADDED' : revision <= toldAt || toldAt === 0) return false
    if (type === 'DELETED') known.delete(key)
    else known.set(key, revision)
    return true
  }

  function write(change: SharedChange, type: EventType): Buffer {
    const line = lineOf(change, type, writing, isFirst)
    isFirst = false
    return line
  }

  return {
    lineOf(change) {
      if (change.revision > toldUntil) told = undefined
      const type = typeOf(change)
      if (type === undefined || (told !== undefined && !isNews(told, change, type))) return undefined
      return write(change, type)
    },
    initialLineOf(object) {
      if (!isSeen(object)) return undefined
      const revision = Number(object.metadata.resourceVersion ?? 0)
      told ??= new Map()
      told.set(keyOf(object), revision)
      return write(shareChange({ before: undefined, after: object }, revision), 'ADDED')
    },
    endInitial(revision) {
      told ??= new Map()
      toldUntil = revision
    },
  }
}

function keyOf(object: ApiObject | undefined): string {
  return `${object?.metadata.namespace ?? ''}/${object?.metadata.name ?? ''}`
}
