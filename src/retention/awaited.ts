/** The end of waiting: a tag moves to the image whose content is held now, or says why it does not. */
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { followedAcross, forbiddenFailure, type MayFollow, tagText } from '../streams/followed-across.ts'
import { isMoveRefusal } from '../streams/immutable.ts'
import { incompleteReason } from '../streams/moves.ts'
import type { AwaitedMove, TagRecord } from '../streams/records.ts'
import type { CurrentTag, StreamWriter, TagChange } from '../streams/streams.ts'

/** A tag of a stream, which a later stream of its name has no part in. */
export interface AwaitingTag {
  name: StreamName & { uid: string }
  tag: string
  image: Digest
}

type Writer = Pick<StreamWriter, 'changeTag'>

/**
 * Moves a tag to the image that it awaits; does nothing when it awaits another by now, or none. The right to follow another tag may
 * have ended while it waited: then it awaits nothing any more, and says why.
 */
export async function moveAwaited(writer: Writer, awaiting: AwaitingTag, mayFollow: MayFollow): Promise<void> {
  await change(writer, awaiting, (awaits, record) => {
    const { image, mediaType, dockerImageReference, created, cause } = awaits
    const source = followedAcross(record.spec, awaiting.name)
    if (source !== undefined && cause.from?.name === tagText(source)) {
      const { followsAs } = record
      const may = followsAs !== undefined && mayFollow(followsAs, source)
      if (!may) return { condition: forbiddenFailure(source, record) }
    }
    return {
      event: { image, mediaType, dockerImageReference, cause, ...(created === undefined ? {} : { created }) },
      isHeld: true,
    }
  })
}

/** Says on a tag why it does not move yet (I7: it stays where it stands). */
export async function noteIncomplete(writer: Writer, awaiting: AwaitingTag, why: string): Promise<void> {
  await change(writer, awaiting, () => ({ condition: { reason: incompleteReason, message: messageOf(awaiting, why) } }))
}

/** A tag has not moved: not all that it awaits is held. */
class IncompleteError extends RegistryError {}

/** The reason of the condition of a tag, for an error that says the same; undefined for any other. */
export function reasonOfIncomplete(error: unknown): string | undefined {
  return error instanceof IncompleteError ? incompleteReason : undefined
}

/** What is told to who waits for a tag to move. */
export function incompleteError(awaiting: AwaitingTag, why: string, cause: unknown): RegistryError {
  const retryAfterSeconds = cause instanceof RegistryError ? cause.retryAfterSeconds : undefined
  return new IncompleteError('UNAVAILABLE', {
    message: messageOf(awaiting, why),
    cause,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  })
}

function messageOf({ image }: AwaitingTag, why: string): string {
  return `not all content of ${image} is held: ${why}; the tag stays where it is and moves when all is held (weir.dev/move: when-held)`
}

async function change(
  writer: Writer,
  { name, tag, image }: AwaitingTag,
  next: (awaits: AwaitedMove, record: TagRecord) => TagChange,
): Promise<void> {
  const decide = ({ stream, tag: current }: CurrentTag): TagChange | undefined => {
    const record = current?.record
    const awaits = record?.awaits
    return stream.uid === name.uid && record !== undefined && awaits?.image === image ? next(awaits, record) : undefined
  }
  try {
    await writer.changeTag({ project: name.project, stream: name.stream }, tag, decide)
  } catch (error) {
    // Its stream is gone, or it may not move any more: nobody waits any more.
    const isOver = isMoveRefusal(error) || (error instanceof RegistryError && error.code === 'NAME_UNKNOWN')
    if (!isOver) throw error
  }
}
