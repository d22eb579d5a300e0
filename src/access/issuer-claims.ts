import type { Subject } from './access.ts'
import { isForeignName, isPrintable } from './foreign-name.ts'
import type { ClaimMapping, OidcIssuer } from './oidc-issuer.ts'

/** Why a token is refused: for the log. Names claims, not their values. */
export class RefusedToken extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RefusedToken'
  }
}

type Claims = Readonly<Record<string, unknown>>

const maxGroups = 200
const maxGroupLength = 256
// A registry token carries the groups, and has to fit a header with another token beside it.
const maxGroupsLength = 4096

/**
 * The user name and the groups that an issuer's claims stand for.
 *
 * @throws RefusedToken
 */
export function mapClaims(
  { username, groups, requiredClaims }: Pick<OidcIssuer, 'username' | 'groups' | 'requiredClaims'>,
  claims: Claims,
): Pick<Subject, 'name' | 'groups'> {
  for (const [claim, wanted] of Object.entries(requiredClaims)) {
    if (scalarText(claimOf(claims, claim)) !== wanted) throw new RefusedToken(`"${claim}" is not what is required`)
  }
  const name = readName(username, claims)
  const names = new Set(groups.flatMap((mapping) => readGroups(mapping, claims)))
  const length = [...names].reduce((sum, group) => sum + group.length, 0)
  if (names.size > maxGroups || length > maxGroupsLength) {
    throw new RefusedToken(
      `it has more than ${maxGroups} groups, or their names more than ${maxGroupsLength} characters`,
    )
  }
  return { name, groups: [...names, 'system:authenticated'] }
}

function readName({ claim, prefix }: ClaimMapping, claims: Claims): string {
  const value = claimOf(claims, claim)
  if (typeof value !== 'string' || value === '') throw new RefusedToken(`"${claim}" is no text`)
  // Anybody may enter an address that is another's, at many an issuer.
  if (claim === 'email' && claimOf(claims, 'email_verified') !== true) {
    throw new RefusedToken('"email" is the user name, and "email_verified" is not true')
  }
  const name = `${prefix}${value}`
  if (!isForeignName(name)) {
    throw new RefusedToken(`"${claim}" makes a user name that is reserved, too long, or has control characters`)
  }
  return name
}

function readGroups({ claim, prefix }: ClaimMapping, claims: Claims): string[] {
  const value = claimOf(claims, claim) ?? []
  const given: unknown[] = Array.isArray(value) ? value : [value]
  if (given.length > maxGroups) throw new RefusedToken(`"${claim}" has more than ${maxGroups} entries`)
  return given.flatMap((entry) => {
    if (typeof entry !== 'string') throw new RefusedToken(`"${claim}" is neither a text nor a list of texts`)
    const group = `${prefix}${entry}`
    if (group.length > maxGroupLength) {
      throw new RefusedToken(`"${claim}" has an entry of more than ${maxGroupLength} characters`)
    }
    return entry !== '' && !group.startsWith('system:') && isPrintable(group) ? [group] : []
  })
}

function claimOf(claims: Claims, name: string): unknown {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}

function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'boolean' || typeof value === 'number' ? String(value) : undefined
}
