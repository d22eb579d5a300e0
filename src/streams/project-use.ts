import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { CommittedSteps } from './commit-steps.ts'
import type { Draft } from './draft.ts'
import type { LinkRecord } from './records.ts'
import { isAbsent } from './rules.ts'
import type { StreamSizes } from './stream-sizes.ts'
import type { Stream } from './streams.ts'

/** Keeps account of what projects use; told of everything that is written here. */
export interface ProjectUse {
  /**
   * Lets so many more tags come into a project.
   *
   * @returns what ends the reservation, once they are told of or do not come
   * @throws RegistryError DENIED
   */
  reserveTags(project: string, count: number): Promise<() => void>
  /**
   * Lets links come into a project from another one.
   *
   * @returns what ends the reservation, once they are told of or do not come
   * @throws RegistryError DENIED
   */
  reserveLinks(project: string, links: ReadonlyMap<Digest, LinkRecord>): Promise<() => void>
  /** Which tags are there now, and which are not any more. */
  tagged(name: StreamName, tags: ReadonlyMap<string, boolean>): void
  /** Which links were written, or may have been. */
  linked(name: StreamName, links: ReadonlyMap<Digest, LinkRecord>): void
  /** Which links were removed, or may have been. */
  unlinked(name: StreamName, digests: readonly Digest[]): void
  /** What is known of a project may be wrong; without a name, of all. */
  recount(project?: string): void
}

/** Sizes of streams that let no more tags into a project than it may have. A tag that moves is none more. */
export function withCountedTags(sizes: StreamSizes, use: ProjectUse): StreamSizes {
  async function write(
    stream: Stream,
    drafts: readonly Draft[],
    tags: ReadonlyMap<string, boolean>,
    work: () => Promise<CommittedSteps>,
  ): Promise<CommittedSteps> {
    let isKnown = false
    try {
      const written = await sizes.within(stream, drafts, work)
      const isLost = 'lostAt' in written
      // Of several steps some may stand.
      isKnown = !isLost || drafts.length === 1
      if (!isLost && tags.size > 0) use.tagged(stream, tags)
      return written
    } finally {
      if (!isKnown && tags.size > 0) use.recount(stream.project)
    }
  }

  async function within(
    stream: Stream,
    drafts: readonly Draft[],
    work?: () => Promise<CommittedSteps>,
  ): Promise<CommittedSteps | undefined> {
    const tags = changesOf(drafts)
    const more = [...tags.values()].reduce((sum, isThere) => sum + (isThere ? 1 : -1), 0)
    const release = more > 0 ? await use.reserveTags(stream.project, more) : undefined
    try {
      if (work !== undefined) return await write(stream, drafts, tags, work)
      await sizes.within(stream, drafts)
      return undefined
    } finally {
      release?.()
    }
  }

  return { within: within as StreamSizes['within'] }
}

/** The tags that come, and those that go. */
function changesOf(drafts: readonly Draft[]): Map<string, boolean> {
  const changed = drafts
    .flatMap(({ tags }) => tags)
    .filter(({ stored, record }) => {
      const wasThere = stored !== undefined && stored.uid === record.uid && !isAbsent(stored)
      return wasThere === isAbsent(record)
    })
  return new Map(changed.map(({ tag, record }) => [tag, !isAbsent(record)]))
}
