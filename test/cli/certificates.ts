import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

/** PEM. */
export interface TestCertificate {
  key: string
  certificate: string
  /** The authority that signed it. */
  authority: string
}

export interface CertificateOptions {
  /** What the certificate is for; default 127.0.0.1. */
  host?: string
  /** Default in a day. */
  notAfter?: Date
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

/** Makes an authority and a server certificate signed by it. */
export async function makeCertificate({
  host = '127.0.0.1',
  notAfter,
}: CertificateOptions = {}): Promise<TestCertificate> {
  x509.cryptoProvider.set(webcrypto as Crypto)
  const authorityKeys = await makeKeys()
  const authority = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=authority of a test',
    keys: authorityKeys,
    signingAlgorithm: algorithm,
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [new x509.BasicConstraintsExtension(true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign)],
  })
  const keys = await makeKeys()
  const type = /^[\d.]+$/.test(host) ? 'ip' : 'dns'
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${host}`,
    issuer: authority.subject,
    signingKey: authorityKeys.privateKey,
    publicKey: keys.publicKey,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 2 * 86_400_000),
    notAfter: notAfter ?? new Date(Date.now() + 86_400_000),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type, value: host }])],
  })
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    key: x509.PemConverter.encode(key, 'PRIVATE KEY'),
    certificate: certificate.toString('pem'),
    authority: authority.toString('pem'),
  }
}

async function makeKeys() {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}
