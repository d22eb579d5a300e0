import type { OidcIssuer } from './access/oidc-issuer.ts'

/** Who may prove an identity, as far as names can clash. */
interface Identities {
  readonly issuers: readonly OidcIssuer[]
  readonly htpasswdFile?: string
}

/** Tokens of an issuer that is called as Weir itself would be taken for Weir's own. */
export function checkOwnIssuer(own: string, { issuers }: Identities): string[] {
  return issuers.flatMap(({ issuer }, index) =>
    issuer.replace(/\/$/, '') === own
      ? [`auth.issuers[${index}].issuer: ${own} is the issuer of Weir's own tokens`]
      : [],
  )
}

/** Where a user or a group of one provider could be called as one of another. */
export function sharedNames({ issuers, htpasswdFile }: Identities): string[] {
  const givenBy = (kind: 'username' | 'groups') =>
    issuers.flatMap(({ name, [kind]: mappings }, index) =>
      [mappings].flat().map(({ prefix }) => ({ name, prefix, path: `auth.issuers[${index}].${kind}` })),
    )
  const warnings = ['username' as const, 'groups' as const].flatMap((kind) => {
    const given = givenBy(kind)
    return given.flatMap(({ name, prefix, path }, index) => {
      const other = given.find(
        (that, place) =>
          that.name !== name && that.prefix.startsWith(prefix) && (that.prefix !== prefix || place < index),
      )
      return other === undefined ? [] : [sharedName(path, kind, prefix, other.name)]
    })
  })
  // No user of the file has a colon in his name.
  const bare = issuers.findIndex(({ username }) => !username.prefix.includes(':'))
  if (htpasswdFile !== undefined && bare >= 0) {
    const path = `auth.issuers[${bare}].username`
    warnings.push(sharedName(path, 'username', issuers[bare]?.username.prefix ?? '', 'auth.htpasswdFile'))
  }
  return [...new Set(warnings)]
}

function sharedName(path: string, kind: 'username' | 'groups', prefix: string, other: string): string {
  const what = kind === 'username' ? 'a user' : 'a group'
  const why = prefix === '' ? 'has no prefix' : `has the prefix ${prefix}`
  return `${path}: ${why}, so that ${what} of it may have the name of ${what} of ${other}`
}
