/** What is asked of an import, and what follows from it without asking anybody. */
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { type ImageReference, parseImageReference, type StreamName } from '../oci/reference.ts'
import type { Seen } from '../streams/preconditions.ts'
import type { Cause, ImportPolicy, TagReference } from '../streams/records.ts'
import type { CurrentTag, Stream } from '../streams/streams.ts'
import type { AllowList } from '../upstream/allow-list.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Room } from './room.ts'

/** One image to import: `from` is a Docker reference, `to` the tag. */
export interface ImportImage {
  from: string
  to: string
  importPolicy: ImportPolicy
  /** What of it is imported, where the tag's policy chose among its tags; default `from`. */
  chosen?: string
  /** Default: the tag's own, or `Local`. */
  referencePolicy?: TagReference['referencePolicy']
}

export interface ImportRequest extends StreamName {
  images: readonly ImportImage[]
  by: string
  reason?: string
  /** Look only; nothing is written. Default false. */
  dryRun?: boolean
  /** Waits for tags that move only when their content is held, until it aborts. Absent: does not wait. */
  wait?: AbortSignal
  /** Of the client: conflicts when one of the tags written changed after it; a missing stream is then NOT_FOUND. */
  resourceVersion?: string
  uid?: string
}

/** What one image of a request needs to know of the others' frame. */
export interface Frame {
  request: ImportRequest
  /** undefined in a dry run of a stream that does not exist. */
  stream: Stream | undefined
  /**
   * The import is of what the spec wants already, for nobody who waits: the spec stays as it is, and who changes the tag
   * meanwhile is right.
   */
  background?: boolean
  /** What the ledger says of the move; default `import`. */
  causeKind?: 'import' | 'scheduled'
  /** Where the upstream was just seen to point. */
  seen?: Digest
  /** Ends the asking; nothing is recorded of an import that it ended. */
  signal?: AbortSignal | undefined
  /** For what the request is told; absent where nobody waits for an answer. */
  room?: Room
}

/** Whether nothing may be written for this import. */
export function isDry({ request, stream }: Frame): boolean {
  return stream === undefined || request.dryRun === true
}

/** The client for registries as an import asks them: in the background after those who wait for an answer. */
export function asking(upstream: Pick<Upstream, 'onBehalf'>, { background = false, request }: Frame): Upstream {
  return upstream.onBehalf({ isBackground: background, stream: nameOf(request) })
}

/** Reads a source and asks whether it may be one. @throws RegistryError INVALID, DENIED (reason NotAllowed) */
export function permitted(from: string, allowed: AllowList): ImageReference {
  const reference = parseImageReference(from)
  if (reference === undefined) {
    throw new RegistryError('INVALID', {
      message: `"${from}" is not an image reference; write HOST/REPOSITORY:TAG or HOST/REPOSITORY@DIGEST`,
      causes: [{ field: 'from.name', reason: 'FieldValueInvalid', message: 'not an image reference' }],
    })
  }
  const refusal = allowed.refusalOf(reference.host)
  if (refusal === undefined) return reference
  throw new RegistryError('DENIED', {
    message: refusal,
    upstream: { host: reference.host, reason: 'NotAllowed' },
  })
}

/** Reads a repository, and asks whether it may be a source. @throws RegistryError as {@link permitted} */
export function permittedRepository(from: string, allowed: AllowList): ImageReference {
  if (!/[@]|:[^/]*$/.test(from)) return permitted(from, allowed)
  throw new RegistryError('INVALID', {
    message: `"${from}" is not a repository: you must specify an image repository, not a tag or ID`,
    causes: [
      { field: 'from.name', reason: 'FieldValueInvalid', message: 'must be a repository, without tag and digest' },
    ],
  })
}

/** Why the tag moves, for the ledger. */
export function causeOf({ request, causeKind = 'import' }: Frame, wanted: ImportImage): Cause {
  return {
    kind: causeKind,
    by: request.by,
    from: { kind: 'DockerImage', name: wanted.chosen ?? wanted.from },
    ...(request.reason === undefined ? {} : { reason: request.reason }),
  }
}

/** The name alone of something that carries it. */
export function nameOf({ project, stream }: StreamName): StreamName {
  return { project, stream }
}

/** What the tag is wanted to be from now on; what the request leaves open stays as it is. */
export function specOf(current: CurrentTag, wanted: ImportImage): Omit<TagReference, 'generation'> {
  const spec = current.tag?.record.spec
  return {
    name: wanted.to,
    annotations: spec?.annotations ?? null,
    from: { kind: 'DockerImage', name: wanted.from },
    importPolicy: wanted.importPolicy,
    referencePolicy: wanted.referencePolicy ?? spec?.referencePolicy ?? { type: 'Local' },
  }
}

/** The uid of the stream at the start counts as seen: links were given to that stream and no other. */
export function seenBy({ resourceVersion }: ImportRequest, { uid }: Stream): Seen {
  return { uid, ...(resourceVersion === undefined ? {} : { resourceVersion }) }
}
