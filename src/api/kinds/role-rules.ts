import { z } from 'zod'
import type { PolicyRule, Rbac, Subject } from '../../access/access.ts'
import { type FieldCause, RegistryError } from '../../oci/errors.ts'
import { atMost, forbiddenField, invalid, required } from '../fields.ts'
import { rbacGroup } from '../groups.ts'
import type { Call } from '../resource.ts'

/** What Roles and ClusterRoles have in common: their rules, and who may write them. */

const maxRules = 100
const maxListItems = 1000

const strings = z.array(z.string())

/** `rules` as sent. */
export const rulesField = z
  .array(
    z.object({
      verbs: strings,
      apiGroups: strings.optional(),
      resources: strings.optional(),
      resourceNames: strings.optional(),
      nonResourceURLs: strings.nullish(),
    }),
  )
  .nullish()
  .transform((rules) => rules ?? [])

export type SentRules = z.infer<typeof rulesField>

// Each question whether somebody may do something passes through the rules of his roles.
export function checkLengths({ rules }: Record<string, unknown>): FieldCause[] {
  const tooMany = atMost('rules', rules, maxRules)
  if (tooMany.length > 0 || !Array.isArray(rules)) return tooMany
  return rules.flatMap((rule: unknown, i) =>
    typeof rule === 'object' && rule !== null
      ? Object.entries(rule).flatMap(([field, list]) => atMost(`rules[${i}].${field}`, list, maxListItems))
      : [],
  )
}

/** @see https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/apis/rbac/validation/validation.go */
export function checkRules(rules: SentRules, { isNamespaced }: { isNamespaced: boolean }): FieldCause[] {
  return rules.flatMap((rule, i) => {
    const at = `rules[${i}]`
    const causes: FieldCause[] = []
    if (rule.verbs.length === 0) causes.push(required(`${at}.verbs`, 'verbs must contain at least one value'))
    return rule.nonResourceURLs?.length
      ? [...causes, ...checkPathRule(rule, `${at}.nonResourceURLs`, isNamespaced)]
      : [...causes, ...checkResourceRule(rule, at)]
  })
}

function checkPathRule(rule: SentRules[number], at: string, isNamespaced: boolean): FieldCause[] {
  if (isNamespaced) return [forbiddenField(at, 'namespaced rules cannot apply to non-resource URLs')]
  const { apiGroups, resources, resourceNames, nonResourceURLs } = rule
  if (!apiGroups?.length && !resources?.length && !resourceNames?.length) return []
  return [invalid(at, nonResourceURLs, 'rules cannot apply to both regular resources and non-resource URLs')]
}

function checkResourceRule({ apiGroups, resources, resourceNames }: SentRules[number], at: string): FieldCause[] {
  const causes: FieldCause[] = []
  if (resourceNames?.includes('')) {
    causes.push(invalid(`${at}.resourceNames`, '', 'no object has an empty name; leave resourceNames out to mean all'))
  }
  if (!apiGroups?.length) causes.push(required(`${at}.apiGroups`, 'resource rules must supply at least one api group'))
  if (!resources?.length) causes.push(required(`${at}.resources`, 'resource rules must supply at least one resource'))
  return causes
}

/** What is written to, as messages call it. */
export interface Written {
  resource: 'roles' | 'clusterroles' | 'rolebindings' | 'clusterrolebindings'
  name: string
}

/** Whether the caller may write roles that allow more than he may himself: the verb `escalate`, without a name on create. */
export function mayEscalate({ can, name, project }: Call, resource: 'roles' | 'clusterroles'): boolean {
  return can({ verb: 'escalate', group: rbacGroup, resource, name, project })
}

/**
 * Refuses to give what the caller does not have himself, where he gives it.
 *
 * @throws RegistryError FORBIDDEN naming what he lacks; INVALID as {@link Rbac.holdsAll}
 */
export function requireHeld(
  authorizer: Pick<Rbac, 'holdsAll'>,
  { subject, project }: Call,
  rules: readonly PolicyRule[],
  written: Written,
): void {
  const missing = authorizer.holdsAll(subject, rules, project)
  if (missing.length > 0) throw escalation(subject, missing, written)
}

function escalation(
  { name: user, groups }: Subject,
  missing: readonly PolicyRule[],
  { resource, name }: Written,
): RegistryError {
  const shown = missing.slice(0, 5).map(formatRule).join(', ')
  const more = missing.length > 5 ? ` and ${missing.length - 5} more` : ''
  return new RegistryError('FORBIDDEN', {
    message: `${resource}.${rbacGroup} "${name}" is forbidden: user "${user}" (groups=${JSON.stringify(groups)}) is attempting to grant RBAC permissions not currently held: ${shown}${more}`,
    subject: { name, kind: resource, group: rbacGroup },
  })
}

function formatRule({ apiGroups, resources, resourceNames, verbs }: PolicyRule): string {
  const names = resourceNames?.length ? `, ResourceNames:${JSON.stringify(resourceNames)}` : ''
  return `{APIGroups:${JSON.stringify(apiGroups)}, Resources:${JSON.stringify(resources)}${names}, Verbs:${JSON.stringify(verbs)}}`
}

/** Rules as they are compared with those that somebody holds; one of paths alone gives nothing. */
export function policyRules(rules: SentRules): PolicyRule[] {
  return rules.map(({ verbs, apiGroups, resources, resourceNames }) => ({
    verbs,
    apiGroups: apiGroups ?? [],
    resources: resources ?? [],
    ...(resourceNames && { resourceNames }),
  }))
}
