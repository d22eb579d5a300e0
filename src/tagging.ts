import type { Logger } from 'pino'
import type { Content } from './content/content.ts'
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'
import type { MayFollow } from './streams/followed-across.ts'
import type { Seen } from './streams/preconditions.ts'
import type {
  ChangeResult,
  CurrentStream,
  Links,
  StreamChange,
  StreamChangeResult,
  StreamReader,
  StreamWriter,
} from './streams/streams.ts'
import { createFollow, type FollowTag } from './tagging/follow.ts'
import { hideChange, type ShownTag } from './tagging/hide.ts'
import { createPrepare } from './tagging/prepare.ts'
import type { StreamRequest, TagRequest } from './tagging/request.ts'
import { createSetStream } from './tagging/set-stream.ts'
import { type AwaitMove, createSetTag } from './tagging/set-tag.ts'
import type { AllowList } from './upstream/allow-list.ts'

export type { FollowOutcome, FollowTag } from './tagging/follow.ts'
export type { Asking, StreamRequest, TagRequest, WantedTag } from './tagging/request.ts'

/**
 * What people want of tags: every source is checked, resolved and linked before the tag moves (okd.md 2.1-2.4, DESIGN 4).
 * Refusals are complete: all causes of all tags at once, each by its path.
 */
export interface Tagging {
  /** @throws RegistryError INVALID, NOT_FOUND, ALREADY_EXISTS, CONFLICT */
  setTag(request: TagRequest): Promise<ChangeResult & { created: boolean }>
  /** @throws RegistryError INVALID, ALREADY_EXISTS */
  createStream(request: StreamRequest): Promise<StreamChangeResult>
  /** @throws RegistryError INVALID, NOT_FOUND, CONFLICT */
  updateStream(request: StreamRequest): Promise<StreamChangeResult>
  /**
   * Makes sure that nothing is removed of an image that a stream has before a tag of it moves there, within minutes.
   *
   * @returns whether the stream still has it
   * @throws RegistryError INVALID when nobody can give its bytes any more
   */
  relyOn(stream: StreamName & { uid: string }, tag: string, digest: Digest): Promise<boolean>
  /**
   * Lets a tag that follows a tag of another stream (`weir.dev/follow`) go where that stands now, by the right of whoever let it
   * follow, as that is now; or records why it can not. It moves only where its source was not last seen.
   */
  follow: FollowTag
  /**
   * Takes items out of what status shows (`imagestreams/status`): `shown` are the tags with the items that are to stay. Anything
   * else that differs is INVALID: status is the server's.
   */
  hideItems(
    name: StreamName,
    shown: readonly { tag: string; items: readonly { image: string; created: string }[] }[],
    seen: Seen,
    options?: { dryRun?: boolean },
  ): Promise<StreamChangeResult>
}

export interface TaggingOptions {
  reader: StreamReader
  writer: StreamWriter
  links: Links
  content: Pick<Content, 'touch' | 'held'>
  /** Which registries users may name as a source. */
  allowed: AllowList
  /** What clients write before `project/stream`: references to it are Weir's own. */
  registryHost: string
  /**
   * Receives a manifest that a stream merely names, as a pull from it would: an image is what was received as one.
   *
   * @throws RegistryError when it can not be had
   */
  obtain(name: StreamName, digest: Digest): Promise<unknown>
  /** Whether who let a tag follow may still pull from what it follows. Default: nobody may. */
  mayFollow?: MayFollow
  /**
   * Waits until a tag that moves only when its content is held (`weir.dev/move: when-held`) has moved to the image that it awaits.
   * Absent: nobody waits.
   *
   * @throws RegistryError UNAVAILABLE saying why it has not; the background goes on
   */
  awaitMove?: AwaitMove
  log: Logger
}

/** Creates what moves tags to what people want of them. */
export function createTagging(options: TaggingOptions): Tagging {
  const { writer, mayFollow = () => false } = options
  const prepare = createPrepare(options)

  async function hideItems(
    name: StreamName,
    shown: readonly ShownTag[],
    seen: Seen,
    { dryRun = false }: { dryRun?: boolean } = {},
  ): Promise<StreamChangeResult> {
    const decide = (current: CurrentStream): StreamChange => hideChange(current, shown, seen)
    return writer.changeStream({ project: name.project, stream: name.stream }, decide, { dryRun })
  }

  const sets = { setTag: createSetTag({ ...options, prepare }), ...createSetStream({ ...options, prepare }) }
  return { ...sets, relyOn: prepare.relyOn, follow: createFollow({ ...options, prepare, mayFollow }), hideItems }
}
