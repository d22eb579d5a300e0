import { LRUCache } from 'lru-cache'
import type { StreamName } from '../oci/reference.ts'

/** What was found out for a stream a moment ago. */
export interface Memory<T> {
  /**
   * What is remembered, or what `find` gives: once for all who ask meanwhile. It is told what was remembered before, however old.
   * What it throws is not remembered.
   */
  get(stream: LivingStream, key: string, find: (before: T | undefined) => Promise<Found<T>>): Promise<T>
  /** Also what is being found out is not remembered. */
  forget(name: StreamName): void
}

/** What was found, how long to remember it, and about how much memory that takes. */
export interface Found<T> {
  value: T
  ms: number
  bytes: number
}

/** A stream by its name and the uid it has now. */
export interface LivingStream {
  name: StreamName
  uid: string
}

/** About what an entry costs besides. */
const entryBytes = 512

export function createMemory<T>({ maxBytes, now }: { maxBytes: number; now: () => number }): Memory<T> {
  const known = new LRUCache<string, { value: T; until: number; bytes: number }>({
    maxSize: maxBytes,
    sizeCalculation: ({ bytes }) => bytes + entryBytes,
  })
  const underWay = new Map<string, Promise<T>>()

  function findOut(key: string, find: (before: T | undefined) => Promise<Found<T>>): Promise<T> {
    const finding: Promise<T> = find(known.get(key)?.value).then(({ value, ms, bytes }) => {
      // Whoever forgot it meanwhile took it out.
      if (underWay.get(key) === finding) known.set(key, { value, until: now() + ms, bytes })
      return value
    })
    underWay.set(key, finding)
    return finding
  }

  return {
    async get({ name, uid }, key, find) {
      const whole = `${prefixOf(name)}${uid} ${key}`
      const remembered = known.get(whole)
      if (remembered !== undefined && now() < remembered.until) return remembered.value
      const finding = underWay.get(whole) ?? findOut(whole, find)
      try {
        return await finding
      } finally {
        if (underWay.get(whole) === finding) underWay.delete(whole)
      }
    },
    forget(name) {
      const prefix = prefixOf(name)
      for (const key of [...known.keys()]) if (key.startsWith(prefix)) known.delete(key)
      // Who asks from now on is not to hear what was found before.
      for (const key of [...underWay.keys()]) if (key.startsWith(prefix)) underWay.delete(key)
    },
  }
}

function prefixOf({ project, stream }: StreamName): string {
  return `${project}/${stream} `
}
