import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'

/** What the files hold that a config names. */
export interface Secrets {
  /** Passwords and identity tokens, by index in `upstreams`. */
  ofUpstreams: Map<number, string>
  /** PEM, by index in `auth.issuers`. */
  authorities: Map<number, string>
  problems: string[]
  warnings: string[]
}

/**
 * Reads the files that the tree names, be it valid otherwise or not, so that their problems are told with the others: the
 * passwords, and whether certificate and key can be read.
 */
export function readSecrets(tree: Record<string, unknown>): Secrets {
  const secrets: Secrets = { ofUpstreams: new Map(), authorities: new Map(), problems: [], warnings: [] }
  const upstreams = Array.isArray(tree.upstreams) ? tree.upstreams : []
  for (const [index, upstream] of upstreams.entries()) {
    for (const key of ['passwordFile', 'identityTokenFile']) {
      const file: unknown = isRecord(upstream) ? upstream[key] : undefined
      if (typeof file !== 'string' || file === '') continue
      const path = `upstreams[${index}].${key}`
      const text = checkFile(path, file, secrets, true)
      const secret = text === undefined ? undefined : secretIn(text)
      if (secret === '') secrets.problems.push(`${path}: ${file} is empty`)
      else if (secret !== undefined) secrets.ofUpstreams.set(index, secret)
    }
  }
  const auth = isRecord(tree.auth) ? tree.auth : {}
  const issuers = Array.isArray(auth.issuers) ? auth.issuers : []
  for (const [index, issuer] of issuers.entries()) {
    const file: unknown = isRecord(issuer) ? issuer.certificateAuthorityFile : undefined
    if (typeof file !== 'string' || file === '') continue
    const pem = checkFile(`auth.issuers[${index}].certificateAuthorityFile`, file, secrets, false)
    if (pem === undefined) continue
    if (isCertificate(pem)) secrets.authorities.set(index, pem)
    else secrets.problems.push(`auth.issuers[${index}].certificateAuthorityFile: ${file} is no certificate in PEM`)
  }
  if (typeof auth.htpasswdFile === 'string' && auth.htpasswdFile !== '')
    checkFile('auth.htpasswdFile', auth.htpasswdFile, secrets, true)
  const tls = isRecord(tree.tls) ? tree.tls : {}
  for (const [key, isSecret] of [
    ['certFile', false],
    ['keyFile', true],
  ] as const) {
    const file = tls[key]
    if (typeof file === 'string' && file !== '') checkFile(`tls.${key}`, file, secrets, isSecret)
  }
  return secrets
}

/** The secret that a file holds: its text, without the line end that editors put there. */
export function secretIn(text: string): string {
  return text.replace(/\r?\n$/, '')
}

function checkFile(path: string, file: string, { problems, warnings }: Secrets, isSecret: boolean): string | undefined {
  try {
    const mode = statSync(file).mode & 0o777
    if (isSecret && mode & 0o004)
      warnings.push(`${path}: ${file} can be read by everybody (mode 0${mode.toString(8)}); chmod 600 it`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    problems.push(`${path}: ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
    return undefined
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined
  } catch {
    return false
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
