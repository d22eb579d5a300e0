import { z } from 'zod'
import type { StreamName } from '../../oci/reference.ts'
import type { Stream, StreamReader, Tag, WholeStream } from '../../streams/streams.ts'
import { decodeContinue, encodeContinue } from '../continue.ts'
import type { ApiObject, Call, Page } from '../resource.ts'
import { byteLength, maxPageBytes, maxPageItems } from '../stored.ts'

/** Where the next page of a list over streams begins: after a stream, or after a tag of it; the first page's revision. */
const positionSchema = z.object({
  project: z.string(),
  stream: z.string(),
  tag: z.string().optional(),
  revision: z.int().nonnegative(),
})

/** Most streams looked at for one page: a selector that matches nothing must not read the whole store at once. */
const maxScannedStreams = 2_000
const batchStreams = 100

/** The items of one stream. */
type Items = Iterable<{ item: ApiObject; tag?: string }>

/** One item of a list, and where it stands. */
interface Found {
  item: ApiObject
  at: StreamName & { tag?: string }
}

/**
 * A page of a list that is made of streams: `itemsOf` gives a stream's items in order, from after `afterTag` on. All pages
 * are of the first one's revision, or newer where that state can not be told any more, and tell that revision, so that a
 * watch from there misses nothing.
 */
export async function listOverStreams(
  reader: Pick<StreamReader, 'whole' | 'wholes'>,
  call: Call,
  itemsOf: (whole: WholeStream, afterTag?: string) => Items | Promise<Items>,
): Promise<Page> {
  const limit = Math.min(call.options.limit ?? maxPageItems, maxPageItems)
  const start = decodeContinue(positionSchema, call.options.continue)
  const project = call.project || undefined
  const page = createPage(limit)
  const take = async (whole: WholeStream, afterTag?: string): Promise<boolean> => {
    for (const { item, tag } of await itemsOf(whole, afterTag)) {
      if (!call.options.selects(item)) continue
      if (page.isFull()) return false
      page.add({ item, at: { ...nameOf(whole.stream), ...(tag === undefined ? {} : { tag }) } })
    }
    return true
  }
  // A token of another project's list names a place in the order of keys, and nothing more.
  const isBegun = start?.tag !== undefined && (project ?? start.project) === start.project
  const begun = isBegun ? await reader.whole(start, { revision: start.revision }) : undefined
  if (begun !== undefined && start !== undefined && !(await take(begun, start.tag))) return page.end(start.revision)
  let after: StreamName | undefined = start && nameOf(start)
  let revision = start?.revision
  for (let scanned = 0; ; ) {
    const count = Math.min(batchStreams, limit - page.found.length + 1)
    const batch = await reader.wholes(project, {
      ...(after && { after }),
      limit: count,
      ...(revision !== undefined && { revision }),
    })
    revision ??= batch.revision
    for (const whole of batch.streams) {
      if (!(await take(whole))) return page.end(revision)
      after = nameOf(whole.stream)
    }
    scanned += batch.streams.length
    if (!batch.more) return page.end(revision, undefined)
    if (scanned >= maxScannedStreams) return page.end(revision, after)
  }
}

function createPage(limit: number) {
  const found: Found[] = []
  let bytes = 0
  return {
    found,
    isFull: () => found.length >= limit || bytes >= maxPageBytes,
    add(next: Found): void {
      found.push(next)
      bytes += byteLength(next.item)
    },
    /** `next` is where to go on; by default after the last item, which another follows. */
    end(revision: number, ...next: [(StreamName & { tag?: string })?]): Page {
      const at = next.length > 0 ? next[0] : found.at(-1)?.at
      return {
        items: found.map(({ item }) => item),
        resourceVersion: String(revision),
        ...(at && { continue: encodeContinue({ ...at, revision }) }),
      }
    },
  }
}

function nameOf({ project, stream }: StreamName): StreamName {
  return { project, stream }
}

/** The tags of a stream after `afterTag`, as items; what `toItem` makes nothing of is left out. */
export function* tagItems(
  { stream, tags }: WholeStream,
  afterTag: string | undefined,
  toItem: (stream: Stream, tag: Tag) => ApiObject | undefined,
): Generator<{ item: ApiObject; tag: string }> {
  for (const tag of tags) {
    // Tags are ASCII: the order of code units is the order of keys.
    if (afterTag !== undefined && tag.name <= afterTag) continue
    const item = toItem(stream, tag)
    if (item !== undefined) yield { item, tag: tag.name }
  }
}
