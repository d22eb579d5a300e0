import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { LedgerEntry, TagRecord } from './records.ts'

/** What a rollback is to: a revision, a digest (the newest revision that has it), or absent. */
export type RollbackTarget = number | Digest | undefined

/** Reads a tag's ledger, newest first, from before the revision `before`. */
export type ReadLedger = (before: number | undefined) => Promise<readonly LedgerEntry[]>

/**
 * Finds the ledger entry that a rollback restores. Without a target: the newest revision older than the one in force (of
 * a rolled-back tag: older than the one it restored) with another digest. Deletions are no place to go back to, and
 * neither are revisions from before the project was made anew.
 *
 * @throws RegistryError INVALID with field cause `to`
 */
export async function findRollbackEntry(
  read: ReadLedger,
  to: RollbackTarget,
  tag: { name: StreamName; tag: string; record: TagRecord | undefined; projectUid: string },
): Promise<LedgerEntry> {
  const entry = await (typeof to === 'number'
    ? atRevision(read, to)
    : to === undefined
      ? previous(read, tag)
      : first(read, undefined, (e) => e.image === to))
  if (entry === undefined) throw refusal(tag, to, notThere(to))
  if (entry.image === '') throw refusal(tag, to, `revision ${entry.revision} has no image to go back to`)
  if (entry.projectUid !== tag.projectUid) {
    throw refusal(tag, to, `revision ${entry.revision} belongs to an earlier project ${tag.name.project}`)
  }
  return entry
}

async function atRevision(read: ReadLedger, revision: number): Promise<LedgerEntry | undefined> {
  const [entry] = await read(revision + 1)
  return entry?.revision === revision ? entry : undefined
}

async function previous(
  read: ReadLedger,
  tag: { name: StreamName; tag: string; record: TagRecord | undefined; projectUid: string },
): Promise<LedgerEntry | undefined> {
  const { record } = tag
  const pin = record?.items[0]?.image
  if (record === undefined || pin === undefined) {
    throw refusal(tag, undefined, 'the tag has no revision in force; say which to restore')
  }
  const base = await restoredFrom(read, record.current)
  return first(read, base, (e) => e.image !== '' && e.image !== pin && e.projectUid === tag.projectUid)
}

/** Follows rollbacks of rollbacks to the revision that was first restored. */
async function restoredFrom(read: ReadLedger, revision: number): Promise<number> {
  const entry = await atRevision(read, revision)
  const restored = entry?.cause.kind === 'rollback' ? entry.cause.restoredRevision : undefined
  return restored === undefined || restored >= revision ? revision : restoredFrom(read, restored)
}

async function first(
  read: ReadLedger,
  before: number | undefined,
  matches: (entry: LedgerEntry) => boolean,
): Promise<LedgerEntry | undefined> {
  for (let bound = before; ; ) {
    const entries = await read(bound)
    const found = entries.find(matches)
    const last = entries.at(-1)
    if (found !== undefined || last === undefined) return found
    bound = last.revision
  }
}

function notThere(to: RollbackTarget): string {
  if (to === undefined) return 'no older revision has another digest'
  return typeof to === 'number' ? `there is no revision ${to}` : `no revision has the digest ${to}`
}

function refusal(tag: { name: StreamName; tag: string }, to: RollbackTarget, why: string): RegistryError {
  const { project, stream } = tag.name
  const message = `${why}; see: weir history ${project}/${stream}:${tag.tag}`
  const reason = to === undefined ? 'FieldValueRequired' : 'FieldValueInvalid'
  return new RegistryError('INVALID', {
    message: `tag ${JSON.stringify(tag.tag)} of image stream ${project}/${stream} can not be rolled back: ${message}`,
    causes: [{ field: 'to', reason, message }],
    subject: { name: `${stream}:${tag.tag}`, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}
