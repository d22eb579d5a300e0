import { type Digest, digestHex, digestOf } from '../oci/digest.ts'
import type { StreamName } from '../oci/reference.ts'
import { objectKey } from '../store/objects.ts'
import type { Entry, RangeQuery } from '../store/store.ts'

/** The keys of everything under a stream, and the form of its values (DESIGN section 4). */

/** Prefixes of the records that memory follows. */
export const tagPrefix = 'tag/'
export const lifePrefix = 'life/'
export const imageIndexPrefix = 'index/image/'
export const unheldPrefix = 'index/unheld/'
export const scheduledPrefix = 'index/scheduled/'
export const acrossPrefix = 'index/across/'

const imagePrefix = 'image/'
const linkPrefix = 'link/'
const heldPrefix = 'held/'
const referrersPrefix = 'index/referrers/'
const fallbackPrefix = 'index/fallback/'
const uploadPrefix = 'upload/'
/** Before the names of proofs of several locations. */
const joint = '+'

/** The prefixes of the records that tell which images there are. */
export const imagePrefixes: readonly string[] = [imageIndexPrefix, imagePrefix, lifePrefix]

/** The project's object; its `metadata.uid` is the project's uid. */
export function projectKey(project: string): string {
  return objectKey('namespaces', '', project)
}

export function streamObjectKey(name: StreamName): string {
  return objectKey('imagestreams', name.project, name.stream)
}

export function lifeKey(name: StreamName): string {
  return lifePrefix + path(name)
}

export function streamKey(name: StreamName): string {
  return `stream/${path(name)}`
}

export function generationKey(name: StreamName): string {
  return `generation/${path(name)}`
}

export function tagKey(name: StreamName, tag: string): string {
  return `${tagPrefix}${path(name)}/${tag}`
}

/** The ledger entry of one revision. Padded to 12 digits, so that key order is the order of revisions. */
export function eventKey(name: StreamName, tag: string, revision: number): string {
  return eventsPrefix(name, tag) + padded(revision)
}

/** The notice number `n` of a tag, padded like a revision. */
export function outboxKey(name: StreamName, tag: string, n: number): string {
  return `outbox/${path(name)}/${tag}!${padded(n)}`
}

export function linkKey(name: StreamName, digest: Digest): string {
  return `${linkPrefix}${path(name)}/${digest}`
}

/** The tags of the stream that follow `tag`. */
export function followersKey(name: StreamName, tag: string): string {
  return `index/followers/${path(name)}/${tag}`
}

export function pendingKey(name: StreamName, tag: string): string {
  return `index/pending/${path(name)}/${tag}`
}

/** Says that a tag's source is asked again and again. */
export function scheduledKey(name: StreamName, tag: string): string {
  return `${scheduledPrefix}${path(name)}/${tag}`
}

/** Says that the tag `follower` follows the tag `source` of another stream. */
export function acrossKey(source: StreamName & { tag: string }, follower: StreamName & { tag: string }): string {
  return `${acrossPrefix}${path(source)}/${source.tag}/${path(follower)}/${follower.tag}`
}

/** Who follows whom, by a key under {@link acrossPrefix}; undefined for what is none. */
export function placesOfAcross(
  key: string,
): { source: StreamName & { tag: string }; follower: StreamName & { tag: string } } | undefined {
  const parts = key.slice(acrossPrefix.length).split('/')
  const [project, stream, tag, ...rest] = parts
  const [ownProject, ownStream, ownTag] = rest
  if (parts.length !== 6 || project === undefined || stream === undefined || tag === undefined) return undefined
  if (ownProject === undefined || ownStream === undefined || ownTag === undefined) return undefined
  return { source: { project, stream, tag }, follower: { project: ownProject, stream: ownStream, tag: ownTag } }
}

/** Says that a tag's image may not be held yet. */
export function unheldKey(name: StreamName, tag: string): string {
  return `${unheldPrefix}${path(name)}/${tag}`
}

/** Says what was left out when a tag's image was fetched. */
export function leftOutKey(name: StreamName, tag: string): string {
  return `index/left-out/${path(name)}/${tag}`
}

/** What is not held yet of a stream's tags. */
export function unheldRange(name: StreamName): RangeQuery {
  return { prefix: unheldKey(name, '') }
}

/** The tag of a key under {@link unheldPrefix}; undefined for what is none. */
export function placeOfUnheld(key: string): (StreamName & { tag: string }) | undefined {
  const [project, stream, tag, ...more] = key.slice(unheldPrefix.length).split('/')
  if (project === undefined || stream === undefined || tag === undefined || more.length > 0) return undefined
  return { project, stream, tag }
}

/** Says that a stream received the manifest `digest`. */
export function imageIndexKey(name: StreamName, digest: Digest): string {
  return `${imageIndexPrefix}${digest}/${path(name)}`
}

/** Says that the stream received the manifest `digest`, whose subject is `subject`. */
export function referrerKey(name: StreamName, subject: Digest, digest: Digest): string {
  return `${referrersPrefix}${path(name)}/${subject}/${digest}`
}

/** What the stream received that has this subject, in the order of digests, after `after`; without a subject all of that kind. */
export function referrersRange(name: StreamName, subject?: Digest, after?: Digest): RangeQuery {
  if (subject === undefined) return { prefix: `${referrersPrefix}${path(name)}/` }
  const prefix = `${referrersPrefix}${path(name)}/${subject}/`
  return after === undefined ? { prefix } : { prefix, start: following(prefix + after) }
}

/** The digest of what refers, of a key of {@link referrersRange}. */
export function digestOfReferrer(key: string): Digest {
  return key.slice(key.lastIndexOf('/') + 1) as Digest
}

/** Where a tag that is derived from an image's digest stands. */
export function fallbackKey(name: StreamName, tag: string): string {
  return `${fallbackPrefix}${path(name)}/${tag}`
}

/** The tags of {@link fallbackKey} that begin with `prefix`, after the tag `after`. */
export function fallbacksRange(name: StreamName, prefix: string, after?: string): RangeQuery {
  const query = { prefix: fallbackKey(name, prefix) }
  return after === undefined ? query : { ...query, start: following(fallbackKey(name, after)) }
}

/** The media type is hashed: it may hold any character. */
export function imageKey(digest: Digest, mediaType: string): string {
  return `${imagePrefix}${digest}/${digestHex(digestOf(mediaType))}`
}

/** The records of an image, one for each media type. */
export function imagesRange(digest: Digest): RangeQuery {
  return { prefix: `${imagePrefix}${digest}/` }
}

/** The digest that a key of {@link imageIndexRange} or {@link imagesRange} is about; undefined for other keys. */
export function digestOfImage(key: string): Digest | undefined {
  const prefix = [imageIndexPrefix, imagePrefix].find((each) => key.startsWith(each))
  return prefix === undefined ? undefined : (key.slice(prefix.length, key.indexOf('/', prefix.length)) as Digest)
}

/** The lives of a project's streams, or of all, after the stream `after`. */
export function livesRange(project: string | undefined, after: StreamName | undefined): RangeQuery {
  const prefix = project === undefined ? lifePrefix : `${lifePrefix}${project}/`
  return after === undefined ? { prefix } : { prefix, start: following(lifeKey(after)) }
}

/** The stream that a key of {@link livesRange} belongs to. */
export function streamOfKey(key: string): StreamName {
  const [, project = '', stream = ''] = key.split('/')
  return { project, stream }
}

/** The tag records of a stream, after the tag `after`. */
export function tagsRange(name: StreamName, after: string | undefined): RangeQuery {
  const prefix = tagKey(name, '')
  return after === undefined ? { prefix } : { prefix, start: following(prefix + after) }
}

/** The records of all tags below `prefix`, of every stream that there was, `limit` of them after the key `after`. */
export function tagRecordsRange(prefix: string, after: string | undefined, limit: number): RangeQuery {
  return { prefix, limit, ...(after === undefined ? {} : { start: following(after) }) }
}

/** The tag that a key of {@link tagsRange} belongs to. */
export function tagOfKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}

/** A tag's ledger, newest first, before the revision `before`. */
export function ledgerRange(name: StreamName, tag: string, before: number | undefined): RangeQuery {
  const prefix = eventsPrefix(name, tag)
  return before === undefined
    ? { prefix, reverse: true }
    : { prefix, end: prefix + padded(Math.max(before, 0)), reverse: true }
}

/** The tag of a key of {@link ledgerRange} or {@link streamRanges}. */
export function tagOfLedgerKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1, key.lastIndexOf('!'))
}

/**
 * The records of all streams that there ever were, from the last down: of each its tags, their ledgers in the same order and each
 * newest first, and its links.
 */
export function streamRanges(): [tags: RangeQuery, ledgers: RangeQuery, links: RangeQuery] {
  const reverse = true
  return [
    { prefix: tagPrefix, reverse },
    { prefix: 'event/', reverse },
    { prefix: linkPrefix, reverse },
  ]
}

/** All links, in the order of streams. */
export function allLinksRange(): RangeQuery {
  return { prefix: linkPrefix }
}

/** A stream's links in the order of their digests, those that begin with `prefix`, after the digest `after`. */
export function linksRange(name: StreamName, prefix: string, after: Digest | undefined): RangeQuery {
  const query = { prefix: `${linkPrefix}${path(name)}/${prefix}` }
  return after === undefined ? query : { ...query, start: following(linkKey(name, after)) }
}

/** The digest of a key of {@link linksRange}. */
export function digestOfLink(key: string): Digest {
  return key.slice(key.lastIndexOf('/') + 1) as Digest
}

/** Which streams received which manifests, in the order of digests: of all after `after`, or of `only` one. */
export function imageIndexRange({ after, only }: { after?: Digest; only?: Digest }): RangeQuery {
  if (only !== undefined) return { prefix: `${imageIndexPrefix}${only}/` }
  // '0' is the character after '/'.
  return { prefix: imageIndexPrefix, ...(after === undefined ? {} : { start: `${imageIndexPrefix}${after}0` }) }
}

/** The digest and the stream of a key of {@link imageIndexRange}. */
export function placeOfImage(key: string): StreamName & { digest: Digest } {
  const [digest = '', project = '', stream = ''] = key.slice(imageIndexPrefix.length).split('/')
  return { digest: digest as Digest, project, stream }
}

/** Says that the bytes of `digest` are held, and came whole through the locations of `proof`, which is sorted. */
export function heldKey(digest: Digest, proof: readonly string[]): string {
  const name = digestHex(digestOf(proof.join(' ')))
  return `${heldPrefix}${digest}/${proof.length > 1 ? joint : ''}${name}`
}

/** The proofs of a digest that several locations made together. */
export function heldJointlyRange(digest: Digest): RangeQuery {
  return { prefix: `${heldPrefix}${digest}/${joint}` }
}

/** All proofs of one digest. */
export function heldOfRange(digest: Digest): RangeQuery {
  return { prefix: `${heldPrefix}${digest}/` }
}

/** What is held, in the order of digests, after `after`. */
export function heldRange(after: Digest | undefined): RangeQuery {
  // '0' is the character after '/'.
  return { prefix: heldPrefix, ...(after === undefined ? {} : { start: `${heldPrefix}${after}0` }) }
}

/** The digest of a key of {@link heldRange} or {@link heldOfRange}. */
export function digestOfHeld(key: string): Digest {
  return key.slice(heldPrefix.length, key.lastIndexOf('/')) as Digest
}

/** Of an upload, by its id. */
export function uploadKey(id: string): string {
  return uploadPrefix + id
}

/** Uploads in the order of their ids, `limit` of them after the id `after`. */
export function uploadsRange(after: string | undefined, limit: number): RangeQuery {
  const query = { prefix: uploadPrefix, limit }
  return after === undefined ? query : { ...query, start: following(uploadKey(after)) }
}

/** The id of a key of {@link uploadsRange}. */
export function uploadOfKey(key: string): string {
  return key.slice(uploadPrefix.length)
}

/** One key as a range. */
export function exactly(key: string): RangeQuery {
  return { prefix: key, end: following(key) }
}

/** The value of a record. */
export function encode(record: unknown): string {
  return JSON.stringify(record)
}

/** The record of an entry; what Weir stored is taken at its word. */
export function decode<T>(entry: Entry): T {
  return JSON.parse(entry.value) as T
}

function eventsPrefix(name: StreamName, tag: string): string {
  // No tag has a '!' (OCI grammar), so the range of `v1` covers no entry of `v1.2`.
  return `event/${path(name)}/${tag}!`
}

function path(name: StreamName): string {
  return `${name.project}/${name.stream}`
}

function padded(number: number): string {
  return String(number).padStart(12, '0')
}

/** The smallest key after `key`. */
function following(key: string): string {
  return `${key}\0`
}
