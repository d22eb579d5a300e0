import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { requireNotHeld } from '../streams/hold.ts'
import type { Cause } from '../streams/records.ts'
import type {
  CurrentStream,
  Pins,
  Stream,
  StreamChange,
  StreamReader,
  StreamWriter,
  Tag,
  TagChange,
} from '../streams/streams.ts'

export interface TagRemovalOptions {
  reader: Pick<StreamReader, 'tags'>
  writer: Pick<StreamWriter, 'changeTag' | 'changeStream'>
  pins: Pick<Pins, 'reached'>
}

/** Tags that are to go: what they are asked to stand at, and what their ledger tells. */
export interface TagRemoval {
  cause: Cause
  dryRun?: boolean
}

/**
 * Removes one tag that stands at an image.
 *
 * @returns false when it stands at none
 * @throws RegistryError DENIED when it is held or immutable; NAME_UNKNOWN
 */
export async function removeTag(
  { writer, pins }: TagRemovalOptions,
  stream: Stream,
  tag: string,
  { cause, dryRun = false }: TagRemoval,
): Promise<boolean> {
  let isRemoved = false
  const decide = (current: { stream: Stream; tag: Tag | undefined }): TagChange | undefined => {
    isRemoved = current.stream.uid === stream.uid && imageOf(current.tag) !== undefined
    if (!isRemoved || current.tag === undefined) return undefined
    requireMayGo(current.stream, current.tag)
    return { remove: { cause } }
  }
  const result = await refusable(() => writer.changeTag(stream, tag, decide, { dryRun }))
  if (!dryRun && isRemoved && result !== undefined) await pins.reached(result.revision)
  return isRemoved
}

/**
 * Removes those of `tags` that still stand at an image; what moves meanwhile stays. Nothing is removed where one may not go.
 *
 * @returns the names of those that went
 * @throws RegistryError as `removeTag`
 */
export async function removeTagsAt(
  { writer, pins }: TagRemovalOptions,
  stream: Stream,
  digest: Digest,
  tags: readonly Tag[],
  { cause, dryRun = false }: TagRemoval,
): Promise<string[]> {
  if (tags.length === 0) return []
  const asked = new Set(tags.map(({ name }) => name))
  const decided = new Set<string>()
  const result = await refusable(() => writer.changeStream(stream, decide, { dryRun }))
  // What moved before it could go is there still.
  for (const { name } of result.whole.tags) decided.delete(name)
  if (!dryRun && decided.size > 0) await pins.reached(result.revision)
  return [...decided]

  function decide(current: CurrentStream): StreamChange | undefined {
    const going = current.tags.filter((tag) => asked.has(tag.name) && imageOf(tag) === digest)
    if (current.stream.uid !== stream.uid || going.length === 0) return undefined
    for (const tag of going) requireMayGo(current.stream, tag)
    for (const { name } of going) decided.add(name)
    return { tags: new Map(going.map(({ name }) => [name, { remove: { cause } }])) }
  }
}

/** @throws RegistryError DENIED when the tag is held */
function requireMayGo(stream: Stream, { name, record }: Tag): void {
  try {
    requireNotHeld(record, 'push', stream, name)
  } catch (error) {
    throw denied(error)
  }
}

/** @throws RegistryError DENIED for what may not go */
export async function refusable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw denied(error)
  }
}

/** What is refused with 422 and causes on the API is 403 DENIED here, with that error as its cause. */
function denied(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error
  if (error.code === 'NOT_FOUND') return new RegistryError('NAME_UNKNOWN', { message: error.message, cause: error })
  // Said meanwhile: it is judged once before anything goes.
  if (error.code === 'FORBIDDEN') return new RegistryError('DENIED', { message: error.message, cause: error })
  if (error.code !== 'INVALID' || error.causes.length === 0) return error
  const words = error.causes.map(({ message }) => message.replace(/^Forbidden: /, ''))
  return new RegistryError('DENIED', { message: `nothing was deleted: ${words.join('; ')}`, cause: error })
}

/** What a pull of the tag gets; undefined when it gets nothing. */
export function imageOf(tag: Tag | undefined): Digest | undefined {
  return tag?.record.items[0]?.image || undefined
}
