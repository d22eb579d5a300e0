/** An OIDC issuer whose tokens are taken, as the config has it. */
export interface OidcIssuer {
  readonly name: string
  /** As `iss` has it. */
  readonly issuer: string
  /** Where its discovery document is. Default: below `issuer`. */
  readonly discoveryUrl?: string
  /** A token has to be for one of them. */
  readonly audiences: readonly string[]
  /** PEM; default: what the system trusts. */
  readonly certificateAuthority?: string
  readonly username: ClaimMapping
  readonly groups: readonly ClaimMapping[]
  /** Claims that a token must have, with their values as text. */
  readonly requiredClaims: Readonly<Record<string, string>>
  /** How long a login may go on by refresh tokens; 0: not at all. */
  readonly sessionLifetimeMs: number
  /** Of the device flow; absent where there is none. */
  readonly clientId?: string
  readonly scopes: readonly string[]
}

/** A claim, and what stands in front of its value. */
export interface ClaimMapping {
  readonly claim: string
  readonly prefix: string
}

/**
 * Fetches a document of a host that the operator named, over https, bounded in size and time, following no redirect.
 * `certificateAuthority` is PEM and stands in the place of what the system trusts.
 *
 * @throws Error whose message says, without secrets, why there is none
 */
export type FetchDocument = (
  url: string,
  options: { certificateAuthority?: string; signal?: AbortSignal },
) => Promise<string>
