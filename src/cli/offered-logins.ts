import type { Client } from './client.ts'
import { CliError } from './failures.ts'

/** An OIDC issuer that a server knows; with `device` people can log in there. */
export interface OfferedIssuer {
  /** Of the server's configuration. */
  name: string
  device: { issuer: string; clientId: string; scopes: readonly string[] } | undefined
}

/** How one can log in to a server. */
export interface OfferedLogins {
  /** The server's own, of its tokens. */
  issuer: string
  issuers: readonly OfferedIssuer[]
  /** Whether it knows users and passwords. */
  htpasswd: boolean
}

/** What the server offers at `/login`. @throws CliError when it says nothing about it */
export async function readOfferedLogins(client: Client): Promise<OfferedLogins> {
  const { code, value } = await client.fetch('GET', '/login')
  const offered = code === 200 && value !== undefined ? parse(value as Record<string, unknown>) : undefined
  if (offered !== undefined) return offered
  throw new CliError(`${client.server.url} does not say how one logs in: it answered GET /login with ${code}`, {
    hints: ['check the address: a server of Weir answers there, https://localhost:5443 unless configured otherwise'],
  })
}

function parse({ issuer, issuers = [], htpasswd }: Record<string, unknown>): OfferedLogins | undefined {
  if (typeof issuer !== 'string' || !Array.isArray(issuers)) return undefined
  return { issuer, issuers: issuers.flatMap(parseIssuer), htpasswd: htpasswd === true }
}

function parseIssuer(value: unknown): OfferedIssuer[] {
  if (typeof value !== 'object' || value === null) return []
  const { name, issuer, clientId, scopes = [] } = value as Record<string, unknown>
  if (typeof name !== 'string') return []
  const isDevice = typeof issuer === 'string' && typeof clientId === 'string' && Array.isArray(scopes)
  const device = isDevice ? { issuer, clientId, scopes: scopes.map(String) } : undefined
  return [{ name, device }]
}
