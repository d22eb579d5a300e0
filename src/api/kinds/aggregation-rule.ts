import { z } from 'zod'
import type { FieldCause } from '../../oci/errors.ts'
import { atMost, forbiddenField, invalid, notSupported, required } from '../fields.ts'
import { isJsonObject } from '../json.ts'
import { isLabelKey, isLabelValue } from '../metadata.ts'

/** The `aggregationRule` of a ClusterRole as sent. */

const maxSelectors = 20
const maxRequirements = 50
const maxValues = 100

const selector = z.object({
  matchLabels: z.record(z.string(), z.string()).optional(),
  matchExpressions: z
    .array(z.object({ key: z.string(), operator: z.string(), values: z.array(z.string()).optional() }))
    .optional(),
})

type Selector = z.infer<typeof selector>
type Requirement = NonNullable<Selector['matchExpressions']>[number]

export const aggregationRuleField = z.object({
  clusterRoleSelectors: z
    .array(selector)
    .nullish()
    .transform((selectors) => selectors ?? []),
})

// Each selector is asked about each cluster role.
export function checkSelectorLengths({ aggregationRule }: Record<string, unknown>): FieldCause[] {
  const selectors = isJsonObject(aggregationRule) ? aggregationRule.clusterRoleSelectors : undefined
  const tooMany = atMost('aggregationRule.clusterRoleSelectors', selectors, maxSelectors)
  if (tooMany.length > 0 || !Array.isArray(selectors)) return tooMany
  return selectors.flatMap((each: unknown, i) => {
    if (!isJsonObject(each)) return []
    const at = atSelector(i)
    const { matchLabels, matchExpressions } = each
    const labels = isJsonObject(matchLabels) ? Object.keys(matchLabels) : []
    const expressions = Array.isArray(matchExpressions) ? matchExpressions : []
    const tooLong = [
      ...atMost(`${at}.matchLabels`, labels, maxRequirements),
      ...atMost(`${at}.matchExpressions`, expressions, maxRequirements),
    ]
    if (tooLong.length > 0) return tooLong
    return expressions.flatMap((expression: unknown, j) =>
      isJsonObject(expression) ? atMost(`${at}.matchExpressions[${j}].values`, expression.values, maxValues) : [],
    )
  })
}

/** @see https://github.com/kubernetes/kubernetes/blob/v1.33.0/pkg/apis/rbac/validation/validation.go */
export function checkAggregationRule(rule: z.infer<typeof aggregationRuleField> | undefined): FieldCause[] {
  if (rule === undefined) return []
  const { clusterRoleSelectors: selectors } = rule
  const field = 'aggregationRule.clusterRoleSelectors'
  if (selectors.length === 0) {
    return [required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil')]
  }
  return selectors.flatMap((each, i) => checkSelector(each, atSelector(i)))
}

function checkSelector({ matchLabels, matchExpressions }: Selector, at: string): FieldCause[] {
  return [
    ...Object.entries(matchLabels ?? {}).flatMap(([key, value]) => [
      ...checkKey(key, `${at}.matchLabels`),
      ...checkValues([value], `${at}.matchLabels`),
    ]),
    ...(matchExpressions ?? []).flatMap((each, i) => checkRequirement(each, `${at}.matchExpressions[${i}]`)),
  ]
}

function checkRequirement({ key, operator, values = [] }: Requirement, at: string): FieldCause[] {
  const causes = checkKey(key, `${at}.key`)
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length > 0) return [...causes, ...checkValues(values, `${at}.values`)]
      return [...causes, required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'")]
    case 'Exists':
    case 'DoesNotExist':
      if (values.length === 0) return causes
      return [
        ...causes,
        forbiddenField(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
      ]
    default:
      return [...causes, notSupported(`${at}.operator`, operator, ['In', 'NotIn', 'Exists', 'DoesNotExist'])]
  }
}

function checkKey(key: string, at: string): FieldCause[] {
  return isLabelKey(key) ? [] : [invalid(at, key, 'is not a label key')]
}

function checkValues(values: readonly string[], at: string): FieldCause[] {
  return values
    .filter((value) => !isLabelValue(value))
    .map((value) => invalid(at, value, "must be at most 63 letters, digits, '-', '_' or '.'"))
}

function atSelector(i: number): string {
  return `aggregationRule.clusterRoleSelectors[${i}]`
}
