import type { Logger } from 'pino'
import { z } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import type { Answer } from './answer.ts'
import { decodeContinue, encodeContinue } from './continue.ts'
import { streamed } from './list-stream.ts'
import { type Matched, rightOf } from './match.ts'
import { listParts, type Rendering, renderList } from './render.ts'
import type { ApiObject, Call, Page } from './resource.ts'
import { expiredVersion, parseWantedVersion, tooLargeVersion, type WantedVersion } from './resource-version.ts'
import { selectsAll } from './selectors.ts'
import { byteLength, maxPageBytes, maxPageItems } from './stored.ts'

export interface ListRequest {
  call: Call
  matched: Matched
  query: URLSearchParams
  rendering: Rendering
}

/** Answers lists: what selectors select, in pages or whole, of the state that was asked for. */
export interface Lists {
  /**
   * With `limit`, a page of at most so many items; without, all of them, streamed where they are more than a page.
   *
   * @throws RegistryError BAD_REQUEST, INVALID, EXPIRED, TIMEOUT
   */
  list(request: ListRequest): Promise<Answer>
}

export interface ListsOptions {
  /** The store's newest revision, at least that of any write which was answered before. */
  newestRevision(): Promise<number>
  /** Whether a list that was begun at `revision` can no longer be followed from there. */
  isCompacted(revision: number): Promise<boolean>
  log: Pick<Logger, 'warn'>
}

/** Most pages of a handler that are read for one page of an answer, when a selector leaves much out. */
const maxReads = 20

/** How much more is asked for after each page that a selector thinned out. */
const growth = 4

const positionSchema = z.object({ list: z.string(), revision: z.int().nonnegative(), at: z.string() })

/** Where a list goes on: in which list, its revision, and the handler's own position. */
type Position = z.infer<typeof positionSchema>

/** What a page is read with; without a `limit` it is as large as the handler makes it. */
interface Reading {
  call: Call
  matched: Pick<Matched, 'row' | 'served'>
  limit: number | undefined
  /** The handler's position. */
  at: string | undefined
}

export interface ReadPage {
  items: ApiObject[]
  /** The revision that the handler told. */
  resourceVersion: string | undefined
  /** The handler's position of the next page. */
  next: string | undefined
  /** What is answered instead of a list. */
  answer?: object
}

export function createLists({ newestRevision, isCompacted, log }: ListsOptions): Lists {
  /** The revision of the list, told on each of its pages, so that a watch from there misses nothing. */
  async function revisionOf(position: Position | undefined): Promise<number> {
    if (position === undefined) return newestRevision()
    if (await isCompacted(position.revision)) {
      const fresh: Position = { ...position, revision: await newestRevision() }
      throw expiredContinue(encodeContinue(fresh))
    }
    return position.revision
  }

  /** @throws RegistryError TIMEOUT for a state of the future, EXPIRED for an exact one that has passed */
  async function requireVersion({ version, isExact }: WantedVersion): Promise<void> {
    if (version === undefined) return
    const newest = await newestRevision()
    if (version > newest) throw tooLargeVersion(version, newest)
    if (isExact && version < newest) throw expiredVersion(version)
  }

  return {
    async list({ call, matched, query, rendering }) {
      const wanted = parseWantedVersion(query)
      const list = listName(matched)
      const position = decodeContinue(positionSchema, call.options.continue)
      if (position !== undefined && position.list !== list) {
        throw new RegistryError('BAD_REQUEST', { message: 'continue: not a token of this list; start the list again' })
      }
      await requireVersion(wanted)
      const before = await revisionOf(position)
      const limit = mayStop(call, matched) ? (call.options.limit ?? matched.row.pageSize) : undefined
      const first = await readPage({ call, matched, limit, at: position?.at })
      if (first.answer !== undefined) return { status: 200, body: first.answer }
      if (wanted.isExact) await requireVersion(wanted)
      const revision = position === undefined ? Number(first.resourceVersion ?? before) : before
      const pageOf = ({ items, next: at }: ReadPage): Page => ({
        items,
        resourceVersion: String(revision),
        ...(at === undefined ? {} : { continue: encodeContinue({ list, revision, at } satisfies Position) }),
      })
      if (first.next === undefined || limit !== undefined) {
        return { status: 200, body: renderList(rendering, pageOf(first)) }
      }
      const whole = listParts(rendering, pageOf({ ...first, next: undefined }))
      return streamed(whole, rest(first.next), (err) => log.warn({ err, list }, 'a list was not sent to its end'))

      async function* rest(next: string): AsyncGenerator<object[]> {
        for (let at: string | undefined = next; at !== undefined; ) {
          const page: ReadPage = await readPage({ call, matched, limit: undefined, at })
          yield listParts(rendering, pageOf(page)).elements
          at = page.next
        }
      }
    },
  }
}

/** Reads what the selectors select, from as many pages of the handler as it takes and as one answer may cost. */
export async function readPage({ call, matched, limit, at }: Reading): Promise<ReadPage> {
  const { selects } = call.options
  const one = await readOne(call, matched)
  if (one !== undefined) return { items: one, resourceVersion: undefined, next: undefined }
  const wanted = Math.min(limit ?? maxPageItems, maxPageItems)
  const read = async (count: number | undefined, from: string | undefined): Promise<Page> => {
    const { limit: _limit, continue: _continue, ...options } = call.options
    const asked = {
      ...options,
      ...(count !== undefined && { limit: count }),
      ...(from !== undefined && { continue: from }),
    }
    const page = (await matched.served.handlers.list?.({ ...call, options: asked })) ?? { items: [] }
    return { ...page, items: page.items.filter(selects) }
  }
  const first = await read(limit, at)
  const { resourceVersion } = first
  let { items, continue: next } = first
  if (first.answer !== undefined) return { items, resourceVersion, next, answer: first.answer }
  if (selects === selectsAll) return { items, resourceVersion, next }
  for (let reads = 1, count = wanted; next !== undefined && reads < maxReads; reads++) {
    const missing = wanted - items.length
    if (missing <= 0 || bytesOf(items) >= maxPageBytes) break
    count = Math.min(count * growth, maxPageItems)
    let page = await read(count, next)
    // A position lies behind the last item of what was asked for: of a page that has too many, none stands in between.
    if (page.items.length > missing) page = await read(missing, next)
    items = [...items, ...page.items]
    next = page.continue
  }
  return { items, resourceVersion, next }
}

/** The one object that `metadata.name` selects, where the row can get it; undefined when it must be listed. */
async function readOne(call: Call, { row, served }: Reading['matched']): Promise<ApiObject[] | undefined> {
  const { get, getListed = get } = served.handlers
  const { selects, fields } = call.options
  const name = fields['metadata.name']
  const isOne = name !== undefined && (call.project !== '' || !row.namespaced)
  // A list that shows each caller his own is not bypassed by asking for one.
  const isOpen = served.admission?.list !== 'handler' || row.maySee !== undefined
  if (!isOne || !isOpen || getListed === undefined) return undefined
  const object = name === '' ? undefined : await absentForBad(getListed({ ...call, name }))
  const isSeen = object !== undefined && selects(object) && (row.maySee?.(call, object) ?? true)
  return isSeen ? [object] : []
}

/** A name that no object can have selects none, where GET would refuse it. */
async function absentForBad(getting: Promise<ApiObject | undefined>): Promise<ApiObject | undefined> {
  try {
    return await getting
  } catch (error) {
    if (error instanceof RegistryError && (error.status === 400 || error.status === 404)) return undefined
    throw error
  }
}

/**
 * Whether a list may end early with a position to go on from: that names an object. Whoever may list single names alone
 * must not learn others by it.
 */
function mayStop(call: Call, matched: Matched): boolean {
  if ((matched.served.admission?.list ?? 'right') !== 'right') return true
  return call.options.fields['metadata.name'] === undefined || call.can({ ...rightOf(matched, call.options), name: '' })
}

/** @see https://github.com/kubernetes/apiserver/blob/v0.33.0/pkg/storage/etcd3/errors.go handleCompactedErrorForPaging */
function expiredContinue(fresh: string): RegistryError {
  return new RegistryError('EXPIRED', {
    message:
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    detail: { continue: fresh },
  })
}

function listName({ target: { group, version, project, resource } }: Matched): string {
  return [group, version, project, resource].join('/')
}

function bytesOf(items: readonly ApiObject[]): number {
  return items.reduce((sum, item) => sum + byteLength(item), 0)
}
