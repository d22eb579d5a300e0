import type { StreamName } from '../oci/reference.ts'

/** Who asked for how much: requests by stream, of a bounded number of streams. */
export interface Spending {
  count(stream: StreamName): void
  /** Those that spent most, at most `most`. */
  top(most: number): { stream: StreamName; requests: number }[]
}

/** Most streams that are counted; beyond it the half that spent least is forgotten. */
const maxStreams = 1000

export function createSpending(): Spending {
  const counts = new Map<string, number>()
  const byRequests = (): [string, number][] => [...counts].sort(([, a], [, b]) => b - a)

  return {
    count({ project, stream }) {
      const key = `${project}/${stream}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
      if (counts.size <= maxStreams) return
      for (const [least] of byRequests().slice(maxStreams / 2)) counts.delete(least)
    },
    top: (most) =>
      byRequests()
        .slice(0, most)
        .map(([key, requests]) => {
          const [project = '', stream = ''] = key.split('/')
          return { stream: { project, stream }, requests }
        }),
  }
}
