import { lstat, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { type Digest, type DigestAlgorithm, parseDigest } from '../oci/digest.ts'
import type { HeldRecords } from './content.ts'
import { algorithms, codeOf, type Layout, syncDirectory, unlessAbsent } from './layout.ts'

/**
 * Moves what an older Weir kept, `<directory>/<algorithm>/<2 hex>/<hex>` with `<hex>.locations` beside it, to where it is now,
 * and its proofs into the records. May be ended anywhere: the next start goes on with what is left.
 */
export async function takeOver(options: {
  layout: Layout
  records: HeldRecords
  log: Logger | undefined
}): Promise<void> {
  const { layout, log } = options
  let files = 0
  for (const algorithm of algorithms) {
    const directory = join(layout.directory, algorithm)
    const shards = await unlessAbsent(readdir(directory))
    if (shards === undefined) continue
    for (const shard of shards) files += await takeOverShard(join(directory, shard), algorithm, options)
    await removeEmpty(directory, log)
  }
  await rm(join(layout.directory, 'tmp'), { recursive: true, force: true })
  if (files > 0)
    log?.info({ files, directory: layout.directory }, 'kept bytes were moved to the layout of this version')
}

async function takeOverShard(
  shard: string,
  algorithm: DigestAlgorithm,
  { layout, records, log }: Parameters<typeof takeOver>[0],
): Promise<number> {
  const names = await readdir(shard).catch((error: unknown) => {
    if (codeOf(error) === 'ENOTDIR') return []
    throw error
  })
  const digests = names.flatMap((name) => parseDigest(`${algorithm}:${name}`) ?? [])
  // The records first: a file without them would be an orphan.
  await Promise.all(digests.map((digest) => takeOverFile(digest, join(shard, nameOf(digest)), { layout, records })))
  await syncDirectory(layout.blobs(algorithm))
  for (const name of names.filter((each) => each.endsWith('.locations'))) await rm(join(shard, name))
  await removeEmpty(shard, log)
  return digests.length
}

async function takeOverFile(
  digest: Digest,
  path: string,
  { layout, records }: { layout: Layout; records: HeldRecords },
): Promise<void> {
  const { size } = await lstat(path)
  const notes = (await unlessAbsent(readFile(`${path}.locations`, 'ascii'))) ?? ''
  // A crash may have cut a line short.
  const keys = new Set(notes.split('\n').filter((line) => /^[a-f0-9]{64}$/.test(line)))
  const proofs = keys.size === 0 ? [[]] : [...keys].map((key) => [key])
  await Promise.all(proofs.map((proof) => records.add(digest, size, proof)))
  await rename(path, layout.blob(digest))
}

/** What somebody else put there stays, and is told of. */
async function removeEmpty(directory: string, log: Logger | undefined): Promise<void> {
  await rmdir(directory).catch((error: unknown) => {
    log?.warn({ err: error, directory }, 'a directory of the older layout is not empty and stays')
  })
}

function nameOf(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}
