/** What is due first, of things whose times change: a binary heap, in which what was put again counts by its newest time. */
export interface DueQueue<T> {
  /** Puts an item at a time, in the place of its time before. */
  put(item: T, atMs: number): void
  remove(item: T): void
  /** Takes the item that is due first, if it is due at `nowMs`. */
  take(nowMs: number): T | undefined
  /** When the first is due; undefined when there is none. */
  next(): number | undefined
}

interface Entry<T> {
  item: T
  atMs: number
}

const fewEntries = 1000

export function createDueQueue<T>(): DueQueue<T> {
  const heap: Entry<T>[] = []
  const newest = new Map<T, Entry<T>>()

  /** Drops what was put again or removed since, from the top. */
  function first(): Entry<T> | undefined {
    for (let top = heap[0]; top !== undefined; top = heap[0]) {
      if (newest.get(top.item) === top) return top
      pop()
    }
    return undefined
  }

  function pop(): void {
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2]
      const least = isBefore(right, left) ? right : left
      if (!isBefore(least, at)) return
      swap(at, least)
      at = least
    }
  }

  function push(entry: Entry<T>): void {
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(at, parent)) return
      swap(at, parent)
      at = parent
    }
  }

  function isBefore(a: number, b: number): boolean {
    const [one, other] = [heap[a], heap[b]]
    return one !== undefined && (other === undefined || one.atMs < other.atMs)
  }

  /** Entries of times that count no more are dropped from the top; of what is put again and again there must not be too many. */
  function tidy(): void {
    if (heap.length <= 2 * newest.size + fewEntries) return
    heap.length = 0
    for (const entry of newest.values()) push(entry)
  }

  function swap(a: number, b: number): void {
    const [one, other] = [heap[a], heap[b]]
    if (one === undefined || other === undefined) return
    heap[a] = other
    heap[b] = one
  }

  return {
    put(item, atMs) {
      if (newest.get(item)?.atMs === atMs) return
      const entry = { item, atMs }
      newest.set(item, entry)
      push(entry)
      tidy()
    },
    remove: (item) => void newest.delete(item),
    take(nowMs) {
      const top = first()
      if (top === undefined || top.atMs > nowMs) return undefined
      pop()
      newest.delete(top.item)
      return top.item
    },
    next: () => first()?.atMs,
  }
}
