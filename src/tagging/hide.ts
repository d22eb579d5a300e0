import { type FieldCause, RegistryError } from '../oci/errors.ts'
import { parseResourceVersion, requireChangeUnchanged, type Seen, standing } from '../streams/preconditions.ts'
import type { CurrentStream, StreamChange, Tag, TagChange } from '../streams/streams.ts'
import { requireValid } from '../streams/validation.ts'
import { imageGroup } from './rounds.ts'

/** The items of one tag that are to stay in status, as a client sends them. */
export interface ShownTag {
  tag: string
  items: readonly Item[]
}

/** What a client wants hidden, or why it can not be: the causes of an INVALID, or the tags that changed after what it saw. */
export interface Hidden {
  hide: Map<string, number[]>
  causes: FieldCause[]
  conflicts: string[]
}

interface Item {
  image: string
  created: string
}

/** The change that takes items out of status. @throws RegistryError INVALID, CONFLICT */
export function hideChange(current: CurrentStream, shown: readonly ShownTag[], seen: Seen): StreamChange {
  const { hide, causes, conflicts } = hiddenItems(current.tags, shown, parseResourceVersion(seen.resourceVersion))
  const { stream: name } = current.stream
  const change = { tags: new Map([...hide].map(([tag, indices]): [string, TagChange] => [tag, { hide: indices }])) }
  requireChangeUnchanged(current, change, seen)
  if (conflicts.length > 0) {
    throw new RegistryError('CONFLICT', {
      message: `items of image stream "${name}" can not be hidden: ${conflicts.join('; ')}; read it again`,
      subject: { name, kind: 'imagestreams', group: imageGroup },
    })
  }
  requireValid('ImageStream', name, causes)
  return change
}

/**
 * Compares the items that are to stay with those that are there: they may leave out any but the newest. `seen` is the revision
 * that the client saw, undefined when it does not say. What came after it the client can not mean to hide.
 */
export function hiddenItems(present: readonly Tag[], shown: readonly ShownTag[], seen: number | undefined): Hidden {
  const wanted = new Map(shown.map(({ tag, items }) => [tag, items]))
  const result: Hidden = { hide: new Map(), causes: [], conflicts: [] }
  for (const tag of present) {
    const items = wanted.get(tag.name) ?? []
    wanted.delete(tag.name)
    const isNewer = seen !== undefined && tag.storeRevision > seen
    if (isNewer && onlyMoved(tag.record.items, items)) continue
    const left = leftOut(tag.record.items, items)
    if (typeof left !== 'string' && left.length === 0) continue
    if (isNewer) result.conflicts.push(`tag ${JSON.stringify(tag.name)} ${standing(tag)}`)
    else if (typeof left === 'string') result.causes.push(refused(tag.name, left))
    else result.hide.set(tag.name, left)
  }
  for (const [tag, items] of wanted) {
    if (items.length > 0) result.causes.push(refused(tag, 'this tag has no items'))
  }
  return result
}

/** The indexes of what was left out; why not, when that is not all that differs. */
function leftOut(present: readonly Item[], shown: readonly Item[]): number[] | string {
  const left: number[] = []
  let next = 0
  for (const [i, item] of present.entries()) {
    if (isSame(item, shown[next])) next += 1
    else left.push(i)
  }
  if (next < shown.length) return 'items may only be left out, and stay in their order: status is written by the server'
  if (left[0] === 0) return 'the newest item is what pulls get and has to stay; to delete the tag: oc tag -d'
  return left
}

/** Whether the client shows what was there before the newest items came. */
function onlyMoved(present: readonly Item[], shown: readonly Item[]): boolean {
  if (shown.length === 0) return true
  const start = present.findIndex((item) => isSame(item, shown[0]))
  return start >= 0 && present.slice(start).every((item, i) => isSame(item, shown[i]))
}

function isSame(a: Item, b: Item | undefined): boolean {
  return a.image === b?.image && a.created === b.created
}

function refused(tag: string, why: string): FieldCause {
  const field = `status.tags[${tag.slice(0, 128)}].items`
  return { field, reason: 'FieldValueInvalid', message: `Invalid value: ${why}` }
}
