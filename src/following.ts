/** Lets tags follow tags of other streams and projects (`weir.dev/follow`), each by the right of whoever let it. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createFollowers, type Follower, type Followers } from './following/followers.ts'
import type { StreamName } from './oci/reference.ts'
import type { Store } from './store/store.ts'
import type { MayFollow, TagName } from './streams/followed-across.ts'
import type { FollowerIdentity } from './streams/records.ts'
import { createHostQueue } from './upstream/host-queue.ts'

/** How following is doing, as it stands; of another process that does it nothing is known. */
export interface FollowingCounters {
  /** Tags that follow one of another stream. */
  readonly tags: number
  /** Of them, those that can not, and say so. */
  readonly failing: number
}

export interface Following {
  readonly counters: FollowingCounters
  /** Lets tags follow until `signal` aborts; one process of several does. Never throws. */
  run(signal: AbortSignal): Promise<void>
}

/** What became of a tag; see `Tagging.follow`. */
export type Outcome =
  | { kind: 'unchanged' | 'moved' | 'candidate' | 'again' | 'gone' }
  | { kind: 'failed'; as?: FollowerIdentity }

export interface FollowingOptions {
  /** Must log `index/across/`, `tag/` and `life/`. */
  store: Store
  /** Lets one tag follow where its source stands now. */
  follow(name: StreamName, tag: string, options: { source: TagName }): Promise<Outcome>
  /** Whether who let a tag follow may pull from what it follows. */
  mayFollow: MayFollow
  /** Grows with every change of rights. */
  rightsVersion(): number
  now: () => number
  log: Logger
  /** Waits for what is to be tried again, unless something new comes before. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
  random?: () => number
}

/** A tag that could not follow. */
interface Waiting {
  follower: Follower
  /** Tried again then, in milliseconds since the epoch. */
  retryAt: number
  /** Tried again as soon as he may pull from the source; `rights` is the version of rights by which he might not. */
  as?: FollowerIdentity
  rights: number
  /** How often in a row it was to be asked again soon. */
  agains: number
}

/** Tags that follow at the same time, and those of one project: who has ten thousand keeps nobody else waiting. */
const places = { total: 8, perHost: 8, perProject: 4 }
/** Between two tries of a tag that can not follow; up to half as much again, so that not all come at once. */
const retryMs = 5 * 60_000
/** Before a tag is asked again that was just being changed by others; doubled up to {@link retryMs}. */
const againMs = 250
/** Before it is looked whether a tag went along whose hold ended: whoever ended it sees to that first. */
const releasedMs = 2_000
/** Between two looks at what waits. */
const lookMs = 5_000

export function createFollowing(options: FollowingOptions): Following {
  const { store, follow, mayFollow, rightsVersion, now, log, pause = sleep, random = Math.random } = options
  let followers: Followers | undefined
  let waiting = new Map<string, Waiting>()

  async function keep(signal: AbortSignal): Promise<void> {
    const queue = createHostQueue<Follower>(places)
    const running = new Set<string>()
    /** Came again while they were under way. */
    const again = new Map<string, Follower>()
    const work = new Set<Promise<void>>()
    waiting = new Map()
    let isReady = false
    /** When it is looked what waits, in milliseconds since the epoch. */
    let lookAt = Number.POSITIVE_INFINITY
    /** Ends the pause. */
    let wake = (): void => undefined

    function due(each: Follower): void {
      if (running.has(each.key)) again.set(each.key, each)
      else queue.add(placeOf(each), each.key, each)
      wake()
    }

    function begin(): void {
      if (!isReady) return
      for (let next = signal.aborted ? undefined : queue.take(); next !== undefined; next = queue.take()) {
        const { item } = next
        running.add(item.key)
        const ended = letFollow(item).finally(() => {
          running.delete(item.key)
          queue.done(placeOf(item))
          work.delete(ended)
          const newest = again.get(item.key)
          again.delete(item.key)
          if (newest === undefined) wake()
          else due(newest)
        })
        work.add(ended)
      }
    }

    async function letFollow(each: Follower): Promise<void> {
      const { key, source, follower } = each
      const rights = rightsVersion()
      try {
        const outcome = await follow(follower, follower.tag, { source })
        const before = waiting.get(key)
        waiting.delete(key)
        if (outcome.kind === 'gone') await drop(each)
        else if (outcome.kind === 'failed')
          waitFor(each, retryMs, { agains: 0, rights, ...(outcome.as && { as: outcome.as }) })
        else if (outcome.kind === 'again') {
          const agains = (before?.agains ?? 0) + 1
          waitFor(each, Math.min(retryMs, againMs * 2 ** Math.min(agains - 1, 20)), { agains, rights })
        }
      } catch (error) {
        if (!signal.aborted) log.error({ ...follower, err: error }, 'a tag could not follow another, unexpectedly')
        waitFor(each, retryMs, { agains: 0, rights })
      }
    }

    function waitFor(each: Follower, ms: number, how: Pick<Waiting, 'agains' | 'as' | 'rights'>): void {
      const retryAt = now() + ms * (1 + random() / 2)
      waiting.set(each.key, { follower: each, retryAt, ...how })
      lookAt = Math.min(lookAt, retryAt, now() + lookMs)
      wake()
    }

    /** What follows nothing any more leaves the index, unless it was written anew: its stream was deleted. */
    async function drop({ key, source, follower }: Follower): Promise<void> {
      const entry = await store.get(key)
      if (entry === undefined || (await follow(follower, follower.tag, { source })).kind !== 'gone') return
      await store.commit({ operations: [{ type: 'delete', key }], preconditions: [{ key, revision: entry.revision }] })
    }

    /** Asks once for all that follow a stream by one's right: they may be very many. */
    function rememberedRights(): typeof mayFollow {
      const known = new Map<string, boolean>()
      return (as, { project, stream }) => {
        const key = [as.name, as.uid, project, stream, ...as.groups].join('\n')
        const found = known.get(key) ?? mayFollow(as, { project, stream })
        known.set(key, found)
        return found
      }
    }

    /** Tries again those whose time has come, or whose right is back. */
    function look(): void {
      const [at, rights] = [now(), rightsVersion()]
      lookAt = waiting.size === 0 ? Number.POSITIVE_INFINITY : at + lookMs
      const may = rememberedRights()
      for (const [key, each] of waiting) {
        const { follower, retryAt, as } = each
        const isBack = as !== undefined && each.rights !== rights && may(as, follower.source)
        each.rights = rights
        if (followers?.has(key) !== true) waiting.delete(key)
        // A clock that was put back leaves a time that is far away.
        else if (isBack || retryAt <= at || retryAt > at + 2 * retryMs) {
          each.retryAt = at + retryMs
          due(follower)
        } else lookAt = Math.min(lookAt, Math.max(retryAt, at + againMs))
      }
    }

    const onReleased = (each: Follower): void => waitFor(each, releasedMs, { agains: 1, rights: rightsVersion() })
    followers = createFollowers({ store, onDue: due, onReleased, signal })
    await followers.ready
    isReady = true
    signal.addEventListener('abort', () => wake(), { once: true })
    while (!signal.aborted) {
      const resting = new AbortController()
      wake = () => resting.abort()
      begin()
      await pause(Math.min(maxPauseMs, Math.max(0, lookAt - now())), resting.signal).catch(() => undefined)
      // A clock that was put back leaves a time that is far away.
      if (now() >= lookAt || (waiting.size > 0 && lookAt > now() + lookMs)) look()
    }
    await Promise.all(work)
  }

  return {
    get counters() {
      const failing = waiting.entries().filter(([key, { agains }]) => agains === 0 && followers?.has(key))
      return { tags: followers?.size ?? 0, failing: failing.reduce((sum) => sum + 1, 0) }
    },

    async run(signal) {
      while (!signal.aborted) {
        try {
          const lease = await store.lease('following', signal)
          const ending = new AbortController()
          await keep(AbortSignal.any([signal, lease.lost, ending.signal])).finally(() => {
            ending.abort()
            followers = undefined
            return lease.release()
          })
        } catch (error) {
          if (!signal.aborted) log.warn({ err: error }, 'tags can not follow those of other streams for now')
        }
        if (!signal.aborted) await pause(1000, signal).catch(() => undefined)
      }
    },
  }
}

/** Longest time without a look. */
const maxPauseMs = 60_000

function placeOf({ follower, source }: Follower) {
  return { project: follower.project, host: `${source.project}/${source.stream}:${source.tag}` }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false })
}
