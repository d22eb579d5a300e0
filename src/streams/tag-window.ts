import { parseTrack, type Track } from './tracking.ts'

/** Keeps the greatest of the tags of a repository that it is offered, and counts the others that fit. */
export interface TagWindow {
  offer(tag: string): void
  /** The greatest first. */
  tags(): readonly string[]
  /** How many fit beyond them, as often as they were offered. */
  beyond(): number
}

/** Of a repository that is followed without a policy: `latest`, then as `newest` orders them. */
const wholeOrder = orderWithLatest()

interface Kept {
  tag: string
  key: unknown
}

/** Memory is in proportion to `most`, however many are offered. */
export function createTagWindow(most: number, track: Track = wholeOrder): TagWindow {
  const kept: Kept[] = []
  let beyond = 0

  /** Above 0 when `a` is the greater; no two different tags are equal. */
  function compare(a: Kept, b: Kept): number {
    const difference = track.compare(a.key, b.key)
    if (difference !== 0) return difference
    return a.tag === b.tag ? 0 : a.tag < b.tag ? 1 : -1
  }

  /** The index of the first that is not greater. */
  function placeOf(offered: Kept): number {
    let [from, to] = [0, kept.length]
    while (from < to) {
      const middle = (from + to) >> 1
      const other = kept[middle]
      if (other !== undefined && compare(other, offered) > 0) from = middle + 1
      else to = middle
    }
    return from
  }

  return {
    offer(tag) {
      const key = track.keyOf(tag)
      if (key === undefined) return
      const place = placeOf({ tag, key })
      if (kept[place]?.tag === tag) return
      if (place < most) kept.splice(place, 0, { tag, key })
      if (place >= most || kept.length > most) beyond += 1
      kept.length = Math.min(kept.length, most)
    },
    tags: () => kept.map(({ tag }) => tag),
    beyond: () => beyond,
  }
}

function orderWithLatest(): Track {
  const newest = parseTrack('newest')
  if ('problem' in newest) throw new TypeError(newest.problem)
  return {
    text: '',
    keyOf: (tag) => (tag === 'latest' ? 'latest' : newest.keyOf(tag)),
    compare(a, b) {
      if (a === 'latest' || b === 'latest') return Number(a === 'latest') - Number(b === 'latest')
      return newest.compare(a, b)
    },
  }
}
