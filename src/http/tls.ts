/** The certificate of the HTTPS listener: the operator's, or one of Weir's own authority. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { KeyPair } from './make-certificate.ts'
import { readIfThere, replaceFile } from './whole-files.ts'

/** PEM. `authority` is there for Weir's own certificates: what clients have to trust. */
export interface Certificate {
  key: string
  cert: string
  authority?: string
}

const dayMs = 86_400_000
const authorityLifeMs = 3650 * dayMs
const leafLifeMs = 365 * dayMs
/** A certificate with less life than this is made anew. */
const renewalMs = 30 * dayMs

/** Reads a certificate, its chain below it, and its key. @throws Error that names the file */
export async function readCertificate({
  certFile,
  keyFile,
}: {
  certFile: string
  keyFile: string
}): Promise<Certificate> {
  const cert = await readPem(certFile)
  const key = await readPem(keyFile)
  const parsed = attempt(() => new X509Certificate(cert))
  if (parsed === undefined) throw new Error(`${certFile} is not a certificate in PEM`)
  const privateKey = attempt(() => createPrivateKey(key))
  if (privateKey === undefined) throw new Error(`${keyFile} is not a private key in PEM without a passphrase`)
  if (!parsed.checkPrivateKey(privateKey)) throw new Error(`${keyFile} is not the key of ${certFile}`)
  return { cert, key }
}

/**
 * Weir's own certificate for `hosts` (names and addresses) in `directory`: the authority lives 10 years, the certificate 1
 * year. What is there is kept while it is good for all hosts and for 30 days more.
 */
export async function ownCertificate(options: {
  directory: string
  hosts: readonly string[]
  now: () => number
}): Promise<Required<Certificate>> {
  const { directory, now } = options
  const hosts = [...new Set(options.hosts)]
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const ownAuthority = await readPair(directory, 'ca')
  const ownLeaf = await readPair(directory, 'tls')
  const authority =
    ownAuthority !== undefined && lives(ownAuthority, now()) ? ownAuthority : await makeAuthority(directory, now())
  const isGood = ownLeaf !== undefined && lives(ownLeaf, now()) && isFor(ownLeaf, authority, hosts)
  const leaf = isGood ? ownLeaf : await makeLeaf(directory, authority, hosts, now())
  return { key: leaf.key, cert: leaf.cert, authority: authority.cert }
}

async function makeAuthority(directory: string, nowMs: number): Promise<KeyPair> {
  const { makeCertificateAuthority } = await import('./make-certificate.ts')
  const pair = await makeCertificateAuthority(validity(nowMs, authorityLifeMs))
  await writePair(directory, 'ca', pair)
  return pair
}

async function makeLeaf(
  directory: string,
  authority: KeyPair,
  hosts: readonly string[],
  nowMs: number,
): Promise<KeyPair> {
  const { makeServerCertificate } = await import('./make-certificate.ts')
  const { notBefore, notAfter } = validity(nowMs, leafLifeMs)
  const latest = new Date(new X509Certificate(authority.cert).validTo)
  const pair = await makeServerCertificate(authority, hosts, {
    notBefore,
    notAfter: notAfter < latest ? notAfter : latest,
  })
  await writePair(directory, 'tls', pair)
  return pair
}

// Clients' clocks may be a little behind.
function validity(nowMs: number, lifeMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - 3_600_000), notAfter: new Date(nowMs + lifeMs) }
}

function lives({ cert }: KeyPair, nowMs: number): boolean {
  const { validFrom, validTo } = new X509Certificate(cert)
  return Date.parse(validFrom) <= nowMs && Date.parse(validTo) >= nowMs + renewalMs
}

function isFor({ cert }: KeyPair, authority: KeyPair, hosts: readonly string[]): boolean {
  const parsed = new X509Certificate(cert)
  const issuer = new X509Certificate(authority.cert)
  const covers = (host: string) => (isIP(host) === 0 ? parsed.checkHost(host) : parsed.checkIP(host)) !== undefined
  return parsed.checkIssued(issuer) && parsed.verify(issuer.publicKey) && hosts.every(covers)
}

/** A certificate and its key; undefined when one is not there, not readable as PEM, or they do not belong together. */
async function readPair(directory: string, name: string): Promise<KeyPair | undefined> {
  const cert = await readIfThere(join(directory, `${name}.crt`))
  const key = await readIfThere(join(directory, `${name}.key`))
  if (cert === undefined || key === undefined) return undefined
  return attempt(() => new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) ? { cert, key } : undefined
}

async function writePair(directory: string, name: string, { cert, key }: KeyPair): Promise<void> {
  // A crash in between leaves a pair that does not belong together, and the next start makes another.
  await replaceFile(join(directory, `${name}.key`), key, 0o600)
  await replaceFile(join(directory, `${name}.crt`), cert, 0o644)
}

async function readPem(file: string): Promise<string> {
  const pem = await readIfThere(file)
  if (pem === undefined) throw new Error(`${file} is not there`)
  return pem
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}
