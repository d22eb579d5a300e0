import { z } from 'zod'

/** Labels of an object; those that it inherits as a JavaScript object are none. */
export type Labels = Readonly<Record<string, string>>

/** Whether an object with these labels is selected. */
export type LabelTest = (labels: Labels) => boolean

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const

/** A `metav1.LabelSelector`. @see https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/ */
export const labelSelectorSchema = z.object({
  matchLabels: z.record(z.string(), z.string()).nullish(),
  matchExpressions: z
    .array(z.object({ key: z.string(), operator: z.enum(operators), values: z.array(z.string()).nullish() }))
    .nullish(),
})

export type LabelSelector = z.infer<typeof labelSelectorSchema>

type Requirement = NonNullable<LabelSelector['matchExpressions']>[number]

/** Prepares a selector to be asked often. All that it says must hold; one that says nothing selects everything. */
export function compileSelector({ matchLabels, matchExpressions }: LabelSelector): LabelTest {
  const tests = [
    ...Object.entries(matchLabels ?? {}).map(([key, value]) => isIn(key, new Set([value]))),
    ...(matchExpressions ?? []).map(compileRequirement),
  ]
  return (labels) => tests.every((test) => test(labels))
}

function compileRequirement({ key, operator, values }: Requirement): LabelTest {
  const test = operator === 'In' || operator === 'NotIn' ? isIn(key, new Set(values)) : has(key)
  return operator === 'In' || operator === 'Exists' ? test : not(test)
}

function has(key: string): LabelTest {
  return (labels) => Object.hasOwn(labels, key)
}

function isIn(key: string, values: ReadonlySet<string>): LabelTest {
  return (labels) => Object.hasOwn(labels, key) && values.has(labels[key] ?? '')
}

function not(test: LabelTest): LabelTest {
  return (labels) => !test(labels)
}
