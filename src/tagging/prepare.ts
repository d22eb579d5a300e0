import { isDeepStrictEqual } from 'node:util'
import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { type FieldCause, RegistryError } from '../oci/errors.ts'
import { parseImageReference, type StreamName } from '../oci/reference.ts'
import { validateContentPolicy } from '../streams/content-policy.ts'
import { followerIdentity, validateFollow } from '../streams/followed-across.ts'
import { isHeldError, underHold } from '../streams/hold.ts'
import { validateImmutable } from '../streams/immutable.ts'
import { validateMinAge } from '../streams/min-age.ts'
import type { TagSource } from '../streams/records.ts'
import { validateSchedule } from '../streams/scheduled.ts'
import { isSameStream, parseStreamSource } from '../streams/sources.ts'
import type { Links, Stream, StreamReader, StreamWriter, Tag, TagChange } from '../streams/streams.ts'
import { touchImage } from '../streams/touch-image.ts'
import { validateTrack } from '../streams/tracking.ts'
import { requireValid, validateTagReference } from '../streams/validation.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import type { Asking } from './request.ts'
import { causeOf, eventOf, look, type Standing, seenOf } from './standing.ts'
import { standsNowhere } from './stands-nowhere.ts'
import { type Step, stepOf, type Wish } from './steps.ts'

export interface PrepareOptions {
  reader: Pick<StreamReader, 'stream' | 'tag'>
  writer: Pick<StreamWriter, 'create'>
  links: Pick<Links, 'get' | 'list' | 'copy' | 'requireRoom' | 'image'>
  content: Pick<Content, 'touch' | 'held'>
  allowed: AllowList
  /** What clients write before `project/stream`. */
  registryHost: string
  /** Receives a manifest that a stream merely names: what is pulled from it next. */
  obtain(name: StreamName, digest: Digest): Promise<unknown>
}

/** A wish that was looked at: what it was compared with, and where its source stands. */
export interface Checked {
  wish: Wish
  /** The tag's source at that time: it decides what is grandfathered. */
  before: TagSource | undefined
  /** Whether the tag moves to its source, and to where that stands now; absent for a source that stands nowhere yet. */
  moves: boolean
  standing?: Standing
}

/** A checked wish whose image the stream with this uid has links of; without a uid it needs none. */
export interface Ready extends Checked {
  uid?: string
}

/** Whether any of the wishes needs links that its stream `own` may not have. */
export function needsLinks(own: StreamName, checked: readonly Checked[]): boolean {
  return checked.some(({ standing }) => standing?.link !== undefined && !isSameStream(standing.source.stream, own))
}

export type Prepare = ReturnType<typeof createPrepare>

/** Sources looked at, and images linked, at the same time. */
const concurrency = 8

/** Does what has to be done before tags can move to their sources: every source is checked, and what it stands at linked. */
export function createPrepare(options: PrepareOptions) {
  const { reader, writer, links, content, allowed, registryHost } = options

  /** Looks at every wish; all causes at once, each by its path. */
  async function check(
    own: StreamName,
    present: ReadonlyMap<string, Tag>,
    wishes: readonly Wish[],
    asking: Asking,
  ): Promise<{ checked: Checked[]; causes: FieldCause[] }> {
    const results = await inGroups(wishes, (wish) => checkOne(own, present.get(wish.tag), wish, asking))
    return { checked: results.map(({ checked }) => checked), causes: results.flatMap(({ causes }) => causes) }
  }

  async function checkOne(
    own: StreamName,
    tag: Tag | undefined,
    wish: Wish,
    asking: Asking,
  ): Promise<{ checked: Checked; causes: FieldCause[] }> {
    const before = tag?.record.spec
    const step = stepOf(own, before, wish, asking)
    const checked: Checked = { wish, before: before?.from, moves: step.moveTo !== undefined }
    const { spec } = step.change
    if (!spec) return { checked, causes: [] }
    // An ImageStreamTag has them in both places, and those of its metadata count.
    const level = wish.field === 'tag' ? 'metadata' : wish.field
    const causes = [
      ...validateTagReference(spec, wish.field),
      ...validateContentPolicy(spec.annotations, before?.annotations, `${level}.annotations`),
      ...validateImmutable(spec.annotations, before?.annotations, `${level}.annotations`, 'tag'),
      ...validateMinAge(spec.annotations, before?.annotations, `${level}.annotations`),
      ...validateSchedule(spec.annotations, before?.annotations, `${level}.annotations`),
      ...validateTrack(spec.annotations, before?.annotations, `${level}.annotations`),
      ...validateFollow(spec, before, `${level}.annotations`, own),
    ]
    if (causes.length > 0) return { checked, causes }
    const path = `${wish.field}.from`
    causes.push(...heldCauses(own, tag, step, wish.field), ...refusedRegistry(spec.from, before?.from, `${path}.name`))
    if (!step.isNewSource || spec.from === undefined) return { checked, causes }
    const source = parseStreamSource(spec.from, own)
    if (source === undefined || (isSameStream(source.stream, own) && step.moveTo === undefined)) {
      return { checked, causes }
    }
    const looked = await look(options, source, { ...asking, own })
    if ('problem' in looked) return { checked, causes: [...causes, causeOf(looked.problem, source, path)] }
    const { standing } = looked
    return { checked: { ...checked, ...(step.moveTo && standing && { standing }) }, causes }
  }

  function refusedRegistry(from: TagSource | undefined, before: TagSource | undefined, field: string): FieldCause[] {
    if (from?.kind !== 'DockerImage' || isDeepStrictEqual(from, before)) return []
    const host = parseImageReference(from.name)?.host
    const refusal = host === undefined ? undefined : allowed.refusalOf(host)
    return refusal === undefined ? [] : [{ field, reason: 'FieldValueForbidden', message: `Forbidden: ${refusal}` }]
  }

  /**
   * Gives the stream the links of what its tags are about to move to: links first, the move last. Those of a source in the stream
   * itself are renewed, and what is held of the images is used, so that nothing of them is removed before the tags move. A stream
   * that is not there yet is made for them; one that needs none may be born with its tags. Dry runs link nothing.
   *
   * @returns undefined when a source lost its image, or the stream its life: everything has to be looked at anew
   * @throws RegistryError INVALID when nobody can give the bytes of a source any more
   */
  async function link(
    own: StreamName,
    stream: Stream | undefined,
    checked: readonly Checked[],
    asking: Asking,
  ): Promise<readonly Ready[] | undefined> {
    // No stream is made for what its project has no room for.
    if (asking.dryRun || stream === undefined) await requireRoom(own, checked)
    if (asking.dryRun || (stream === undefined && !needsLinks(own, checked))) return checked
    const to = stream ?? (await makeOrRead(own))
    const copies = new Map<string, Promise<Copied>>()
    const copyOnce = (from: StreamName, digest: Digest): Promise<Copied> => {
      const key = `${from.project}/${from.stream}@${digest}`
      const copying = copies.get(key) ?? copy(from, to, digest)
      copies.set(key, copying)
      return copying
    }
    const copied = await inGroups(checked, async ({ standing }): Promise<Copied> => {
      if (standing?.link === undefined) return { isLinked: true, lost: [] }
      const { stream: from } = standing.source
      // Asked again at the last moment: the right may have ended while others were looked at.
      if (!isSameStream(from, own) && !asking.mayPull(from)) return notLinked
      return copyOnce(from, standing.link.digest)
    })
    for (const [i, { lost }] of copied.entries()) {
      const wish = checked[i]?.wish
      if (wish !== undefined) requireHad(own, wish.tag, `${wish.field}.from.name`, lost)
    }
    return copied.every(({ isLinked }) => isLinked) ? checked.map((one) => ({ ...one, uid: to.uid })) : undefined
  }

  async function requireRoom({ project }: StreamName, checked: readonly Checked[]): Promise<void> {
    for (const { standing } of checked) {
      if (standing?.link !== undefined) await links.requireRoom(standing.source.stream, project, standing.link.digest)
    }
  }

  async function makeOrRead(own: StreamName): Promise<Stream> {
    try {
      return await writer.create(own)
    } catch (error) {
      // Two tags may both be the first of a new stream.
      const isThere = error instanceof RegistryError && error.code === 'ALREADY_EXISTS'
      const stream = isThere ? await reader.stream(own) : undefined
      if (stream === undefined) throw error
      return stream
    }
  }

  /** Gives a stream the links of an image of another, or renews its own, and uses what is held of it. */
  async function copy(from: StreamName, to: StreamName & { uid: string }, digest: Digest): Promise<Copied> {
    try {
      if ((await links.copy(from, to, digest)) === undefined) return notLinked
      return { isLinked: true, lost: await touchImage({ links, content }, to, digest) }
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'NAME_UNKNOWN') return notLinked
      throw error
    }
  }

  /**
   * The change of a tag as it is now; undefined when what was prepared does not fit it any more. For the `decide` of a change.
   */
  function changeOf(
    own: StreamName & { uid: string },
    tag: Tag | undefined,
    ready: Ready | undefined,
    asking: Asking,
  ): TagChange | undefined {
    if (ready === undefined || !isDeepStrictEqual(tag?.record.spec?.from, ready.before)) return undefined
    const { change: asked, moveTo, isFollowing } = stepOf(own, tag?.record.spec, ready.wish, asking)
    const as = isFollowing ? { followsAs: followerIdentity(asking.as ?? { name: asking.by, groups: [] }) } : undefined
    const change = { ...asked, ...as }
    if (moveTo === undefined) return change
    if (!ready.moves) return undefined
    if (ready.standing === undefined)
      return { ...change, condition: standsNowhere(moveTo, tag?.record, { isFollowing }) }
    if (ready.standing.link !== undefined && ready.uid !== own.uid && !asking.dryRun) return undefined
    if (!isSameStream(moveTo.stream, own) && !asking.mayPull(moveTo.stream)) return undefined
    const isReference = ready.wish.wanted?.reference === true
    const seen = isFollowing ? { lastSeen: seenOf(ready.standing) } : undefined
    return { ...change, ...seen, event: eventOf(ready.standing, { ...asking, own, isReference, registryHost }) }
  }

  async function relyOn(own: StreamName & { uid: string }, tag: string, digest: Digest): Promise<boolean> {
    const { isLinked, lost } = await copy(own, own, digest)
    requireHad(own, tag, 'image.metadata.name', lost)
    return isLinked
  }

  return { check, link, copy, changeOf, relyOn }
}

/** What became of giving a stream the links of an image. `lost` are parts of it that nobody can give any more. */
export interface Copied {
  isLinked: boolean
  lost: readonly Digest[]
}

const notLinked: Copied = { isLinked: false, lost: [] }

/** @throws RegistryError INVALID */
function requireHad({ stream }: StreamName, tag: string, field: string, lost: readonly Digest[]): void {
  if (lost.length === 0) return
  const message = `Invalid value: its content is not kept any more, and no upstream has it: ${lost[0]} is gone`
  requireValid('ImageStreamTag', `${stream}:${tag}`, [{ field, reason: 'FieldValueInvalid', message }])
}

/** Why a hold refuses what a step does, at the field of its tag. */
function heldCauses(own: StreamName, tag: Tag | undefined, { change }: Step, field: string): FieldCause[] {
  if (tag === undefined) return []
  try {
    underHold(tag.record, change, { ...own, tag: tag.name, time: '' })
    return []
  } catch (error) {
    if (!isHeldError(error)) throw error
    return error.causes.map((cause) => ({ ...cause, field }))
  }
}

async function inGroups<T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (let start = 0; start < all.length; start += concurrency) {
    results.push(...(await Promise.all(all.slice(start, start + concurrency).map(work))))
  }
  return results
}
