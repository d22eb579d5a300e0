import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { commitOnce, type Fate } from './commit-once.ts'
import type { Base, Step } from './compose.ts'
import { decode, encode, eventKey, lifeKey, streamObjectKey, tagKey } from './keys.ts'
import type { LifeRecord, TagRecord } from './records.ts'

/** The revision of each step; or where a race was lost, after which the steps before it stand. */
export type CommittedSteps = { revisions: number[] } | { lostAt: string }

/**
 * Commits the steps of a change one after the other, each conditioned on the stream's life besides its own conditions.
 *
 * @throws RegistryError UNAVAILABLE when it stays unknown whether something was written
 */
export async function commitSteps(
  store: Store,
  { name, base, steps, what }: { name: StreamName; base: Base; steps: readonly Step[]; what: string },
): Promise<CommittedSteps> {
  const revisions: number[] = []
  let lifeRevision = base.read?.lifeRevision ?? 0
  for (const step of steps) {
    const preconditions = [{ key: lifeKey(name), revision: lifeRevision }, ...step.preconditions]
    const result = await commitOnce(store, {
      commit: { operations: step.operations, preconditions },
      fate: () => fateOf(store, name, base, step),
      what,
    })
    if (result.status === 'conflict') return { lostAt: result.key }
    if (lifeRevision === 0) lifeRevision = result.revision
    revisions.push(result.revision)
  }
  return { revisions }
}

/** What became of a step whose commit was answered `unknown`; any one record that it writes shows. */
async function fateOf(store: Store, name: StreamName, base: Base, { operations, tags }: Step): Promise<Fate> {
  const witness = tags.find(({ entries }) => entries.length > 0) ?? tags[0]
  if (witness === undefined) return base.birth === undefined ? fateOfObject() : fateOfLife(base.birth.stream.uid)
  const { tag, record, baseRevision, entries } = witness
  const found = await store.get(tagKey(name, tag))
  if ((found?.revision ?? 0) === baseRevision) return 'open'
  if (found !== undefined && decode<TagRecord>(found).commitId === record.commitId) return { landed: found.revision }
  const entry = entries.at(-1)
  if (entry === undefined) return 'unknowable'
  // Somebody wrote over the record. Another entry under this revision, or none, shows that this change never landed.
  const told = await store.get(eventKey(name, tag, entry.revision))
  return told?.value === encode(entry) ? 'unknowable' : 'open'

  async function fateOfLife(uid: string): Promise<Fate> {
    const life = await store.get(lifeKey(name))
    return life !== undefined && decode<LifeRecord>(life).uid === uid ? { landed: life.revision } : 'open'
  }

  async function fateOfObject(): Promise<Fate> {
    const key = streamObjectKey(name)
    const object = await store.get(key)
    if (object?.revision === base.read?.stream.objectRevision) return 'open'
    const written = operations.find((operation) => operation.key === key)
    const isSame = written?.type === 'put' && object?.value === written.value
    return isSame ? { landed: object.revision } : 'unknowable'
  }
}
