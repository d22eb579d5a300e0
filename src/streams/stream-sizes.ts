import { LRUCache } from 'lru-cache'
import { atMost } from '../oci/at-most.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import type { CommittedSteps } from './commit-steps.ts'
import type { Draft } from './draft.ts'
import { encode, tagsRange } from './keys.ts'
import type { Stream } from './streams.ts'

/** How large the tags of streams are: a stream is shown as one object, which has to fit into memory and into an answer. */
export interface StreamSizes {
  /**
   * Lets `write` write what drafts come to, where the stream has room for it; without `write` it only looks.
   *
   * @throws RegistryError INVALID when the stream would be too large; what makes it no larger always goes through
   */
  within(stream: Stream, drafts: readonly Draft[], write: () => Promise<CommittedSteps>): Promise<CommittedSteps>
  within(stream: Stream, drafts: readonly Draft[]): Promise<void>
}

/** About the most bytes of the records of a stream's tags: some 10,000 tags with ten items each. */
export const maxTagsBytes = 32 * 1024 * 1024
/** So much more for moves of tags that are there: no rollback should fail because somebody filled the stream. */
const maxMovedBytes = 1.25 * maxTagsBytes
/** Most streams whose size is remembered; that of others is looked up at their next change. */
const maxRemembered = 10_000

interface Size {
  bytes: number
}

/** Counts in memory, from what a first look at a stream's records finds. Those of earlier streams of the name count: they are read as well. */
export function createStreamSizes(store: Pick<Store, 'range'>): StreamSizes {
  const sizes = new LRUCache<string, Promise<Size>>(atMost(maxRemembered))

  async function measure(stream: Stream): Promise<Size> {
    let bytes = 0
    for await (const { value } of await store.range(tagsRange(stream, undefined))) bytes += value.length
    return { bytes }
  }

  function sizeOf(key: string, stream: Stream): Promise<Size> {
    const found = sizes.get(key) ?? measure(stream)
    sizes.set(key, found)
    found.catch(() => sizes.delete(key))
    return found
  }

  async function within(
    stream: Stream,
    drafts: readonly Draft[],
    write?: () => Promise<CommittedSteps>,
  ): Promise<CommittedSteps | undefined> {
    const key = `${stream.projectUid}/${stream.stream}`
    const size = await sizeOf(key, stream)
    const added = drafts.reduce((sum, draft) => sum + addedBy(draft), 0)
    if (added > 0 && size.bytes + added > (drafts.every(isMove) ? maxMovedBytes : maxTagsBytes)) throw tooLarge(stream)
    if (write === undefined) return undefined
    size.bytes += added
    try {
      const written = await write()
      if (!('lostAt' in written)) return written
      // Of several steps some may stand.
      if (drafts.length > 1) sizes.delete(key)
      else size.bytes -= added
      return written
    } catch (error) {
      sizes.delete(key)
      throw error
    }
  }

  return { within: within as StreamSizes['within'] }
}

function addedBy({ tags }: Draft): number {
  return tags.reduce((sum, { record, stored }) => sum + encode(record).length - (stored ? encode(stored).length : 0), 0)
}

function isMove({ tags, isOfSpec }: Draft): boolean {
  return !isOfSpec && tags.every(({ stored }) => stored !== undefined)
}

function tooLarge({ project, stream: name }: Stream): RegistryError {
  const why = `the tags of image stream ${project}/${name} have ${maxTagsBytes} bytes in all, the most of one stream: take annotations off them, or use several streams`
  return new RegistryError('INVALID', {
    message: `ImageStream.image.openshift.io "${name}" is invalid: spec.tags: Too long: ${why}`,
    causes: [{ field: 'spec.tags', reason: 'FieldValueTooLong', message: `Too long: ${why}` }],
    subject: { name, kind: 'imagestreams', group: 'image.openshift.io' },
  })
}
