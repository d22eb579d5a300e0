/** Work that waits, by what it is for and where it goes. */
export interface HostQueue<T> {
  /** Adds an item at the end of its host's queue, in place of another of the same key. */
  add(host: string, key: string, item: T): void
  /** The next item that may be begun, hosts in turn; undefined when there is none. Whoever takes it says when it is `done`. */
  take(): { host: string; item: T } | undefined
  done(host: string): void
}

export interface HostQueueOptions {
  /** Most items under way at the same time. */
  total: number
  /** Of them, most for one host. */
  perHost: number
}

export function createHostQueue<T>({ total, perHost }: HostQueueOptions): HostQueue<T> {
  /** In the order in which hosts take their turns. */
  const queues = new Map<string, Map<string, T>>()
  const busy = new Map<string, number>()
  let underWay = 0

  return {
    add(host, key, item) {
      const queue = queues.get(host) ?? new Map<string, T>()
      queues.set(host, queue)
      queue.set(key, item)
    },
    take() {
      if (underWay >= total) return undefined
      for (const [host, queue] of queues) {
        const count = busy.get(host) ?? 0
        const [first] = queue
        if (first === undefined || count >= perHost) continue
        queue.delete(first[0])
        queues.delete(host)
        if (queue.size > 0) queues.set(host, queue)
        busy.set(host, count + 1)
        underWay += 1
        return { host, item: first[1] }
      }
      return undefined
    },
    done(host) {
      const count = (busy.get(host) ?? 0) - 1
      if (count > 0) busy.set(host, count)
      else busy.delete(host)
      underWay -= 1
    },
  }
}
