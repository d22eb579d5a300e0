import { RegistryError } from '../oci/errors.ts'
import { deniedMove } from '../streams/immutable.ts'
import { streamNotFound } from '../streams/lives.ts'
import type { CurrentStream, CurrentTag, Stream, StreamWriter, TagChange } from '../streams/streams.ts'
import type { ManifestBody } from './manifest-body.ts'
import type { Pusher } from './pusher.ts'

export interface TagMovesOptions {
  writer: Pick<StreamWriter, 'changeTag' | 'changeStream'>
  /** Host, with its port, as which clients write this Weir in image names. */
  registryHost: string
}

/** Moves tags to what was pushed. */
export interface TagMoves {
  /** What moves all `tags` of the stream to a manifest, in one commit. */
  to(stream: Stream, tags: readonly string[], body: ManifestBody, by: Pick<Pusher, 'name' | 'client'>): MoveTags
}

/**
 * @returns the revision at which they stand there; 0 when there are none
 * @throws RegistryError NAME_UNKNOWN, DENIED
 */
export type MoveTags = (options?: { dryRun?: boolean }) => Promise<number>

export function createTagMoves({ writer, registryHost }: TagMovesOptions): TagMoves {
  function changeTo(
    stream: Stream,
    { digest, mediaType }: ManifestBody,
    by: Pick<Pusher, 'name' | 'client'>,
  ): TagChange {
    const dockerImageReference = `${registryHost}/${stream.project}/${stream.stream}@${digest}`
    const cause = { kind: 'push', by: by.name, ...(by.client === '' ? {} : { client: by.client }) } as const
    return { event: { image: digest, mediaType, dockerImageReference, cause }, isHeld: true }
  }

  return {
    to: (stream, tags, body, by) => {
      const change = changeTo(stream, body, by)
      return async (options = {}) => {
        try {
          return await moveAll(writer, { stream, tags, change }, options)
        } catch (error) {
          const isGone = error instanceof RegistryError && error.code === 'NOT_FOUND'
          throw isGone ? streamNotFound('NAME_UNKNOWN', stream) : deniedMove(error)
        }
      }
    },
  }
}

async function moveAll(
  writer: TagMovesOptions['writer'],
  { stream, tags, change }: { stream: Stream; tags: readonly string[]; change: TagChange },
  options: { dryRun?: boolean },
): Promise<number> {
  const [first, ...others] = tags
  if (first === undefined) return 0
  if (others.length === 0) return (await writer.changeTag(stream, first, decideOne, options))?.revision ?? 0
  return (await writer.changeStream(stream, decideAll, options)).revision

  function decideOne(current: CurrentTag): TagChange {
    requireSame(current)
    return change
  }

  function decideAll(current: CurrentStream): { tags: Map<string, TagChange> } {
    requireSame(current)
    return { tags: new Map(tags.map((tag) => [tag, change])) }
  }

  function requireSame(current: CurrentTag | CurrentStream): void {
    if (current.stream.uid !== stream.uid) throw streamNotFound('NAME_UNKNOWN', stream)
  }
}
