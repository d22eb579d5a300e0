/** A content store over a real store of records and real files; only the upstreams are replaced. */
import { join } from 'node:path'
import { pino } from 'pino'
import { onTestFinished } from 'vitest'
import type { Content, HeldRecords, Link, Location, UpstreamLocation } from '../../src/content/content.ts'
import { type ContentOptions, createContent } from '../../src/content/create-content.ts'
import { type Digest, digestAlgorithm, digestHex, digestOf } from '../../src/oci/digest.ts'
import { createLevelStore } from '../../src/store/level.ts'
import type { Store } from '../../src/store/store.ts'
import { createHeldRecords } from '../../src/streams/held-records.ts'
import { temporaryDirectory } from '../support/directory.ts'
import { type MemorySource, memorySource } from './memory-source.ts'

export interface ContentWorld {
  content: Content
  source: MemorySource
  store: Store
  records: HeldRecords
  directory: string
  /** Messages logged. */
  logged: string[]
  /** Milliseconds since the epoch, as the store sees them; the system's until set. */
  clock: { now(): number; ahead: number }
  /** Closes the store of bytes and opens it again, as after a restart. */
  reopen(more?: Partial<ContentOptions>): Promise<Content>
}

export async function contentWorld(more: Partial<ContentOptions> = {}): Promise<ContentWorld> {
  const temporary = await temporaryDirectory()
  const directory = join(temporary, 'content')
  const store = await createLevelStore({ directory: join(temporary, 'store'), logged: [] })
  const source = memorySource()
  const logged: string[] = []
  const log = pino({}, { write: (line: string) => void logged.push(line) })
  const clock = { ahead: 0, now: () => Date.now() + clock.ahead }
  const records = createHeldRecords({ store, now: clock.now })
  const all: ContentOptions = {
    directory,
    source,
    records,
    acquireLease: (name, signal) => store.lease(name, signal),
    maxBytes: 1024 ** 3,
    finishBytes: 1024 ** 2,
    log,
    now: clock.now,
    pause: async () => undefined,
    ...more,
  }
  let content = await createContent(all)
  onTestFinished(async () => {
    await content.close()
    await store.close()
  })
  return {
    get content() {
      return content
    },
    source,
    store,
    records,
    directory,
    logged,
    clock,
    async reopen(again = {}) {
      await content.close()
      content = await createContent({ ...all, ...again })
      return content
    },
  }
}

/** Where the bytes of a digest are held. */
export function fileOf(directory: string, digest: Digest): string {
  return join(directory, 'blobs', digestAlgorithm(digest), digestHex(digest))
}

export const first: UpstreamLocation = { kind: 'upstream', host: 'a.example', repository: 'lib/app', project: 'demo' }
export const second: UpstreamLocation = { ...first, host: 'b.example' }

/** A link to bytes, or to a digest of which no size is known. */
export function linkTo(target: Buffer | Digest, ...locations: Location[]): Link {
  const isDigest = typeof target === 'string'
  return {
    digest: isDigest ? target : digestOf(target),
    mediaType: 'application/octet-stream',
    size: isDigest ? undefined : target.length,
    locations,
  }
}
