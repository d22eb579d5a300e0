/** What is pushed: uploads and manifests in; a push moves a tag. The words of it; `createPush` is beside them. */
import type { UploadBody, UploadRange } from './content/uploads.ts'
import type { Digest } from './oci/digest.ts'
import type { StreamName } from './oci/reference.ts'

/** Who pushes, as far as a push depends on it. Whoever calls has checked the right to push to the stream. */
export interface Pusher {
  /** User name; an upload is his alone. */
  name: string
  /** `User-Agent` as sent, cut to 256 characters: the ledger tells it. */
  client: string
  /** Whether he may create image streams in the project. */
  mayCreate: boolean
  /** Whether he may pull from a stream: for mounts. */
  mayPull(name: StreamName): boolean
}

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
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN, and as `Uploads.append`; DENIED beyond the quota */
  append(name: StreamName, id: string, by: Pusher, body: UploadBody, range?: UploadRange): Promise<Upload>
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
    last?: { body: UploadBody; range?: UploadRange },
  ): Promise<void>
  /** @throws RegistryError BLOB_UPLOAD_UNKNOWN */
  cancel(name: StreamName, id: string, by: Pusher): Promise<void>
  /**
   * Takes a manifest: strictly parsed, and all that it names is the stream's already, but for its subject, what clients fetch
   * elsewhere, and children that an index names and the stream does not have. `reference` is a tag or its digest; with a digest, `tags`
   * move too. All tags move in one commit, a revision each (cause push).
   *
   * @throws RegistryError MANIFEST_INVALID, MANIFEST_BLOB_UNKNOWN (`detail` an array with an entry for each digest), DIGEST_INVALID,
   * DENIED (held, immutable, quota, no right to create the stream)
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
