import type { Grant, NeededAccess, RegistryToken, Subject, TokenService, Tokens } from '../access/access.ts'
import { RegistryError } from '../oci/errors.ts'
import type { StreamName } from '../oci/reference.ts'
import type { Scope } from '../oci/scope.ts'
import type { ChallengeDetail } from './respond.ts'

/** Lets requests of `/v2/` through or refuses them with the challenge that says what they lack. */
export interface Authorize {
  /** Any valid token will do. @throws RegistryError UNAUTHORIZED with {@link ChallengeDetail} */
  any(authorization: string | undefined): Promise<RegistryToken>
  /**
   * By what it is allowed. `identified` is told who asks before that is decided.
   *
   * @throws RegistryError UNAUTHORIZED, the same for a repository that is forbidden and one that is not there
   */
  stream(
    authorization: string | undefined,
    name: StreamName,
    action: NeededAccess['action'],
    identified?: Identified,
  ): Promise<Grant>
  /** @throws RegistryError UNAUTHORIZED */
  catalog(authorization: string | undefined, identified?: Identified): Promise<RegistryToken>
}

/** Is told whose token it is that was verified. */
export type Identified = (subject: Subject) => void

// RFC 6750 2.1, one space. Two Authorization headers arrive joined by a comma, which no token has.
const bearerPattern = /^bearer ([A-Za-z0-9._~+/-]+=*)$/i
const maxTokenLength = 16_384

export function createAuthorize(deps: {
  tokens: Pick<Tokens, 'verifyRegistryToken'>
  tokenService: Pick<TokenService, 'mayAccess' | 'mayListCatalog'>
}): Authorize {
  const { tokens, tokenService } = deps

  async function verify(authorization: string | undefined, scope?: Scope): Promise<RegistryToken> {
    const needed = scope === undefined ? {} : { scope }
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
    async stream(authorization, { project, stream }, action, identified) {
      const actions = action === 'push' ? ['pull', 'push'] : [action]
      const scope = { type: 'repository', name: `${project}/${stream}`, actions }
      const token = await verify(authorization, scope)
      identified?.(token.subject)
      const grant = tokenService.mayAccess(token, { project, stream, action })
      if (grant !== undefined) return grant
      throw refusal({ scope, error: 'insufficient_scope' })
    },
    async catalog(authorization, identified) {
      const scope = { type: 'registry', name: 'catalog', actions: ['*'] }
      const token = await verify(authorization, scope)
      identified?.(token.subject)
      if (tokenService.mayListCatalog(token)) return token
      throw refusal({ scope, error: 'insufficient_scope' })
    },
  }
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
