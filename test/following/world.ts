import { setImmediate as tick } from 'node:timers/promises'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import { createFollowing, type Following, type FollowingOptions } from '../../src/following.ts'
import type { LedgerEntry, TagEventCondition } from '../../src/streams/records.ts'
import { from, parse, type TaggingWorld, taggingWorld, type Wanted } from '../tagging/world.ts'

export const follow = { 'weir.dev/follow': 'true' }

/** A wish to follow a tag of another stream. */
export function following(source: string): Wanted {
  return { ...from(source), annotations: follow }
}

export interface FollowingWorld extends TaggingWorld {
  /** What may not be pulled any more: `user project/stream`, each. */
  readonly revoked: Set<string>
  readonly running: Following
  /** Whether the right changed, as the authorizer says it. */
  rightsChanged(): void
  /** Waits until nothing is under way. */
  idle(): Promise<void>
  /** Lets time pass, what is due at its time, until nothing is under way. */
  pass(ms: number): Promise<void>
  stop(): Promise<void>
  start(): Promise<void>
  condition(at: string): Promise<TagEventCondition | undefined>
  /** The newest entry of a tag's ledger. */
  newest(at: string): Promise<LedgerEntry | undefined>
  keys(prefix: string): Promise<string[]>
}

interface Options {
  /** Runs it from the start; default true. */
  runs?: boolean
  flows?: Parameters<typeof taggingWorld>[0]
  following?: (world: TaggingWorld) => Partial<FollowingOptions>
}

/** Tagging, and what lets tags follow across streams, driven by the test. */
export async function followingWorld(options: Options = {}): Promise<FollowingWorld> {
  const revoked = new Set<string>()
  const mayFollow: FollowingOptions['mayFollow'] = ({ name }, { project, stream }) =>
    !revoked.has(`${name} ${project}/${stream}`)
  const flows = await taggingWorld({ ...options.flows, mayFollow })
  const { clock, store } = flows
  let underWay = 0
  let rights = 1
  let resting: { untilMs: number; wake: () => void } | undefined

  async function pause(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>((wake) => {
      resting = { untilMs: clock.now() + ms, wake }
      signal.addEventListener('abort', () => wake(), { once: true })
    })
    resting = undefined
  }

  /** Changes are told and worked off when several turns in a row find nobody at work. */
  async function idle(): Promise<void> {
    await flows.pins.reached((await store.range({ prefix: 'no such' })).revision)
    for (let quiet = 0; quiet < 12; ) {
      await tick()
      quiet = underWay === 0 && (resting !== undefined || current === undefined) ? quiet + 1 : 0
    }
  }

  const counted =
    <A extends unknown[], R>(work: (...args: A) => Promise<R>) =>
    (...args: A): Promise<R> => {
      underWay += 1
      return work(...args).finally(() => {
        underWay -= 1
      })
    }

  function begin() {
    const stopping = new AbortController()
    const running = createFollowing({
      store: { ...store, get: counted(store.get), commit: counted(store.commit) },
      follow: counted(flows.tagging.follow),
      mayFollow,
      rightsVersion: () => rights,
      now: clock.now,
      log: pino({ level: 'silent' }),
      pause,
      random: () => 0,
      ...options.following?.(flows),
    })
    const ended = running.run(stopping.signal)
    return {
      running,
      async end() {
        stopping.abort()
        await ended
      },
    }
  }

  let current: ReturnType<typeof begin> | undefined = options.runs === false ? undefined : begin()
  onTestFinished(() => current?.end())
  const world: FollowingWorld = Object.defineProperties(
    {
      revoked,
      rightsChanged() {
        rights += 1
      },
      idle,
      async pass(ms: number) {
        const endMs = clock.now() + ms
        for (;;) {
          await idle()
          const nextMs = Math.min(endMs, resting?.untilMs ?? endMs)
          if (nextMs > clock.now()) clock.advance(nextMs - clock.now())
          else if (clock.now() >= endMs) return
          resting?.wake()
          await idle()
          if (clock.now() >= endMs) return
        }
      },
      async stop() {
        await current?.end()
        current = undefined
      },
      async start() {
        current = begin()
        await idle()
      },
      async condition(at: string) {
        return (await flows.tagOf(at))?.record.condition
      },
      async newest(at: string) {
        const { tag, ...name } = parse(at)
        return (await flows.reader.ledger(name, tag, { limit: 1 }))[0]
      },
      async keys(prefix: string) {
        const keys: string[] = []
        for await (const { key } of await store.range({ prefix })) keys.push(key)
        return keys
      },
    } as unknown as FollowingWorld,
    {
      ...Object.getOwnPropertyDescriptors(flows),
      running: {
        get() {
          if (current === undefined) throw new Error('it is stopped')
          return current.running
        },
      },
    },
  )
  await idle()
  return world
}
