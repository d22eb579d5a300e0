import type { StreamName } from '../../oci/reference.ts'
import type { StreamChanges, StreamMove } from '../../streams/changes.ts'
import type { LedgerEntry } from '../../streams/records.ts'
import type { Stream, StreamReader, Tag, WholeStream } from '../../streams/streams.ts'
import type { ApiObject, Follow, ObjectChange } from '../resource.ts'

/** What the API shows of something; undefined when it shows nothing. */
type Shown = ApiObject | undefined | Promise<ApiObject | undefined>

/** Follows objects that each show a whole stream. */
export function followStreams(changes: StreamChanges, toObject: (whole: WholeStream) => Shown): Follow {
  // What one move ends with is mostly what the next begins with, and large.
  const shown = new WeakMap<WholeStream, Shown>()
  const show = (whole: WholeStream | undefined): Shown => {
    if (whole === undefined) return undefined
    const object = shown.get(whole) ?? toObject(whole)
    shown.set(whole, object)
    return object
  }
  return followMoves(changes, async ({ before, after }) => [{ before: await show(before), after: await show(after) }])
}

/** Follows objects that each show one tag of a stream: those whose records changed, or all when their stream did. */
export function followTags(changes: StreamChanges, toObject: (stream: Stream, tag: Tag) => Shown): Follow {
  return followMoves(changes, ({ before, after, tags }) => {
    const [were, are] = [tagsByName(before), tagsByName(after)]
    const show = async (whole: WholeStream | undefined, tag: Tag | undefined) =>
      whole && tag && (await toObject(whole.stream, tag))
    return Promise.all(
      tags.map(async (name) => ({
        before: await show(before, were.get(name)),
        after: await show(after, are.get(name)),
      })),
    )
  })
}

/** Follows the ledger: each entry is an object that is created and stays for ever. */
export function followLedger(
  changes: StreamChanges,
  reader: Pick<StreamReader, 'ledger'>,
  toObject: (name: StreamName, tag: string, entry: LedgerEntry) => ApiObject,
): Follow {
  return followMoves(changes, async ({ project, stream, appended }, revision) => {
    const name = { project, stream }
    const entries = await Promise.all(
      appended.map(async ({ tag, revision: number }) => {
        const [entry] = await reader.ledger(name, tag, { before: number + 1, limit: 1 })
        return entry && toObject(name, tag, entry)
      }),
    )
    return entries.map((object) => ({
      before: undefined,
      after: object && { ...object, metadata: { ...object.metadata, resourceVersion: String(revision) } },
    }))
  })
}

/** What shows nothing before and after is no change. */
function followMoves(
  changes: StreamChanges,
  toChanges: (move: StreamMove, revision: number) => Promise<ObjectChange[]>,
): Follow {
  return async function* follow(options) {
    for await (const { revision, moves } of changes.follow(options)) {
      const shown: ObjectChange[] = []
      for (const move of moves) {
        const told = await toChanges(move, revision)
        shown.push(...told.filter(({ before, after }) => before !== undefined || after !== undefined))
      }
      yield { revision, changes: shown }
    }
  }
}

function tagsByName(whole: WholeStream | undefined): Map<string, Tag> {
  return new Map((whole?.tags ?? []).map((tag) => [tag.name, tag]))
}
