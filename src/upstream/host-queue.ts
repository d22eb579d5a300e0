/** Work that waits, by whose it is and where it goes. */
export interface HostQueue<T> {
  /** Adds an item at the end of its project's queue for its host, in place of another of the same key. */
  add(place: Place, key: string, item: T): void
  /**
   * The next item that may be begun: projects in turn, and of each its hosts in turn. Undefined when there is none. Whoever
   * takes it says when it is `done`, with the same place.
   */
  take(): (Place & { item: T }) | undefined
  done(place: Place): void
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
  /** Of them, most of one project; default all. */
  perProject?: number
}

/**
 * A project with ten thousand items keeps another waiting for those of it that are under way, and no longer; where it may not have
 * all places, not even for those.
 */
export function createHostQueue<T>({ total, perHost, perProject = total }: HostQueueOptions): HostQueue<T> {
  /** Projects, and hosts of each, in the order in which they take their turns. */
  const projects = new Map<string, Map<string, Map<string, T>>>()
  const busyHosts = createCounts()
  const busyProjects = createCounts()
  let underWay = 0

  function takeFrom(queues: Map<string, Map<string, T>>): { host: string; item: T } | undefined {
    for (const [host, queue] of queues) {
      const [first] = queue
      if (first === undefined || busyHosts.of(host) >= perHost) continue
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
        if (busyProjects.of(project) >= perProject) continue
        const taken = takeFrom(queues)
        if (taken === undefined) continue
        toTheEnd(projects, project, queues)
        busyHosts.add(taken.host, 1)
        busyProjects.add(project, 1)
        underWay += 1
        return { project, ...taken }
      }
      return undefined
    },
    done({ project, host }) {
      busyHosts.add(host, -1)
      busyProjects.add(project, -1)
      underWay -= 1
    },
  }
}

/** Of each name how many; those of none are forgotten. */
function createCounts() {
  const counts = new Map<string, number>()
  const of = (name: string): number => counts.get(name) ?? 0
  return {
    of,
    add(name: string, more: number): void {
      const count = of(name) + more
      if (count > 0) counts.set(name, count)
      else counts.delete(name)
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
