/** Who may do what: the interfaces. One `can(...)` for every surface; identities, tokens and RBAC records behind it. */

import type { Scope } from '../oci/scope.ts'

/** Who asks. Groups are those the identity carries, `system:authenticated` or `system:unauthenticated` among them. */
export interface Subject {
  /** User name: `system:serviceaccount:demo:ci`, `system:anonymous`, `weir:admin`, a person's name. */
  name: string
  groups: readonly string[]
  /** The uid of the service account or of the admin's login, whose end is the end of its tokens. */
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

/** The group whose members may do everything. */
export const mastersGroup = 'system:masters'

/** A rule of a Role or ClusterRole. @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/#role-and-clusterrole */
export interface PolicyRule {
  verbs: readonly string[]
  apiGroups: readonly string[]
  resources: readonly string[]
  /** Only these objects; absent or empty means all, also those without a name (create, list). */
  resourceNames?: readonly string[]
}

/** What a binding binds to. A Role is one of the binding's project. */
export interface RoleRef {
  apiGroup: string
  kind: 'ClusterRole' | 'Role'
  name: string
}

/** To whom a binding gives its role. `namespace` is of a ServiceAccount, by default the binding's own project. */
export interface BindingSubject {
  kind: 'User' | 'Group' | 'ServiceAccount'
  name: string
  namespace?: string
}

export interface Authorizer {
  /**
   * Whether `subject`, or anybody (anonymous rights are everybody's), may `verb` the `resource` of `group` called `name`
   * in `project`. `resource` may have a subresource: `imagestreams/layers`. `name` and `project` are empty where the
   * request has none. Answers from memory, kept right by the store's watch.
   */
  can(subject: Subject, verb: string, group: string, resource: string, name: string, project: string): boolean
  /**
   * Grows with every change of a role, a binding, a service account or the admin that was applied: a decision kept with it
   * is good while it is equal.
   */
  readonly version: number
  /** Settles when changes up to the store's `revision` are applied. */
  reached(revision: number): Promise<void>
  readonly ready: Promise<void>
}

/** An authorizer that also answers for those who write roles and bindings. */
export interface Rbac extends Authorizer {
  /**
   * The part of `rules` that `subject` does not hold in `project` (empty for the whole cluster); empty when it holds all.
   * Nobody may give what he does not hold, unless he has the verb `escalate` on the role or `bind` on the role referred to.
   *
   * @throws RegistryError INVALID when the rules spell out to more than 2,000 single rights, or the subject holds too many rules to compare them with
   */
  holdsAll(subject: Subject, rules: readonly PolicyRule[], project: string): PolicyRule[]
  /** The rules of a role as a binding in `project` sees it; undefined when there is no such role. */
  rulesOf(roleRef: Pick<RoleRef, 'kind' | 'name'>, project: string): readonly PolicyRule[] | undefined
}

export interface Tokens {
  /**
   * Signs a registry token for `/v2/`; `access` is what was granted. Lives 15 minutes unless configured.
   *
   * @throws RegistryError BAD_REQUEST when the token would not fit a request header
   */
  issueRegistryToken(subject: Subject, access: readonly Access[]): Promise<IssuedToken>
  /**
   * Signs a service account's token. `expiresInSeconds` at most `auth.maxTokenLifetime`; default 3600, or that when it is less.
   *
   * @throws RegistryError INVALID naming the bound
   */
  issueServiceAccountToken(
    account: { project: string; name: string; uid: string },
    expiresInSeconds?: number,
  ): Promise<IssuedToken>
  /**
   * The token when it was verified before and still holds, without a promise: the warm path. The same object each time for
   * the same token, so that decisions can hang on it. undefined sends the caller to {@link verifyRegistryToken}.
   */
  peekRegistryToken(token: string): RegistryToken | undefined
  /** Verifies a bearer of `/v2/`. @throws RegistryError UNAUTHORIZED with `detail.error` `invalid_token` */
  verifyRegistryToken(token: string): Promise<RegistryToken>
  /** Verifies a service account's token, its account included. @throws RegistryError UNAUTHORIZED as above */
  verifyServiceAccountToken(token: string): Promise<Subject>
  /** The public keys, RFC 7517, for `/openid/v1/jwks`. */
  jwks(): Promise<{ keys: Record<string, unknown>[] }>
  /** The document for `/.well-known/openid-configuration`. */
  openidConfiguration(): Record<string, unknown>
}

export interface Authenticator {
  /**
   * Who a bearer of the API, or a password at `/token`, is: a service account's token or the admin's. The user name of a
   * password login is advisory. Registry tokens are nobody's here.
   *
   * @returns undefined when the secret is nobody's
   */
  authenticate(secret: string): Promise<Subject | undefined>
  /** Whether the account or login behind a subject that was authenticated is still there: what goes on for long asks again. */
  isCurrent(subject: Subject): boolean
}

/** What a request of `/v2/` is about to do. */
export interface NeededAccess {
  project: string
  stream: string
  action: 'pull' | 'push' | 'delete'
}

export interface TokenRequest {
  /** User name and password as sent; undefined, or both empty, asks as anonymous. The user name is advisory. */
  login: { user: string; secret: string } | undefined
  /** The `service` parameter; absent means ours. */
  service: string | undefined
  /** Every `scope` parameter as it came. */
  scopes: readonly string[]
}

/** Grants registry tokens and decides on their use. */
export interface TokenService {
  /**
   * Grants what of the scopes the caller may have now, which may be nothing.
   *
   * @throws RegistryError UNAUTHORIZED for a bad secret, BAD_REQUEST for another's service or too many scopes
   */
  grant(request: TokenRequest): Promise<{ token: IssuedToken; access: Access[]; subject: Subject }>
  /** The right at use: the token's `access` and the records as they stand now. Decisions are kept per token. */
  mayAccess(token: RegistryToken, needed: NeededAccess): 'allowed' | 'insufficient'
  /** Whether the token is for the catalog, which is any identity's, though not anonymous'. */
  mayListCatalog(token: RegistryToken): boolean
}

export interface Admin {
  /**
   * Makes a new token for the admin when none was ever made or the kubeconfig that held it is gone; the old one then ends.
   * The store keeps a hash alone, so the answer is the one time the token can be read.
   *
   * @returns undefined when the present token stays
   */
  ensureAdmin(options: { kubeconfigExists: boolean }): Promise<string | undefined>
}
