import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { commitLimits, type Entry, type Operation, type Precondition, type Store } from '../store/store.ts'
import { decode, encode, imageIndexKey, lifeKey, linkKey, referrerKey } from './keys.ts'
import { streamNotFound } from './lives.ts'
import type { ImageIndexRecord, LifeRecord, LinkRecord, ReferrerRecord } from './records.ts'
import type { InTurn } from './turns.ts'

/** A link and the record it should come to, made from what is there; undefined leaves it as it is. */
export interface LinkStep {
  digest: Digest
  next: (stored: LinkRecord | undefined, life: LifeRecord) => LinkRecord | undefined
  /** What is kept of what a manifest with a subject tells of itself. */
  referrer?: Pick<ReferrerRecord, 'artifactType' | 'annotations' | 'isCut'> | undefined
}

const maxAttempts = 20
/** The stream's life is a precondition besides those of the links. */
const maxStepLinks = commitLimits.maxOperations - 1
/** Leaves room for what the engine adds to a commit. */
const maxStepBytes = commitLimits.maxBytes / 2

/** Writes links in steps. A step that lost a race is made anew, and waits for its turn from then on. */
export async function writeLinks(
  store: Store,
  inTurn: InTurn,
  name: StreamName,
  uid: string,
  steps: readonly LinkStep[],
): Promise<void> {
  for (let done = 0; done < steps.length; ) {
    const batch = steps.slice(done, done + maxStepLinks)
    done += (await writeStep(store, name, uid, batch)) ?? (await inTurn(lifeKey(name), () => again(batch)))
  }

  async function again(batch: readonly LinkStep[]): Promise<number> {
    for (let attempt = 1; attempt < maxAttempts; attempt++) {
      const taken = await writeStep(store, name, uid, batch)
      if (taken !== undefined) return taken
    }
    throw unavailable(`links of ${name.project}/${name.stream}`)
  }
}

/**
 * Writes as many of `batch` as one commit takes, conditioned on the stream's life and on the links as read. After a
 * conflict or a lost answer, reading again shows which are still missing.
 *
 * @returns how many are written; undefined when it has to be tried again
 */
async function writeStep(
  store: Store,
  name: StreamName,
  uid: string,
  batch: readonly LinkStep[],
): Promise<number | undefined> {
  const lifeEntry = await store.get(lifeKey(name))
  const living = lifeEntry && decode<LifeRecord>(lifeEntry)
  if (lifeEntry === undefined || living?.uid !== uid) throw streamNotFound('NAME_UNKNOWN', name)
  const stored = await Promise.all(batch.map(({ digest }) => store.get(linkKey(name, digest))))
  const { operations, preconditions, taken } = pack(name, batch, stored, living)
  if (operations.length === 0) return taken
  preconditions.push({ key: lifeKey(name), revision: lifeEntry.revision })
  const result = await store.commit({ operations, preconditions })
  return result.status === 'committed' ? taken : undefined
}

/**
 * As many steps as one commit can hold; steps that change nothing cost nothing. A manifest that is received is put into the
 * index of images with its link, and where it has a subject into that of referrers.
 */
function pack(
  name: StreamName,
  batch: readonly LinkStep[],
  stored: readonly (Entry | undefined)[],
  life: LifeRecord,
): { operations: Operation[]; preconditions: Precondition[]; taken: number } {
  const operations: Operation[] = []
  const preconditions: Precondition[] = []
  let bytes = 0
  for (const [i, { digest, next, referrer }] of batch.entries()) {
    const entry = stored[i]
    const before = entry && decode<LinkRecord>(entry)
    const record = next(before, life)
    if (record === undefined) continue
    const key = linkKey(name, digest)
    const written: Operation[] = [{ type: 'put', key, value: encode(record) }]
    const isIndexed = before?.received === true && before.uid === life.uid
    if (record.received && !isIndexed)
      written.unshift({
        type: 'put',
        key: imageIndexKey(name, digest),
        value: encode({ uid: life.uid } satisfies ImageIndexRecord),
      })
    const isListed = isIndexed && before.subject !== undefined
    if (record.received && record.subject !== undefined && !isListed) {
      const { mediaType, size = 0 } = record
      written.unshift({
        type: 'put',
        key: referrerKey(name, record.subject, digest),
        value: encode({ uid: life.uid, mediaType, size, ...referrer } satisfies ReferrerRecord),
      })
    }
    bytes += sizeOf(written)
    const isFull = operations.length + written.length > commitLimits.maxOperations || bytes > maxStepBytes
    if (isFull && operations.length > 0) return { operations, preconditions, taken: i }
    operations.push(...written)
    preconditions.push({ key, revision: entry?.revision ?? 0 })
  }
  return { operations, preconditions, taken: batch.length }
}

function sizeOf(operations: readonly Operation[]): number {
  return operations.reduce(
    (sum, each) => sum + each.key.length + (each.type === 'put' ? Buffer.byteLength(each.value) : 0),
    0,
  )
}

/** The error for records that could not be written. */
export function unavailable(what: string, cause?: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: `${what} could not be written, the store was changed too often or failed; try again`,
    retryAfterSeconds: 1,
    cause,
  })
}
