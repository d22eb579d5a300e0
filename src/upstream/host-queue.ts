/** Work that waits, by whose it is and where it goes. */
export interface HostQueue<T> {
  /** Adds an item at the end of its project's queue for its host, in place of another of the same key. */
  add(place: Place, key: string, item: T): void
  /**
   * The next item that may be begun: projects in turn, and of each its hosts in turn. Undefined when there is none. Whoever
   * takes it says when it is `done`.
   */
  take(): { host: string; item: T } | undefined
  done(host: string): void
}

export interface Place {
  project: string
  host: string
}

export interface HostQueueOptions {
  /** Most items under way at the same time. */
  total: number
  /** Of them, most for one host. */
  perHost: number
}

/** A project with ten thousand items keeps another waiting for those of it that are under way, and no longer. */
export function createHostQueue<T>({ total, perHost }: HostQueueOptions): HostQueue<T> {
  /** Projects, and hosts of each, in the order in which they take their turns. */
  const projects = new Map<string, Map<string, Map<string, T>>>()
  const busy = new Map<string, number>()
  let underWay = 0

  function takeFrom(queues: Map<string, Map<string, T>>): { host: string; item: T } | undefined {
    for (const [host, queue] of queues) {
      const [first] = queue
      if (first === undefined || (busy.get(host) ?? 0) >= perHost) continue
      queue.delete(first[0])
      toTheEnd(queues, host, queue)
      return { host, item: first[1] }
    }
    return undefined
  }

  return {
    add({ project, host }, key, item) {
      const queues = getOrMake(projects, project)
      getOrMake(queues, host).set(key, item)
    },
    take() {
      if (underWay >= total) return undefined
      for (const [project, queues] of projects) {
        const taken = takeFrom(queues)
        if (taken === undefined) continue
        toTheEnd(projects, project, queues)
        busy.set(taken.host, (busy.get(taken.host) ?? 0) + 1)
        underWay += 1
        return taken
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

/** What is empty goes. */
function toTheEnd<V extends { size: number }>(turns: Map<string, V>, name: string, queue: V): void {
  turns.delete(name)
  if (queue.size > 0) turns.set(name, queue)
}

function getOrMake<V>(map: Map<string, Map<string, V>>, name: string): Map<string, V> {
  const made = map.get(name) ?? new Map<string, V>()
  map.set(name, made)
  return made
}
