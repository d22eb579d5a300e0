import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import {
  followed,
  followedAcross,
  forbiddenFailure,
  isSameTag,
  type MayFollow,
  pathAbove,
  type TagName,
  tagText,
} from '../streams/followed-across.ts'
import { incompleteReason } from '../streams/moves.ts'
import type { FollowerIdentity, TagRecord } from '../streams/records.ts'
import type { StreamSource } from '../streams/sources.ts'
import type { ChangeResult, CurrentTag, Stream, StreamWriter, Tag, TagChange } from '../streams/streams.ts'
import { isUnlinkedError } from '../streams/unlinking.ts'
import type { Prepare } from './prepare.ts'
import { eventOf, type LookOptions, look, type Problem, type Standing, seenOf } from './standing.ts'
import { standsNowhere, staysText } from './stands-nowhere.ts'

/** What came of letting a tag follow. */
export type FollowOutcome =
  /** `candidate`: it is held or immutable, or waits for its content. */
  | { kind: 'unchanged' | 'moved' | 'candidate' }
  /** It stays where it is, and a condition says why. `as` may not pull from the source. */
  | { kind: 'failed'; as?: FollowerIdentity }
  /** Something changed meanwhile, or nothing could be learned or written: to be asked again. */
  | { kind: 'again' }
  /** It does not follow that any more. */
  | { kind: 'gone' }

/** Lets a tag follow; see `Tagging.follow`. */
export type FollowTag = (
  name: StreamName,
  tag: string,
  options?: {
    /** What it is thought to follow; default whatever it does. */
    source?: TagName
    /** Who asked for it: it was just let go. */
    asked?: { by: string; reason?: string }
  },
) => Promise<FollowOutcome>

export interface FollowOptions extends LookOptions {
  writer: Pick<StreamWriter, 'changeTag'>
  prepare: Pick<Prepare, 'copy'>
  mayFollow: MayFollow
  log: Logger
}

/** Who the ledger says it was. */
const followerName = 'system:weir:follow'

/** A tag that follows, as it was when it was looked at. */
interface Following {
  stream: Stream
  before: Tag
  source: TagName
  as: FollowerIdentity | undefined
}

export function createFollow(options: FollowOptions): FollowTag {
  const { reader, writer, prepare, mayFollow, registryHost, log } = options

  return async (name, tag, { source, asked } = {}) => {
    try {
      const following = await read(name, tag)
      if (following === undefined || (source !== undefined && !isSameTag(source, following.source))) {
        return { kind: 'gone' }
      }
      return await follow(following, asked)
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error
      if (error.code === 'NAME_UNKNOWN') return { kind: 'gone' }
      log.debug({ project: name.project, stream: name.stream, tag, err: error }, 'a tag follows later')
      return { kind: 'again' }
    }
  }

  async function read(name: StreamName, tag: string): Promise<Following | undefined> {
    const stream = await reader.stream(name)
    const before = stream && (await reader.tag(stream, tag))
    if (before === undefined || before.record.uid !== stream?.uid) return undefined
    const source = followedAcross(before.record.spec, stream)
    if (source === undefined) return undefined
    return { stream, before, source, as: before.record.followsAs }
  }

  async function follow(
    following: Following,
    asked: { by: string; reason?: string } | undefined,
  ): Promise<FollowOutcome> {
    const { stream, before, source, as } = following
    const { record } = before
    const named: StreamSource = { kind: 'ImageStreamTag', stream: source, tag: source.tag }
    const looked = await look(options, named, {
      own: stream,
      mayPull: (from) => as !== undefined && mayFollow(as, from),
    })
    if ('problem' in looked) return fail(following, conditionOf(looked.problem, following))
    const { standing } = looked
    if (standing === undefined) return fail(following, standsNowhere(named, record, { isFollowing: true }))
    const seen = seenOf(standing)
    if (record.lastSeen?.digest === seen) return settle(following)
    if (await leadsToItself(following)) return fail(following, loopCondition(following))
    const problem = await link(following, standing)
    if (problem === 'again') return { kind: 'again' }
    if (problem !== undefined) return fail(following, problem)
    const by = asked ?? { by: followerName }
    const event = eventOf(standing, { kind: 'follow', own: stream, isReference: false, ...by, registryHost })
    const moved = await change(following, () => {
      // Asked again at the last moment: the right may have ended while links were copied.
      return as !== undefined && mayFollow(as, source) ? { event, lastSeen: seen } : undefined
    }).catch(invalidAlone)
    if (moved instanceof RegistryError) return fail(following, { reason: 'Invalid', message: moved.message })
    if (moved === undefined || moved.tag?.record.lastSeen?.digest !== seen) return { kind: 'again' }
    if (moved.entry !== undefined) {
      const { revision, image, cause } = moved.entry
      const { project, stream: name } = stream
      log.info(
        { project, stream: name, tag: before.name, revision, image, by: cause.by, from: cause.from?.name },
        'tag moved',
      )
      return { kind: 'moved' }
    }
    const { candidate, awaits } = moved.tag.record
    return { kind: candidate?.image === event.image || awaits?.image === event.image ? 'candidate' : 'unchanged' }
  }

  /**
   * Gives the stream the links of where its tag is about to go: links first, the move last. A tag that is held goes nowhere.
   *
   * @returns why it can not; undefined when it can
   */
  async function link(
    { stream, before, source }: Following,
    standing: Standing,
  ): Promise<Failure | 'again' | undefined> {
    if (standing.link === undefined || before.record.hold !== undefined) return undefined
    const { digest } = standing.link
    try {
      const { isLinked, lost } = await prepare.copy(source, stream, digest)
      if (!isLinked) return 'again'
      if (lost.length === 0) return undefined
      const why = `the content of ${digest} is not kept any more, and no upstream has it: ${lost[0]} is gone`
      return { reason: 'Invalid', message: `${tagText(source)} can not be followed: ${why}` }
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'DENIED') throw error
      log.info({ project: stream.project, stream: stream.stream, tag: before.name, err: error }, 'a tag can not follow')
      const why = `the quota of project ${stream.project} has no room for ${digest}`
      const how = `kubectl describe quota -n ${stream.project}`
      return { reason: 'QuotaExceeded', message: `${tagText(source)} can not be followed: ${why}; see ${how}` }
    }
  }

  /** However it came to be: tags that follow one another in a circle would never rest. */
  async function leadsToItself({ stream, before }: Following): Promise<boolean> {
    const { project, stream: name } = stream
    const { ends } = await pathAbove({ project, stream: name, tag: before.name }, async (at) => {
      return followed((await reader.tag(at, at.tag))?.record.spec, at)
    })
    return ends === 'loop'
  }

  /** The tag stands as it should: what was the matter is over. */
  async function settle(following: Following): Promise<FollowOutcome> {
    const { condition } = following.before.record
    if (condition === undefined || condition.reason === incompleteReason) return { kind: 'unchanged' }
    const settled = await change(following, () => ({ condition: null }))
    return settled === undefined ? { kind: 'again' } : { kind: 'unchanged' }
  }

  async function fail(following: Following, condition: Failure): Promise<FollowOutcome> {
    const { as, before } = following
    // Whoever fetches what the tag waits for says again and again how that is.
    const isWaiting = before.record.awaits !== undefined && before.record.condition?.reason === incompleteReason
    const isToldElsewhere = isWaiting && condition.reason !== 'Forbidden'
    const failed = isToldElsewhere || (await change(following, () => ({ condition }))) !== undefined
    if (!failed) return { kind: 'again' }
    return { kind: 'failed', ...(condition.reason === 'Forbidden' && as !== undefined ? { as } : {}) }
  }

  /** Changes the tag as it was looked at; undefined when it is not so any more. */
  async function change(
    { stream, before }: Following,
    decide: () => TagChange | undefined,
  ): Promise<ChangeResult | undefined> {
    let isDecided = false
    const decideOn = (current: CurrentTag): TagChange | undefined => {
      if (current.stream.uid !== stream.uid || current.tag?.storeRevision !== before.storeRevision) return undefined
      const decided = decide()
      isDecided = decided !== undefined
      return decided
    }
    const { project, stream: name } = stream
    try {
      const result = await writer.changeTag({ project, stream: name }, before.name, decideOn, { onConflict: 'drop' })
      return isDecided ? result : undefined
    } catch (error) {
      if (isUnlinkedError(error)) return undefined
      throw error
    }
  }
}

type Failure = NonNullable<TagChange['condition']>

function conditionOf(problem: Problem, { source, before }: Following): Failure {
  const { project, stream } = source
  const called = tagText(source)
  switch (problem.kind) {
    case 'forbidden':
      return forbiddenFailure(source, before.record)
    case 'absent':
      return {
        reason: 'NotFound',
        message: `there is no image stream ${project}/${stream}: ${staysText(before.record)}`,
      }
    case 'unusable':
      return {
        reason: 'Invalid',
        message: `${called} can not be followed: ${problem.why}; ${staysText(before.record)}`,
      }
  }
}

/** What no later try makes good by itself: the stream would be too large, for one. */
function invalidAlone(error: unknown): RegistryError {
  if (error instanceof RegistryError && error.code === 'INVALID') return error
  throw error
}

function loopCondition({ source, before }: Following): Failure {
  const message = `${tagText(source)} is not followed, as it follows this tag, directly or through others: ${kept(before.record)}let one of them come from elsewhere`
  return { reason: 'Invalid', message }
}

function kept({ items }: Pick<TagRecord, 'items'>): string {
  return items[0] === undefined ? '' : 'the tag keeps what it stands at; '
}
