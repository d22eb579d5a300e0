import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import { commitLimits, type Entry, type Store } from '../store/store.ts'
import { decode, digestOfLink, lifeKey, linkKey, linksRange, streamKey } from '../streams/keys.ts'
import type { LinkRecord } from '../streams/records.ts'
import type { Stream } from '../streams/streams.ts'
import { maxUnlinking, unlinking } from '../streams/unlinking.ts'

/** A stream by its name and the uid that it has. */
export type LivingStream = StreamName & { uid: string }

/** A link as read, on which its removal is conditioned. */
export interface ReadLink {
  digest: Digest
  entry: Entry
  record: LinkRecord
}

/** As {@link removeLinks}, of a store that is known, and memory forgets them. */
export type Unlink = (
  stream: Stream,
  links: readonly ReadLink[],
  options?: Parameters<typeof removeLinks>[3],
) => Promise<boolean>

/** Most links that one commit removes. */
export const maxUnlinked = Math.floor((commitLimits.maxOperations - 1) / maxUnlinking)

/** A stream's link; those of an earlier stream of the name count as absent. */
export async function readLink(
  store: Pick<Store, 'get'>,
  stream: LivingStream,
  digest: Digest,
): Promise<ReadLink | undefined> {
  const entry = await store.get(linkKey(stream, digest))
  const record = entry && decode<LinkRecord>(entry)
  return entry && record?.uid === stream.uid ? { digest, entry, record } : undefined
}

/** All links of a stream, of one moment. */
export async function* readLinks(store: Pick<Store, 'range'>, stream: LivingStream): AsyncGenerator<ReadLink, void> {
  for await (const entry of await store.range(linksRange(stream, '', undefined))) {
    const record = decode<LinkRecord>(entry)
    if (record.uid === stream.uid) yield { digest: digestOfLink(entry.key), entry, record }
  }
}

/**
 * Removes links that are as they were read, all or none, `maxUnlinked` at most. `whileAt` is the revision of the stream's record:
 * whoever moves a tag writes it.
 *
 * @returns false when one of them, or the stream, is not as it was read
 * @throws RegistryError UNAVAILABLE
 */
export async function removeLinks(
  store: Pick<Store, 'commit'>,
  stream: LivingStream,
  links: readonly ReadLink[],
  { whileAt }: { whileAt?: number } = {},
): Promise<boolean> {
  if (links.length === 0) return true
  const conditions = links.map(({ entry }) => ({ key: entry.key, revision: entry.revision }))
  if (whileAt !== undefined) conditions.push({ key: streamKey(stream), revision: whileAt })
  const result = await store.commit({
    operations: links.flatMap(({ digest, record }) => unlinking(stream, digest, record)),
    preconditions: conditions,
  })
  if (result.status === 'unknown') throw unwritten(stream, result.cause)
  return result.status === 'committed'
}

/** Puts a link back as it was, where nobody wrote another meanwhile and the stream still lives. */
export async function restoreLink(store: Store, stream: LivingStream, { entry }: ReadLink): Promise<void> {
  const life = await store.get(lifeKey(stream))
  if (life === undefined || decode<{ uid: string }>(life).uid !== stream.uid) return
  const { key, value } = entry
  const preconditions = [
    { key, revision: 0 },
    { key: lifeKey(stream), revision: life.revision },
  ]
  const result = await store.commit({ operations: [{ type: 'put', key, value }], preconditions })
  if (result.status === 'unknown') throw unwritten(stream, result.cause)
}

/** The error for what could not be deleted for now; the same again goes on with it. */
export function unwritten({ project, stream }: StreamName, cause?: unknown): RegistryError {
  return new RegistryError('UNAVAILABLE', {
    message: `not everything could be deleted from ${project}/${stream}, it was changed too often or the store failed; try again`,
    retryAfterSeconds: 1,
    cause,
  })
}
