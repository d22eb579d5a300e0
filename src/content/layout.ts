import { open, opendir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, type DigestAlgorithm, digestAlgorithm, digestHex, parseDigest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { isUploadId } from './uploads.ts'

/** Where what is in a content directory. */
export interface Layout {
  readonly directory: string
  readonly partial: string
  readonly quarantine: string
  readonly uploads: string
  /** The directory of an algorithm's blobs. */
  blobs(algorithm: DigestAlgorithm): string
  blob(digest: Digest): string
  /** The file of an upload. @throws RegistryError BLOB_UPLOAD_UNKNOWN for what is no id of one */
  upload(id: string): string
}

export const algorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512']

export function layoutOf(directory: string): Layout {
  const blobs = (algorithm: DigestAlgorithm) => join(directory, 'blobs', algorithm)
  return {
    directory,
    partial: join(directory, 'partial'),
    quarantine: join(directory, 'quarantine'),
    uploads: join(directory, 'uploads'),
    blobs,
    blob: (digest) => join(blobs(digestAlgorithm(digest)), digestHex(digest)),
    upload(id) {
      if (!isUploadId(id)) throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
      return join(directory, 'uploads', id)
    },
  }
}

/** The name of a file that belongs to a digest; `name` tells several apart. @throws TypeError for a name with other characters */
export function fileName(digest: Digest, name: string): string {
  if (!/^[\w-]{1,80}$/.test(name)) throw new TypeError(`${name} is no part of a file's name`)
  return `${digestAlgorithm(digest)}-${digestHex(digest)}.${name}`
}

/** The digest and the name of {@link fileName}; undefined for other files. */
export function parseFileName(file: string): { digest: Digest; name: string } | undefined {
  const [, algorithm, hex, name] = /^(sha256|sha512)-([a-f0-9]+)\.([\w-]+)$/.exec(file) ?? []
  const digest = parseDigest(`${algorithm}:${hex}`)
  return digest === undefined || name === undefined ? undefined : { digest, name }
}

/** What is there under the names of digests, unsorted and whatever it is. */
export async function* blobEntries(layout: Layout): AsyncGenerator<Digest, void> {
  for (const algorithm of algorithms) {
    for await (const { name } of await opendir(layout.blobs(algorithm))) {
      const digest = parseDigest(`${algorithm}:${name}`)
      if (digest !== undefined) yield digest
    }
  }
}

/** What has the name of an upload, unsorted and whatever it is. */
export async function* uploadEntries(layout: Layout): AsyncGenerator<string, void> {
  for await (const { name } of await opendir(layout.uploads)) {
    if (isUploadId(name)) yield name
  }
}

/** Makes names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Renames a file over another; what stands in the way and is no file is moved to `aside` before. */
export async function renameOver(from: string, to: string, aside: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (!['EISDIR', 'ENOTEMPTY', 'EEXIST'].includes(codeOf(error) ?? '')) throw error
    await rename(to, aside)
    await rename(from, to)
  }
}

/** What `work` gives; undefined when the file is not there. */
export async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** The name of a system's error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
