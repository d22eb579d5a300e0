import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Operation } from '../store/store.ts'
import { imageIndexKey, linkKey, referrerKey } from './keys.ts'
import type { LinkRecord } from './records.ts'

/** Most operations that one link takes to remove. */
export const maxUnlinking = 3

/** What removes a stream's link: with it go its entries in the indexes of images and of referrers. */
export function unlinking(name: StreamName, digest: Digest, { received, subject }: LinkRecord): Operation[] {
  const indexed = received === undefined ? [] : [imageIndexKey(name, digest)]
  const referring = subject === undefined ? [] : [referrerKey(name, subject, digest)]
  return [linkKey(name, digest), ...indexed, ...referring].map((key) => ({ type: 'delete', key }))
}

/** The error for a tag that was to move to an image which the stream does not have, or not any more: nothing was written. */
export function unlinkedError({ project, stream }: StreamName, tag: string, image: Digest): RegistryError {
  const name = `${stream}:${tag}`
  return new RegistryError('CONFLICT', {
    message: `tag ${JSON.stringify(tag)} can not move to ${image}: image stream ${project}/${stream} does not have it, it may just have been deleted; push, import or tag it again`,
    detail: { unlinked: image },
    subject: { name, kind: 'imagestreamtags', group: 'image.openshift.io' },
  })
}

/** For whoever linked the image and begins anew: undefined in place of the error that it is not there any more. @throws any other */
export function undefinedWhenUnlinked(error: unknown): undefined {
  if (!isUnlinkedError(error)) throw error
}

/** Whether an error says that the stream does not have the image which a tag was to move to. */
export function isUnlinkedError(error: unknown): error is RegistryError {
  if (!(error instanceof RegistryError) || error.code !== 'CONFLICT') return false
  return typeof error.detail === 'object' && error.detail !== null && 'unlinked' in error.detail
}
