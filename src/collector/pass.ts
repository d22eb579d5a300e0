import type { Content, HeldContent } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import type { ContentPolicy } from '../streams/content-policy.ts'
import { evict, recentUseMs } from './evict.ts'
import { fateOf, isEvictable } from './fate.ts'
import type { GoneUpstream } from './gone.ts'
import type { LocationCheck } from './location-check.ts'
import { markStream } from './mark-stream.ts'
import { createHeldMarks, type HeldMarks, marks } from './marks.ts'
import type { MayGive, ProvenBy } from './may-give.ts'
import { createReport, type FreeReason, type PruneReport, type Report } from './report.ts'
import { streamRecords } from './stream-records.ts'
import { followTagChanges, type TagChanges } from './tag-changes.ts'
import { removeUnreached } from './unreached-links.ts'

export interface PassOptions {
  store: Store
  content: Pick<Content, 'list' | 'remove' | 'sweep' | 'counters'>
  policy: ContentPolicy
  mayGive: MayGive
  provenBy: ProvenBy
  maxBytes: number
  check: LocationCheck
  gone: GoneUpstream
  onUnlinked(uid: string, name: StreamName, digests: readonly Digest[]): void
  /** Throws when the clock was set: what was used since may look old. */
  checkClock(): void
  now: () => number
  signal: AbortSignal
}

export interface PassRequest {
  dryRun: boolean
  /** What was used since is not removed for being unlinked or beyond history-keep. */
  keepYoungerThanMs: number
  /** How many bytes had no room. */
  neededBytes: number
}

/** Of `maxBytes`: eviction begins above the first and goes to the second. */
const pressedShare = 0.9
const relievedShare = 0.85

/** Removed between two looks at the tags that changed. */
const removedAtOnce = 64

/** What all steps of a pass share. */
interface Pass extends PassOptions, PassRequest {
  held: HeldMarks
  changes: TagChanges
  report: Report
  nowMs: number
  unusedSince: number
}

/**
 * One pass, beside pulls and moves: marks what is held by what leads to it, stream by stream; removes the links that nothing leads
 * to; removes the bytes that nothing needs; and where there is no room, some that can be had again. Only what was held when it
 * began is looked at. Each removal is safe alone, so it may end anywhere.
 *
 * No tag comes to stand at bytes that go at the same moment. Marks are only added, so a tag that stood still is seen. Whoever
 * moves a tag uses (`touch`) all that is held of the image before; for ten minutes at least `remove`, which looks at the last use
 * once more when nobody else can write or remove the bytes, leaves them alone then. Bytes that went just before that use are missed by who
 * moves: they are fetched again, or where nobody has them the move is refused, because it asks after the use whether they are held.
 * Whoever takes longer is seen by the tags that changed: they are marked before each removal.
 */
export async function runPass(options: PassOptions, request: PassRequest): Promise<PruneReport> {
  const { content, now } = options
  const { dryRun, keepYoungerThanMs } = request
  const swept = dryRun ? undefined : await content.sweep()
  const nowMs = now()
  const held = createHeldMarks()
  const report = createReport()
  await using changes = await followTagChanges({ ...options, held, nowMs })
  const unusedSince = nowMs - Math.max(keepYoungerThanMs, recentUseMs)
  const pass: Pass = { ...options, ...request, held, changes, report, nowMs, unusedSince }
  for await (const { digest } of content.list()) held.hold(digest)
  await markStreams(pass)
  const kept = await removeUnneeded(pass)
  await evict(pass, missingBytes(pass, kept))
  return { ...report.done(), ...(swept && { swept }) }
}

async function markStreams(pass: Pass): Promise<void> {
  const { store, report, signal } = pass
  for await (const records of streamRecords(store)) {
    signal.throwIfAborted()
    const { view, unreached } = await markStream(pass, records)
    if (unreached > 0) report.removedLinks(await removeUnreached(pass, view))
  }
}

/** What stays, and how much of it may be evicted, in bytes. */
interface Kept {
  bytes: number
  evictableBytes: number
}

async function removeUnneeded(pass: Pass): Promise<Kept> {
  const { content, held, report, unusedSince, checkClock, signal } = pass
  const kept: Kept = { bytes: 0, evictableBytes: 0 }
  const keep = (content: HeldContent) => {
    kept.bytes += content.size
    if (isEvictable(held.get(content.digest) ?? 0)) kept.evictableBytes += content.size
    report.keep(keepReason(pass, content), content.size)
  }
  const removable: HeldContent[] = []
  for await (const each of content.list()) {
    signal.throwIfAborted()
    const bits = held.get(each.digest)
    if (bits === undefined || !('free' in fateOf(bits)) || each.usedAt > unusedSince) keep(each)
    else if (removable.push(each) >= removedAtOnce) await removeAll()
  }
  await removeAll()
  return kept

  async function removeAll(): Promise<void> {
    await pass.changes.markChanged()
    checkClock()
    for (const each of removable.splice(0)) {
      signal.throwIfAborted()
      const fate = fateOf(held.get(each.digest) ?? 0)
      if (!('free' in fate) || !(await removeOne(pass, each, fate.free))) keep(each)
    }
  }
}

async function removeOne(
  { content, report, dryRun, unusedSince }: Pass,
  { digest, size }: HeldContent,
  reason: FreeReason,
): Promise<boolean> {
  const freed = dryRun ? size : await content.remove(digest, { unusedSince })
  if (freed > 0) report.free(digest, freed, reason)
  return freed > 0
}

function keepReason({ held, gone, nowMs }: Pass, { digest, usedAt }: HeldContent) {
  const fate = fateOf((held.get(digest) ?? marks.fresh) | gone.mark(digest))
  if ('keep' in fate) return fate.keep
  return usedAt > nowMs - recentUseMs ? 'being used' : 'too young'
}

function missingBytes({ content, report, maxBytes, neededBytes }: Pass, { bytes, evictableBytes }: Kept): number {
  // Uploads take room too.
  const used = bytes + content.counters.uploadBytes
  const tooMany = used > pressedShare * maxBytes ? used - relievedShare * maxBytes : 0
  const missing = neededBytes - report.freedBytes
  // For a file that has no room in any case nothing else is to go.
  return missing > evictableBytes ? tooMany : Math.max(tooMany, missing, 0)
}
