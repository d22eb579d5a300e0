import type { SemVer } from 'semver'
import parse from 'semver/functions/parse.js'

/** A part of the order, lower first. */
const [latest, minor, full, other] = [0, 1, 2, 3] as const

interface Ranked {
  tag: string
  rank: number
  version: SemVer | undefined
}

/** `5`, `5.1`, with `v` in front or a pre-release behind: what is taken for a version without a patch level. */
const minorPattern = /^v?([0-9]+)(?:\.([0-9]+))?(-[0-9A-Za-z.-]+)?$/

/**
 * The order in which a repository's tags are imported: `latest`, then versions without a patch level from the highest down,
 * then whole versions from the highest down, then all others in byte order (OKD's PrioritizeTags, okd.md 2.7). Total: of the
 * same version the tag that comes first in byte order is first.
 */
export function prioritizeTags(tags: readonly string[]): string[] {
  return tags
    .map(ranked)
    .sort(compare)
    .map(({ tag }) => tag)
}

function ranked(tag: string): Ranked {
  if (tag === 'latest') return { tag, rank: latest, version: undefined }
  const short = minorPattern.exec(tag)
  const shortVersion = short && parse(`${short[1]}.${short[2] ?? 0}.0${short[3] ?? ''}`)
  if (shortVersion) return { tag, rank: minor, version: shortVersion }
  const version = parse(tag.replace(/^v/, ''))
  return version ? { tag, rank: full, version } : { tag, rank: other, version: undefined }
}

function compare(a: Ranked, b: Ranked): number {
  if (a.rank !== b.rank) return a.rank - b.rank
  const byVersion = a.version && b.version ? b.version.compare(a.version) : 0
  if (byVersion !== 0) return byVersion
  return a.tag === b.tag ? 0 : a.tag < b.tag ? -1 : 1
}
