import type { Content, HeldContent } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { fateOf, isEvictable } from './fate.ts'
import type { GoneUpstream } from './gone.ts'
import type { LocationCheck, Obtainable } from './location-check.ts'
import type { HeldMarks } from './marks.ts'
import type { MayGive, ProvenBy } from './may-give.ts'
import { type Place, type Places, placesOf } from './places.ts'
import type { Report } from './report.ts'
import type { TagChanges } from './tag-changes.ts'

export interface EvictOptions {
  store: Pick<Store, 'get' | 'range'>
  content: Pick<Content, 'list' | 'remove'>
  held: HeldMarks
  changes: Pick<TagChanges, 'markChanged'>
  /** When the pass began: what was used since is kept by links that it saw before they were used. */
  nowMs: number
  mayGive: MayGive
  provenBy: ProvenBy
  check: LocationCheck
  gone: GoneUpstream
  report: Report
  dryRun: boolean
  checkClock(): void
  /** What nothing needs and was not used after it went already, or would have gone. */
  unusedSince: number
  signal: AbortSignal
}

/** What was used so shortly before is being used: it is neither evicted nor removed. */
export const recentUseMs = 600_000
/** Questions to upstreams at the same time. */
const atOnce = 4
/** Looked at together: their locations are found by reading all links once. */
const maxCandidates = 10_000
/** Streams that are told of in one pass that they lost something. */
const maxTold = 100

/** What turned out to be gone, by one of the streams that can not have it again. */
type Lost = Map<string, { stream: StreamName; digests: Set<Digest>; host: string }>

/** Removes least recently used bytes that a location can give again, until `neededBytes` are free or nothing is left to ask for. */
export async function evict(options: EvictOptions, neededBytes: number): Promise<void> {
  const { store, gone, report, dryRun, signal } = options
  const goal = report.freedBytes + neededBytes
  const lost: Lost = new Map()
  let last: HeldContent | undefined
  while (report.freedBytes < goal) {
    const candidates = await leastRecentlyUsed(options, last)
    last = candidates.at(-1)
    if (last === undefined) break
    const places = await placesOf(store, new Set(candidates.map(({ digest }) => digest)), options)
    await evictInOrder(
      options,
      candidates.filter(({ digest }) => places.has(digest)),
      { goal, places, lost },
    )
    signal.throwIfAborted()
  }
  const told = dryRun ? [] : [...lost.values()].slice(0, maxTold)
  for (const { stream, digests, host } of told) {
    signal.throwIfAborted()
    await gone.tell(stream, digests, host)
  }
}

/** Those that may be evicted and were used after `last`, the least recently used first. */
async function leastRecentlyUsed(
  { content, held, unusedSince, nowMs }: EvictOptions,
  last: HeldContent | undefined,
): Promise<HeldContent[]> {
  let oldest: HeldContent[] = []
  const before = nowMs - recentUseMs
  for await (const each of content.list()) {
    const bits = held.get(each.digest) ?? 0
    if (each.usedAt > before || !isEvictable(bits)) continue
    if ('free' in fateOf(bits) && each.usedAt <= unusedSince) continue
    if (last !== undefined && byUse(each, last) <= 0) continue
    oldest.push(each)
    if (oldest.length >= 2 * maxCandidates) oldest = oldest.sort(byUse).slice(0, maxCandidates)
  }
  return oldest.sort(byUse).slice(0, maxCandidates)
}

function byUse(a: HeldContent, b: HeldContent): number {
  return a.usedAt - b.usedAt || (a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0)
}

/** Several at the same time, and no more than are needed as long as none fails. */
async function evictInOrder(
  options: EvictOptions,
  candidates: readonly HeldContent[],
  { goal, places, lost }: { goal: number; places: Places; lost: Lost },
): Promise<void> {
  const { report } = options
  let next = 0
  let pendingBytes = 0
  const isEnough = () => report.freedBytes + pendingBytes >= goal

  async function work(): Promise<void> {
    while (!isEnough()) {
      const candidate = candidates[next]
      if (candidate === undefined) return
      next += 1
      pendingBytes += candidate.size
      try {
        await evictOne(options, candidate, places.get(candidate.digest) ?? [], lost)
      } finally {
        pendingBytes -= candidate.size
      }
    }
  }

  while (next < candidates.length && !isEnough()) {
    await Promise.all(Array.from({ length: atOnce }, work))
  }
}

async function evictOne(
  options: EvictOptions,
  candidate: HeldContent,
  places: readonly Place[] | 'many',
  lost: Lost,
): Promise<void> {
  const { content, held, changes, gone, report, dryRun, nowMs, checkClock, signal } = options
  const { digest, size } = candidate
  const fate = fateOf((held.get(digest) ?? 0) | gone.mark(digest))
  const reason = 'keep' in fate ? fate.keep : 'too young'
  if (places === 'many') {
    report.keep(reason, -size, -1)
    report.keep('too many places', size)
    return
  }
  if (gone.isAtOneOf(digest, places)) return
  const answer = await askAll(options, candidate, places)
  if (answer.can === 'gone') {
    gone.add(digest, answer.place)
    report.keep(reason, -size, -1)
    report.keep('gone upstream', size)
    const { stream } = answer.place
    const path = `${stream.project}/${stream.stream}`
    const known = lost.get(path) ?? { stream, digests: new Set(), host: answer.host }
    lost.set(path, known)
    known.digests.add(digest)
  }
  if (answer.can !== 'yes') return
  await changes.markChanged()
  signal.throwIfAborted()
  checkClock()
  if (!isEvictable(held.get(digest) ?? 0)) return
  const freed = dryRun ? size : await content.remove(digest, { unusedSince: nowMs - recentUseMs })
  if (freed === 0) return
  report.keep(reason, -size, -1)
  report.free(digest, freed, 'evicted')
}

/** Every stream that has it must be able to have it again. What an upstream says that never gave it only keeps it from being gone. */
async function askAll(
  { check, signal }: EvictOptions,
  { digest, size }: HeldContent,
  places: readonly Place[],
): Promise<Exclude<Obtainable, { can: 'gone' }> | { can: 'gone'; host: string; place: Place }> {
  for (const place of places) {
    const answer = await check.ask(place.locations, digest, size, signal)
    if (answer.can === 'unsure') return answer
    if (answer.can !== 'gone') continue
    const isGone = place.unproven.length === 0 || (await check.ask(place.unproven, digest, size, signal)).can === 'gone'
    return isGone ? { ...answer, place } : { can: 'unsure' }
  }
  return { can: places.length > 0 ? 'yes' : 'unsure' }
}
