/**
 * A process with a content store, and the flows over it, on records that its parent serves (`test/support/shared-store.ts`). It
 * does what its parent asks by IPC.
 *
 * `node content-process.ts DIRECTORY UPSTREAM`
 */
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import type { Link, OpenBlob } from '../../../src/content/content.ts'
import { createContent } from '../../../src/content/create-content.ts'
import { createImporter } from '../../../src/importer.ts'
import { type Digest, hashedDigest, hashFor } from '../../../src/oci/digest.ts'
import { createBlobSource } from '../../../src/pull-through/blob-source.ts'
import { createPullThrough } from '../../../src/pull-through.ts'
import { createStreams } from '../../../src/streams/create-streams.ts'
import { createHeldRecords } from '../../../src/streams/held-records.ts'
import { createAllowList } from '../../../src/upstream/allow-list.ts'
import { createUpstream } from '../../../src/upstream/client.ts'
import { parentStore } from '../../support/shared-store.ts'

/** What a parent asks for. */
export type Asked =
  | { what: 'read'; link: Link; options?: ReadingOptions }
  | { what: 'pull'; project: string; stream: string; digest: Digest; options?: ReadingOptions }
  | { what: 'import'; project: string; stream: string; tag: string; from: string }
  | { what: 'fetch'; link: Link }
  | { what: 'remove'; digest: Digest; unusedSince: number }
  | { what: 'verify'; digest: Digest }
  | { what: 'sweep' }
  | { what: 'counters' }

export interface ReadingOptions {
  /** Waits for so long after the first piece. */
  pauseMs?: number
}

/** What reading a blob came to. */
export interface BlobRead {
  digest: Digest
  bytes: number
}

export type Told = { is: 'done'; id: number; value: unknown } | { is: 'done'; id: number; failure: string }

if (import.meta.main) await run(process.argv[2] ?? '', process.argv[3] ?? '')

async function run(directory: string, host: string): Promise<void> {
  const store = parentStore()
  const now = Date.now
  const signal = new AbortController().signal
  const log = pino({ level: process.env.WEIR_LOG_LEVEL ?? 'silent' }, pino.destination(2))
  const rules = [{ host, insecure: true }]
  const upstream = createUpstream({ rules, credentialsFor: () => [], userAgent: 'weir/test', log, now })
  const content = await createContent({
    directory,
    source: createBlobSource(upstream),
    records: createHeldRecords({ store, now }),
    acquireLease: (name, waiting) => store.lease(name, waiting),
    maxBytes: 2 ** 40,
    finishBytes: 0,
    log,
  })
  const streams = createStreams({ store, now, signal })
  const pullThrough = createPullThrough({ ...streams, content, upstream, log })
  const allowed = createAllowList({ patterns: [], named: [host], own: [] })
  const importer = createImporter({ ...streams, content, upstream, allowed, log })

  async function answer(asked: Asked): Promise<unknown> {
    switch (asked.what) {
      case 'read':
        return readHashed(await content.open(asked.link), asked.link.digest, asked.options)
      case 'pull': {
        const blob = await pullThrough.blob(asked, asked.digest)
        return readHashed(blob, asked.digest, asked.options)
      }
      case 'import': {
        const images = [{ from: asked.from, to: asked.tag, importPolicy: {} }]
        const { images: imported } = await importer.import({ ...asked, by: 'admin', images })
        return imported.flatMap((image) => ('error' in image ? image.error.message : []))
      }
      case 'fetch':
        return content.fetch(asked.link, { signal })
      case 'remove':
        return content.remove(asked.digest, asked)
      case 'verify':
        return content.verify(asked.digest)
      case 'sweep':
        return content.sweep()
      case 'counters':
        return { ...content.counters }
    }
  }

  process.on('message', (message: { is: string; id: number; asked: Asked }) => {
    if (message.is !== 'do') return
    const { id } = message
    answer(message.asked).then(
      (value) => process.send?.({ is: 'done', id, value }),
      (error: unknown) => process.send?.({ is: 'done', id, failure: String(error) }),
    )
  })
  // Whoever serves the store is gone: so is this.
  process.once('disconnect', () => process.exit(0))
  process.send?.({ is: 'ready' })
}

async function readHashed({ reader }: OpenBlob, like: Digest, { pauseMs = 0 }: ReadingOptions = {}): Promise<BlobRead> {
  const hash = hashFor(like)
  let bytes = 0
  try {
    for (let piece = await reader.read(); piece !== undefined; piece = await reader.read()) {
      hash.update(piece)
      if (bytes === 0 && pauseMs > 0) await delay(pauseMs)
      bytes += piece.length
    }
  } finally {
    reader.close()
  }
  return { digest: hashedDigest(hash, like), bytes }
}
