import type { Scope } from '../oci/scope.ts'

/** Who may do what. One `can(...)` for every surface; identities, tokens and RBAC records behind it. */

/** Who asks. Groups are those the identity carries, `system:authenticated` or `system:unauthenticated` among them. */
export interface Subject {
  /** User name: `system:serviceaccount:demo:ci`, `system:anonymous`, `weir:admin`, a person's name. */
  name: string
  groups: readonly string[]
  /** The uid of the service account, whose deletion ends its tokens. */
  uid?: string
}

/** One entry of a registry token's `access` claim. @see https://distribution.github.io/distribution/spec/auth/scope/ */
export type Access = Scope

/** A verified registry token: who, and what the token itself allows. */
export interface RegistryToken {
  subject: Subject
  access: readonly Access[]
  /** Seconds since the epoch. */
  expiresAt: number
}

/** A token just made. Times in seconds. */
export interface IssuedToken {
  token: string
  issuedAt: number
  expiresInSeconds: number
}

/** `system:anonymous` in `system:unauthenticated`. */
export const anonymous: Subject = { name: 'system:anonymous', groups: ['system:unauthenticated'] }

export interface Authorizer {
  /**
   * Whether `subject`, or anybody (anonymous rights are everybody's), may `verb` the `resource` of `group` called `name`
   * in `project`. `resource` may have a subresource: `imagestreams/layers`. `name` and `project` are empty where the
   * request has none. Answers from memory, kept right by the store's watch.
   */
  can(subject: Subject, verb: string, group: string, resource: string, name: string, project: string): boolean
  /** Grows with every change of a role or binding that was applied: a decision kept with it is good while it is equal. */
  readonly version: number
  /** Settles when changes up to the store's `revision` are applied. */
  reached(revision: number): Promise<void>
  readonly ready: Promise<void>
}

export interface Tokens {
  /** Signs a registry token for `/v2/`; `access` is what was granted. Lives 15 minutes unless configured. */
  issueRegistryToken(subject: Subject, access: readonly Access[]): Promise<IssuedToken>
  /** Signs a service account's token. `expiresInSeconds` default 3600, at most `auth.maxTokenLifetime`. */
  issueServiceAccountToken(
    account: { project: string; name: string; uid: string },
    expiresInSeconds?: number,
  ): Promise<IssuedToken>
  /** Verifies a bearer of `/v2/`. @throws RegistryError UNAUTHORIZED with `detail.error` `invalid_token` */
  verifyRegistryToken(token: string): Promise<RegistryToken>
  /** The public keys, RFC 7517, for `/openid/v1/jwks`. */
  jwks(): Promise<{ keys: Record<string, unknown>[] }>
}

export interface Authenticator {
  /**
   * Who a bearer of the API, or a password at `/token`, is: a service account's token or the admin's. The user name of a
   * password login is advisory.
   *
   * @returns undefined when the secret is nobody's
   */
  authenticate(secret: string): Promise<Subject | undefined>
}
