import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import { anonymous, type Grant, mastersGroup, type PolicyRule, type Rbac, type Subject } from './access.ts'
import { type Bindings, createBindings, type RoleTest } from './bindings.ts'
import type { Role } from './cluster-roles.ts'
import type { Current } from './current.ts'
import { mirrorObjects } from './object-mirror.ts'
import { createRoles, type Roles } from './role-index.ts'
import {
  anyAllows,
  type Binding,
  bindingSchema,
  type ClusterRole,
  clusterRoleSchema,
  lengthOf,
  roleSchema,
  spellOut,
} from './rules.ts'
import { whoCan } from './who-can.ts'

export interface AuthorizerOptions {
  store: Store
  /** Counted in `version`, so that a kept decision falls when an account, login or session goes. */
  current: Pick<Current, 'version' | 'reached' | 'ready'>
  signal: AbortSignal
  log: Logger
}

// Whoever may write many roles could make every further check of what he gives take seconds.
const maxComparisons = 10_000_000

const masters: Grant = { kind: 'Group', name: mastersGroup, project: '' }
const mastersRules: readonly PolicyRule[] = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]

/** Kubernetes RBAC over the roles and bindings in the store, evaluated in memory. */
export function createAuthorizer({ current, ...follow }: AuthorizerOptions): Rbac {
  const roles = createRoles(follow.log)
  const bindings = createBindings()
  const sources = [...followRoles(roles, follow), ...followBindings(bindings, follow), current]

  const isMaster = ({ groups }: Subject) => groups.includes(mastersGroup)
  const rolesOf = (subject: Subject, project: string): Role[] => {
    const held = new Set<Role>()
    const note: RoleTest = (roleRef, place) => {
      const role = roles.get(roleRef, place)
      if (role !== undefined) held.add(role)
      return false
    }
    for (const each of [subject, anonymous]) bindings.find(each, project, note)
    return [...held]
  }
  const explain: Rbac['explain'] = (subject, verb, group, resource, name, project) => {
    if (isMaster(subject)) return masters
    const right = { verb, group, resource, name }
    const allows: RoleTest = (roleRef, place) => roles.get(roleRef, place)?.allows(right) ?? false
    return bindings.find(subject, project, allows) ?? bindings.find(anonymous, project, allows)
  }

  return {
    can: (...asked) => explain(...asked) !== undefined,
    explain,
    whoCan: (right, project) => {
      const allows: RoleTest = (roleRef, place) => roles.get(roleRef, place)?.allows(right) ?? false
      return whoCan([{ key: `Group ${mastersGroup}`, grant: masters }], bindings.named(project, allows))
    },
    rulesFor: (subject, project) =>
      isMaster(subject) ? mastersRules : rolesOf(subject, project).flatMap(({ rules }) => rules),
    holdsAll: (subject, rules, project) => {
      if (isMaster(subject)) return []
      // Whoever holds a role whole may give it, however much it is.
      const held = new Set(rolesOf(subject, project).flatMap((role) => role.rules))
      const rights = spellOut(rules.filter((rule) => !held.has(rule)))
      if (rights.length * lengthOf(held) > maxComparisons) {
        throw new RegistryError('INVALID', {
          message: `the role has ${rights.length} single rights, too many to compare with the ${held.size} rules that the caller holds`,
          causes: [{ field: 'rules', reason: 'FieldValueInvalid', message: 'split the role' }],
        })
      }
      return rights
        .filter((right) => !anyAllows(held, right))
        .map(({ verb, group, resource, name }) => ({
          verbs: [verb],
          apiGroups: [group],
          resources: [resource],
          ...(name === undefined ? {} : { resourceNames: [name] }),
        }))
    },
    rulesOf: (roleRef, project) => roles.get(roleRef, project)?.rules,
    get version() {
      return sources.reduce((sum, source) => sum + source.version, 0)
    },
    reached: async (revision) => {
      await Promise.all(sources.map((source) => source.reached(revision)))
    },
    ready: Promise.all(sources.map((source) => source.ready)).then(() => {}),
  }
}

type FollowOptions = Omit<AuthorizerOptions, 'current'>

function followRoles(roles: Roles, options: FollowOptions) {
  return [
    mirrorObjects({
      ...options,
      resource: 'roles',
      parse: (value) => roleSchema.safeParse(value).data?.rules,
      set: roles.setRole,
      reset: roles.clearRoles,
    }),
    mirrorObjects<ClusterRole>({
      ...options,
      resource: 'clusterroles',
      parse: (value) => clusterRoleSchema.safeParse(value).data,
      set: (_, name, role) => roles.clusterRoles.set(name, role),
      reset: roles.clusterRoles.clear,
    }),
  ]
}

function followBindings(bindings: Bindings, options: FollowOptions) {
  return ['rolebindings', 'clusterrolebindings'].map((resource) =>
    mirrorObjects<Binding>({
      ...options,
      resource,
      parse: (value) => bindingSchema.safeParse(value).data,
      set: bindings.set,
      reset: () => bindings.clear((project) => (project === '') === (resource === 'clusterrolebindings')),
    }),
  )
}
