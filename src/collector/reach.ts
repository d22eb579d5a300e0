import type { Digest } from '../oci/digest.ts'
import { fallbackTagOf } from '../oci/fallback-tag.ts'
import { isManifestType } from '../oci/media-types.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { isWantedPlatform } from '../streams/content-policy.ts'
import { decode, digestOfReferrer, fallbacksRange, imageKey, linkKey, referrersRange } from '../streams/keys.ts'
import type { FallbackRecord, ImageRecord, LinkRecord } from '../streams/records.ts'
import { createDigestTable, type DigestTable } from './digest-table.ts'
import { type HeldMarks, marks } from './marks.ts'
import type { MayGive } from './may-give.ts'

/** What is found to be needed in one stream. */
export interface Reach {
  /**
   * Finds a manifest of the stream, all that it is known to name and what refers to those, and marks of it what the stream may give
   * out. What is `pinned` is so for `platforms` alone, and `pulled` for others.
   */
  from(digest: Digest, bits: number, platforms?: readonly string[]): Promise<void>
  has(digest: Digest): boolean
  /** Marks what is held by what a link of the stream says, if it may be given out through that. */
  markLink(digest: Digest, link: LinkRecord, bits: number): Promise<void>
}

export interface ReachOptions {
  store: Pick<Store, 'get' | 'range'>
  name: StreamName
  /** Links of another project's uid lead nowhere. */
  projectUid: string | undefined
  /** Absent for a stream that does not live: it keeps links, and no bytes. */
  held: Pick<HeldMarks, 'get' | 'mark'> | undefined
  mayGive: MayGive
}

interface Step {
  digest: Digest
  bits: number
  /** A blob names nothing: its link is not read. */
  isManifest: boolean
}

/**
 * Most lists of platforms by which the pins of one stream are told apart, each of which costs a walk over all that they name. For
 * pins with others all platforms are wanted: that keeps more, and whoever writes a list for each of many tags can not make a pass
 * endless.
 */
const maxLists = 16

/** Most manifests with one subject that are kept because of it. */
const maxReferrers = 10_000

/** Of what is held: whether the stream may give it out. */
const answers = { yes: 1, no: 2 } as const

export function createReach({ store, name, projectUid, held, mayGive }: ReachOptions): Reach {
  const reached = createDigestTable()
  const answered = createDigestTable()
  const lists = new Map<string, readonly string[]>()
  /** What was looked at already, for the same bits and platforms. */
  const walks = new Map<string, DigestTable>()

  /** Each is one object however it is written; undefined for all platforms. */
  function listOf(platforms: readonly string[]): readonly string[] | undefined {
    const list = [...new Set(platforms)].sort()
    const key = list.join()
    if (!lists.has(key) && lists.size < maxLists) lists.set(key, list)
    return lists.get(key)
  }

  function walkFor(bits: number, list: readonly string[] | undefined): DigestTable {
    const key = bits & marks.pinned ? `${bits} ${list?.join() ?? 'all'}` : String(bits)
    const walk = walks.get(key) ?? createDigestTable()
    walks.set(key, walk)
    return walk
  }

  async function linkOf(digest: Digest): Promise<LinkRecord | undefined> {
    const entry = await store.get(linkKey(name, digest))
    const link = entry && decode<LinkRecord>(entry)
    return link?.projectUid === projectUid ? link : undefined
  }

  /** Each link is looked up once: what it comes to prove meanwhile is used meanwhile. */
  async function markHeld(digest: Digest, bits: number, read: () => Promise<LinkRecord | undefined>): Promise<void> {
    if (held?.get(digest) === undefined) return
    if (answered.get(digest) === 0) {
      const link = await read()
      answered.add(digest, link !== undefined && (await mayGive(digest, link)) ? answers.yes : answers.no)
    }
    if (answered.get(digest) & answers.yes) held.mark(digest, bits)
  }

  /** What a manifest names, as far as this stream knows it as one; marks it where the stream has it. */
  async function visit({ digest, bits }: Step, list: readonly string[] | undefined): Promise<Step[]> {
    const link = await linkOf(digest)
    if (link === undefined) return []
    reached.add(digest, bits)
    await markHeld(digest, bits, async () => link)
    const manifestType = [link.mediaType, link.otherType].find((type) => type !== undefined && isManifestType(type))
    if (manifestType === undefined) return []
    const stored = await store.get(imageKey(digest, manifestType))
    if (stored === undefined) return (link.children ?? []).map((child) => ({ digest: child, bits, isManifest: true }))
    const { manifests, config, layers } = decode<ImageRecord>(stored)
    const unwanted = bits & marks.pinned ? (bits & ~marks.pinned) | marks.pulled : bits
    const children = manifests.map((child) => {
      const isWanted = list === undefined || isWantedPlatform(child, list)
      return { digest: child.digest, bits: isWanted ? bits : unwanted, isManifest: true }
    })
    const blobs = config === undefined ? layers : [config, ...layers]
    return [...children, ...blobs.map((blob) => ({ digest: blob.digest, bits, isManifest: false }))]
  }

  /** Whether the stream has any: most have none, and are not searched for each of their images. */
  let referring: Promise<boolean> | undefined

  async function isAnyReferring(): Promise<boolean> {
    for (const range of [referrersRange(name), fallbacksRange(name, '')])
      for await (const _ of await store.range({ ...range, limit: 1 })) return true
    return false
  }

  /** What refers to a manifest that was found: its signatures live as long as it does. */
  async function referrersOf({ digest, bits }: Step): Promise<Step[]> {
    referring ??= isAnyReferring()
    if (reached.get(digest) === 0 || !(await referring)) return []
    const found: Digest[] = []
    const limit = maxReferrers
    for await (const { key } of await store.range({ ...referrersRange(name, digest), limit }))
      found.push(digestOfReferrer(key))
    for await (const entry of await store.range({ ...fallbacksRange(name, fallbackTagOf(digest)), limit }))
      found.push(decode<FallbackRecord>(entry).image)
    return found.map((each) => ({ digest: each, bits, isManifest: true }))
  }

  return {
    has: (digest) => reached.get(digest) !== 0,
    async from(digest, bits, platforms = []) {
      const queue: Step[] = [{ digest, bits, isManifest: true }]
      const list = bits & marks.pinned ? listOf(platforms) : []
      // The queue grows while it is walked.
      for (const step of queue) {
        if (walkFor(step.bits, list).add(step.digest, 1) !== 0) continue
        if (step.isManifest) queue.push(...(await visit(step, list)), ...(await referrersOf(step)))
        else {
          reached.add(step.digest, step.bits)
          await markHeld(step.digest, step.bits, () => linkOf(step.digest))
        }
      }
    },
    markLink: (digest, link, bits) => markHeld(digest, bits, async () => link),
  }
}
