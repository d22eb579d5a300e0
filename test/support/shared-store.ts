/**
 * One store for several processes, as a cluster has it: whoever holds a store serves it to child processes over their IPC
 * channels. Leases exclude processes from each other, and are lost with the process.
 */
import type { ChildProcess, Serializable } from 'node:child_process'
import type {
  Commit,
  CommitResult,
  Entry,
  Lease,
  RangeQuery,
  ReadOptions,
  Snapshot,
  Store,
  WatchBatch,
} from '../../src/store/store.ts'

/** Who has which lease. A process may have one several times over. */
export interface SharedLeases {
  /** Serves leases, and the store, to a child. */
  serve(child: ChildProcess): void
  /** The process that has a lease now, by pid. */
  holder(name: string): number | undefined
  /** All that were granted, in order: `PID NAME`. */
  granted: string[]
  /** Takes a lease from whoever has it, as a store does when it has not heard of a process for too long. */
  revoke(name: string): void
}

export interface SharedStoreOptions {
  /** Grants every lease to whoever asks: what happens when the store does not decide. Default false. */
  grantsAlways?: boolean
}

interface Holder {
  pid: number
  count: number
  /** Tells the process that it has it no longer. */
  lose: () => void
}

type Call =
  | { is: 'store'; id: number; method: 'get'; key: string }
  | { is: 'store'; id: number; method: 'ranges'; queries: RangeQuery[]; options: ReadOptions }
  | { is: 'store'; id: number; method: 'commit'; commit: Commit }
  | { is: 'store'; id: number; method: 'watch'; prefix: string | string[]; since: number | undefined; prompt: boolean }
  | { is: 'store'; id: number; method: 'lease'; name: string }
  | { is: 'store'; id: number; method: 'release'; name: string }
  | { is: 'store'; id: number; method: 'abort'; of: number }

type Answer =
  | { is: 'store'; id: number; value: unknown }
  | { is: 'store'; id: number; failure: string }
  | { is: 'store'; id: number; batch: WatchBatch }
  /** Not an answer: the lease that the call `id` gave is gone. */
  | { is: 'store'; id: number; isLost: true }

interface Range {
  revision: number
  entries: Entry[]
}

interface Acquiring {
  pid: number
  lose: () => void
  signal: AbortSignal
}

/** Serves a store. */
export function shareStore(store: Store, { grantsAlways = false }: SharedStoreOptions = {}): SharedLeases {
  const holders = new Map<string, Holder>()
  const waiting = new Map<string, { pid: number; grant: () => void }[]>()
  const granted: string[] = []

  async function acquire(name: string, { pid, lose, signal }: Acquiring): Promise<void> {
    const holder = holders.get(name)
    if (!grantsAlways && holder !== undefined && holder.pid !== pid) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const waiter = { pid, grant: resolve }
      const queue = waiting.get(name) ?? []
      waiting.set(name, [...queue, waiter])
      signal.addEventListener('abort', () => {
        waiting.set(
          name,
          (waiting.get(name) ?? []).filter((each) => each !== waiter),
        )
        reject(signal.reason)
      })
      await promise
    }
    granted.push(`${pid} ${name}`)
    const now = holders.get(name)
    if (now?.pid !== pid) return void holders.set(name, { pid, count: 1, lose })
    const { lose: loseOthers } = now
    now.count += 1
    now.lose = () => {
      loseOthers()
      lose()
    }
  }

  function release(name: string, pid: number, count = 1): void {
    const holder = holders.get(name)
    if (holder?.pid !== pid) return
    holder.count -= count
    if (holder.count > 0) return
    holders.delete(name)
    const [next, ...rest] = waiting.get(name) ?? []
    waiting.set(name, rest)
    if (next === undefined) return
    // Held for whoever is next before anybody else can ask.
    holders.set(name, { pid: next.pid, count: 0, lose: () => undefined })
    next.grant()
  }

  function serve(child: ChildProcess): void {
    const pid = child.pid ?? 0
    const calls = new Map<number, AbortController>()
    const send = (answer: Answer): void => {
      if (child.connected) child.send(answer as Serializable, () => undefined)
    }

    async function answer(call: Call, signal: AbortSignal): Promise<unknown> {
      switch (call.method) {
        case 'get':
          return store.get(call.key)
        case 'ranges':
          return Promise.all((await store.ranges(call.queries, call.options)).map(readWhole))
        case 'commit':
          return store.commit(call.commit)
        case 'watch': {
          const since = call.since === undefined ? {} : { since: call.since }
          const options = { signal, prompt: call.prompt, ...since }
          for await (const batch of store.watch(call.prefix, options)) send({ is: 'store', id: call.id, batch })
          return undefined
        }
        case 'lease':
          return acquire(call.name, { pid, signal, lose: () => send({ is: 'store', id: call.id, isLost: true }) })
        case 'release':
          return release(call.name, pid)
        case 'abort':
          return calls.get(call.of)?.abort(new Error('aborted'))
      }
    }

    child.on('message', (message: Call) => {
      if (message?.is !== 'store') return
      const { id } = message
      const controller = new AbortController()
      calls.set(id, controller)
      answer(message, controller.signal)
        .then((value) => send({ is: 'store', id, value }))
        .catch((error: unknown) => send({ is: 'store', id, failure: String(error) }))
        .finally(() => calls.delete(id))
    })
    child.once('exit', () => {
      for (const controller of calls.values()) controller.abort(new Error('the process ended'))
      for (const [name, holder] of holders) if (holder.pid === pid) release(name, pid, holder.count)
    })
  }

  return {
    serve,
    granted,
    holder: (name) => holders.get(name)?.pid,
    revoke(name) {
      const holder = holders.get(name)
      if (holder === undefined) return
      holder.lose()
      release(name, holder.pid, holder.count)
    },
  }
}

async function readWhole(snapshot: Snapshot): Promise<Range> {
  const entries: Entry[] = []
  for await (const entry of snapshot) entries.push(entry)
  return { revision: snapshot.revision, entries }
}

interface CallOptions<T> {
  signal?: AbortSignal
  onBatch?: (batch: WatchBatch) => void
  onLost?: () => void
  /** Given what came after the signal. */
  onLate?: (value: T) => void
}

type Asked<C> = C extends unknown ? Omit<C, 'is' | 'id'> : never

/** The store that the parent of this process serves. */
export function parentStore(): Store {
  const calls = new Map<number, (answer: Answer) => void>()
  let last = 0
  const ended = new AbortController()
  process.on('message', (message: Answer) => {
    if (message?.is === 'store') calls.get(message.id)?.(message)
  })
  process.once('disconnect', () => ended.abort(new Error('the store is gone')))

  function call<T>(asked: Asked<Call>, { signal, onBatch, onLost, onLate }: CallOptions<T> = {}): Promise<T> {
    last += 1
    const id = last
    return new Promise<T>((resolve, reject) => {
      signal?.throwIfAborted()
      calls.set(id, (answer) => {
        if ('batch' in answer) return onBatch?.(answer.batch)
        if ('isLost' in answer) return onLost?.()
        if (onLost === undefined) calls.delete(id)
        if ('failure' in answer) return reject(new Error(answer.failure))
        if (signal?.aborted === true) onLate?.(answer.value as T)
        resolve(answer.value as T)
      })
      signal?.addEventListener('abort', () => {
        last += 1
        process.send?.({ is: 'store', id: last, method: 'abort', of: id })
        reject(signal.reason)
      })
      process.send?.({ is: 'store', id, ...asked })
    })
  }

  const ranges: Store['ranges'] = async (queries, options = {}) => {
    const found = await call<Range[]>({ method: 'ranges', queries: [...queries], options })
    return found.map(({ revision, entries }) => ({
      revision,
      async *[Symbol.asyncIterator]() {
        yield* entries
      },
    }))
  }

  async function* watch(
    ...[prefix, { since, signal, prompt = false }]: Parameters<Store['watch']>
  ): AsyncGenerator<WatchBatch> {
    const batches: WatchBatch[] = []
    let wake: () => void = () => undefined
    let failure: unknown
    const onBatch = (batch: WatchBatch): void => {
      batches.push(batch)
      wake()
    }
    const prefixes = typeof prefix === 'string' ? prefix : [...prefix]
    let isOver = false
    void call({ method: 'watch', prefix: prefixes, since, prompt }, { signal, onBatch })
      .catch((error: unknown) => {
        if (!signal.aborted) failure = error
      })
      .finally(() => {
        isOver = true
        wake()
      })
    for (;;) {
      const batch = batches.shift()
      if (batch !== undefined) yield batch
      else if (failure !== undefined) throw failure
      else if (isOver) return
      else {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  }

  return {
    get: (key) => call({ method: 'get', key }),
    ranges,
    async range(query, options) {
      const [snapshot] = await ranges([query], options)
      if (snapshot === undefined) throw new TypeError('a range was not read')
      return snapshot
    },
    commit: (commit) => call<CommitResult>({ method: 'commit', commit }),
    watch,
    async lease(name, signal): Promise<Lease> {
      const revoked = new AbortController()
      const release = (): Promise<void> => call({ method: 'release', name })
      await call({ method: 'lease', name }, { signal, onLost: () => revoked.abort(), onLate: () => void release() })
      return { lost: AbortSignal.any([ended.signal, revoked.signal]), release }
    },
    close: async () => undefined,
  }
}
