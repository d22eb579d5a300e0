/** What is learnt of a pin's image at its upstreams: a condition of the tag, which stays where it stands (I7). */
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { StreamWriter, TagChange } from './streams.ts'

type Writer = Pick<StreamWriter, 'changeTag'>

/**
 * Records that no upstream has a part any more of the image that a tag stands at; `host` said so. For whoever asked all locations
 * of the part: one that could not be asked may have it.
 *
 * @returns whether that is news: not when it is known, or the tag stands elsewhere
 */
export function reportGone(
  writer: Writer,
  name: StreamName,
  tag: string,
  image: Digest,
  host: string,
): Promise<boolean> {
  return change(writer, name, tag, image, { upstreamGone: { image, host, isPart: true } })
}

/**
 * Takes back what {@link reportGone} recorded: an upstream has the image that the tag stands at.
 *
 * @returns whether that is news
 */
export function reportSeen(writer: Writer, name: StreamName, tag: string, image: Digest): Promise<boolean> {
  return change(writer, name, tag, image, { upstreamGone: null })
}

async function change(
  writer: Writer,
  name: StreamName,
  tag: string,
  image: Digest,
  asked: TagChange,
): Promise<boolean> {
  try {
    const result = await writer.changeTag(name, tag, (current) =>
      current.tag?.record.items[0]?.image === image ? asked : undefined,
    )
    return result?.changed === true
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'NAME_UNKNOWN') return false
    throw error
  }
}
