import type { FieldCause } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Entry, Operation } from '../store/store.ts'
import { followed, isSameTag, pathAbove, pathProblem, type TagName } from './followed-across.ts'
import { sameReference } from './generations.ts'
import { decode, encode, followersKey, lifeKey, tagKey } from './keys.ts'
import type { Reads } from './reads.ts'
import type { FollowersRecord, LifeRecord, TagRecord } from './records.ts'
import { followedTag, isSameStream } from './sources.ts'
import type { TagChange } from './streams.ts'

/** A change of a tag, and the path of its reference in what was sent, for causes. */
export interface AskedChange {
  change: TagChange
  field: string
}

/** Most tags that follow one, directly or through others: all move in one commit. */
export const maxFollowers = 24
/** Most bytes of what is wanted of tags that move in one commit. */
const maxSpecBytes = 512 * 1024

/** Who follows whom within a stream, as it will be after the changes. Each tag follows one at the most: a forest. */
export interface FollowGraph {
  sourceOf(tag: string): Promise<string | undefined>
  followersOf(tag: string): Promise<string[]>
  /** How many tags are above a tag, no more than can be. */
  depthOf(tag: string): Promise<number>
  /** Why a tag can not follow what it wants to. */
  refusals(tag: string): Promise<FieldCause[]>
  /** What the index of followers has to say from now on. */
  operations(): Promise<Operation[]>
}

/** `together` are all changes that are asked for at once; of those in `changes` each is worked out here. */
export function createFollowGraph(
  own: StreamName & { uid: string; maySee?: ((stream: StreamName) => boolean) | undefined },
  reads: Reads,
  changes: ReadonlyMap<string, AskedChange>,
  together: ReadonlyMap<string, AskedChange>,
): FollowGraph {
  const { uid, maySee = () => false } = own

  const recordOf = async (tag: string) => livingRecord(await reads.get(tagKey(own, tag)), uid)

  const storedSource = async (tag: string) => followedTag((await recordOf(tag))?.spec, own)

  async function sourceOf(tag: string): Promise<string | undefined> {
    const change = changes.get(tag)?.change
    if (change?.remove !== undefined) return undefined
    return change?.spec === undefined ? storedSource(tag) : followedTag(change.spec ?? undefined, own)
  }

  async function storedFollowers(tag: string): Promise<string[]> {
    const entry = await reads.get(followersKey(own, tag))
    const record = entry && decode<FollowersRecord>(entry)
    return record?.uid === uid ? record.followers : []
  }

  /** The changed tags by what they will follow. A stream may send thousands at once: they are looked through once. */
  const changedFollowers = once(async () => {
    const bySource = new Map<string, string[]>()
    for (const tag of changes.keys()) {
      const source = await sourceOf(tag)
      if (source === undefined) continue
      const followers = bySource.get(source)
      if (followers === undefined) bySource.set(source, [tag])
      else followers.push(tag)
    }
    return bySource
  })

  const followersOf = remembered(async (tag: string): Promise<string[]> => {
    const stay = (await storedFollowers(tag)).filter((follower) => !changes.has(follower))
    return [...stay, ...((await changedFollowers()).get(tag) ?? [])].sort()
  })

  /** The tags above `tag`, nearest first; ends where it would come round. */
  async function above(tag: string): Promise<string[]> {
    const path: string[] = []
    let source = await sourceOf(tag)
    while (source !== undefined && path.length <= maxFollowers && !path.includes(source)) {
      path.push(source)
      source = source === tag ? undefined : await sourceOf(source)
    }
    return path
  }

  /** All tags below `root`; one more than may be when there are too many. */
  async function below(root: string): Promise<string[]> {
    const tags = new Set([root])
    for (const tag of tags) {
      for (const follower of await followersOf(tag)) {
        if (tags.size > maxFollowers + 1) return [...tags].slice(1)
        tags.add(follower)
      }
    }
    return [...tags].slice(1)
  }

  /** What a tag of whichever stream will follow; that of another stream has to stay so until this is written. */
  async function sourceAnywhere(name: TagName): Promise<TagName | undefined> {
    const entry = await reads.rely(tagKey(name, name.tag))
    if (isSameStream(name, own)) {
      const change = together.get(name.tag)?.change
      if (change?.remove !== undefined) return undefined
      const stored = change?.spec === undefined ? livingRecord(entry, uid)?.spec : (change.spec ?? undefined)
      return followed(stored, own)
    }
    const life = await reads.get(lifeKey(name))
    return followed(life && livingRecord(entry, decode<LifeRecord>(life).uid)?.spec, name)
  }

  /** Why a tag can not begin to follow what leads through other streams. */
  async function problemAcross(
    tag: string,
    { spec }: TagChange,
    before: TagRecord['spec'],
  ): Promise<string | undefined> {
    const source = followed(spec ?? undefined, own)
    if (source === undefined || isSameTag(source, followed(before, own))) return undefined
    const above = await pathAbove({ project: own.project, stream: own.stream, tag }, sourceAnywhere)
    return above.path.every((each) => isSameStream(each, own)) ? undefined : pathProblem(above, own, maySee)
  }

  async function specBytes(tag: string): Promise<number> {
    const change = changes.get(tag)?.change
    const spec = change?.spec === undefined ? (await recordOf(tag))?.spec : change.spec
    return Buffer.byteLength(JSON.stringify(spec ?? null))
  }

  async function refusals(tag: string): Promise<FieldCause[]> {
    const { change, field } = changes.get(tag) ?? {}
    const before = (await recordOf(tag))?.spec
    if (!change?.spec || (before !== undefined && sameReference(before, change.spec))) return []
    const path = await above(tag)
    const begins = path.length > 0 && path[0] !== followedTag(before, own)
    const cause = (message: string) => ({
      field: `${field}.from.name`,
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(change.spec?.from?.name)}: ${message}`,
    })
    if (path.includes(tag)) return [cause(loopText(tag, path))]
    const across = await problemAcross(tag, change, before)
    if (across !== undefined) return [cause(across)]
    const root = path.at(-1) ?? tag
    const followers = await below(root)
    if (begins) {
      // What is checked here has to be so when it is written.
      for (const source of path) await reads.rely(tagKey(own, source))
      for (const node of [root, ...followers]) await reads.rely(followersKey(own, node))
      if (followers.length > maxFollowers) {
        const why = `more than ${maxFollowers} tags would follow tag ${JSON.stringify(root)}, directly or through others`
        return [cause(`${why}; all of them have to move at once`)]
      }
    }
    if (followers.length === 0) return []
    let bytes = 0
    for (const node of [root, ...followers]) bytes += await specBytes(node)
    if (bytes <= maxSpecBytes) return []
    const message = `Too long: this tag and those that it follows and that follow it may have ${maxSpecBytes} bytes in all`
    return [{ field: `${field}.annotations`, reason: 'FieldValueTooLong', message }]
  }

  return {
    sourceOf,
    followersOf,
    refusals,
    depthOf: async (tag) => (await above(tag)).length,
    async operations() {
      const touched = new Set<string>()
      for (const tag of changes.keys()) {
        const [from, to] = [await storedSource(tag), await sourceOf(tag)]
        if (from === to) continue
        if (from !== undefined) touched.add(from)
        if (to !== undefined) touched.add(to)
      }
      const operations: Operation[] = []
      for (const tag of touched) {
        const key = followersKey(own, tag)
        const followers = await followersOf(tag)
        const entry = await reads.rely(key)
        if (followers.length > 0) {
          operations.push({ type: 'put', key, value: encode({ uid, followers } satisfies FollowersRecord) })
        } else if (entry !== undefined) operations.push({ type: 'delete', key })
      }
      return operations
    },
  }
}

/** A tag's record when it is of the stream that lives. */
export function livingRecord(entry: Entry | undefined, uid: string): TagRecord | undefined {
  const record = entry && decode<TagRecord>(entry)
  return record?.uid === uid ? record : undefined
}

function loopText(tag: string, path: readonly string[]): string {
  const others = path.filter((each) => each !== tag).map((each) => JSON.stringify(each))
  const through = others.length === 0 ? '' : `, through ${others.join(', ')}`
  return `tag ${JSON.stringify(tag)} on the image stream is a reference to same tag${through}`
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}

/** Asks for each key once: what an attempt is made on stays as it was read. */
function remembered<T>(make: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const made = new Map<string, Promise<T>>()
  return (key) => {
    const found = made.get(key) ?? make(key)
    made.set(key, found)
    return found
  }
}
