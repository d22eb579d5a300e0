import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { isIndexType, isManifestType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import { commitLimits, type Entry, type Store } from '../store/store.ts'
import { decode, digestOfLink, fallbacksRange, linkKey, linksRange } from '../streams/keys.ts'
import { youngSince } from '../streams/link-records.ts'
import type { FallbackRecord, LinkRecord } from '../streams/records.ts'
import { maxUnlinking, unlinking } from '../streams/unlinking.ts'
import { createDigestTable } from './digest-table.ts'
import { isOfStream, type MarkOptions, marksOfLink, minLinkAgeMs, type StreamView } from './mark-stream.ts'
import { marks } from './marks.ts'

/** A link as read, and what it says. */
interface ReadLink {
  entry: Entry
  digest: Digest
  record: LinkRecord
}

/** Parents before what they name: an index, an image, a config or layer. */
const levels = ['index', 'image', 'blob'] as const
type Level = (typeof levels)[number]

/** The engine adds nothing to a commit of deletions, and one more would be too many. */
const maxOperations = commitLimits.maxOperations - 1

export interface UnreachedOptions extends MarkOptions {
  /** Counts what would be removed, and removes nothing. */
  dryRun: boolean
  /** Told of a living stream, by its uid, whose links are gone: what memory knows through them is to be forgotten. */
  onUnlinked(uid: string, name: StreamName, digests: readonly Digest[]): void
  /** Throws when the clock was set: what was renewed since may look old. */
  checkClock(): void
  signal: AbortSignal
}

/**
 * Removes those links of a stream that nothing leads to: not what was marked before, not its ledger, no young link. What the ledger
 * leads to stays, also of an earlier stream of the same project: it can be rolled back to.
 *
 * Nothing that a tag moves to can go. Whoever moves one adds or renews its manifest's link and those that this names (`isReliedOn`)
 * before: either that was seen here, and they are young, or they changed since they were read, and their removal is refused.
 * Whatever was received goes before what it names, one commit after the other: wherever this ends, a manifest that a stream
 * received still has links to all it names, and who reads it anew finds them.
 *
 * @returns how many links are removed
 * @throws RegistryError UNAVAILABLE
 */
export async function removeUnreached(options: UnreachedOptions, view: StreamView): Promise<number> {
  const { store, nowMs, dryRun, onUnlinked, checkClock, signal } = options
  const { name, life, reach } = view
  const links = linksRange(name, '', undefined)
  const [all, ...byLevel] = await store.ranges([links, ...levels.map(() => links)])
  if (!all) throw new TypeError('a snapshot has as many ranges as asked for')
  const named = await reachYoung(all)
  let removed = 0
  for (const [i, level] of levels.entries()) {
    let batch: ReadLink[] = []
    for await (const link of linksOf(byLevel[i] ?? [])) {
      if (levelOf(link.record) !== level) continue
      if (reach.has(link.digest) || isYoung(link.record)) await markLink(link)
      // It would go before the index that names it.
      else if (level === 'index' && named.get(link.digest) !== 0) await keepWhole(link)
      else if (batch.push(link) >= Math.floor(maxOperations / maxUnlinking)) {
        await remove(batch)
        batch = []
      }
    }
    await remove(batch)
  }
  if (removed > 0 && !dryRun) await removeDangling(store, name)
  return removed

  function isYoung(record: LinkRecord): boolean {
    return youngSince(record) > nowMs - minLinkAgeMs
  }

  async function markLink({ digest, record }: ReadLink): Promise<void> {
    const isFresh = isYoung(record) || !reach.has(digest)
    if (isOfStream(view, digest, record))
      await reach.markLink(digest, record, marksOfLink(record) | (isFresh ? marks.fresh : 0))
  }

  async function keepWhole(link: ReadLink): Promise<void> {
    await reach.from(link.digest, marks.fresh)
    await markLink(link)
  }

  /** @returns what old indexes name that nothing leads to */
  async function reachYoung(entries: AsyncIterable<Entry>) {
    const namedByUnreached = createDigestTable()
    for await (const { digest, record } of linksOf(entries)) {
      const level = levelOf(record)
      if (level === 'blob') continue
      if (isYoung(record)) await reach.from(digest, marks.fresh)
      else if (level === 'index' && !reach.has(digest))
        for (const child of record.children ?? []) namedByUnreached.add(child, 1)
    }
    return namedByUnreached
  }

  async function remove(batch: readonly ReadLink[]): Promise<void> {
    if (batch.length === 0) return
    signal.throwIfAborted()
    checkClock()
    const conflicting = dryRun ? [] : await removeLinks(store, name, batch)
    removed += batch.length - conflicting.length
    const gone = dryRun ? [] : batch.filter((link) => !conflicting.includes(link)).map(({ digest }) => digest)
    if (life !== undefined && gone.length > 0) onUnlinked(life.uid, name, gone)
    for (const link of conflicting) await keepWhole(link)
  }
}

/**
 * Removes links of a stream that are as they were read, each with its entries in the indexes of images and of referrers.
 *
 * @returns those that changed meanwhile, and stay
 * @throws RegistryError UNAVAILABLE
 */
async function removeLinks(
  store: Pick<Store, 'commit'>,
  name: StreamName,
  links: readonly ReadLink[],
): Promise<ReadLink[]> {
  let left = [...links]
  const changed: ReadLink[] = []
  while (left.length > 0) {
    const operations = left.flatMap(({ digest, record }) => unlinking(name, digest, record))
    const preconditions = left.map(({ entry }) => ({ key: entry.key, revision: entry.revision }))
    const result = await store.commit({ operations, preconditions })
    if (result.status === 'committed') break
    if (result.status === 'unknown') {
      const message = `the store did not say whether it removed links of ${name.project}/${name.stream}`
      throw new RegistryError('UNAVAILABLE', { message, cause: result.cause })
    }
    changed.push(...left.filter(({ entry }) => entry.key === result.key))
    left = left.filter(({ entry }) => entry.key !== result.key)
  }
  return changed
}

/** Removes the tags of images that stand at nothing which the stream has. Who puts one somewhere anew is not overtaken. */
async function removeDangling(store: Pick<Store, 'get' | 'range' | 'commit'>, name: StreamName): Promise<void> {
  for await (const entry of await store.range(fallbacksRange(name, ''))) {
    const { image } = decode<FallbackRecord>(entry)
    if ((await store.get(linkKey(name, image))) !== undefined) continue
    const { key, revision } = entry
    // One that could not be removed is seen by the next pass.
    await store.commit({ operations: [{ type: 'delete', key }], preconditions: [{ key, revision }] })
  }
}

function levelOf({ mediaType, otherType, children }: LinkRecord): Level {
  const types = [mediaType, otherType].filter((type) => type !== undefined)
  if (children !== undefined || types.some(isIndexType)) return 'index'
  return types.some(isManifestType) ? 'image' : 'blob'
}

async function* linksOf(entries: AsyncIterable<Entry> | Iterable<Entry>): AsyncGenerator<ReadLink, void> {
  for await (const entry of entries) yield { entry, digest: digestOfLink(entry.key), record: decode<LinkRecord>(entry) }
}
