import type { ApiObject, Call, Resource } from '../resource.ts'
import { createListed, type Listed } from './listed.ts'
import { type EventType, lineOf, type SharedChange, shareChange, type Writing } from './shared-change.ts'

/** What one watcher sees of a resource, and how it is written for him. */
export interface View {
  /** The event that a change is to him; undefined when it is none. */
  lineOf(change: SharedChange): Buffer | undefined
  /** The event that tells of an object of the list at the beginning. */
  initialLineOf(object: ApiObject): Buffer | undefined
  /** The list is told: its last page was read when the store was at most at `revision`. */
  endInitial(revision: number): void
  /** All changes up to `revision` were asked for. Answers whether the list at the beginning still has to be remembered. */
  reached(revision: number): boolean
}

/** Creates the view of a caller. A list at the beginning is of `since` or later. */
export function createView(row: Resource, call: Call, writing: Writing, since: number): View {
  let isFirst = true
  let listed: Listed | undefined

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

  function write(change: SharedChange, type: EventType): Buffer {
    const line = lineOf(change, type, writing, isFirst)
    isFirst = false
    return line
  }

  return {
    lineOf(change) {
      const type = typeOf(change)
      if (type === undefined) return undefined
      if (listed?.concerns(change.revision) && !listed.isNews(change, type)) return undefined
      return write(change, type)
    },
    initialLineOf(object) {
      if (!isSeen(object)) return undefined
      listed ??= createListed(since)
      listed.add(object)
      return write(shareChange({ before: undefined, after: object }, since), 'ADDED')
    },
    endInitial(revision) {
      listed ??= createListed(since)
      listed.end(revision)
    },
    reached(revision) {
      if (listed?.concerns(revision + 1) === false) listed = undefined
      return listed !== undefined
    },
  }
}
