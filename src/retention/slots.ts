import { createHostQueue, type HostQueueOptions, type Place } from '../upstream/host-queue.ts'

/** The budgets of upstreams: how much is asked of them at the same time. */
export interface Slots {
  /** Does `work` when its project's turn comes and its host has room. `signal` ends the waiting. */
  run<T>(place: Place, signal: AbortSignal, work: () => Promise<T>): Promise<T>
}

interface Waiting {
  begin(): void
  hasLeft: boolean
}

export function createSlots(options: HostQueueOptions): Slots {
  const queue = createHostQueue<Waiting>(options)
  let count = 0

  function beginNext(): void {
    for (let next = queue.take(); next !== undefined; next = queue.take()) {
      if (next.item.hasLeft) queue.done(next)
      else next.item.begin()
    }
  }

  async function turn(place: Place, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting: Waiting = { begin: resolve, hasLeft: false }
    const leave = (): void => {
      waiting.hasLeft = true
      reject(signal.reason)
    }
    signal.addEventListener('abort', leave, { once: true })
    count += 1
    queue.add(place, String(count), waiting)
    beginNext()
    await promise.finally(() => signal.removeEventListener('abort', leave))
  }

  return {
    async run(place, signal, work) {
      await turn(place, signal)
      try {
        return await work()
      } finally {
        queue.done(place)
        beginNext()
      }
    },
  }
}
