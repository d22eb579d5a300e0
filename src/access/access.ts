/** Who may do what: the interfaces. One `can(...)` for every surface; identities, tokens and RBAC records behind it. */

import type { Scope } from '../oci/scope.ts'

/** Who asks. Groups are those the identity carries, `system:authenticated` or `system:unauthenticated` among them. */
export interface Subject {
  /** User name: `system:serviceaccount:demo:ci`, `system:anonymous`, `weir:admin`, a person's name. */
  name: string
  groups: readonly string[]
  /** The uid of the service account, of the admin's login or of the password, whose end is the end of its tokens. */
  uid?: string
  /** What proved a person's or a foreign machine's identity: the name of a {@link Provider}. Absent for Weir's own and anonymous. */
  provider?: string
  /** When the identity itself ends, whatever tokens were made of it: seconds since the epoch. */
  endsAt?: number
  /** The session by which a login goes on; when it is revoked, its tokens end. */
  session?: string
}

/** Who is at the other end of the connection, for limits and the audit log. */
export interface Client {
  /** IP address, behind a trusted proxy the one that it names. */
  address: string
  /** `User-Agent` as sent, cut to 256 characters; empty when there is none. */
  userAgent: string
}

/** A user name with its password, or a token in place of the password. */
export interface Login {
  /** Advisory with a token; empty where there is none, as with a bearer. */
  user: string
  secret: string
  client: Client
}

/** Why something is allowed: the binding, or the group `system:masters` that needs none. */
export interface Grant {
  kind: 'RoleBinding' | 'ClusterRoleBinding' | 'Group'
  name: string
  /** The project of a RoleBinding, else empty. */
  project: string
  role?: RoleRef
  /** As whom the binding names the subject: him, or a group that he is in. */
  to?: BindingSubject
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
  /** Kept for those who read the role: nothing here is granted by a path. Such a rule has no groups and resources. */
  nonResourceURLs?: readonly string[]
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
  /** As {@link can}, and by what: the first grant found; undefined when nothing allows it. */
  explain(
    subject: Subject,
    verb: string,
    group: string,
    resource: string,
    name: string,
    project: string,
  ): Grant | undefined
  /**
   * Grows with every change of a role, a binding, a service account or the admin that was applied: a decision kept with it
   * is good while it is equal.
   */
  readonly version: number
  /** Settles when changes up to the store's `revision` are applied. */
  reached(revision: number): Promise<void>
  readonly ready: Promise<void>
}

/** An authorizer that also answers for those who write and review roles and bindings. */
export interface Rbac extends Authorizer {
  /**
   * Who may do it, as bindings name them, each once, with the grant; `system:masters` among them. At most 10,000;
   * `incomplete` says that there are more.
   */
  whoCan(
    right: { verb: string; group: string; resource: string; name: string },
    project: string,
  ): {
    subjects: { kind: 'User' | 'Group' | 'ServiceAccount'; name: string; namespace?: string; grant: Grant }[]
    incomplete: boolean
  }
  /** Every rule that the subject (or anybody) holds in `project`, those of the whole cluster included. */
  rulesFor(subject: Subject, project: string): readonly PolicyRule[]
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
  /** Signs a token for the API, of a person or foreign machine that logged in; it ends with `subject.endsAt` at the latest. */
  issueLoginToken(subject: Subject): Promise<IssuedToken>
  /** Verifies what {@link issueLoginToken} made, its session and provider included. @throws RegistryError UNAUTHORIZED as above */
  verifyLoginToken(token: string): Promise<Subject>
  /** The public keys, RFC 7517, for `/openid/v1/jwks`. */
  jwks(): Promise<{ keys: Record<string, unknown>[] }>
  /** The document for `/.well-known/openid-configuration`. */
  openidConfiguration(): Record<string, unknown>
}

/** One way of proving who one is that the config names: an OIDC issuer, or the htpasswd file. */
export interface Provider {
  /** Of the config; `htpasswd` for the file. */
  readonly name: string
  /**
   * @returns undefined when the login is none of this provider's
   * @throws RegistryError UNAUTHORIZED when it is, and is wrong or expired; TOOMANYREQUESTS; UNAVAILABLE when the issuer
   * can not be asked
   */
  authenticate(login: Login): Promise<Subject | undefined>
  /** Whether who was authenticated here is still known here; what ends by time is not asked. */
  isCurrent(subject: Subject): boolean
  /** Grows when anything that `isCurrent` says may have changed. */
  readonly version: number
  /** How long a login may go on by refresh tokens; 0: not at all. */
  readonly sessionLifetimeMs: number
  /** What `weir login` needs for the device flow (RFC 8628); absent where there is none. */
  readonly device?: { issuer: string; clientId: string; scopes: readonly string[] }
}

export interface Authenticator {
  /**
   * Who a bearer of the API, or a login at `/token`, is: a service account's token, the admin's, one of `weir login`, or
   * what a {@link Provider} knows. Registry tokens and refresh tokens are nobody's here.
   *
   * @returns undefined when the secret is nobody's
   * @throws RegistryError UNAUTHORIZED with the `claimant` when it is Weir's own, and his account or login is gone; else as
   * {@link Provider.authenticate}
   */
  authenticate(login: Login): Promise<Subject | undefined>
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
  /** User name and password as sent, or a refresh token; undefined, or both empty, asks as anonymous. */
  login: { user: string; secret: string } | { refreshToken: string } | undefined
  /** The `service` parameter: the registry's (absent means it), or the issuer for a token of the API. */
  service: string | undefined
  /** Every `scope` parameter as it came. */
  scopes: readonly string[]
  /** Whether the client can keep a refresh token: `offline_token=true`, `access_type=offline`. */
  offline: boolean
  /** As sent, empty where it was not. */
  clientId: string
  client: Client
}

/** What `/token` answers. */
export interface TokenGrant {
  token: IssuedToken
  access: Access[]
  subject: Subject
  /** A new one, where one was asked for and is to be had; the client puts it in the place of the old. */
  refreshToken?: string
}

/** Grants registry tokens and decides on their use. */
export interface TokenService {
  /**
   * Grants what of the scopes the caller may have now, which may be nothing.
   *
   * @throws RegistryError UNAUTHORIZED for a bad secret, BAD_REQUEST for another's service or too many scopes
   */
  grant(request: TokenRequest): Promise<TokenGrant>
  /**
   * The right at use: the token's `access` and the records as they stand now; by what it is allowed, or undefined. Decisions
   * are kept per token: the same object each time while nothing changed.
   */
  mayAccess(token: RegistryToken, needed: NeededAccess): Grant | undefined
  /** Whether the token is for the catalog, which is any identity's, though not anonymous'. */
  mayListCatalog(token: RegistryToken): boolean
}

/** Logins that go on by refresh tokens: `session/<id>` in the store, the token as its hash. */
export interface Sessions {
  /**
   * Begins a session of a subject that a provider knows; its first refresh token is opaque (`weir_refresh_...`) and told
   * this once. One more than 1,000 of a subject ends the oldest. What a login that came by a session begins ends with that.
   *
   * @returns undefined when there are too many in all (100,000), or the login came by a session that came by another
   */
  begin(
    subject: Subject,
    options: { clientId: string; client: Client; lifetimeMs: number },
  ): Promise<{ session: Session; refreshToken: string } | undefined>
  /**
   * The subject of a session by its refresh token. With `rotate` a new token takes its place, once a minute at most; the
   * old one is still good for a minute, for clients that ask twice at once, and after that its use ends the session
   * (RFC 9700 4.14.2). Any client may use it, for docker's engine and docker's command line, which call themselves
   * differently, share one; the client of the last use is kept.
   *
   * @throws RegistryError UNAUTHORIZED when it is unknown, ended, or its provider knows the subject no more
   */
  refresh(
    refreshToken: string,
    options: { clientId: string; client: Client; rotate: boolean },
  ): Promise<{ subject: Subject; refreshToken?: string }>
  /** Open sessions in the order of their ids, those after `after`; of one user alone, and of one provider, where named. */
  list(options?: { owner?: Pick<Subject, 'name' | 'provider'>; after?: string; limit?: number }): Promise<Session[]>
  get(id: string): Promise<Session | undefined>
  /** Ends a session and its tokens, and the sessions that came by it. @returns false when there is none */
  revoke(id: string): Promise<boolean>
  /** Whether the session of a subject goes on; from memory. */
  isOpen(id: string): boolean
  /** As `isOpen`, but looks into the store before it says no: the session may be newer than what memory knows. */
  confirm(id: string): Promise<boolean>
  /** Grows when a session ends otherwise than by time. */
  readonly version: number
  reached(revision: number): Promise<void>
  readonly ready: Promise<void>
}

/** A session as it may be shown: nothing of it opens anything. Times in milliseconds since the epoch. */
export interface Session {
  id: string
  /** Who began it, `endsAt` being the session's. */
  subject: Subject
  /** Of the last use that was written, as `client`: at most an hour before the last. */
  clientId: string
  client: Client
  createdAt: number
  usedAt: number
  endsAt: number
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
