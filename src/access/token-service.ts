import { RegistryError } from '../oci/errors.ts'
import { parseStreamName, type StreamName } from '../oci/reference.ts'
import { covers, parseScopes, type Scope } from '../oci/scope.ts'
import {
  type Access,
  type Authenticator,
  type Authorizer,
  anonymous,
  type Grant,
  type NeededAccess,
  type RegistryToken,
  type Subject,
  type TokenRequest,
  type TokenService,
  type Tokens,
} from './access.ts'
import type { Identities } from './identities.ts'

export interface TokenServiceOptions {
  authenticator: Authenticator
  authorizer: Authorizer
  tokens: Tokens
  identities: Identities
  /** The only `service` that tokens are made for. */
  service: string
}

/**
 * The registry's actions as verbs of `imagestreams/layers`. A push that has to create its stream needs `create` of
 * `imagestreams` besides, asked where the stream is created: a token is given before anybody knows.
 */
const verbs = { pull: 'get', push: 'update', delete: 'delete' } as const

type Action = keyof typeof verbs

const actions: readonly Action[] = ['pull', 'push', 'delete']
const catalog: Scope = { type: 'registry', name: 'catalog', actions: ['*'] }

/** The domain behind `/token`, and the decision on each use of what it gave. */
export function createTokenService(options: TokenServiceOptions): TokenService {
  const { authenticator, authorizer, tokens, identities, service } = options
  const grantOf = (subject: Subject, { project, stream }: StreamName, action: Action): Grant | undefined =>
    authorizer.explain(subject, verbs[action], 'image.openshift.io', 'imagestreams/layers', stream, project)

  const held = (subject: Subject, scope: Scope): Access[] => {
    if (scope.type === 'registry') return isAnonymous(subject) ? [] : [catalog]
    const name = parseStreamName(scope.name)
    if (name === undefined) return []
    const asked = scope.actions.includes('*') ? actions : actions.filter((action) => scope.actions.includes(action))
    const granted = asked.filter((action) => grantOf(subject, name, action) !== undefined)
    return granted.length === 0 ? [] : [{ type: scope.type, name: scope.name, actions: granted }]
  }
  const decide = ({ subject, access }: RegistryToken, { action, ...name }: NeededAccess): Grant | undefined => {
    const needed = { type: 'repository', name: `${name.project}/${name.stream}`, actions: [action] }
    return covers(access, needed) && identities.isCurrent(subject) ? grantOf(subject, name, action) : undefined
  }
  const decisions = createDecisions(authorizer, decide)

  return {
    grant: async (request) => {
      checkService(request.service, service)
      const subject = await identify(request, authenticator)
      const access = parseScopes(request.scopes).flatMap((scope) => held(subject, scope))
      return { token: await tokens.issueRegistryToken(subject, access), access, subject }
    },
    mayAccess: decisions,
    mayListCatalog: ({ subject, access }) =>
      covers(access, catalog) && !isAnonymous(subject) && identities.isCurrent(subject),
  }
}

/** Keeps what was decided for a token until a role, a binding or an identity changes. */
function createDecisions(
  authorizer: Authorizer,
  decide: (token: RegistryToken, needed: NeededAccess) => Grant | undefined,
): TokenService['mayAccess'] {
  const kept = new WeakMap<RegistryToken, { version: number; allowed: Map<string, Grant> }>()
  return (token, needed) => {
    const { version } = authorizer
    let decided = kept.get(token)
    if (decided?.version !== version) {
      decided = { version, allowed: new Map() }
      kept.set(token, decided)
    }
    const key = `${needed.action} ${needed.project}/${needed.stream}`
    const known = decided.allowed.get(key)
    if (known !== undefined) return known
    // Refusals are not kept: whoever asks for any name there is would fill the memory.
    const grant = decide(token, needed)
    if (grant !== undefined) decided.allowed.set(key, grant)
    return grant
  }
}

function checkService(asked: string | undefined, ours: string): void {
  if (asked === undefined || asked === '' || asked === ours) return
  throw new RegistryError('BAD_REQUEST', { message: `service: tokens are made for ${ours} alone` })
}

async function identify({ login, client }: TokenRequest, authenticator: Authenticator): Promise<Subject> {
  if (login === undefined) return anonymous
  if ('refreshToken' in login) throw new RegistryError('UNAUTHORIZED', { message: 'the refresh token is unknown' })
  if (login.user === '' && login.secret === '') return anonymous
  const subject = await authenticator.authenticate({ ...login, client })
  if (subject === undefined) {
    throw new RegistryError('UNAUTHORIZED', { message: 'the password is not a valid token: log in again' })
  }
  return subject
}

function isAnonymous(subject: Subject): boolean {
  return subject.name === anonymous.name
}
