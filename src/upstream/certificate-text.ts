import type { PeerCertificate } from 'node:tls'

const maxNameLength = 200

/** Whose a certificate is and who issued it, for messages; whoever made it chose the names. Undefined where there is none. */
export function describeCertificate(certificate: PeerCertificate): string | undefined {
  // Node gives an empty object where there is no certificate.
  const { subject, issuer, valid_to: end } = certificate as Partial<PeerCertificate>
  if (subject === undefined && issuer === undefined) return undefined
  return `it is ${nameOf(subject)}'s, issued by ${nameOf(issuer)}, until ${plain(String(end))}`
}

function nameOf(name: Record<string, unknown> | undefined): string {
  const { CN, O } = name ?? {}
  const [first] = [CN, O].flat().filter((part) => typeof part === 'string' && part !== '')
  return first === undefined ? 'nobody' : `"${plain(String(first))}"`
}

function plain(text: string): string {
  return text.replace(/[\p{C}"]/gu, '?').slice(0, maxNameLength)
}
