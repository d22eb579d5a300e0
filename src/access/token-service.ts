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
  type Provider,
  type RegistryToken,
  type Sessions,
  type Subject,
  type TokenService,
  type Tokens,
} from './access.ts'
import { type Current, hasEnded } from './current.ts'
import { createLogins } from './logins.ts'

export interface TokenServiceOptions {
  authenticator: Authenticator
  authorizer: Authorizer
  tokens: Pick<Tokens, 'issueRegistryToken' | 'issueLoginToken'>
  current: Pick<Current, 'isCurrent' | 'confirm'>
  sessions: Pick<Sessions, 'begin' | 'refresh'>
  providers: readonly Pick<Provider, 'name' | 'sessionLifetimeMs'>[]
  /** The `service` that registry tokens are made for, and what is meant when none is named. */
  service: string
  /** The `service` that tokens for the API are made for. */
  issuer: string
  now: () => number
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
  const { authorizer, tokens, current, service, issuer, now } = options
  const logIn = createLogins(options)
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
    return covers(access, needed) && current.isCurrent(subject) ? grantOf(subject, name, action) : undefined
  }
  const decisions = createDecisions(authorizer, decide, now)

  return {
    grant: async (request) => {
      const isForApi = checkService(request.service, service, issuer)
      const { subject, refreshToken } = await logIn(request)
      if (isForApi && isAnonymous(subject)) throw loginNeeded()
      const access = isForApi ? [] : parseScopes(request.scopes).flatMap((scope) => held(subject, scope))
      const token = await (isForApi ? tokens.issueLoginToken(subject) : tokens.issueRegistryToken(subject, access))
      return { token, access, subject, ...(refreshToken !== undefined && { refreshToken }) }
    },
    mayAccess: decisions,
    mayListCatalog: ({ subject, access }) =>
      covers(access, catalog) && !isAnonymous(subject) && current.isCurrent(subject),
  }
}

/** Keeps what was decided for a token until a role, a binding or an identity changes, or its subject ends by time. */
function createDecisions(
  authorizer: Authorizer,
  decide: (token: RegistryToken, needed: NeededAccess) => Grant | undefined,
  now: () => number,
): TokenService['mayAccess'] {
  const kept = new WeakMap<RegistryToken, { version: number; allowed: Map<string, Grant> }>()
  return (token, needed) => {
    if (hasEnded(token.subject, now())) return undefined
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

/** Whether a token for the API is asked for. @throws RegistryError BAD_REQUEST */
function checkService(asked: string | undefined, registry: string, api: string): boolean {
  if (asked === api) return true
  if (asked === undefined || asked === '' || asked === registry) return false
  throw new RegistryError('BAD_REQUEST', {
    message: `service: tokens are made for ${registry} (images) and ${api} (the API) alone`,
  })
}

function loginNeeded(): RegistryError {
  return new RegistryError('UNAUTHORIZED', { message: 'a token for the API needs a login' })
}

function isAnonymous(subject: Subject): boolean {
  return subject.name === anonymous.name
}
