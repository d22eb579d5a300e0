import type { Content } from '../content/content.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { maxPartsOfImage, type Part } from '../streams/closure.ts'
import type { HeldProgress } from '../streams/records.ts'
import type { Links, Stream } from '../streams/streams.ts'
import { isGone, isOwnTrouble, isThrottled, mostTelling } from './failures.ts'
import { type Look, lookAt } from './parts.ts'
import type { QuietHosts } from './quiet-hosts.ts'
import type { Slots } from './slots.ts'

export interface HoldOptions {
  links: Pick<Links, 'get' | 'image'>
  content: Pick<Content, 'held' | 'fetch' | 'touch'>
  /** Obtains a manifest that a stream has a link to, so that it is kept and what it names is linked. */
  keepManifest(name: StreamName, digest: Digest, options: { isBackground: boolean }): Promise<unknown>
  /** Forgets what memory has of the stream with this uid: what it knows is not kept anew. */
  forget(uid: string): void
  slots: Slots
  quiet: QuietHosts
  /** Most blobs of one image that are fetched at the same time. */
  atOnce: number
}

/** An image of a stream whose content is being fetched. */
export interface HeldWork {
  stream: Stream
  image: Digest
  platforms: readonly string[]
  signal: AbortSignal
  /** Told how far it is, with each piece that comes. */
  tell(progress: HeldProgress): void
}

/** What became of an image, all that can be had of it held. */
export interface Outcome {
  /** Whether anything had to be fetched. */
  hasFetched: boolean
  /** Children of indexes that the registry does not have. */
  leftOut: readonly Digest[]
}

/** How deep indexes may name indexes. */
const maxDepth = 8
/** How often what went missing while the rest was fetched is fetched again. */
const maxPasses = 3

/**
 * Fetches everything that pulls of an image need for some platforms, through the stream's own links (I5): manifests that nobody
 * read first, since only they tell which blobs there are. Settles when all is held. Children of an index that the registry does
 * not have are left out as long as it has one: sparse indexes are legal.
 *
 * @throws RegistryError the most telling failure, after everything else that can be had was fetched
 */
export async function holdAll(options: HoldOptions, work: HeldWork): Promise<Outcome> {
  const { content } = options
  const { stream, image, signal } = work
  const left = new Set<Digest>()
  let hasFetched = false
  for (let pass = 0; pass < maxPasses; pass += 1) {
    const { parts, missing, progress } = await readManifests(options, work, left)
    const wanted = missing.filter(({ digest }) => !left.has(digest))
    const unreadable = wanted.find(({ kind }) => kind === 'manifest')
    if (unreadable !== undefined) throw absent(stream, unreadable.digest)
    if (wanted.length === 0) {
      // Until a tag stands at it, nothing else keeps what was fetched first.
      for (const { digest } of parts) await content.touch(digest)
      return { hasFetched, leftOut: missing.map(({ digest }) => digest) }
    }
    hasFetched = true
    await fetchAll(options, work, wanted, progress)
    signal.throwIfAborted()
  }
  throw new RegistryError('UNAVAILABLE', {
    message: `what ${stream.project}/${stream.stream}@${image} needs was removed while it was fetched`,
  })
}

/** Obtains the manifests that are missing, level by level, and answers what is known then. */
async function readManifests(options: HoldOptions, work: HeldWork, left: Set<Digest>): Promise<Look> {
  const { stream, image, platforms, signal } = work
  const asked = new Set<Digest>()
  for (let depth = 0; ; depth += 1) {
    signal.throwIfAborted()
    const look = await lookAt(options, stream, image, platforms)
    work.tell(look.progress)
    if (look.parts.length > maxPartsOfImage || depth > maxDepth) throw tooLarge(stream, image)
    const manifests = look.missing.filter(({ kind, digest }) => kind === 'manifest' && !asked.has(digest))
    if (manifests.length === 0) {
      const unread = look.missing.filter(({ isUnread, digest }) => isUnread && left.has(digest))
      const read = look.parts.filter(({ kind, isUnread }) => kind === 'manifest' && !isUnread)
      // An index alone, with none of its children, is no image that anybody can run.
      if (unread.length > 0 && read.length < 2) throw absent(stream, unread[0]?.digest ?? image)
      return look
    }
    await obtainAll(options, work, manifests, { asked, left })
  }
}

async function obtainAll(
  options: HoldOptions,
  work: HeldWork,
  manifests: readonly Part[],
  { asked, left }: { asked: Set<Digest>; left: Set<Digest> },
): Promise<void> {
  const { stream, image } = work
  const name = { project: stream.project, stream: stream.stream }
  await each(options, work, manifests, async (part) => {
    asked.add(part.digest)
    try {
      await inSlot(options, work, part, () => options.keepManifest(name, part.digest, { isBackground: true }))
    } catch (error) {
      if (!isGone(error) || part.digest === image || !part.isUnread) throw error
      left.add(part.digest)
      return
    }
    if (await isKept(options, stream, part.digest)) return
    options.forget(stream.uid)
    await inSlot(options, work, part, () => options.keepManifest(name, part.digest, { isBackground: true }))
    if (await isKept(options, stream, part.digest)) return
    throw new RegistryError('UNAVAILABLE', { message: `manifest ${part.digest} could not be kept` })
  })
}

async function isKept({ links, content }: HoldOptions, stream: Stream, digest: Digest): Promise<boolean> {
  const link = await links.get(stream, digest)
  return link !== undefined && (await content.held(link)) !== undefined
}

async function fetchAll(
  options: HoldOptions,
  work: HeldWork,
  blobs: readonly Part[],
  base: HeldProgress,
): Promise<void> {
  const { content } = options
  const { signal, stream } = work
  const askedFor = { project: stream.project, stream: stream.stream }
  const partial = new Map<Digest, number>()
  let heldParts = base.heldParts
  const tell = (): void => {
    const bytes = [...partial.values()].reduce((sum, each) => sum + each, 0)
    work.tell({ ...base, heldParts, heldBytes: base.heldBytes + bytes })
  }
  await each(options, work, blobs, async (part) => {
    const { link, digest } = part
    if (link === undefined) throw absent(work.stream, digest)
    const onProgress = (bytes: number): void => {
      partial.set(digest, bytes)
      tell()
    }
    await inSlot(options, work, part, () => content.fetch({ ...link, askedFor }, { signal, onProgress }))
    partial.set(digest, part.size ?? partial.get(digest) ?? 0)
    heldParts += 1
    tell()
  })
}

/** Does something with each part, some at the same time. What fails does not keep the others waiting, unless nothing can be had. */
async function each(
  { atOnce }: HoldOptions,
  { signal }: HeldWork,
  parts: readonly Part[],
  work: (part: Part) => Promise<void>,
): Promise<void> {
  const queue = [...parts]
  const failures: unknown[] = []
  let isOver = false
  const worker = async (): Promise<void> => {
    for (let part = queue.shift(); part !== undefined && !isOver && !signal.aborted; part = queue.shift()) {
      try {
        await work(part)
      } catch (error) {
        failures.push(error)
        isOver ||= isThrottled(error) || isOwnTrouble(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, parts.length) }, worker))
  signal.throwIfAborted()
  if (failures.length > 0) throw mostTelling(failures)
}

async function inSlot<T>(
  { slots, quiet }: HoldOptions,
  { stream: { project }, signal }: HeldWork,
  { link }: Part,
  work: () => Promise<T>,
): Promise<T> {
  const host = hostOf(link)
  return slots.run({ project, host }, signal, async () => {
    quiet.require(host)
    try {
      return await work()
    } catch (error) {
      quiet.note(error)
      throw error
    }
  })
}

/** The registry that is asked first; empty for what is here alone. */
export function hostOf(link: Part['link']): string {
  const location = link?.locations.find(({ kind }) => kind === 'upstream')
  return location?.kind === 'upstream' ? location.host : ''
}

function absent({ project, stream }: StreamName, digest: Digest): RegistryError {
  const message = `${project}/${stream} has no ${digest}, or its registry does not`
  return new RegistryError('MANIFEST_UNKNOWN', { message })
}

function tooLarge({ project, stream }: StreamName, image: Digest): RegistryError {
  const message = `${project}/${stream}@${image} has more than ${maxPartsOfImage} parts, or indexes more than ${maxDepth} deep: it is not fetched beforehand`
  return new RegistryError('MANIFEST_INVALID', { message })
}
