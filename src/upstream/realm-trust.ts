import { isIP } from 'node:net'
import { upstreamFailure } from './failure.ts'
import type { Hosts } from './hosts.ts'

/** Registries whose tokens come from a host that nothing in its name connects with them. */
const knownRealms = new Map([['registry-1.docker.io', 'auth.docker.io']])

// Under these, neighbours belong to different people.
const countrySuffix = /^(?:ac|co|com|edu|go|gob|gov|id|ltd|mil|ne|net|nom|or|org|plc|sch|web)\.[a-z]{2}$/
const sharedSuffixes = new Set(
  `amazonaws.com appspot.com azure.com azurecr.io azurewebsites.net cloudapp.net cloudfront.net digitaloceanspaces.com
  duckdns.org fly.dev gcr.io github.io gitlab.io googleapis.com herokuapp.com netlify.app ngrok.app ngrok.io nip.io
  onrender.com ondigitalocean.app pages.dev pkg.dev run.app scw.cloud sslip.io ts.net vercel.app windows.net
  workers.dev`.split(/\s+/),
)

/**
 * Gives the URL of a token endpoint that a registry named, when it may be asked, with or without a login: over HTTPS
 * (unless the registry's rule says `insecure`), at the registry's own host, under the same registrable domain, or at a
 * host known to belong to it. Else a registry could send Weir's login, or Weir, anywhere (CVE-2026-33540).
 *
 * @throws RegistryError DENIED, reason NotAllowed
 */
export function trustedRealm(realm: string, registry: { host: string; origin: URL }, hosts: Hosts): URL {
  const { host, origin } = registry
  const refuse = (why: string): never => {
    throw upstreamFailure(host, 'NotAllowed', `${host} sends for tokens to ${shown(realm)}, ${why}: not asked`)
  }
  if (!URL.canParse(realm)) return refuse('which is not an absolute URL')
  const url = new URL(realm)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return refuse('which is not an https URL')
  if (url.username !== '' || url.password !== '') return refuse('which has a login in it')
  if (url.protocol === 'http:' && !hosts.policy(origin).insecure) return refuse('which is not an https URL')
  if (!isSameSite(url.hostname, origin.hostname)) return refuse('which does not belong to it')
  return url
}

function isSameSite(realm: string, registry: string): boolean {
  if (realm === registry || knownRealms.get(registry) === realm) return true
  const domain = registrableDomain(registry)
  return domain !== undefined && registrableDomain(realm) === domain
}

/** The part of a name that somebody registered; undefined where a neighbour under the same suffix can be anybody. */
function registrableDomain(hostname: string): string | undefined {
  const labels = hostname.split('.')
  if (isIP(hostname) !== 0 || hostname.startsWith('[') || labels.length < 2) return undefined
  const suffix = labels.slice(-2).join('.')
  if (sharedSuffixes.has(suffix)) return undefined
  if (!countrySuffix.test(suffix)) return suffix
  return labels.length > 2 ? labels.slice(-3).join('.') : undefined
}

/** A realm as a message may show it: of whatever a registry sent, the origin at most. */
function shown(realm: string): string {
  if (!URL.canParse(realm)) return 'a realm'
  const { protocol, host } = new URL(realm)
  return `${protocol}//${host}`
}
