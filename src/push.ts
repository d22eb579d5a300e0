/** What is pushed: uploads and manifests in; a push moves a tag. */
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Content } from './content/content.ts'
import type { UploadBody } from './content/uploads.ts'
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'
import { createBlobs } from './push/blobs.ts'
import { createExpiry } from './push/expiry.ts'
import type { Homes } from './push/home.ts'
import type { PutManifest } from './push/manifests.ts'
import { createMounts } from './push/mounts.ts'
import type { Pusher } from './push/pusher.ts'
import { createReservations, type ReserveBytes } from './push/reservations.ts'
import type { SaidRange } from './push/session-bytes.ts'
import { createSessions, type Sessions } from './push/sessions.ts'
import { createTargets, pushRefusal } from './push/targets.ts'
import type { Store } from './store/store.ts'
import type { Links, Pins, StreamReader, StreamWriter } from './streams/streams.ts'

export type { Pusher } from './push/pusher.ts'
export type { SaidRange } from './push/session-bytes.ts'

/** An upload as its client is told of it. */
export interface Upload {
  /** A random UUID, version 4. */
  id: string
  offset: number
}

export interface PushedManifest {
  digest: Digest
  /** Of its `subject`, when it has one: `OCI-Subject`. */
  subject: Digest | undefined
  /** Those that stand there now: `OCI-Tag`. */
  tags: readonly string[]
}

/**
 * Pushes to streams (OCI distribution 1.1, "Push"). Bytes and manifests are durable, and pushed on to the project's home registry
 * where it has one, before anything is acknowledged. A stream is created by the first blob or manifest that is whole.
 */
export interface Push {
  /**
   * Begins an upload, or gives the stream what is to be mounted: `mount` from the stream `from`, or without it from any stream of
   * the project that the pusher may pull. What can not be mounted begins an upload, in the same time whatever the reason (I5).
   *
   * @throws RegistryError DENIED when the stream is not there and the pusher may not create it, or the quota is used up;
   * TOOMANYREQUESTS when he has too many uploads; NAME_UNKNOWN when there is no such project
   */
  begin(
    name: StreamName,
    by: Pusher,
    options?: { mount?: Digest; from?: StreamName; expectedBytes?: number },
  ): Promise<{ mounted: Digest } | { upload: Upload }>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN for what is not his, or not of this stream */
  status(name: StreamName, id: string, by: Pusher): Promise<Upload>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN, and as `Uploads.append`; DENIED beyond the quota, before the body is read where its length is said */
  append(name: StreamName, id: string, by: Pusher, body: UploadBody, range?: SaidRange): Promise<Upload>
  /**
   * Ends an upload, with a last piece where there is a body: what came is the blob `digest`, and the stream has it.
   *
   * @throws RegistryError BLOB_UPLOAD_UNKNOWN, DIGEST_INVALID, and as `append`
   */
  finish(
    name: StreamName,
    id: string,
    by: Pusher,
    digest: Digest,
    last?: { body: UploadBody; range?: SaidRange },
  ): Promise<void>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  cancel(name: StreamName, id: string, by: Pusher): Promise<void>
  /**
   * Takes a manifest: strictly parsed, and all that it names is the stream's already, but for its subject, what clients fetch
   * elsewhere, and children that an index names and the stream does not have. `reference` is a tag or its digest; with a digest, `tags`
   * move too. All tags move in one commit, a revision each (cause push).
   *
   * @throws RegistryError MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN (`detail` an array with an entry for each digest), DENIED (held,
   * immutable, quota, no right to create the stream), and as `readManifestTarget`
   */
  manifest(
    name: StreamName,
    reference: string,
    by: Pusher,
    sent: { bytes: Buffer; mediaType: string | undefined; tags: readonly string[] },
  ): Promise<PushedManifest>
  /** Ends uploads that nobody went on with for `expireAfterMs`, now and again; settles when `signal` aborts. */
  run(signal: AbortSignal): Promise<void>
}

/** Bounds of uploads. */
export interface UploadLimits {
  /** After its newest byte, before an upload is given up. */
  expireAfterMs: number
  /** Most that are not finished, of one user and of all. */
  maxPerUser: number
  max: number
  /** Most of one blob. */
  maxBytes: number
}

export interface PushOptions {
  store: Store
  reader: Pick<StreamReader, 'stream'>
  writer: Pick<StreamWriter, 'create'>
  links: Pick<Links, 'get' | 'add'>
  pins: Pick<Pins, 'reached'>
  content: Pick<Content, 'uploads' | 'touch' | 'held'>
  /** Takes manifests. */
  putManifest: PutManifest
  /** Default: what is pushed is kept here alone. */
  homes?: Homes
  /** Reserves bytes in the quotas of a project; default: there are none. */
  reserveBytes?: ReserveBytes
  limits: UploadLimits
  now: () => number
  log: Logger
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
}

/** What is asked of uploads by others than their clients. */
export interface Unfinished {
  /** Those that are not finished. */
  uploadCount(): Promise<number>
  /** Reserves what came before the start, once. */
  restoreReservations(): Promise<void>
}

/** Creates what takes pushes. Reads nothing before it is first asked. */
export function createPush(options: PushOptions): Push & Unfinished {
  const { content, putManifest, homes, reserveBytes, limits, log, pause = sleep } = options
  const sessions = createSessions({ ...options, ...limits })
  const targets = createTargets(options)
  const mounts = createMounts(options)
  const reservations = createReservations(reserveBytes, () => unfinished(sessions, content.uploads))
  const { maxBytes } = limits
  const blobs = createBlobs({ content, sessions, targets, mounts, reservations, reserveBytes, homes, maxBytes, log })
  const { uploads } = content
  const expiry = createExpiry({ ...options, ...limits, sessions, uploads, onExpired: reservations.end, pause })
  return {
    ...blobs,
    async manifest(name, reference, by, sent) {
      await targets.require(name, by)
      return putManifest(name, reference, by, sent).catch((error: unknown) => {
        throw pushRefusal(error, name, 'MANIFEST_INVALID')
      })
    },
    run: expiry.run,
    uploadCount: sessions.count,
    restoreReservations: reservations.restore,
  }
}

/** What came of uploads that are not finished, also of those that are whole and not the stream's yet. */
async function* unfinished(sessions: Pick<Sessions, 'list'>, uploads: Pick<Content['uploads'], 'list'>) {
  const files = new Map<string, number>()
  for await (const { id, offset } of uploads.list()) files.set(id, offset)
  for await (const { id, project, whole } of sessions.list())
    yield { id, project, bytes: whole?.size ?? files.get(id) ?? 0 }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal, ref: false })
}
