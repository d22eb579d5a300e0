import type { Digest } from '../oci/digest.ts'
import { fallbackTagOf } from '../oci/fallback-tag.ts'
import type { Store } from '../store/store.ts'
import type { FallbackTagRecord, ReferrerRecords } from '../streams/referrer-records.ts'
import { type LivingStream, readLinks } from './links.ts'

export interface ReferringOptions {
  store: Pick<Store, 'range'>
  records: Pick<ReferrerRecords, 'list' | 'fallbacks'>
  /** Most manifests that are found at once. */
  maxFound: number
}

/** What goes with an image: what refers to it, and to that, what refers to others before these; the image is not among them. */
export interface Referring {
  manifests: Digest[]
  /** Otherwise there is more, which is found once these are gone. */
  isAll: boolean
}

const page = 1000

/**
 * What goes with an image that is deleted. What stays: what a tag of the stream stands at (`standing`) or a tag derived from the
 * digest of another image, what an index of the stream names, and what refers to those.
 */
export async function referringTo(
  { store, records, maxFound }: ReferringOptions,
  stream: LivingStream,
  digest: Digest,
  standing: ReadonlySet<Digest>,
): Promise<Referring> {
  const candidates = await walk((each) => standing.has(each))
  if (candidates.manifests.length === 0) return candidates
  const found = new Set([...candidates.manifests, digest])
  const kept = await keptOf(found)
  // What was not found before was not looked at either.
  const { manifests } = await walk((each) => kept.has(each) || !found.has(each))
  return { manifests, isAll: candidates.isAll }

  /** Whatever the walk ends with, it has all that refers to what it found. */
  async function walk(isKept: (each: Digest) => boolean): Promise<Referring> {
    const seen = new Set([digest])
    const manifests: Digest[] = []
    const path: { at: Digest; next: Digest[] }[] = [{ at: digest, next: await referrersOf(digest) }]
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const next = top.next.pop()
      if (next === undefined) {
        path.pop()
        if (path.length === 0) return { manifests, isAll: true }
        if (manifests.push(top.at) >= maxFound) break
      } else if (!seen.has(next) && !isKept(next)) {
        seen.add(next)
        path.push({ at: next, next: await referrersOf(next) })
      }
    }
    return { manifests, isAll: false }
  }

  async function referrersOf(subject: Digest): Promise<Digest[]> {
    const listed = await records.list(stream, subject, { limit: maxFound + 1 })
    const tags = await records.fallbacks(stream, { of: subject })
    return [...listed.map((each) => each.digest), ...tags.map(({ image }) => image)]
  }

  async function keptOf(found: ReadonlySet<Digest>): Promise<Set<Digest>> {
    const kept = new Set(standing)
    const own = new Set([...found].map(fallbackTagOf))
    for await (const { tag, image } of derivedTags({ records }, stream)) {
      if (found.has(image) && !own.has(tag.replace(/\..*$/, ''))) kept.add(image)
    }
    for await (const { digest: index, record } of readLinks(store, stream)) {
      // Of the indexes that go, the one at the tag of the referrers tag schema names nothing but what refers.
      if (record.children === undefined || (found.has(index) && !kept.has(index))) continue
      for (const child of record.children) if (found.has(child)) kept.add(child)
    }
    kept.delete(digest)
    return kept
  }
}

interface DerivedOptions {
  records: Pick<ReferrerRecords, 'fallbacks'>
}

/** The tags derived from the digests of images that stand at `digest`. */
export async function derivedTagsAt(options: DerivedOptions, stream: LivingStream, digest: Digest): Promise<string[]> {
  const found: string[] = []
  for await (const { tag, image } of derivedTags(options, stream)) if (image === digest) found.push(tag)
  return found
}

async function* derivedTags(
  { records }: DerivedOptions,
  stream: LivingStream,
): AsyncGenerator<FallbackTagRecord, void> {
  for (let after: string | undefined; ; ) {
    const tags = await records.fallbacks(stream, { limit: page, ...(after === undefined ? {} : { after }) })
    yield* tags
    after = tags.at(-1)?.tag
    if (tags.length < page) return
  }
}
