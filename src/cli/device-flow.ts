import { CliError } from './failures.ts'
import { type IssuerAnswer, type IssuerClient, IssuerSilent } from './issuer-client.ts'
import type { OfferedIssuer } from './offered-logins.ts'
import type { VerbContext } from './verbs.ts'

type Device = NonNullable<OfferedIssuer['device']>

/** What the issuer says of a login that has begun. Times in seconds. */
interface Begun {
  deviceCode: string
  userCode: string
  page: string
  pageWithCode: string | undefined
  lifetime: number
  interval: number
}

const grantType = 'urn:ietf:params:oauth:grant-type:device_code'

/** Longest that a login is waited for, whatever the issuer says: 30 minutes. */
const longestSeconds = 1800

/**
 * Logs a person in at an issuer by its device flow: shows page and code, waits until she is through, and answers her
 * identity token.
 *
 * @throws CliError when she is refused, too late, or the issuer has no such flow
 * @see https://www.rfc-editor.org/rfc/rfc8628
 */
export async function logInByDevice(
  { note, clock }: Pick<VerbContext, 'note' | 'clock'>,
  issuerClient: IssuerClient,
  device: Device,
): Promise<string> {
  const { authorization, token } = await discover(issuerClient, device.issuer)
  const scope = [...new Set(['openid', ...device.scopes])].join(' ')
  const begun = readBegun(await issuerClient.post(authorization, { client_id: device.clientId, scope }), device)
  const endMs = clock.now() + Math.min(begun.lifetime, longestSeconds) * 1000
  note(`to log in, open ${begun.page} and enter the code ${begun.userCode}`)
  if (begun.pageWithCode !== undefined) note(`or open ${begun.pageWithCode}`)
  const form = { grant_type: grantType, device_code: begun.deviceCode, client_id: device.clientId }
  let { interval } = begun
  for (;;) {
    if (clock.now() + interval * 1000 > endMs) throw tooLate(device)
    await clock.pause(interval * 1000)
    const answer = await unlessSilent(issuerClient.post(token, form))
    if (answer === undefined) {
      // RFC 8628 3.5: a connection that breaks is asked for less often.
      interval *= 2
      continue
    }
    const { code, fields } = answer
    if (code === 200) return readIdToken(fields, device)
    if (fields.error === 'slow_down') interval += 5
    else if (fields.error !== 'authorization_pending') throw failed(device, answer)
  }
}

/** @see https://openid.net/specs/openid-connect-discovery-1_0.html */
async function discover(client: IssuerClient, issuer: string): Promise<{ authorization: string; token: string }> {
  const { code, fields } = await client.get(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  if (code !== 200) throw new CliError(`the issuer ${issuer} does not say what it can: its discovery answered ${code}`)
  if (fields.issuer !== issuer) throw new CliError(`the issuer ${issuer} calls itself ${String(fields.issuer)}`)
  const { device_authorization_endpoint: authorization, token_endpoint: token } = fields
  if (typeof authorization === 'string' && typeof token === 'string') return { authorization, token }
  throw new CliError(`the issuer ${issuer} has no device flow`, {
    hints: ['get a token of it in another way, then: weir login SERVER --token TOKEN'],
  })
}

function readBegun(answer: IssuerAnswer, device: Device): Begun {
  const { fields } = answer
  const deviceCode = textOf(fields.device_code)
  const userCode = textOf(fields.user_code)
  const page = pageOf(fields.verification_uri)
  if (answer.code !== 200 || deviceCode === undefined || userCode === undefined || page === undefined) {
    throw failed(device, answer)
  }
  return {
    deviceCode,
    userCode,
    page,
    pageWithCode: pageOf(fields.verification_uri_complete),
    lifetime: secondsOf(fields.expires_in) ?? 300,
    interval: secondsOf(fields.interval) ?? 5,
  }
}

function readIdToken({ id_token: token }: Record<string, unknown>, { issuer }: Device): string {
  if (typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)) return token
  throw new CliError(`the issuer ${issuer} gave no identity token`, {
    hints: ["scopes in the server's configuration must have openid, and the client be one of OpenID Connect"],
  })
}

function failed({ issuer, clientId }: Device, { code, fields }: IssuerAnswer): CliError {
  const { error, error_description: described } = fields
  if (error === 'access_denied') return new CliError(`the login at ${issuer} was refused`)
  if (error === 'expired_token') return tooLate({ issuer })
  const reason = [textOf(error) ?? `it answered ${code}`, textOf(described)].filter((part) => part !== undefined)
  return new CliError(`the issuer ${issuer} refuses the client ${clientId}: ${reason.join(': ')}`)
}

function tooLate({ issuer }: Pick<Device, 'issuer'>): CliError {
  return new CliError(`nobody logged in at ${issuer} in time`, { hints: ['repeat the command for a new code'] })
}

async function unlessSilent(answer: Promise<IssuerAnswer>): Promise<IssuerAnswer | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof IssuerSilent) return undefined
    throw error
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

// What people are told to open is a page of the web and nothing else.
function pageOf(value: unknown): string | undefined {
  return typeof value === 'string' && /^https?:$/.test(URL.parse(value)?.protocol ?? '') ? value : undefined
}

function secondsOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 1 && value <= 1e9 ? Math.ceil(value) : undefined
}
