import type { BindingSubject, PolicyRule, Subject } from '../../src/access/access.ts'

/**
 * Kubernetes RBAC as its documentation tells it, each question answered by going through everything: the reference for
 * what the evaluator does by indexes.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/rbac/
 */
export interface Model {
  /** `project` is empty for ClusterRoles. */
  roles: ModelRole[]
  /** `project` is empty for ClusterRoleBindings. */
  bindings: ModelBinding[]
}

export interface ModelRole {
  project: string
  name: string
  labels: Record<string, string>
  rules: PolicyRule[]
  selectors?: ModelSelector[]
}

export interface ModelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: { key: string; operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'; values?: string[] }[]
}

export interface ModelBinding {
  project: string
  name: string
  role: { kind: 'Role' | 'ClusterRole'; name: string }
  subjects: BindingSubject[]
}

/** One thing asked for. */
export interface Asked {
  verb: string
  group: string
  resource: string
  name: string
  project: string
}

/** Whether the subject, or anybody, may. */
export function mayByModel(model: Model, subject: Subject, asked: Asked): boolean {
  const anybody: Subject = { name: 'system:anonymous', groups: ['system:unauthenticated'] }
  return (
    subject.groups.includes('system:masters') ||
    [subject, anybody].some((one) => model.bindings.some((binding) => grants(model, binding, one, asked)))
  )
}

/** Whether one binding gives the subject what is asked for. */
export function grants(model: Model, binding: ModelBinding, subject: Subject, asked: Asked): boolean {
  const isInScope = binding.project === '' || binding.project === asked.project
  const isBound = binding.subjects.some((one) => names(one, binding.project, subject))
  return isInScope && isBound && boundRules(model, binding).some((rule) => covers(rule, asked))
}

function names({ kind, name, namespace }: BindingSubject, project: string, subject: Subject): boolean {
  if (kind === 'User') return subject.name === name
  if (kind === 'Group') return subject.groups.includes(name)
  return subject.name === `system:serviceaccount:${namespace || project}:${name}`
}

function boundRules(model: Model, { project, role }: ModelBinding): PolicyRule[] {
  const wanted = role.kind === 'Role' ? project : ''
  if (role.kind === 'Role' && project === '') return []
  const found = model.roles.find((one) => one.project === wanted && one.name === role.name)
  return found === undefined ? [] : rulesByModel(model, found)
}

/** The rules of a role; of an aggregated one once a controller that copies from role to role has nothing more to copy. */
export function rulesByModel({ roles }: Model, role: ModelRole): PolicyRule[] {
  const clusterRoles = roles.filter(({ project }) => project === '')
  const rules = new Map(clusterRoles.map((one) => [one, one.selectors === undefined ? one.rules : []]))
  for (let changed = true; changed; ) {
    changed = false
    for (const taker of clusterRoles) {
      if (taker.selectors === undefined) continue
      const own = rules.get(taker) ?? []
      for (const other of clusterRoles) {
        if (other === taker || !taker.selectors.some((selector) => isSelected(selector, other.labels))) continue
        for (const rule of rules.get(other) ?? []) {
          if (own.includes(rule)) continue
          own.push(rule)
          changed = true
        }
      }
      rules.set(taker, own)
    }
  }
  return rules.get(role) ?? role.rules
}

function isSelected({ matchLabels = {}, matchExpressions = [] }: ModelSelector, labels: Record<string, string>) {
  const own = new Map(Object.entries(labels))
  return (
    Object.entries(matchLabels).every(([key, value]) => own.get(key) === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = own.get(key)
      if (operator === 'Exists') return value !== undefined
      if (operator === 'DoesNotExist') return value === undefined
      const isIn = value !== undefined && values.includes(value)
      return operator === 'In' ? isIn : !isIn
    })
  )
}

/** @see https://github.com/kubernetes/kubernetes/blob/v1.31.0/pkg/apis/rbac/v1/evaluation_helpers.go */
function covers({ verbs, apiGroups, resources, resourceNames = [] }: PolicyRule, asked: Asked): boolean {
  const [, subresource] = asked.resource.split('/')
  return (
    (verbs.includes('*') || verbs.includes(asked.verb)) &&
    (apiGroups.includes('*') || apiGroups.includes(asked.group)) &&
    resources.some((one) => one === '*' || one === asked.resource || (subresource && one === `*/${subresource}`)) &&
    (resourceNames.length === 0 || (asked.name !== '' && resourceNames.includes(asked.name)))
  )
}
