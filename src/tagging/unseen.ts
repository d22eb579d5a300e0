import { RegistryError } from '../oci/errors.ts'
import { sameReference } from '../streams/generations.ts'
import { parseResourceVersion, requireTagUnchanged, type Seen } from '../streams/preconditions.ts'
import type { CurrentStream, StreamChange, Tag, TagChange } from '../streams/streams.ts'

/** provisional, until streams/ has the judge */
export function requireChangesUnseen(current: CurrentStream, change: StreamChange, seen: Seen): void {
  const version = parseResourceVersion(seen.resourceVersion)
  const { stream } = current
  requireTagUnchanged({ stream, tag: undefined }, '', seen)
  if (version === undefined) return
  if (change.object !== undefined && stream.objectRevision > version) throw new RegistryError('CONFLICT')
  const present = new Map(current.tags.map((tag) => [tag.name, tag]))
  for (const [name, tagChange] of change.tags ?? []) {
    const tag = present.get(name)
    if (tag !== undefined && changes(tag, tagChange)) requireTagUnchanged({ stream, tag }, name, seen)
  }
}

function changes({ record }: Tag, { spec, event, hide, reimport }: TagChange): boolean {
  if (event !== undefined || reimport || hide !== undefined) return true
  if (spec === undefined) return false
  if (spec === null || record.spec === undefined) return spec !== (record.spec ?? null)
  return !sameReference(spec, record.spec)
}
