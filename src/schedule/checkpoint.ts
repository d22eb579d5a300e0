import type { Logger } from 'pino'
import { z } from 'zod'
import type { Store } from '../store/store.ts'
import type { Follower, Source, SourceCheck } from './sources.ts'

/** The last checks of sources, kept in bulk: `schedule/<n>`, in no change log. What is lost of it is learned by the next checks. */
export interface Checkpoint {
  /** Gives sources what was kept of them; what can not be read is left out. */
  load(get: (key: string) => Source | undefined): Promise<void>
  /** Notes that a source has a newer check than what is kept. */
  changed(source: Source): void
  /** Writes what changed. Never throws. */
  save(sources: Iterable<Source>): Promise<void>
}

const prefix = 'schedule/'
/** Records that all sources are spread over, by their times. */
const records = 256
/** Most sources of one record: it has to fit a commit. */
const maxSources = 1000
/** Most bytes of a record, for the same reason. */
const maxBytes = 900_000
/** A registry chooses what its failures say. */
const maxMessageLength = 400
/** Most followers of a source whose choices are kept. */
const maxChosen = 100

const schema = z.array(
  z.object({
    key: z.string(),
    at: z.number(),
    digest: z.string().optional(),
    failure: z.object({ reason: z.string(), message: z.string() }).optional(),
    failures: z.int().nonnegative(),
    chosen: z.record(z.string(), z.object({ tag: z.string(), digest: z.string() })).optional(),
    nextAt: z.number(),
    delayedBy: z.enum(['Backoff', 'TooManyRequests', 'Budget']).optional(),
  }),
)

export function createCheckpoint(store: Pick<Store, 'range' | 'commit'>, log: Logger): Checkpoint {
  const changed = new Set<number>()

  function read(key: string, value: string): z.infer<typeof schema> {
    try {
      return schema.parse(JSON.parse(value))
    } catch {
      log.warn({ key }, 'what was kept of scheduled checks can not be read, and is learned anew')
      return []
    }
  }

  return {
    async load(get) {
      for await (const { key, value } of await store.range({ prefix })) {
        for (const { key: name, nextAt, delayedBy, chosen = {}, ...last } of read(key, value)) {
          const source = get(name)
          if (source === undefined || source.last !== undefined) continue
          source.last = last as SourceCheck
          for (const [path, follower] of source.followers)
            if (Object.hasOwn(chosen, path)) follower.chosen = chosen[path] as NonNullable<Follower['chosen']>
          // A registry that asked to be left alone is left alone by the next process too.
          if (delayedBy === undefined) continue
          source.nextAt = nextAt
          source.delayedBy = delayedBy
        }
      }
    },
    changed: ({ phase }) => void changed.add(recordOf(phase)),
    async save(sources) {
      const wanted = new Set(changed)
      if (wanted.size === 0) return
      changed.clear()
      const kept = new Map<number, string[]>([...wanted].map((n) => [n, []]))
      const sizes = new Map<number, number>()
      for (const source of sources) {
        const n = recordOf(source.phase)
        const list = kept.get(n)
        if (list === undefined || source.last === undefined || list.length >= maxSources) continue
        const entry = JSON.stringify(entryOf(source))
        const size = (sizes.get(n) ?? 0) + Buffer.byteLength(entry) + 1
        if (size > maxBytes) continue
        sizes.set(n, size)
        list.push(entry)
      }
      for (const [n, list] of kept) {
        const key = prefix + String(n).padStart(3, '0')
        const operation =
          list.length === 0
            ? ({ type: 'delete', key } as const)
            : ({ type: 'put', key, value: `[${list.join()}]` } as const)
        const { status } = await store.commit({ operations: [operation] })
        if (status === 'committed') continue
        changed.add(n)
        log.warn({ key }, 'last checks could not be kept, and are tried again')
      }
    },
  }
}

function recordOf(phase: number): number {
  return Math.floor(phase * records)
}

function entryOf({ key, followers, last, nextAt, delayedBy }: Source): unknown {
  const { failure, ...rest } = last ?? { failures: 0 }
  const told = failure && { failure: { ...failure, message: failure.message.slice(0, maxMessageLength) } }
  const chosen: Record<string, Follower['chosen']> = {}
  let count = 0
  for (const [path, follower] of followers) {
    if (follower.chosen === undefined) continue
    if (++count > maxChosen) break
    chosen[path] = follower.chosen
  }
  return {
    key,
    ...rest,
    ...told,
    ...(count === 0 ? {} : { chosen }),
    nextAt,
    ...(delayedBy === undefined ? {} : { delayedBy }),
  }
}
