/** The pure part of RBAC: which rule allows what, and what roles and bindings look like in the store. */

import { z } from 'zod'
import { RegistryError } from '../oci/errors.ts'
import type { PolicyRule } from './access.ts'
import { type LabelSelector, type Labels, labelSelectorSchema } from './label-selector.ts'

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

/** Whether rules allow a right. */
export type RuleTest = (right: Right) => boolean

const names = z.array(z.string())

const policyRuleSchema = z
  .object({
    verbs: names,
    apiGroups: names.default([]),
    resources: names.default([]),
    resourceNames: names.optional(),
    nonResourceURLs: names.nullish(),
  })
  .transform(
    ({ resourceNames, nonResourceURLs, ...rule }): PolicyRule => ({
      ...rule,
      ...(resourceNames && { resourceNames }),
      ...(nonResourceURLs && { nonResourceURLs }),
    }),
  )

const rules = z
  .array(policyRuleSchema)
  .nullish()
  .transform((given) => given ?? [])

/** The part of a stored Role that counts. */
export const roleSchema = z.object({ rules })

/** The part of a stored ClusterRole that counts. */
export const clusterRoleSchema = z
  .object({
    metadata: z.object({ labels: z.record(z.string(), z.string()).nullish() }).nullish(),
    rules,
    aggregationRule: z.object({ clusterRoleSelectors: z.array(labelSelectorSchema).default([]) }).nullish(),
  })
  .transform(
    ({ metadata, aggregationRule, ...role }): ClusterRole => ({
      ...role,
      labels: metadata?.labels ?? {},
      ...(aggregationRule && { aggregationRule }),
    }),
  )

/** A ClusterRole; one with an `aggregationRule` has no rules of its own. */
export interface ClusterRole {
  labels: Labels
  rules: readonly PolicyRule[]
  aggregationRule?: AggregationRule
}

/** The roles whose rules are taken over are those that one of the selectors selects. */
export interface AggregationRule {
  clusterRoleSelectors: readonly LabelSelector[]
}

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

/** Whether one of the rules allows the right, decided by going through their lists: for rules that are asked but once. */
export function anyAllows(rules: Iterable<PolicyRule>, right: Right): boolean {
  for (const rule of rules) if (concerns(rule, right) && isNamed(rule, right.name)) return true
  return false
}

/** How many strings {@link anyAllows} compares with a right at most. */
export function lengthOf(rules: Iterable<PolicyRule>): number {
  let length = 0
  for (const { verbs, apiGroups, resources, resourceNames = [] } of rules) {
    length += verbs.length + apiGroups.length + resources.length + resourceNames.length
  }
  return length
}

/** Whether a name is one of a rule's; `undefined` stands for all objects. */
type NameTest = (name: string | undefined) => boolean

/** Most kinds of rights for which a role keeps which of its rules they concern. */
const maxKinds = 32

/**
 * Prepares the rules of a role to be asked often, at a cost that grows neither with their lists nor with their number where
 * they concern something else: a project's owner says how many there are, and everybody's lists ask them. `*` is every
 * verb, group or resource; `*` followed by `/layers` is that subresource of every resource; a resource alone is not its
 * subresources, and `imagestreams/*` is nothing, as in Kubernetes.
 *
 * @see https://github.com/kubernetes/kubernetes/blob/v1.31.0/pkg/apis/rbac/v1/evaluation_helpers.go
 */
export function compileRules(rules: readonly PolicyRule[]): RuleTest {
  // Made of the few rules that are asked for: made of all, they took three times the memory.
  const known = new Map<string, readonly NameTest[]>()
  // One for each rule, whatever is asked of it: made for each kind of right, they took fifty times the memory of the rules.
  const tests = new Map<PolicyRule, NameTest>()

  function concerned(right: Right): readonly NameTest[] {
    // Of what is really asked nothing has a space: whatever else is asked, such a key is of one kind alone.
    const key = `${right.verb} ${right.group} ${right.resource}`
    const found = known.get(key)
    if (found !== undefined) return found
    if (known.size >= maxKinds) known.clear()
    const concerning = rules.filter((rule) => concerns(rule, right)).map(testOf)
    known.set(key, concerning)
    return concerning
  }

  function testOf(rule: PolicyRule): NameTest {
    const made = tests.get(rule) ?? nameTest(rule)
    tests.set(rule, made)
    return made
  }

  return (right) => concerned(right).some((isNamed) => isNamed(right.name))
}

function concerns({ verbs, apiGroups, resources }: PolicyRule, { verb, group, resource }: Right): boolean {
  return hasOrAll(verbs, verb) && hasOrAll(apiGroups, group) && resourceMatches(resources, resource)
}

function isNamed({ resourceNames }: PolicyRule, name: string | undefined): boolean {
  return !resourceNames?.length || (!!name && resourceNames.includes(name))
}

function nameTest({ resourceNames }: PolicyRule): NameTest {
  if (!resourceNames?.length) return () => true
  const names = new Set(resourceNames)
  // An empty name in a stored rule names nothing: it must not become the requests that have none.
  return (name) => !!name && names.has(name)
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

function hasOrAll(values: readonly string[], value: string): boolean {
  return values.includes('*') || values.includes(value)
}

function resourceMatches(resources: readonly string[], resource: string): boolean {
  const slash = resource.indexOf('/')
  return hasOrAll(resources, resource) || (slash >= 0 && resources.includes(`*${resource.slice(slash)}`))
}
