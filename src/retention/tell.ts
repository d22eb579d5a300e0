/** How much of what a tag needs is held, for who asks. */
import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { Store } from '../store/store.ts'
import type { ContentPolicy } from '../streams/content-policy.ts'
import { decode, leftOutKey, tagOfKey, unheldKey, unheldRange } from '../streams/keys.ts'
import type { HeldProgress, HoldFailure, LeftOutRecord, UnheldRecord } from '../streams/records.ts'
import type { Links, Stream, Tag } from '../streams/streams.ts'
import { tagPolicies } from '../streams/tag-policy.ts'
import { neededImage } from '../streams/unheld.ts'
import { type Look, lookAt } from './parts.ts'
import type { SharedHold } from './shared-hold.ts'

/** How much of what a tag needs is held. */
export interface RetainedState {
  /** Where the tag stands, or where it is to move when all is held. */
  image: Digest
  /** `pulled`: nobody wants it held, and what pulls brought is kept as long as there is room. */
  state: 'held' | 'fetching' | 'failed' | 'pulled'
  /** Manifests and blobs that are needed and known of, and how many of them are held; 0 while that is not known. */
  parts: number
  heldParts: number
  bytes: number
  heldBytes: number
  /** Why it failed the last time; it is tried again. Of what is held, what was left out. */
  message?: string
  /** Of what failed: before which nobody tries again by himself, RFC 3339. */
  retryAt?: string
}

export interface TellOptions {
  store: Pick<Store, 'get' | 'range'>
  links: Pick<Links, 'get' | 'image'>
  content: Pick<Content, 'held'>
  defaults: ContentPolicy
  shared: Pick<SharedHold, 'progress'>
  /** Whether all pins were looked at, so that what is not in the index is held. */
  hasLooked(): boolean
}

/** What there is to tell of a tag, and the entry that it was made of. */
export interface Told {
  state: RetainedState
  /** Whether its policy, or a prefetch, wants it held. */
  isWanted: boolean
  entry: { record: UnheldRecord; revision: number } | undefined
  /** What is not held because its registry did not have it, where that is all that is missing and there is no entry. */
  leftOut: LeftOutRecord | undefined
}

/** Manifests that were left out, as far as they are named. */
const mostNamed = 4

const unknown: HeldProgress = { parts: 0, heldParts: 0, bytes: 0, heldBytes: 0 }

/** Looks at everything that a tag needs; undefined when it needs nothing. */
export async function tell(options: TellOptions, stream: Stream, tag: Tag): Promise<Told | undefined> {
  const { store, defaults, shared } = options
  const image = neededImage(tag.record)
  if (image === undefined) return undefined
  const policyOf = await tagPolicies((key) => store.get(key), defaults, stream)
  const { platforms, retain } = policyOf(tag.record.spec?.annotations)
  const found = await store.get(unheldKey(stream, tag.name))
  const record = found && decode<UnheldRecord>(found)
  const entry = found && record && isOf(record, stream, image) ? { record, revision: found.revision } : undefined
  const look = await lookAt(options, stream, image, platforms)
  const isWanted = retain === 'pinned' || tag.record.awaits !== undefined || entry?.record.forced === true
  if (entry === undefined && look.missing.length > 0) {
    // Sparse indexes are legal: whoever worked the entry off found so.
    const leftOut = await readLeftOut(store, stream, tag.name)
    const known = new Set(leftOut && isOf(leftOut, stream, image) ? leftOut.digests : [])
    if (look.missing.every(({ isUnread, digest }) => isUnread && known.has(digest))) {
      return { state: { image, ...heldState(look), message: leftOutText(look.missing) }, isWanted, entry, leftOut }
    }
  }
  const live = shared.progress({ stream, image, platforms })
  return { state: { image, ...stateOf(look, entry?.record, live) }, isWanted, entry, leftOut: undefined }
}

async function readLeftOut(store: Pick<Store, 'get'>, stream: Stream, tag: string): Promise<LeftOutRecord | undefined> {
  const found = await store.get(leftOutKey(stream, tag))
  return found && decode<LeftOutRecord>(found)
}

function leftOutText(missing: Look['missing']): string {
  const some = missing.slice(0, mostNamed).map(({ digest }) => digest)
  const more = missing.length > some.length ? ` and ${missing.length - some.length} more` : ''
  return `all is held but what its registry does not have: ${some.join(', ')}${more}`
}

/**
 * What the index says of a stream's tags, without looking at their content: for lists. Of what is being fetched nothing is known
 * until somebody has noted how far it is.
 */
export async function tellListed(
  { store, defaults, hasLooked }: TellOptions,
  stream: Stream,
  tags: readonly Tag[],
): Promise<ReadonlyMap<string, RetainedState>> {
  const policyOf = await tagPolicies((key) => store.get(key), defaults, stream)
  const entries = new Map<string, UnheldRecord>()
  for await (const entry of await store.range(unheldRange(stream))) {
    entries.set(tagOfKey(entry.key), decode<UnheldRecord>(entry))
  }
  const told = new Map<string, RetainedState>()
  for (const { name, record } of tags) {
    const image = neededImage(record)
    if (image === undefined) continue
    const entry = entries.get(name)
    const { retain } = policyOf(record.spec?.annotations)
    const isWanted = retain === 'pinned' || record.awaits !== undefined || entry?.forced === true
    if (!isWanted) continue
    if (entry !== undefined && isOf(entry, stream, image)) {
      const { failure, progress = unknown } = entry
      const state = failure === undefined ? 'fetching' : 'failed'
      told.set(name, { image, state, ...progress, ...(failure && failedState(failure)) })
    } else if (retain === 'pinned' && record.awaits === undefined && hasLooked()) {
      told.set(name, { image, state: 'held', ...unknown })
    }
  }
  return told
}

function isOf(record: Pick<UnheldRecord, 'uid' | 'image'>, { uid }: Stream, image: Digest): boolean {
  return record.uid === uid && record.image === image
}

/** Of what is held: the counts leave out what is not. */
function heldState({ progress: { heldParts, heldBytes } }: Look): Omit<RetainedState, 'image'> {
  return { state: 'held', parts: heldParts, heldParts, bytes: heldBytes, heldBytes }
}

function stateOf(
  look: Look,
  entry: UnheldRecord | undefined,
  live: HeldProgress | undefined,
): Omit<RetainedState, 'image'> {
  const { missing, progress } = look
  if (missing.length === 0) return heldState(look)
  const heldBytes = Math.min(progress.bytes, Math.max(progress.heldBytes, (live ?? entry?.progress)?.heldBytes ?? 0))
  const failure = live === undefined ? entry?.failure : undefined
  const state = failure === undefined ? 'fetching' : 'failed'
  return { state, ...progress, heldBytes, ...(failure && failedState(failure)) }
}

function failedState({ message, retryAt }: HoldFailure): Pick<RetainedState, 'message' | 'retryAt'> {
  return { message, retryAt }
}
