import { RegistryError } from './errors.ts'

/** A resource and what may be, or is to be, done with it: one scope, and one entry of a token's `access` claim. */
export interface Scope {
  /** `repository`, or `registry` for the catalog; a class as in `repository(plugin)` is dropped. */
  type: string
  /** A repository name, or `catalog`. Compared as it stands: no prefixes, no case folding. */
  name: string
  /** `pull`, `push`, `delete` or `*`, in this order and each once when parsed. */
  actions: readonly string[]
}

/** Most scopes and characters of one request, all `scope` parameters together. */
export const scopeLimits = { maxScopes: 50, maxLength: 8192 } as const

const knownActions: Readonly<Record<string, readonly string[]>> = {
  repository: ['pull', 'push', 'delete', '*'],
  registry: ['*'],
}

/**
 * Parses the `scope` parameters of a token request: repeated, joined by spaces, or both; duplicates are merged. Scopes
 * that do not parse, and types and actions that are not known, are left out, as distribution's clients expect.
 *
 * @throws RegistryError BAD_REQUEST over {@link scopeLimits}
 * @see https://distribution.github.io/distribution/spec/auth/scope/
 */
export function parseScopes(parameters: readonly string[]): Scope[] {
  checkLimits(parameters)
  const actionsOf = new Map<string, { type: string; name: string; actions: Set<string> }>()
  for (const scope of parameters.flatMap(splitParameter).map(parseScope)) {
    if (scope === undefined) continue
    const key = `${scope.type}:${scope.name}`
    const merged = actionsOf.get(key) ?? { type: scope.type, name: scope.name, actions: new Set() }
    for (const action of scope.actions) merged.actions.add(action)
    actionsOf.set(key, merged)
  }
  return [...actionsOf.values()].map(({ type, name, actions }) => ({ type, name, actions: inOrder(type, actions) }))
}

/** Formats one scope, `repository:demo/app:pull,push`, as a challenge names it. */
export function formatScope(scope: Scope): string {
  return `${scope.type}:${scope.name}:${scope.actions.join(',')}`
}

/** Formats scopes as one parameter, joined by spaces; the inverse of {@link parseScopes} for what it returns. */
export function formatScopes(scopes: readonly Scope[]): string {
  return scopes.map(formatScope).join(' ')
}

/**
 * Whether `access` has every action of `needed` on exactly its type and name. An entry's `*` stands for every action; a
 * needed `*` is covered by `*` alone. Needing nothing is not covered, so that a forgotten action is a refusal.
 */
export function covers(access: readonly Scope[], needed: Scope): boolean {
  const entries = access.filter((entry) => entry.type === needed.type && entry.name === needed.name)
  const has = (action: string) => entries.some(({ actions }) => actions.includes(action) || actions.includes('*'))
  return needed.actions.length > 0 && needed.actions.every(has)
}

function checkLimits(parameters: readonly string[]): void {
  const { maxScopes, maxLength } = scopeLimits
  const length = parameters.reduce((sum, parameter) => sum + parameter.length, 0)
  const count = length > maxLength ? 0 : parameters.flatMap(splitParameter).length
  if (length > maxLength || count > maxScopes) {
    throw new RegistryError('BAD_REQUEST', {
      message: `scope: at most ${maxScopes} scopes and ${maxLength} characters can be asked for at once`,
    })
  }
}

function splitParameter(parameter: string): string[] {
  return parameter.split(' ').filter((part) => part !== '')
}

function parseScope(value: string): Scope | undefined {
  // A name may hold a host with its port, so the type ends at the first colon and the actions begin after the last.
  const first = value.indexOf(':')
  const last = value.lastIndexOf(':')
  if (first === last) return undefined
  const type = value.slice(0, first).replace(/\([a-z0-9]+\)$/, '')
  const name = value.slice(first + 1, last)
  if (name === '' || (type === 'registry' && name !== 'catalog')) return undefined
  const actions = inOrder(type, new Set(value.slice(last + 1).split(',')))
  return actions.length === 0 ? undefined : { type, name, actions }
}

function inOrder(type: string, actions: ReadonlySet<string>): string[] {
  const known = Object.hasOwn(knownActions, type) ? knownActions[type] : undefined
  return known?.filter((action) => actions.has(action)) ?? []
}
