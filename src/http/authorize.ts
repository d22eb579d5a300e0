import type { Authorizer, Grant, NeededAccess, RegistryToken, Subject, TokenService, Tokens } from '../access/access.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Scope } from '../oci/scope.ts'
import type { ChallengeDetail } from './respond.ts'

/** Lets requests of `/v2/` through or refuses them with the challenge that says what they lack. */
export interface Authorize {
  /** Any valid token will do. @throws RegistryError UNAUTHORIZED with {@link ChallengeDetail} */
  any(authorization: string | undefined): Promise<RegistryToken>
  /**
   * Who asks, and by what any of `actions` is allowed to him; a refusal asks for the first of them. `identified` is told who asks
   * before that is decided. With `from`, a stream that is to be mounted from, a refusal asks for a token for both.
   *
   * @throws RegistryError UNAUTHORIZED, the same for a repository that is forbidden and one that is not there
   */
  stream(
    authorization: string | undefined,
    name: StreamName,
    actions: readonly [Action, ...Action[]],
    identified?: Identified,
    from?: StreamName,
  ): Promise<Allowed>
  /**
   * Tells who has the right to pull from `from`, and a token that is not for that, to get one for both. Who has no such right is told
   * nothing: to him nothing is there.
   *
   * @throws RegistryError UNAUTHORIZED
   */
  mount(token: RegistryToken, into: StreamName, from: StreamName): void
  /** @throws RegistryError UNAUTHORIZED */
  catalog(authorization: string | undefined, identified?: Identified): Promise<RegistryToken>
}

export type Action = NeededAccess['action']

export interface Allowed {
  token: RegistryToken
  grant: Grant
}

/** Is told whose token it is that was verified. */
export type Identified = (subject: Subject) => void

// RFC 6750 2.1, one space. Two Authorization headers arrive joined by a comma, which no token has.
const bearerPattern = /^bearer ([A-Za-z0-9._~+/-]+=*)$/i
const maxTokenLength = 16_384

export function createAuthorize(deps: {
  tokens: Pick<Tokens, 'verifyRegistryToken'>
  tokenService: Pick<TokenService, 'mayAccess' | 'mayListCatalog'>
  authorizer: Pick<Authorizer, 'can'>
}): Authorize {
  const { tokens, tokenService, authorizer } = deps

  async function verify(authorization: string | undefined, scopes?: readonly Scope[]): Promise<RegistryToken> {
    const needed = scopes === undefined ? {} : { scopes }
    // Basic is not accepted here; its sender is told where a token is to be had, as one who sent nothing.
    if (authorization === undefined || isBasic(authorization)) throw refusal(needed)
    const token = bearerPattern.exec(authorization)?.[1]
    if (token === undefined || token.length > maxTokenLength) throw refusal({ ...needed, error: 'invalid_token' })
    try {
      return await tokens.verifyRegistryToken(token)
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'UNAUTHORIZED') throw error
      throw refusal({ ...needed, error: 'invalid_token' }, error)
    }
  }

  return {
    any: (authorization) => verify(authorization),
    async stream(authorization, name, actions, identified, from) {
      const scopes = scopesOf(name, actions[0], from)
      const token = await verify(authorization, scopes)
      identified?.(token.subject)
      for (const action of actions) {
        const grant = tokenService.mayAccess(token, { ...name, action })
        if (grant !== undefined) return { token, grant }
      }
      throw refusal({ scopes, error: 'insufficient_scope' })
    },
    mount(token, into, from) {
      if (tokenService.mayAccess(token, { ...from, action: 'pull' }) !== undefined) return
      if (!mayPull(authorizer, token.subject, from)) return
      throw refusal({ scopes: scopesOf(into, 'push', from), error: 'insufficient_scope' })
    },
    async catalog(authorization, identified) {
      const scope = { type: 'registry', name: 'catalog', actions: ['*'] }
      const token = await verify(authorization, [scope])
      identified?.(token.subject)
      if (tokenService.mayListCatalog(token)) return token
      throw refusal({ scopes: [scope], error: 'insufficient_scope' })
    },
  }
}

/** Whether `subject` has the right to pull from a stream, whatever his token is for. */
export function mayPull(
  authorizer: Pick<Authorizer, 'can'>,
  subject: Subject,
  { project, stream }: StreamName,
): boolean {
  return authorizer.can(subject, 'get', 'image.openshift.io', 'imagestreams/layers', stream, project)
}

/** What a token has to be for: clients that push ask for both at once. */
function scopeOf({ project, stream }: StreamName, action: Action): Scope {
  const actions = action === 'push' ? ['pull', 'push'] : [action]
  return { type: 'repository', name: `${project}/${stream}`, actions }
}

function scopesOf(name: StreamName, action: Action, from: StreamName | undefined): Scope[] {
  const isOther = from !== undefined && (from.project !== name.project || from.stream !== name.stream)
  return [scopeOf(name, action), ...(isOther ? [scopeOf(from, 'pull')] : [])]
}

function isBasic(authorization: string): boolean {
  return /^basic [^, ]*$/i.test(authorization)
}

function refusal(detail: ChallengeDetail, cause?: RegistryError): RegistryError {
  const message = cause?.message ?? messages[detail.error ?? 'none']
  const { claimant } = cause ?? {}
  const known = { ...(cause !== undefined && { cause }), ...(claimant !== undefined && { claimant }) }
  return new RegistryError('UNAUTHORIZED', { message, detail, ...known })
}

const messages = {
  none: 'authentication required',
  invalid_token: 'the token is not valid',
  insufficient_scope: 'the token does not allow this, or there is no such repository',
} as const
