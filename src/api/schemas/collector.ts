import { z } from 'zod'
import { atomicList, boolean, integer, object, string } from './fields.ts'
import { metadata } from './metadata.ts'

/** Commands to the collector, `weir.dev/v1`. They are answered, and not stored. */

const group = 'dev.weir.v1'

const pruneSpec = z
  .object({
    dryRun: boolean('Only tell what would be removed. The same as `dryRun=All`.'),
    keepYoungerThan: string('Keep what was used or kept since, as 24h (the default), 90m or 7d; at least 10m.'),
  })
  .meta({ id: `${group}.ContentPruneSpec`, description: 'What is to be removed.' })

const freedContent = z
  .object({
    digest: string('What was removed.'),
    bytes: integer('Its size.'),
    reason: string('unlinked, beyond history-keep or evicted.'),
  })
  .meta({ id: `${group}.FreedContent`, description: 'Bytes that were removed, or would be.' })

const keptContent = z
  .object({
    reason: string('pinned, history, pulled, pushed, gone upstream, too many places, being used or too young.'),
    count: integer('How many digests.'),
    bytes: integer('Their bytes.'),
  })
  .meta({ id: `${group}.KeptContent`, description: 'What is kept for one reason.' })

const sweptContent = z
  .object({
    unfinished: integer('Downloads that nobody goes on with.'),
    orphanFiles: integer('Files without records.'),
    orphanRecords: integer('Records without files.'),
    bytes: integer('The bytes of all.'),
  })
  .meta({ id: `${group}.SweptContent`, description: 'What crashes had left, and is cleared away.' })

const pruneStatus = z
  .object({
    freedBytes: integer('Bytes that were removed, or would be.'),
    freed: atomicList(freedContent, 'The largest first, at most 1,000.'),
    freedCount: integer('How many there are in all.'),
    kept: atomicList(keptContent, 'What stays, by reason.'),
    removedLinks: integer('Links of streams to content that nothing leads to, which were removed, or would be.'),
    swept: object(sweptContent, 'What was cleared away besides. Not in a dry run.'),
  })
  .meta({ id: `${group}.ContentPruneStatus`, description: 'What was removed, and what is kept and why.' })

export const contentPruneSchema = z
  .object({
    metadata,
    spec: object(pruneSpec, 'What is to be removed.'),
    status: object(pruneStatus, 'What was removed, and what is kept and why. Set by the server.'),
  })
  .meta({
    id: `${group}.ContentPrune`,
    description: 'Removes the bytes that nothing needs any more. It is answered when that is done, and not stored.',
  })

const verificationSpec = z
  .object({
    after: string('Go on after this digest.'),
    maxBytes: integer('About how many bytes are read. Default: 1073741824.'),
  })
  .meta({ id: `${group}.ContentVerificationSpec`, description: 'What is to be read.' })

const verificationStatus = z
  .object({
    checked: integer('How many files were read.'),
    bytes: integer('Their bytes.'),
    corrupt: atomicList(z.string(), 'The digests of those that were wrong, and are put aside.'),
    missing: atomicList(z.string(), 'The digests of those that are recorded as held, and whose files are not there.'),
    continue: string('The digest to go on after; absent at the end.'),
  })
  .meta({ id: `${group}.ContentVerificationStatus`, description: 'What was found.' })

export const contentVerificationSchema = z
  .object({
    metadata,
    spec: object(verificationSpec, 'What is to be read.'),
    status: object(verificationStatus, 'What was found. Set by the server.'),
  })
  .meta({
    id: `${group}.ContentVerification`,
    description:
      'Reads held bytes again, puts aside what is not what its digest says, and tells what is missing. Not stored.',
  })
