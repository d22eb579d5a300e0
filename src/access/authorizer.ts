import type { Logger } from 'pino'
import type { Store } from '../store/store.ts'
import { anonymous, mastersGroup, type PolicyRule, type Rbac, type RoleRef, type Subject } from './access.ts'
import { type Identities, serviceAccountUser } from './identities.ts'
import { mirrorObjects } from './object-mirror.ts'
import { builtinRoles } from './roles.ts'
import { type Binding, bindingSchema, type Right, roleSchema, ruleAllows, spellOut } from './rules.ts'

export interface AuthorizerOptions {
  store: Store
  /** Counted in `version`, so that a kept decision falls when an account goes. */
  identities: Identities
  signal: AbortSignal
  log: Logger
}

type Rules = readonly PolicyRule[]

const builtinRules: ReadonlyMap<string, Rules> = new Map(builtinRoles.map(({ name, rules }) => [name, rules]))

/** Kubernetes RBAC over the roles and bindings in the store, evaluated in memory. */
export function createAuthorizer({ store, identities, signal, log }: AuthorizerOptions): Rbac {
  const roles = new Map<string, Rules>()
  const bindings = createBindingIndex()
  const follow = { store, signal, log }
  const roleMirrors = ['roles', 'clusterroles'].map((resource) =>
    mirrorObjects<Rules>({
      ...follow,
      resource,
      parse: (value) => readRole(value),
      set: (project, name, rules) => setOrDelete(roles, `${project}/${name}`, rules),
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

  const rulesOf: Rbac['rulesOf'] = ({ kind, name }, project) => {
    if (kind === 'Role') return project === '' ? undefined : roles.get(`${project}/${name}`)
    return builtinRules.get(name) ?? roles.get(`/${name}`)
  }
  const holds = (subject: Subject, right: Right, project: string): boolean =>
    bindings.some(subject, project, (roleRef, place) =>
      (rulesOf(roleRef, place) ?? []).some((rule) => ruleAllows(rule, right)),
    )
  const may = (subject: Subject, right: Right, project: string): boolean =>
    subject.groups.includes(mastersGroup) || holds(subject, right, project) || holds(anonymous, right, project)

  return {
    can: (subject, verb, group, resource, name, project) => may(subject, { verb, group, resource, name }, project),
    holdsAll: (subject, rules, project) =>
      spellOut(rules)
        .filter((right) => !may(subject, right, project))
        .map(({ verb, group, resource, name }) => ({
          verbs: [verb],
          apiGroups: [group],
          resources: [resource],
          ...(name === '' ? {} : { resourceNames: [name] }),
        })),
    rulesOf,
    get version() {
      return sources.reduce((sum, source) => sum + source.version, 0)
    },
    reached: async (revision) => {
      await Promise.all(sources.map((source) => source.reached(revision)))
    },
    ready: Promise.all(sources.map((source) => source.ready)).then(() => {}),
  }
}

function readRole(value: unknown): Rules | undefined {
  const role = roleSchema.safeParse(value).data
  return role === undefined ? undefined : (role.rules ?? [])
}

/** Bindings by project ('' for the whole cluster) and by whom they name. */
function createBindingIndex() {
  const byName = new Map<string, { roleRef: RoleRef; keys: string[] }>()
  const bySubject = new Map<string, Map<string, RoleRef>>()

  const remove = (id: string, project: string) => {
    for (const key of byName.get(id)?.keys ?? []) {
      const place = `${project} ${key}`
      const refs = bySubject.get(place)
      refs?.delete(id)
      if (refs?.size === 0) bySubject.delete(place)
    }
    byName.delete(id)
  }
  const set = (project: string, name: string, binding: Binding | undefined) => {
    const id = `${project}/${name}`
    remove(id, project)
    if (binding === undefined) return
    const keys = subjectKeys(binding, project)
    byName.set(id, { roleRef: binding.roleRef, keys })
    for (const key of keys) {
      const place = `${project} ${key}`
      const refs = bySubject.get(place) ?? new Map<string, RoleRef>()
      bySubject.set(place, refs.set(id, binding.roleRef))
    }
  }
  const someAt = (project: string, key: string, test: (roleRef: RoleRef, project: string) => boolean): boolean => {
    for (const roleRef of bySubject.get(`${project} ${key}`)?.values() ?? []) if (test(roleRef, project)) return true
    return false
  }
  return {
    set,
    clear: (where: (project: string) => boolean) => {
      for (const id of [...byName.keys()]) {
        const project = id.slice(0, id.indexOf('/'))
        if (where(project)) remove(id, project)
      }
    },
    /** Whether a role bound to the subject, in the project or for the whole cluster, passes `test`. */
    some: (subject: Subject, project: string, test: (roleRef: RoleRef, project: string) => boolean): boolean => {
      const places = project === '' ? [''] : [project, '']
      const keys = [`User ${subject.name}`, ...subject.groups.map((group) => `Group ${group}`)]
      return places.some((place) => keys.some((key) => someAt(place, key, test)))
    },
  }
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
