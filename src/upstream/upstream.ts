import type { Digest } from '../oci/digest.ts'
import type { RegistryError } from '../oci/errors.ts'
import type { Body } from './body.ts'
import type { BudgetLimits, Purpose } from './budget.ts'
import type { HostTls } from './host-tls.ts'

/** A repository at a registry behind Weir, and on whose behalf it is asked. */
export interface UpstreamRepository {
  /** Host with its port as written by users: `docker.io`, `localhost:5100`. */
  host: string
  repository: string
  /** The project whose credentials may be used. */
  project: string
  /** Which project of that name; absent: the present one. */
  projectUid?: string
}

/** What a tag or digest stands for at an upstream. `size` in bytes; absent when the upstream did not tell. */
export interface ResolvedManifest {
  digest: Digest
  mediaType: string
  size?: number
}

/** A manifest's exact bytes, hashed; the media type is checked against the body. */
export interface FetchedManifest {
  digest: Digest
  mediaType: string
  bytes: Buffer
}

/**
 * A blob's bytes, unverified: whoever reads them hashes them. `offset` is where they start, `size` the whole blob's. A
 * body that breaks off fails with a `RegistryError`; it never just ends short of `length`.
 */
export interface FetchedBlob {
  size: number | undefined
  offset: number
  /** How many bytes follow; undefined when the upstream did not tell. */
  length: number | undefined
  /** Its ETag, when it is a strong one. */
  etag?: string
  body: Body
}

/**
 * A byte range, both ends inclusive (RFC 9110 14.1.2); without `end` to the end. With `ifRange`, a strong ETag, a blob that has
 * another one comes whole (RFC 9110 13.1.5).
 */
export interface ByteRange {
  start: number
  end?: number
  ifRange?: string
}

/**
 * The client for registries behind Weir. Every failure is a `RegistryError` whose `upstream` tells host, reason and
 * status (DESIGN section 7); no error, log or answer carries a credential.
 */
export interface Upstream {
  /** Asks by HEAD where `reference` (tag or digest) points; falls back to GET where HEAD is refused or tells no digest. */
  resolve(from: UpstreamRepository, reference: string, signal?: AbortSignal): Promise<ResolvedManifest>
  /** GETs a manifest and verifies it: by digest against that digest; by tag it is hashed, and the header not believed. */
  manifest(from: UpstreamRepository, reference: string, signal?: AbortSignal): Promise<FetchedManifest>
  /** Size of a blob by HEAD (or a one-byte GET where signed URLs refuse HEAD). */
  blobSize(from: UpstreamRepository, digest: Digest, signal?: AbortSignal): Promise<number>
  /** Opens a blob, redirects followed. A registry that ignores the range answers whole: `offset` tells. */
  blob(from: UpstreamRepository, digest: Digest, range?: ByteRange, signal?: AbortSignal): Promise<FetchedBlob>
  /**
   * The tags of a repository, all pages of `/v2/<name>/tags/list` (OCI distribution spec, "Listing Tags"), each once; at most
   * `maxTags` (default 100,000) are read, and a `Link` that leads elsewhere is not followed.
   */
  tags(from: UpstreamRepository, options?: { maxTags?: number; signal?: AbortSignal }): Promise<string[]>
  /**
   * Tells the tags of a repository page by page as they come, for who looks for some of very many; the same tag may be told again.
   * `take` says whether more are wanted. A repository of more than 100,000 tags fails, as one does that {@link tags} can not list.
   */
  tagPages(
    from: UpstreamRepository,
    take: (tags: readonly string[]) => boolean | Promise<boolean>,
    signal?: AbortSignal,
  ): Promise<void>
  /**
   * What the repository has that refers to a digest, by the API or by the tag of the referrers tag schema; empty where it has
   * neither. At most 1,000 entries and 4 MiB are read, and a `Link` that leads elsewhere is not followed.
   */
  referrers(from: UpstreamRepository, digest: Digest, signal?: AbortSignal): Promise<ToldReferrers>
  /**
   * Pushes a blob, unless a HEAD says that it is there: a POST for an upload, and a PUT of all of it (OCI distribution spec, "Pushing a
   * blob monolithically"); from the start again after what looks like passing. `open` may be called several times; what it gives
   * is read to its end, or closed. The upload goes on at the registry itself or not at all.
   *
   * @throws what `open` and its reader throw; RegistryError DENIED, TOOMANYREQUESTS, UNAVAILABLE
   */
  pushBlob(
    to: UpstreamRepository,
    digest: Digest,
    size: number,
    open: () => Promise<PushedBytes>,
    signal?: AbortSignal,
  ): Promise<void>
  /**
   * Pushes a manifest by tag or by its digest, unless a HEAD says that it stands there. `subject` is the one by which the registry says
   * that it lists it from now on (`OCI-Subject`).
   *
   * @throws RegistryError DENIED, TOOMANYREQUESTS, UNAVAILABLE
   */
  pushManifest(
    to: UpstreamRepository,
    reference: string,
    bytes: Buffer,
    mediaType: string,
    signal?: AbortSignal,
  ): Promise<{ subject?: Digest }>
  /**
   * The same for requests of that purpose: those of the background take turns, and leave what a registry counts to those who wait for
   * answers. What is not for any purpose is for somebody who waits.
   */
  onBehalf(purpose: Purpose): Upstream
  close(): Promise<void>
}

/** Gives the bytes of a push piece by piece; a piece is good until the next call. Undefined at the end. */
export interface PushedBytes {
  read(): Promise<Buffer | undefined>
  close(): void
}

/**
 * What a registry says of a manifest that refers to another: each word of it may be a lie. Its media type is a manifest's, its size
 * one that a manifest can have.
 */
export interface ToldReferrer {
  mediaType: string
  digest: Digest
  size: number
  artifactType?: string
  annotations?: Record<string, string>
}

export interface ToldReferrers {
  /** Each digest once, as the registry orders them. */
  referrers: ToldReferrer[]
  /** Why there may be more. */
  problem?: RegistryError
}

/** A user name with its password. */
export interface PasswordLogin {
  username: string
  password: string
}

/** A token that the registry's token endpoint exchanges for others (OAuth2 `refresh_token`). */
export interface IdentityLogin {
  identityToken: string
  /** For endpoints that take it as a password alone; empty where it is not known. */
  username: string
}

/** A token that is sent to the registry as it is. */
export interface TokenLogin {
  registryToken: string
}

/** What opens a registry, in the forms that docker's config has. */
export type Login = PasswordLogin | IdentityLogin | TokenLogin

/**
 * A login for one host. `id` names it in logs and `title` in messages (default: `login <id>`); neither is a secret, and the
 * id of a secret's logins is the same whatever they are. `renewed` looks for another in its place, which a registry does not take any
 * more; it never fails.
 */
export type Credential = { id: string; title?: string; renewed?(): Promise<Credential | undefined> } & Login

/** Gives a login that is replaced from time to time. */
export interface LoginSource {
  /** The login of now. @throws RegistryError UNAVAILABLE when there is none to be had */
  login(): Promise<Login>
  /** Until when the newest one is good, in milliseconds since the epoch; undefined where that is not known, or there is none. */
  readonly expiresAt?: number | undefined
  /** Looks for another than this one, which was refused; undefined when there is none. Never fails. */
  renewed(refused: Login): Promise<Login | undefined>
}

/** The login of a rule: who may use it, and for what, as globs. */
export type RuleLogin = { projects: readonly string[]; repositories: readonly string[] } & (
  | PasswordLogin
  | { source: LoginSource }
)

/**
 * Yields, best first, the logins that `project` may use for `repository` at `host`; none means anonymous. The only seam
 * through which credentials enter the upstream client.
 */
export type CredentialsFor = (
  project: string,
  host: string,
  repository: string,
  projectUid?: string,
) => AsyncIterable<Credential> | Iterable<Credential>

/** The operator's rule for one registry. */
export interface UpstreamRule {
  /** Host with its port. Only hosts named in a rule may have private, loopback or link-local addresses. */
  host: string
  /** Plain HTTP or an unknown certificate is acceptable; default false. */
  insecure: boolean
  /** What asking it may cost; the same in each rule of a host. */
  limits?: Partial<BudgetLimits>
  /** Whom it trusts over TLS, and what Weir shows; the same in each rule of a host. */
  tls?: HostTls
  login?: RuleLogin
}
