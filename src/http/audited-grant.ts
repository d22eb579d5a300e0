import { anonymous, type Client, type TokenGrant, type TokenRequest, type TokenService } from '../access/access.ts'
import type { AuditEvent } from '../audit/event.ts'
import { claimantOf, nobody } from '../audit/subject-of.ts'
import type { Audit } from '../audit.ts'
import { RegistryError } from '../oci/errors.ts'
import { formatScopes } from '../oci/scope.ts'

/** `read` makes the request of what was sent. */
export type AuditedGrant = (
  exchange: { client: Client; requestId: string },
  read: () => TokenRequest | Promise<TokenRequest>,
) => Promise<TokenGrant>

/** {@link TokenService.grant}, with a line in the audit log for each token given and each refusal, of what can not be read too. */
export function createAuditedGrant(deps: {
  tokenService: Pick<TokenService, 'grant'>
  audit: Pick<Audit, 'write'>
}): AuditedGrant {
  const { tokenService, audit } = deps
  return async ({ client, requestId }, read) => {
    let request: TokenRequest | undefined
    const write = (line: Pick<AuditEvent, 'subject' | 'object' | 'decision' | 'status' | 'reason'>): void => {
      const verb = request?.login !== undefined && 'refreshToken' in request.login ? 'refresh' : 'login'
      audit.write({ client, requestId, surface: 'token', verb, ...line })
    }
    try {
      request = await read()
      const granted = await tokenService.grant(request)
      const object = tokenObject(formatScopes(granted.access.filter(({ actions }) => actions.length > 0)))
      write({ subject: granted.subject, object, decision: 'allowed', status: 200 })
      return granted
    } catch (error) {
      const { status, code: reason } = error instanceof RegistryError ? error : { status: 500, code: 'UNKNOWN' }
      const object = tokenObject(request?.scopes.join(' ') ?? '')
      const subject = claimantOf(error) ?? (request === undefined ? nobody : attempted(request.login))
      write({ subject, object, decision: 'denied', status, reason })
      throw error
    }
  }
}

/** A token by its scopes; it lies in a project when all of them do. */
function tokenObject(scopes: string): AuditEvent['object'] {
  const repositories = scopes.split(' ', maxScopes).map((scope) => /^repository:([^:/]+)\//.exec(scope)?.[1] ?? '')
  const [project = ''] = repositories
  const isOne = repositories.every((each) => each === project)
  return { group: '', resource: 'tokens', project: isOne ? project : '', name: scopes }
}

const maxScopes = 100

/** Who tried to log in, where that can be told: what stands in the place of the user name may be a token or a password. */
function attempted(login: TokenRequest['login']): AuditEvent['subject'] {
  if (login === undefined) return anonymous
  if ('refreshToken' in login) return nobody
  if (login.user === '' && login.secret === '') return anonymous
  return { name: isUserName(login.user) && login.user !== login.secret ? shortened(login.user) : '', groups: [] }
}

const maxNameLength = 128

/** Of a name that nobody proved so much is written. */
const maxWrittenLength = 64

function shortened(name: string): string {
  return name.length <= maxWrittenLength ? name : `${name.slice(0, maxWrittenLength - 1)}…`
}

/** Tokens are long words of letters and digits without a break, JWTs or begin as Weir's and the well-known forges' do. */
function isUserName(text: string): boolean {
  return (
    text.length <= maxNameLength &&
    /^[\p{L}\p{N} _.:@/+|\\-]+$/u.test(text) &&
    !/^(?:weir_|eyJ|gh[a-z]_|github_pat_|gl[a-z]+-|dckr_|sha256~|xox)/.test(text) &&
    !(text.match(/[A-Za-z0-9_+/]{20,}/g) ?? []).some((word) => /[0-9]/.test(word) && /[A-Za-z]/.test(word))
  )
}
