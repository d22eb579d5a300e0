import type { Location } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import type { HomePath } from '../streams/home-annotation.ts'
import type { LinkRecord } from '../streams/records.ts'

/** What one project uses, as of now: it changes. */
export interface Account {
  /** Of what was pushed: each digest once. */
  readonly bytes: number
  readonly tags: number
  /** Bytes that links would be more. */
  lacks(links: ReadonlyMap<Digest, LinkRecord>): number
}

/** A link of which it is not known whether it is as it was counted. */
export interface Doubt {
  stream: string
  digest: Digest
}

/** An account that can be written. */
export interface Counting extends Account {
  /** In the order in which they came. */
  readonly doubts: Iterable<Doubt>
  readonly doubtCount: number
  /** A link that was written: it counts, and is doubted, since it may have been removed meanwhile. */
  link(stream: string, digest: Digest, record: LinkRecord): void
  doubt(stream: string, digest: Digest): void
  /** What a link is, as read after `doubt` was told of; without one it was never doubted. Nothing where it was doubted anew since. */
  settle(doubt: Doubt, record: LinkRecord | undefined): void
  tag(stream: string, tag: string, isThere: boolean): void
}

/** What a stream's link of a digest says of its size. */
interface Sized {
  stream: string
  size: number
  isFact: boolean
}

/** Creates the account of a project without anything. */
export function createCounting(project: string, home: HomePath | undefined): Counting {
  const pushed = new Map<Digest, readonly Sized[]>()
  const tags = new Set<string>()
  const doubts = new Map<string, Doubt>()
  let bytes = 0

  function isPushed(location: Location): boolean {
    if (location.kind === 'here') return true
    const { host, repository } = location
    return location.project === project && host === home?.host && repository.startsWith(`${home.path}/`)
  }

  function put(stream: string, digest: Digest, record: LinkRecord | undefined): void {
    const before = pushed.get(digest) ?? []
    const others = before.filter((each) => each.stream !== stream)
    const after = record?.locations.some(isPushed) ? [...others, sizedBy(stream, record)] : others
    bytes += sizeOf(after) - sizeOf(before)
    if (after.length > 0) pushed.set(digest, after)
    else pushed.delete(digest)
  }

  function doubt(stream: string, digest: Digest): void {
    const key = `${stream} ${digest}`
    doubts.delete(key)
    doubts.set(key, { stream, digest })
  }

  return {
    get bytes() {
      return bytes
    },
    get tags() {
      return tags.size
    },
    get doubts() {
      return doubts.values()
    },
    get doubtCount() {
      return doubts.size
    },
    lacks(links) {
      let lacking = 0
      for (const [digest, { size = 0, locations }] of links)
        if (!pushed.has(digest) && locations.some(isPushed)) lacking += size
      return lacking
    },
    doubt,
    link(stream, digest, record) {
      if (!record.locations.some(isPushed)) return
      const before = pushed.get(digest)?.find((each) => each.stream === stream)
      if ((before?.size ?? 0) <= (record.size ?? 0)) put(stream, digest, record)
      doubt(stream, digest)
    },
    settle(settled, record) {
      const { stream, digest } = settled
      const key = `${stream} ${digest}`
      const latest = doubts.get(key)
      if (latest !== undefined && latest !== settled) return
      doubts.delete(key)
      put(stream, digest, record)
    },
    tag(stream, tag, isThere) {
      if (isThere) tags.add(`${stream}:${tag}`)
      else tags.delete(`${stream}:${tag}`)
    },
  }
}

function sizedBy(stream: string, { size = 0, measured, received }: LinkRecord): Sized {
  return { stream, size, isFact: measured === true || received === true }
}

/** Facts do not differ; of what is claimed the most counts. */
function sizeOf(links: readonly Sized[]): number {
  const fact = links.find(({ isFact }) => isFact)
  return fact?.size ?? links.reduce((most, { size }) => Math.max(most, size), 0)
}
