import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { contextOf, type HostTlsFiles, type PemFile } from './upstream/host-tls.ts'

/** What the files hold that a config names. */
export interface Secrets {
  /** Passwords and identity tokens, by index in `upstreams`. */
  ofUpstreams: Map<number, string>
  /** Whom rules trust and what they show, by index in `upstreams`. */
  hostTls: Map<number, HostTlsFiles>
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
  const secrets: Secrets = {
    ofUpstreams: new Map(),
    hostTls: new Map(),
    authorities: new Map(),
    problems: [],
    warnings: [],
  }
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
    const hostTls = isRecord(upstream) ? readHostTls(upstream, `upstreams[${index}]`, secrets) : undefined
    if (hostTls !== undefined) secrets.hostTls.set(index, hostTls)
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

/** Undefined where a rule names no such files, or not all that belong together; its problems are told. */
function readHostTls(upstream: Record<string, unknown>, path: string, secrets: Secrets): HostTlsFiles | undefined {
  const read = (key: string, isSecret: boolean): PemFile | undefined => {
    const file = upstream[key]
    if (typeof file !== 'string' || file === '') return undefined
    const pem = checkFile(`${path}.${key}`, file, secrets, isSecret)
    if (pem === undefined) return undefined
    if (isSecret || isCertificate(pem)) return { file, pem }
    secrets.problems.push(`${path}.${key}: ${file} is no certificate in PEM`)
    return undefined
  }
  const certificateAuthority = read('certificateAuthorityFile', false)
  const certificate = read('certFile', false)
  const key = read('keyFile', true)
  if (certificate !== undefined && key !== undefined && !belongTogether(certificate, key))
    secrets.problems.push(
      `${path}.keyFile: ${key.file} is not the key of ${certificate.file}, in PEM without a passphrase`,
    )
  if (certificateAuthority === undefined && (certificate === undefined || key === undefined)) return undefined
  return {
    ...(certificateAuthority && { certificateAuthority }),
    ...(certificate && key && { clientCertificate: { certificate, key } }),
  }
}

function belongTogether(certificate: PemFile, key: PemFile): boolean {
  try {
    contextOf(undefined, certificate.pem, key.pem)
    return true
  } catch {
    return false
  }
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
