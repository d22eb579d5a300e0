import { randomUUID } from 'node:crypto'
import { isUploadId } from '../content/uploads.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Store } from '../store/store.ts'
import { commitOnce } from '../streams/commit-once.ts'
import { formatTime } from '../streams/events.ts'
import { decode, encode, uploadKey, uploadOfKey, uploadsRange } from '../streams/keys.ts'
import type { UploadRecord } from '../streams/records.ts'
import { createLimits } from './limits.ts'

/** An upload that was begun, wherever it is. */
export interface Session extends UploadRecord {
  id: string
}

/** Uploads that are not finished: their records, which outlive the process. */
export interface Sessions {
  /** @returns its id, a random UUID. @throws RegistryError TOOMANYREQUESTS, UNAVAILABLE */
  begin(name: StreamName, by: string): Promise<string>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN for what is not his, or not of this stream */
  find(name: StreamName, id: string, by: string): Promise<Session>
  /** Notes that its bytes are held under a digest; nothing where it has ended meanwhile. */
  becameWhole(session: Session, whole: { digest: Digest; size: number }): Promise<void>
  end(id: string): Promise<void>
  /** Whether there is one of that id, whoever began it. */
  has(id: string): Promise<boolean>
  /** In the order of ids. */
  list(): AsyncIterable<Session>
  /** How many there are. */
  count(): Promise<number>
  /** Counts anew how many there are of whom: other processes begin and end some too. */
  recount(): Promise<void>
}

export interface SessionsOptions {
  store: Store
  /** Most of one user, and in all. */
  maxPerUser: number
  max: number
  now: () => number
}

const pageSize = 500

export function createSessions({ store, maxPerUser, max, now }: SessionsOptions): Sessions {
  const limits = createLimits({ maxPerUser, max, list })

  async function* list(): AsyncGenerator<Session> {
    for (let after: string | undefined; ; ) {
      // Page by page: a snapshot that is open for long keeps what was deleted meanwhile on the disk.
      const page = await Array.fromAsync(await store.range(uploadsRange(after, pageSize)))
      for (const entry of page) yield { id: uploadOfKey(entry.key), ...decode<UploadRecord>(entry) }
      const last = page.at(-1)
      if (last === undefined || page.length < pageSize) return
      after = uploadOfKey(last.key)
    }
  }

  return {
    list,
    count: limits.count,
    recount: limits.recount,
    async begin({ project, stream }, by) {
      const id = randomUUID()
      await limits.take(id, by)
      const record: UploadRecord = { project, stream, by, createdAt: formatTime(now()) }
      const operations = [{ type: 'put', key: uploadKey(id), value: encode(record) }] as const
      try {
        // Nobody else knows the id: it may be written twice.
        await commitOnce(store, { commit: { operations }, fate: async () => 'open', what: `upload ${id}` })
      } catch (error) {
        limits.give(id)
        throw error
      }
      return id
    },
    async find({ project, stream }, id, by) {
      const entry = isUploadId(id) ? await store.get(uploadKey(id)) : undefined
      const record = entry && decode<UploadRecord>(entry)
      if (record?.project === project && record.stream === stream && record.by === by) return { id, ...record }
      throw unknownUpload()
    },
    async becameWhole({ id, project, stream, by, createdAt }, whole) {
      const entry = await store.get(uploadKey(id))
      if (entry === undefined) return
      const record: UploadRecord = { project, stream, by, createdAt, whole: { ...whole, at: formatTime(now()) } }
      await commitOnce(store, {
        commit: {
          operations: [{ type: 'put', key: entry.key, value: encode(record) }],
          preconditions: [{ key: entry.key, revision: entry.revision }],
        },
        fate: async () => 'open',
        what: `that upload ${id} is whole`,
      })
    },
    async end(id) {
      await commitOnce(store, {
        commit: { operations: [{ type: 'delete', key: uploadKey(id) }] },
        fate: async () => 'open',
        what: `the end of upload ${id}`,
      })
      limits.give(id)
    },
    has: async (id) => (await store.get(uploadKey(id))) !== undefined,
  }
}

export function unknownUpload(): RegistryError {
  return new RegistryError('BLOB_UPLOAD_UNKNOWN', {
    message: 'there is no such upload: it was finished, cancelled or given up, or is another repository’s or user’s',
  })
}
