import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'

/** PEM, as node:https takes it. */
export interface FakeCertificate {
  key: string
  cert: string
}

/** A certificate authority of a test. */
export interface FakeAuthority {
  /** PEM. */
  ca: string
  /** A certificate for host names and IP addresses, valid for half a day unless `expired`. */
  certificate(names: string[], options?: { expired?: boolean }): Promise<FakeCertificate>
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const dayMs = 24 * 3600 * 1000

export async function createFakeAuthority(): Promise<FakeAuthority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const name = 'CN=Test Authority'
  const root = await X509CertificateGenerator.createSelfSigned(
    {
      name,
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(Date.now() - dayMs),
      notAfter: new Date(Date.now() + dayMs),
      extensions: [new BasicConstraintsExtension(true, undefined, true)],
    },
    webcrypto as Crypto,
  )
  return {
    ca: root.toString('pem'),
    certificate: (names, options = {}) => issue(root, keys.privateKey, names, options.expired ?? false),
  }
}

async function issue(
  issuer: X509Certificate,
  signingKey: webcrypto.CryptoKey,
  names: string[],
  expired: boolean,
): Promise<FakeCertificate> {
  const { publicKey, privateKey } = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const alternatives = names.map((value) => ({
    type: /^[\d.]+$/.test(value) ? ('ip' as const) : ('dns' as const),
    value,
  }))
  // It began long ago: machines set their clocks back by a moment now and then.
  const end = Date.now() + (expired ? -dayMs / 2 : dayMs / 2)
  const leaf = await X509CertificateGenerator.create(
    {
      subject: `CN=${names[0]}`,
      issuer: issuer.subject,
      publicKey,
      signingKey,
      signingAlgorithm: algorithm,
      notBefore: new Date(end - dayMs),
      notAfter: new Date(end),
      extensions: [new SubjectAlternativeNameExtension(alternatives)],
    },
    webcrypto as Crypto,
  )
  const exported = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey))
  const key = `-----BEGIN PRIVATE KEY-----\n${exported.toString('base64')}\n-----END PRIVATE KEY-----\n`
  return { key, cert: leaf.toString('pem') }
}
