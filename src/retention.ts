/** Fetches what pins need, in the background, within the upstreams' budgets, and tells how far it is. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { isClosingError } from './content/closing.ts'
import type { Content } from './content/content.ts'
import type { Digest } from './oci/digest.ts'
import { RegistryError } from './oci/errors.ts'
import type { StreamName } from './oci/reference.ts'
import { createAttempt } from './retention/attempt.ts'
import { type AwaitingTag, incompleteError, moveAwaited, noteIncomplete } from './retention/awaited.ts'
import { newWish, putEntry, type UnheldEntry } from './retention/entries.ts'
import { type Following, followUnheld } from './retention/follow.ts'
import { hostOf } from './retention/hold.ts'
import { createHoldWanted } from './retention/hold-wanted.ts'
import { lookAt } from './retention/parts.ts'
import { followPolicies } from './retention/policy-changes.ts'
import { createQuietHosts } from './retention/quiet-hosts.ts'
import { review, type Scope } from './retention/review.ts'
import { createSharedHold } from './retention/shared-hold.ts'
import { createSlots } from './retention/slots.ts'
import { type RetainedState, type TellOptions, type Told, tell, tellListed } from './retention/tell.ts'
import type { Store } from './store/store.ts'
import type { ContentPolicy } from './streams/content-policy.ts'
import type { MayFollow } from './streams/followed-across.ts'
import type { UnheldRecord } from './streams/records.ts'
import type { Links, Stream, StreamReader, StreamWriter, Tag } from './streams/streams.ts'
import { createPolicyOf } from './streams/tag-policy.ts'

export type { RetainedState } from './retention/tell.ts'

export interface Retention {
  /** undefined when the tag does not stand anywhere. */
  state(name: StreamName, tag: string): Promise<RetainedState | undefined>
  /**
   * The same of many tags of one stream, for lists: what the index says, without a look at their content. Counts of what is being
   * fetched are 0 until somebody noted them; nothing is said of tags that nobody has looked at since this process started.
   */
  states(stream: Stream, tags: readonly Tag[]): Promise<ReadonlyMap<string, RetainedState>>
  /**
   * Fetches all that the tag's policy wants of the image which a tag awaits (`weir.dev/move: when-held`), and moves the tag then.
   * Settles when it has moved, or awaits another image by now. Waits until `signal` aborts, and for 10 minutes at most; what it
   * fails with is a condition of the tag then, and the background goes on. Who has less patience, in milliseconds, leaves without
   * a word on the tag. Few wait at the same time: others are told at once that the tag moves later.
   *
   * @throws RegistryError UNAVAILABLE saying why the tag has not moved
   */
  awaitMove(
    stream: Stream,
    tag: string,
    image: Digest,
    options: { signal: AbortSignal; patienceMs?: number },
  ): Promise<void>
  /**
   * Wants the content of a tag's pin held now, whatever its policy says; fetched in the background. Asked again it tells how far
   * that is, and tries again at once what failed, or was left out, a while ago.
   *
   * @throws RegistryError NOT_FOUND
   */
  prefetch(name: StreamName, tag: string, by: string): Promise<RetainedState>
  /** Tags whose content is being fetched or waits for that, and those where it failed. Of this process: one at a time fetches. */
  counts(): { fetching: number; failed: number }
  /** Something that a pin needs may be missing: all pins are looked at soon. */
  lookAgain(): void
  /** Works in the background until `signal` aborts, in one process at a time. Never throws. */
  run(signal: AbortSignal): Promise<void>
}

export interface RetentionOptions {
  /** Must log the prefixes `index/unheld/` and `object/`. */
  store: Store
  reader: Pick<StreamReader, 'stream' | 'tag'>
  writer: Pick<StreamWriter, 'changeTag'>
  links: Pick<Links, 'get' | 'image'>
  content: Pick<Content, 'held' | 'fetch' | 'touch'>
  /** What holds where no annotation says otherwise. */
  policy: ContentPolicy
  /** Asked when a tag moves to what it awaited of a tag of another stream. */
  mayFollow: MayFollow
  /** Obtains a manifest that a stream has a link to, so that it is kept and what it names is linked. */
  keepManifest(name: StreamName, digest: Digest, options: { isBackground: boolean }): Promise<unknown>
  /** Forgets what memory has of the stream with this uid. Default: memory has nothing. */
  forget?: (uid: string) => void
  /** Most blobs fetched at the same time, and from one registry. */
  backgroundDownloads: number
  backgroundDownloadsPerHost: number
  /** Between two looks at what is missing of all pins. */
  reviewIntervalMs: number
  now: () => number
  log: Logger
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
  /** How long somebody waits for a tag to move; default 10 minutes. */
  longestWaitMs?: number
}

/** After the start, before all pins are looked at: whoever starts Weir wants to pull first. */
const firstReviewMs = 30_000
/** Who waits holds a connection, and what it is to be told. */
const mostWaiting = { ofProject: 8, total: 64 }
/** So much of the time is left to others while all pins are looked at. */
const restFactor = 9
const retryMs = 1000
const stillFetched = 'it is still being fetched'
/** What an upstream said so long ago is not what a prefetch tells: it asks again. Whoever follows one asks more often than that. */
const staleMs = 60_000

/** Creates what holds the content of pins. */
export function createRetention(options: RetentionOptions): Retention {
  const { store, reader, writer, links, content, mayFollow, policy: defaults, now, log } = options
  const { pause = sleep, longestWaitMs = 10 * 60_000 } = options
  const budgets = budgetsOf(options.backgroundDownloads, options.backgroundDownloadsPerHost)
  const quiet = createQuietHosts(now)
  const { keepManifest, forget = () => undefined } = options
  const slots = createSlots(budgets)
  const shared = createSharedHold({ links, content, keepManifest, forget, slots, quiet, atOnce: budgets.perHost })
  const policyOf = createPolicyOf(store, defaults)
  const holdWanted = createHoldWanted({ reader, policyOf, shared })
  const attempt = createAttempt({ store, reader, writer, policyOf, holdWanted, mayFollow, now, log })
  const telling: TellOptions = { store, links, content, defaults, shared, hasLooked: () => hasLooked }
  const waiters = new Map<string, number>()
  let following: Following | undefined
  let isLookWanted = false
  let hasLooked = false
  let wake: () => void = () => undefined

  async function told(name: StreamName, tag: string): Promise<(Told & { found: Tag; stream: Stream }) | undefined> {
    const stream = await reader.stream(name)
    const found = stream && (await reader.tag(name, tag))
    const about = stream && found && (await tell(telling, stream, found))
    return about && { ...about, found, stream }
  }

  async function prefetch(name: StreamName, tag: string, by: string): Promise<RetainedState> {
    for (;;) {
      const about = await told(name, tag)
      if (about === undefined) throw notFound(name, tag)
      const { state, entry, leftOut, stream, found, isWanted } = about
      if (state.state === 'held' && leftOut === undefined) return state
      const askedAt = leftOut?.at ?? entry?.record.failure?.at
      const isStale = askedAt !== undefined && now() - Date.parse(askedAt) >= staleMs
      const isKnown = leftOut !== undefined || (entry !== undefined && isWanted)
      if (isKnown && !isStale) return state
      const record: UnheldRecord = {
        uid: stream.uid,
        image: state.image,
        ...newWish(now()),
        by,
        forced: true,
      }
      const revisions = { revision: entry?.revision ?? 0, tagRevision: found.storeRevision }
      const { message: _old, retryAt: _then, ...begun } = state
      const isPut = await putEntry(store, { name, tag, record }, revisions)
      if (isPut) return { ...begun, state: 'fetching' }
    }
  }

  const awaitMove: Retention['awaitMove'] = async (stream, tag, image, { signal, patienceMs }) => {
    const awaiting: AwaitingTag = { name: stream, tag, image }
    const found = await reader.tag(stream, tag)
    if (found?.record.awaits?.image !== image) return
    const impatient = AbortSignal.timeout(patienceMs ?? longestWaitMs)
    const waiting = AbortSignal.any([signal, impatient])
    const leave = enter(awaiting)
    try {
      await holdWanted(awaiting, waiting)
    } catch (error) {
      const why = waiting.aborted ? stillFetched : messageOf(error)
      // What ends because Weir stops says nothing of the content: the next process goes on.
      const isTold = !isClosingError(error) && (patienceMs === undefined || !impatient.aborted)
      if (isTold) await noteIncomplete(writer, awaiting, why)
      throw incompleteError(awaiting, why, error)
    } finally {
      leave()
    }
    await moveAwaited(writer, awaiting, mayFollow)
  }

  /** @throws RegistryError UNAVAILABLE when too many wait */
  function enter(awaiting: AwaitingTag): () => void {
    const { project } = awaiting.name
    const total = [...waiters.values()].reduce((sum, count) => sum + count, 0)
    const ofProject = waiters.get(project) ?? 0
    if (total >= mostWaiting.total || ofProject >= mostWaiting.ofProject) {
      throw incompleteError(awaiting, stillFetched, undefined)
    }
    waiters.set(project, ofProject + 1)
    return () => {
      const left = (waiters.get(project) ?? 0) - 1
      if (left > 0) waiters.set(project, left)
      else waiters.delete(project)
    }
  }

  /** Looks at the pins, soon after the start and now and then, and at those whose annotations changed. */
  async function reviewAgainAndAgain(signal: AbortSignal): Promise<void> {
    const lookFor = (scope: Scope) => reviewNow(scope, signal)
    const changes = followPolicies({ store, changed: lookFor, log }, signal)
    await changes.ready
    for (let waitMs = firstReviewMs; ; waitMs = options.reviewIntervalMs) {
      const waking = new AbortController()
      wake = () => waking.abort()
      if (!isLookWanted) await pause(waitMs, AbortSignal.any([signal, waking.signal])).catch(() => undefined)
      isLookWanted = false
      if (signal.aborted) break
      await lookFor(undefined).catch((error: unknown) => {
        if (!signal.aborted) log.warn({ err: error }, 'not all pins could be looked at')
      })
    }
    await changes.ended
  }

  async function reviewNow(scope: Scope, signal: AbortSignal): Promise<void> {
    const look = (...[name, image, platforms]: [StreamName, Digest, readonly string[]]) =>
      lookAt({ links, content }, name, image, platforms)
    const rest = (workedMs: number) => pause(workedMs * restFactor, signal)
    const found = await review({ store, reader, defaults, look, now, rest, signal }, scope)
    hasLooked ||= scope === undefined && !signal.aborted
    if (found > 0) log.info({ ...scope, tags: found }, 'content of tags is missing and will be fetched')
  }

  async function hostOfEntry({ name, record }: UnheldEntry): Promise<string> {
    return hostOf(await links.get(name, record.image))
  }

  async function runOnce(signal: AbortSignal): Promise<void> {
    // More are looked at than blobs fetched: what is held already, or fails at once, takes nothing from the budgets.
    const many = budgetsOf(2 * budgets.total, 2 * budgets.perHost)
    following = followUnheld({ store, attempt, hostOf: hostOfEntry, quiet, ...many, pause, log }, signal)
    const reviewing = reviewAgainAndAgain(signal)
    await following.ended.finally(() => {
      following = undefined
    })
    await reviewing
  }

  return {
    async state(name, tag) {
      const about = await told(name, tag)
      if (about === undefined || about.isWanted) return about?.state
      const { image, parts, heldParts, bytes, heldBytes } = about.state
      return { image, state: 'pulled', parts, heldParts, bytes, heldBytes }
    },
    states: (stream, tags) => tellListed(telling, stream, tags),
    awaitMove,
    prefetch,
    counts() {
      const entries = [...(following?.entries.values() ?? [])]
      const failed = entries.filter(({ record }) => record.failure !== undefined).length
      return { fetching: entries.length - failed, failed }
    },
    lookAgain() {
      isLookWanted = true
      wake()
    },
    async run(signal) {
      while (!signal.aborted) {
        try {
          const lease = await store.lease('retention', signal)
          const ending = new AbortController()
          await runOnce(AbortSignal.any([signal, lease.lost, ending.signal]))
            .finally(() => ending.abort())
            .finally(lease.release)
        } catch (error) {
          if (!signal.aborted) log.warn({ err: error }, 'the content of tags can not be fetched for now')
        }
        if (!signal.aborted) await pause(retryMs, signal).catch(() => undefined)
      }
    },
  }
}

/** A project whose registries never come to an end leaves half of the places to others. */
function budgetsOf(total: number, perHost: number) {
  return { total, perHost, perProject: Math.ceil(total / 2) }
}

function notFound({ stream }: StreamName, tag: string): RegistryError {
  const name = `${stream}:${tag}`
  return new RegistryError('NOT_FOUND', {
    message: `imagestreamtags.image.openshift.io "${name}" not found, or it stands at no image`,
    subject: { name, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}

function messageOf(error: unknown): string {
  return error instanceof RegistryError ? error.message : 'unexpected failure; the log of the server has it'
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false })
}
