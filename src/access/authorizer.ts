import type { Logger } from 'pino'
import { RegistryError } from '../oci/errors.ts'
import type { Store } from '../store/store.ts'
import {
  anonymous,
  type Grant,
  mastersGroup,
  type PolicyRule,
  type Rbac,
  type RoleRef,
  type Subject,
} from './access.ts'
import { type Identities, serviceAccountUser } from './identities.ts'
import { mirrorObjects } from './object-mirror.ts'
import { builtinRoles } from './roles.ts'
import { type Binding, bindingSchema, compileRules, type Right, type RuleTest, roleSchema, spellOut } from './rules.ts'

export interface AuthorizerOptions {
  store: Store
  /** Counted in `version`, so that a kept decision falls when an account goes. */
  identities: Identities
  signal: AbortSignal
  log: Logger
}

// Whoever may write many roles could make every further check of what he gives take seconds.
const maxComparisons = 4_000_000

/** A role with its rules ready to be asked. */
interface Role {
  rules: readonly PolicyRule[]
  allows: RuleTest
}

const builtin: ReadonlyMap<string, Role> = new Map(builtinRoles.map(({ name, rules }) => [name, roleOf(rules)]))

/** Kubernetes RBAC over the roles and bindings in the store, evaluated in memory. */
export function createAuthorizer({ store, identities, signal, log }: AuthorizerOptions): Rbac {
  const roles = new Map<string, Role>()
  const bindings = createBindingIndex()
  const follow = { store, signal, log }
  const roleMirrors = ['roles', 'clusterroles'].map((resource) =>
    mirrorObjects<Role>({
      ...follow,
      resource,
      parse: (value) => readRole(value),
      set: (project, name, role) => setOrDelete(roles, `${project}/${name}`, role),
      reset: () => deleteWhere(roles, (key) => key.startsWith('/') === (resource === 'clusterroles')),
    }),
  )
  const bindingMirrors = ['rolebindings', 'clusterrolebindings'].map((resource) =>
    mirrorObjects<Binding>({
      ...follow,
      resource,
      parse: (value) => bindingSchema.safeParse(value).data,
      set: bindings.set,
      reset: () => bindings.clear((project) => (project === '') === (resource === 'clusterrolebindings')),
    }),
  )
  const sources = [...roleMirrors, ...bindingMirrors, identities]

  const roleAt = ({ kind, name }: Pick<RoleRef, 'kind' | 'name'>, project: string): Role | undefined => {
    if (kind === 'Role') return project === '' ? undefined : roles.get(`${project}/${name}`)
    return builtin.get(name) ?? roles.get(`/${name}`)
  }
  const grantOf = (subject: Subject, right: Right, project: string): Grant | undefined =>
    bindings.find(subject, project, (roleRef, place) => roleAt(roleRef, place)?.allows(right) ?? false)
  const rolesOf = (subject: Subject, project: string): Role[] => {
    const held = new Set<Role>()
    for (const each of [subject, anonymous]) {
      bindings.find(each, project, (roleRef, place) => {
        const role = roleAt(roleRef, place)
        if (role !== undefined) held.add(role)
        return false
      })
    }
    return [...held]
  }
  const explain: Rbac['explain'] = (subject, verb, group, resource, name, project) => {
    if (subject.groups.includes(mastersGroup)) return masters
    const right = { verb, group, resource, name }
    return grantOf(subject, right, project) ?? grantOf(anonymous, right, project)
  }

  return {
    can: (...asked) => explain(...asked) !== undefined,
    explain,
    whoCan: () => ({ subjects: [], incomplete: true }),
    rulesFor: (subject, project) =>
      subject.groups.includes(mastersGroup) ? mastersRules : rolesOf(subject, project).flatMap(({ rules }) => rules),
    holdsAll: (subject, rules, project) => {
      const rights = spellOut(rules)
      if (subject.groups.includes(mastersGroup)) return []
      const held = rolesOf(subject, project)
      const ruleCount = held.reduce((sum, role) => sum + role.rules.length, 0)
      if (rights.length * ruleCount > maxComparisons) {
        throw new RegistryError('INVALID', {
          message: `the role has ${rights.length} single rights, too many to compare with the ${ruleCount} rules that the caller holds`,
          causes: [{ field: 'rules', reason: 'FieldValueInvalid', message: 'split the role' }],
        })
      }
      return rights
        .filter((right) => !held.some(({ allows }) => allows(right)))
        .map(({ verb, group, resource, name }) => ({
          verbs: [verb],
          apiGroups: [group],
          resources: [resource],
          ...(name === undefined ? {} : { resourceNames: [name] }),
        }))
    },
    rulesOf: (roleRef, project) => roleAt(roleRef, project)?.rules,
    get version() {
      return sources.reduce((sum, source) => sum + source.version, 0)
    },
    reached: async (revision) => {
      await Promise.all(sources.map((source) => source.reached(revision)))
    },
    ready: Promise.all(sources.map((source) => source.ready)).then(() => {}),
  }
}

function readRole(value: unknown): Role | undefined {
  const role = roleSchema.safeParse(value).data
  return role === undefined ? undefined : roleOf(role.rules ?? [])
}

function roleOf(rules: readonly PolicyRule[]): Role {
  return { rules, allows: compileRules(rules) }
}

/** A role with the bindings that give it; many bindings to one role cost an answer no more than one. */
interface Given {
  roleRef: RoleRef
  ids: Set<string>
}

const masters: Grant = { kind: 'Group', name: mastersGroup, project: '' }
const mastersRules: readonly PolicyRule[] = [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]

/** Bindings by project ('' for the whole cluster) and by whom they name. */
function createBindingIndex() {
  const byName = new Map<string, { roleRef: RoleRef; keys: string[] }>()
  const bySubject = new Map<string, Map<string, Given>>()

  const remove = (id: string, project: string) => {
    const { roleRef, keys } = byName.get(id) ?? { keys: [] }
    for (const key of keys) {
      const place = `${project} ${key}`
      const given = bySubject.get(place)
      const ids = given?.get(refKey(roleRef))?.ids
      ids?.delete(id)
      if (ids?.size === 0) given?.delete(refKey(roleRef))
      if (given?.size === 0) bySubject.delete(place)
    }
    byName.delete(id)
  }
  const set = (project: string, name: string, binding: Binding | undefined) => {
    const id = `${project}/${name}`
    remove(id, project)
    if (binding === undefined) return
    const { roleRef } = binding
    const keys = subjectKeys(binding, project)
    byName.set(id, { roleRef, keys })
    for (const key of keys) {
      const place = `${project} ${key}`
      const given = bySubject.get(place) ?? new Map<string, Given>()
      const ids = given.get(refKey(roleRef))?.ids ?? new Set()
      bySubject.set(place, given.set(refKey(roleRef), { roleRef, ids: ids.add(id) }))
    }
  }
  const findAt = (
    project: string,
    key: string,
    test: (roleRef: RoleRef, project: string) => boolean,
  ): Grant | undefined => {
    for (const { roleRef, ids } of bySubject.get(`${project} ${key}`)?.values() ?? []) {
      const [id = ''] = ids
      if (test(roleRef, project)) return grantBy(id, project, roleRef)
    }
    return undefined
  }
  return {
    set,
    clear: (where: (project: string) => boolean) => {
      for (const id of [...byName.keys()]) {
        const project = id.slice(0, id.indexOf('/'))
        if (where(project)) remove(id, project)
      }
    },
    /** By what a role that passes `test` is bound to the subject, in the project or for the whole cluster. */
    find: (
      subject: Subject,
      project: string,
      test: (roleRef: RoleRef, project: string) => boolean,
    ): Grant | undefined => {
      const places = project === '' ? [''] : [project, '']
      const keys = [`User ${subject.name}`, ...subject.groups.map((group) => `Group ${group}`)]
      for (const place of places) {
        for (const key of keys) {
          const grant = findAt(place, key, test)
          if (grant !== undefined) return grant
        }
      }
      return undefined
    },
  }
}

/** `id` is the binding's project and name. */
function grantBy(id: string, project: string, role: RoleRef): Grant {
  const kind = project === '' ? 'ClusterRoleBinding' : 'RoleBinding'
  return { kind, name: id.slice(project.length + 1), project, role }
}

function refKey(roleRef: RoleRef | undefined): string {
  return `${roleRef?.kind} ${roleRef?.name}`
}

function subjectKeys({ subjects }: Binding, project: string): string[] {
  return (subjects ?? []).map(({ kind, name, namespace }) =>
    kind === 'ServiceAccount' ? `User ${serviceAccountUser(namespace || project, name)}` : `${kind} ${name}`,
  )
}

function setOrDelete<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  value === undefined ? map.delete(key) : map.set(key, value)
}

function deleteWhere<V>(map: Map<string, V>, where: (key: string) => boolean): void {
  for (const key of [...map.keys()]) if (where(key)) map.delete(key)
}
