/** The pure part of RBAC: which rule allows what, and what roles and bindings look like in the store. */

import { z } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import type { PolicyRule } from './access.ts'

/**
 * One thing to be done with one object. `name` is empty where a request has none, and undefined for all objects, those
 * without a name among them, which only a rule without names gives.
 */
export interface Right {
  verb: string
  group: string
  resource: string
  name: string | undefined
}

/** Whether a rule allows a right. */
export type RuleTest = (right: Right) => boolean

const names = z.array(z.string())

/** Unknown fields are left alone: `nonResourceURLs` and later ones give nothing here. */
const policyRuleSchema = z.object({
  verbs: names,
  apiGroups: names.default([]),
  resources: names.default([]),
  resourceNames: names.default([]),
})

/** The part of a stored Role or ClusterRole that counts. */
export const roleSchema = z.object({ rules: z.array(policyRuleSchema).nullish() })

/** The part of a stored RoleBinding or ClusterRoleBinding that counts. */
export const bindingSchema = z.object({
  roleRef: z.object({
    apiGroup: z.literal('rbac.authorization.k8s.io'),
    kind: z.enum(['ClusterRole', 'Role']),
    name: z.string().min(1),
  }),
  subjects: z
    .array(
      z.object({
        kind: z.enum(['User', 'Group', 'ServiceAccount']),
        name: z.string().min(1),
        namespace: z.string().optional(),
      }),
    )
    .nullish(),
})

export type Binding = z.infer<typeof bindingSchema>

/**
 * Prepares `rule` to be asked often, at a cost that does not grow with its lists. `*` is every verb, group or resource; `*` followed by `/layers` is that subresource of
 * every resource; a resource alone is not its subresources, and `imagestreams/*` is nothing, as in Kubernetes.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/v1.31.0/pkg/apis/rbac/v1/evaluation_helpers.go
 */
export function compileRule(rule: PolicyRule): RuleTest {
  const [verbs, groups, resources] = [new Set(rule.verbs), new Set(rule.apiGroups), new Set(rule.resources)]
  const allowed = rule.resourceNames?.length ? new Set(rule.resourceNames) : undefined
  // An empty name in a stored rule names nothing: it must not become the requests that have none.
  const nameMatches = (name: string | undefined) => allowed === undefined || (!!name && allowed.has(name))
  return ({ verb, group, resource, name }) =>
    nameMatches(name) && hasOrAll(verbs, verb) && hasOrAll(groups, group) && resourceMatches(resources, resource)
}

/**
 * Takes rules apart into single rights, a `*` staying as it is: whoever is to hold it needs a `*` himself.
 *
 * @throws RegistryError INVALID over 2,000 rights
 */
export function spellOut(rules: readonly PolicyRule[]): Right[] {
  const counts = rules.map((r) => r.verbs.length * r.apiGroups.length * r.resources.length * namesOf(r).length)
  // The lists multiply, so a small body could ask for more rights than memory holds.
  if (counts.reduce((sum, count) => sum + count, 0) > maxRights) {
    throw new RegistryError('INVALID', {
      message: `the role has more than ${maxRights} single rights`,
      causes: [{ field: 'rules', reason: 'FieldValueInvalid', message: 'use fewer names or split the role' }],
    })
  }
  return rules.flatMap((rule) =>
    rule.verbs.flatMap((verb) =>
      rule.apiGroups.flatMap((group) =>
        rule.resources.flatMap((resource) => namesOf(rule).map((name) => ({ verb, group, resource, name }))),
      ),
    ),
  )
}

const maxRights = 2_000

function namesOf(rule: PolicyRule): readonly (string | undefined)[] {
  return rule.resourceNames?.length ? rule.resourceNames : [undefined]
}

function hasOrAll(values: ReadonlySet<string>, value: string): boolean {
  return values.has('*') || values.has(value)
}

function resourceMatches(resources: ReadonlySet<string>, resource: string): boolean {
  const slash = resource.indexOf('/')
  return hasOrAll(resources, resource) || (slash >= 0 && resources.has(`*${resource.slice(slash)}`))
}
