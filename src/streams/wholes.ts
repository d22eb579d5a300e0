import type { StreamName } from '../oci/reference.ts'
import { asOf, revisionWithin } from '../store/as-of.ts'
import { type Entry, maxRanges, type RangeQuery, type ReadOptions, type Snapshot, type Store } from '../store/store.ts'
import { decode, lifePrefix, livesRange, streamOfKey, tagPrefix } from './keys.ts'
import type { LifeRecord } from './records.ts'
import { joinStream } from './stream-records.ts'
import type { StreamReader, WholeStream } from './streams.ts'
import { entriesOf, presentTags } from './whole.ts'

type Options = NonNullable<Parameters<StreamReader['wholes']>[1]>
type Page = Awaited<ReturnType<StreamReader['wholes']>>

const defaultMaxTags = 10_000
/** A page ends once its tag records have so many bytes: few streams may have many. */
const maxPageBytes = 16 * 1024 * 1024
/** Lives, heads and what is beyond the page take a range each. */
const maxTagRanges = maxRanges - 5
const maxAttempts = 20
const headPrefixes = [lifePrefix, 'stream/', 'object/imagestreams/', 'generation/']

/**
 * Reads a page of streams with all their tags. Which streams these are is looked up first, to know which tags to read; then
 * all is read in one snapshot, and what was made in between ends the page before it.
 */
export async function readWholes(store: Store, project: string | undefined, options: Options): Promise<Page> {
  const revision = await revisionWithin(store, project, options.revision)
  return asOf(revision, (state) => readWholesOf(store, project, options, state))
}

async function readWholesOf(
  store: Store,
  project: string | undefined,
  options: Options,
  state: ReadOptions,
): Promise<Page> {
  const { after, maxTags = defaultMaxTags } = options
  const limit = Math.max(Math.min(options.limit ?? Number.POSITIVE_INFINITY, maxTags), 1)
  for (let attempt = 1; ; attempt++) {
    const guess = (await entriesOf(await store.range({ ...livesRange(project, after), limit }, state))).map(pathOf)
    const { runs, covered } = tagRuns(guess)
    const page = await readPage(store, { project, after, covered, runs, maxTags, state })
    if (page.streams.length > 0 || !page.more || attempt === maxAttempts) return page
  }
}

interface Wanted {
  project: string | undefined
  after: StreamName | undefined
  /** The streams expected, in order; their tags are in `runs`, in the same order. */
  covered: readonly string[]
  runs: readonly RangeQuery[]
  maxTags: number
  state: ReadOptions
}

async function readPage(store: Store, { project, after, covered, runs, maxTags, state }: Wanted): Promise<Page> {
  const lives = livesRange(project, after)
  const last = covered.at(-1)
  const beyond = last === undefined ? lives : { ...lives, start: `${lifePrefix}${last}\0` }
  const heads = last === undefined ? [] : headPrefixes.map((prefix) => upTo(onto(lives, prefix), `${prefix}${last}`))
  const [rest, ...others] = await store.ranges([{ ...beyond, limit: 1 }, ...heads, ...runs], state)
  const [lifeEntries = [], ...records] = await Promise.all(others.splice(0, heads.length).map(entriesOf))
  const [touched, objects, generations] = records.map((entries) => new Map(entries.map((e) => [pathOf(e), e])))
  const expected = new Set(covered)
  const unexpected = lifeEntries.findIndex((entry) => !expected.has(pathOf(entry)))
  const living = unexpected < 0 ? lifeEntries : lifeEntries.slice(0, unexpected)
  const lifeOf = new Map(living.map((entry) => [pathOf(entry), entry]))
  const streams: WholeStream[] = []
  let tags = 0
  let bytes = 0
  for await (const { path, entries } of byStream(covered, others)) {
    const life = lifeOf.get(path)
    const heads = [touched?.get(path), objects?.get(path), generations?.get(path)] as const
    const joined = life && joinStream(streamOfKey(life.key), decode<LifeRecord>(life), ...heads)
    if (joined !== undefined) streams.push({ stream: joined.stream, tags: presentTags(entries, joined.stream.uid) })
    tags += entries.length
    for (const { value } of entries) bytes += value.length
    if (tags >= maxTags || bytes >= maxPageBytes || streams.length === living.length) break
  }
  const isMore = rest !== undefined && (await entriesOf(rest)).length > 0
  const more = isMore || unexpected >= 0 || streams.length < living.length
  return { streams, revision: rest?.revision ?? 0, more }
}

/** The tag records of each of the streams `paths`, which `snapshots` tell in that order. Those of others are left out. */
async function* byStream(
  paths: readonly string[],
  snapshots: readonly Snapshot[],
): AsyncGenerator<{ path: string; entries: Entry[] }, void, void> {
  const expected = new Set(paths)
  let next = 0
  let entries: Entry[] = []
  for (const snapshot of snapshots) {
    for await (const entry of snapshot) {
      const path = entry.key.slice(tagPrefix.length, entry.key.lastIndexOf('/'))
      if (!expected.has(path)) continue
      for (; paths[next] !== path && next < paths.length; next++) {
        yield { path: paths[next] ?? '', entries }
        entries = []
      }
      entries.push(entry)
    }
  }
  for (; next < paths.length; next++) {
    yield { path: paths[next] ?? '', entries }
    entries = []
  }
}

/**
 * The ranges of the tags of streams that are given in their order, and how many of these they cover. Mostly one range: but
 * `a-b/` lies before `a/`, although `a` lies before `a-b`. There the order of tags is another than that of streams, and ranges
 * end, so that none has the tags of streams that are not asked for.
 */
export function tagRuns(paths: readonly string[]): { runs: RangeQuery[]; covered: string[] } {
  const runs: RangeQuery[] = []
  const covered: string[] = []
  // Streams whose own tags lie after those of the streams that come now, nearest last.
  const later = shorterNames(paths[0] ?? '')
  let first: string | undefined
  const endRun = () => {
    if (first !== undefined)
      runs.push({ prefix: tagPrefix, start: `${tagPrefix}${first}/`, end: `${tagPrefix}${covered.at(-1)}0` })
    first = undefined
  }
  for (const [i, path] of paths.entries()) {
    while (later.length > 0 && !liesBefore(path, later.at(-1) ?? '')) {
      endRun()
      later.pop()
    }
    const next = paths[i + 1]
    if (runs.length + 2 > maxTagRanges) break
    // What comes after the last is not known here.
    if (next === undefined || liesBefore(next, path)) {
      endRun()
      runs.push({ prefix: `${tagPrefix}${path}/` })
      later.push(path)
    } else first ??= path
    covered.push(path)
  }
  endRun()
  return { runs, covered }
}

/** Whether the tags of the stream `path` lie before those of `shorter`, which it continues with `-` or `.`. */
function liesBefore(path: string, shorter: string): boolean {
  const character = path.charAt(shorter.length)
  return path.startsWith(shorter) && (character === '-' || character === '.')
}

/** All streams that there may be whose tags lie after those of the stream `path`, shortest first. */
function shorterNames(path: string): string[] {
  const start = path.indexOf('/') + 2
  const ends = Array.from(path, (_, i) => i).filter((i) => i >= start)
  return ends.map((end) => path.slice(0, end)).filter((shorter) => liesBefore(path, shorter))
}

/** `project/stream` of a key that ends in it. */
function pathOf({ key }: Entry): string {
  return key.slice(key.lastIndexOf('/', key.lastIndexOf('/') - 1) + 1)
}

/** The same streams as a range of lives, under another prefix. */
function onto({ prefix, start }: RangeQuery, other: string): RangeQuery {
  const moved = (key: string) => other + key.slice(lifePrefix.length)
  return { prefix: moved(prefix), ...(start === undefined ? {} : { start: moved(start) }) }
}

function upTo(query: RangeQuery, last: string): RangeQuery {
  return { ...query, end: `${last}\0` }
}
