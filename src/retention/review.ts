import type { Digest } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Entry, Store } from '../store/store.ts'
import type { ContentPolicy } from '../streams/content-policy.ts'
import { decode, tagOfKey, tagPrefix, tagRecordsRange, unheldKey } from '../streams/keys.ts'
import type { TagRecord } from '../streams/records.ts'
import type { Stream, StreamReader } from '../streams/streams.ts'
import { tagPolicies } from '../streams/tag-policy.ts'
import { neededImage } from '../streams/unheld.ts'
import { newWish, putEntry } from './entries.ts'
import type { Look } from './parts.ts'

export interface ReviewOptions {
  store: Pick<Store, 'get' | 'range' | 'commit'>
  reader: Pick<StreamReader, 'stream'>
  defaults: ContentPolicy
  look(name: StreamName, image: Digest, platforms: readonly string[]): Promise<Look>
  now: () => number
  /** Lets others work: called with the milliseconds that were just spent. */
  rest(workedMs: number): Promise<void>
  signal: AbortSignal
}

/** Which tags are looked at: all of a project, of a stream, or of all projects. */
export type Scope = { project: string; stream?: string } | undefined

/** Tags looked at between two rests. */
const pageTags = 20

/** A stream whose tags are being looked at. */
interface Current {
  stream: Stream | undefined
  path: string
  policyOf: Awaited<ReturnType<typeof tagPolicies>>
  /** By image and platforms: whether something is missing. Many tags stand at the same. */
  looked: Map<string, boolean>
}

/**
 * Looks at where all tags stand and puts those into the index whose content is wanted and not held: pins from before anything was
 * kept, of which something was lost, or whose policy changed. Asks no upstream.
 *
 * @returns how many were put into the index
 */
export async function review(options: ReviewOptions, scope: Scope): Promise<number> {
  const { store, rest, signal } = options
  const prefix = prefixOf(scope)
  let current: Current | undefined
  let found = 0
  for (let after: string | undefined; !signal.aborted; ) {
    const began = performance.now()
    const page = await entriesOf(store, prefix, after)
    for (const entry of page) {
      const path = entry.key.slice(tagPrefix.length, entry.key.lastIndexOf('/'))
      if (current?.path !== path) current = await open(options, path)
      if (await putIfMissing(options, current, entry)) found += 1
    }
    after = page.at(-1)?.key
    if (page.length < pageTags) break
    await rest(performance.now() - began)
  }
  return found
}

async function open({ store, reader, defaults }: ReviewOptions, path: string): Promise<Current> {
  const [project = '', name = ''] = path.split('/')
  const stream = await reader.stream({ project, stream: name })
  const level = stream ?? { project, annotations: {} }
  const policyOf = await tagPolicies((key) => store.get(key), defaults, level)
  return { stream, path, policyOf, looked: new Map() }
}

async function putIfMissing(
  options: ReviewOptions,
  { stream, policyOf, looked }: Current,
  { key, value, revision: tagRevision }: Entry,
): Promise<boolean> {
  const { store, now } = options
  const record = decode<TagRecord>({ key, value, revision: tagRevision })
  const image = neededImage(record)
  if (stream === undefined || record.uid !== stream.uid || image === undefined) return false
  const { retain, platforms } = policyOf(record.spec?.annotations)
  if (retain === 'pulled' && record.awaits === undefined) return false
  const name = { project: stream.project, stream: stream.stream }
  const tag = tagOfKey(key)
  if ((await store.get(unheldKey(name, tag))) !== undefined) return false
  // A tag that awaits its image moves when its entry is worked off, also when everything is held.
  if (record.awaits === undefined) {
    const known = `${image} ${platforms.join()}`
    const isMissing = looked.get(known) ?? (await lacks(options, name, image, platforms))
    looked.set(known, isMissing)
    if (!isMissing) return false
  }
  const entry = { name, tag, record: { uid: stream.uid, image, ...newWish(now()) } }
  return putEntry(store, entry, { revision: 0, tagRevision })
}

async function lacks({ look }: ReviewOptions, name: StreamName, image: Digest, platforms: readonly string[]) {
  const { parts, missing } = await look(name, image, platforms)
  // Without a link there is no way to it, and no right.
  return parts[0]?.link !== undefined && missing.length > 0
}

async function entriesOf(store: Pick<Store, 'range'>, prefix: string, after: string | undefined): Promise<Entry[]> {
  const page: Entry[] = []
  for await (const entry of await store.range(tagRecordsRange(prefix, after, pageTags))) page.push(entry)
  return page
}

function prefixOf(scope: Scope): string {
  if (scope === undefined) return tagPrefix
  return scope.stream === undefined ? `${tagPrefix}${scope.project}/` : `${tagPrefix}${scope.project}/${scope.stream}/`
}
